//! The states of a breaker, and the reasons for which they change.

use serde::{Deserialize, Serialize};

/// Whether a scope takes payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Takes everything.
    #[default]
    Healthy,
    /// Takes nothing until the next probe is due.
    Tripped,
    /// Takes one probe at a time.
    Probing,
    /// Takes a growing share.
    Ramping,
}

impl State {
    /// The name in snake case, as in metrics and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Tripped => "tripped",
            Self::Probing => "probing",
            Self::Ramping => "ramping",
        }
    }
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The sequential test: failures, or silence, that are not chance.
    Evidence,
    /// The channel said that it is closed for maintenance.
    Maintenance,
    /// The channel said that it is busy, and the configured rule takes that for an outage.
    Busy,
    /// Two of the last three attempts timed out (configured rule).
    Timeouts,
    /// The technical error rate of the last minute is too high (configured rule).
    ErrorRate,
    /// Several methods or issuers of the channel tripped together.
    Spread,
    /// The issuer or method is down everywhere: the breaker was reset, it is not the channel's doing.
    CommonCause,
    /// The channel's own breaker has taken over.
    ChannelTripped,
    /// A probe was sent.
    ProbeSent,
    /// A probe failed, or nobody answered for it.
    ProbeFailed,
    /// Enough probes succeeded.
    ProbesPassed,
    /// The last step of the ramp held.
    RampCompleted,
}

impl Reason {
    /// The name in snake case, as in metrics and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Maintenance => "maintenance",
            Self::Busy => "busy",
            Self::Timeouts => "timeouts",
            Self::ErrorRate => "error_rate",
            Self::Spread => "spread",
            Self::CommonCause => "common_cause",
            Self::ChannelTripped => "channel_tripped",
            Self::ProbeSent => "probe_sent",
            Self::ProbeFailed => "probe_failed",
            Self::ProbesPassed => "probes_passed",
            Self::RampCompleted => "ramp_completed",
        }
    }
}
