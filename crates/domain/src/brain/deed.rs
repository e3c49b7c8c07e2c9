//! What a brain did, and was told, as its peers have to hear it: by names, which mean the same everywhere.

use std::sync::Arc;

use jiff::Timestamp;

use super::ask::Exploration;
use crate::amount_band::AmountBand;
use crate::id::ChannelId;
use crate::outcome::OutcomeClass;

/// A channel and a segment, by their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The channel.
    pub channel: ChannelId,
    /// The method.
    pub method: Arc<str>,
    /// The issuer; [`NO_ISSUER`](super::NO_ISSUER) if there is none.
    pub issuer: Arc<str>,
    /// How large the payment is.
    pub band: AmountBand,
}

/// An attempt that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatched {
    /// Names the attempt.
    pub key: u64,
    /// Where it went.
    pub lane: Lane,
    /// When.
    pub at: Timestamp,
    /// The time limit that the channel's configuration gives, in milliseconds; 0 if unknown.
    pub timeout_ms: u32,
    /// 1 for the first attempt of a payment.
    pub attempt_no: u32,
    /// What, other than being the best, made the channel the choice.
    pub exploration: Exploration,
    /// The share of an exploration that the payment earned; `None` if it was none of those that earn.
    pub earned: Option<f32>,
}

/// An attempt whose outcome was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Names the attempt.
    pub key: u64,
    /// Where it went.
    pub lane: Lane,
    /// What the outcome says.
    pub class: OutcomeClass,
    /// How long the answer took, in milliseconds.
    pub latency_ms: u32,
    /// 1 for the first attempt of a payment.
    pub attempt_no: u32,
    /// When it was decided, or sent where that is all that is known.
    pub decided_at: Timestamp,
    /// When the outcome was told.
    pub received_at: Timestamp,
}

/// Something that a brain did or was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// It sent an attempt.
    Dispatched(Dispatched),
    /// An answer has arrived, and what it says will be told when it is kept.
    Arrived {
        /// Names the attempt.
        key: u64,
    },
    /// It was told an outcome.
    Answered(Answered),
    /// An attempt will say nothing about its channel.
    Dismissed {
        /// Names the attempt.
        key: u64,
    },
}

impl Deed {
    /// The attempt it is about.
    #[must_use]
    pub const fn key(&self) -> u64 {
        match self {
            Self::Dispatched(dispatched) => dispatched.key,
            Self::Answered(answered) => answered.key,
            Self::Arrived { key } | Self::Dismissed { key } => *key,
        }
    }

    /// The same with every time moved by `shift`, and none of them after `now`: the clock of whoever did it is
    /// another one.
    #[must_use]
    pub fn moved(mut self, shift: jiff::SignedDuration, now: Timestamp) -> Self {
        let moved = |at: Timestamp| at.checked_add(shift).unwrap_or(now).min(now);
        match &mut self {
            Self::Dispatched(dispatched) => dispatched.at = moved(dispatched.at),
            Self::Answered(answered) => {
                answered.decided_at = moved(answered.decided_at);
                answered.received_at = moved(answered.received_at);
            }
            Self::Arrived { .. } | Self::Dismissed { .. } => {}
        }
        self
    }
}
