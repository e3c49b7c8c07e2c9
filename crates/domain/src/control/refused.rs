//! Why a change is refused.

use crate::diagnostic::Diagnostic;
use crate::id::ChannelId;

/// Why a change cannot be made. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Something in the change is wrong, or would be with it: everything that is, with the file `change` for the
    /// change's own fields.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Diagnostic>),
    /// Nothing was imported yet, so that there is nothing to change.
    #[error("there is no configuration yet: import one first")]
    NotImported,
    /// No policy of this version is stored.
    #[error("policy version {0} does not exist")]
    UnknownPolicy(u64),
    /// No other policy was active before.
    #[error("no policy was active before this one")]
    NoPolicyBefore,
    /// There is no such suspension.
    #[error("suspension {0} does not exist")]
    UnknownSuspension(u64),
    /// The suspension was lifted already, or its time is over.
    #[error("suspension {0} is over already")]
    SuspensionOver(u64),
    /// Nothing was decided about this channel's breaker.
    #[error("the breaker of channel `{0}` is not overridden")]
    NoOverride(ChannelId),
    /// No limit of this name is set by hand.
    #[error("limit `{0}` is not set by hand")]
    LimitNotSet(String),
    /// There would be too many.
    #[error("there are {most} {what} already, more are not allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
}

impl From<Vec<Diagnostic>> for Refused {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Invalid(diagnostics)
    }
}
