//! How fast a receiver was sent to lately, as it is kept in the ledger for all workers.

use delivery::throttle::{Rate, Sent, Throttle};
use jiff::Timestamp;
use ledger::delivery::Pace;
use serde::{Deserialize, Serialize};

/// What workers tell each other of a receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pacing {
    /// What it was sent lately, and until when it wants silence.
    pub(super) sent: Sent,
    /// Since when it refuses what it is sent, as its stand-in was told.
    pub(super) broken_since: Option<Timestamp>,
}

impl Pacing {
    /// What `pace` says. What a later release has written otherwise counts as nothing.
    pub(super) fn read(pace: &Pace) -> Self {
        serde_json::from_str(&pace.content).unwrap_or_default()
    }

    /// The pace that follows from `from` when this holds.
    pub(super) fn write(&self, from: &Pace) -> Pace {
        Pace {
            version: from.version,
            content: serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// What may be sent by it.
    pub(super) fn throttle(&self, rate: Rate) -> Throttle {
        Throttle::resume(rate, self.sent.clone())
    }
}
