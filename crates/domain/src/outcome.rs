//! What an outcome says about the channel: the classes that statistics count and the brain learns from.

use serde::{Deserialize, Serialize};

/// The answer to "whose doing was it, and does it speak about the channel?".
///
/// A class is coarser than a reason (what to tell the customer) and than an attempt's state (whether money moved).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// Paid, or authorised.
    Success,
    /// Refused for a reason that is the customer's, the merchant's or the order's own: balance, PIN, bad request.
    /// The channel worked; another one would have refused as well.
    Refusal,
    /// Refused without saying why ("do not honour"): another channel might have got it through.
    SoftDecline,
    /// The channel's fault: an error answer, a connection that failed.
    TechnicalFailure,
    /// No answer within the channel's time limit. The payment's outcome is unknown, the channel's health is not.
    Timeout,
    /// The channel said that it has too much to do: a limit, not a fault.
    Busy,
    /// The channel said that it is closed for maintenance.
    Maintenance,
    /// The channel works, the customer's bank does not answer it.
    IssuerUnavailable,
}

impl OutcomeClass {
    /// Every class, in the order in which statistics keep them.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Refusal,
        Self::SoftDecline,
        Self::TechnicalFailure,
        Self::Timeout,
        Self::Busy,
        Self::Maintenance,
        Self::IssuerUnavailable,
    ];

    /// The name in snake case, as in metrics and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refusal => "refusal",
            Self::SoftDecline => "soft_decline",
            Self::TechnicalFailure => "technical_failure",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Maintenance => "maintenance",
            Self::IssuerUnavailable => "issuer_unavailable",
        }
    }

    /// The class of this name; `None` when there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Whether the class lowers the *technical* success rate of a channel.
    ///
    /// Declines do not: a wave of stolen cards must not eject a good channel. An unavailable issuer is not the
    /// channel's fault either.
    #[must_use]
    pub const fn is_technical_failure(self) -> bool {
        matches!(
            self,
            Self::TechnicalFailure | Self::Timeout | Self::Busy | Self::Maintenance
        )
    }

    /// Whether the payment went through.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }
}
