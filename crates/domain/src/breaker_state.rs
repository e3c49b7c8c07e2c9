//! The states of a breaker, as everybody sees them.

use crate::named::named;

named! {
    /// Whether a channel takes traffic, and why.
    pub enum BreakerState {
        /// Takes its full share.
        Healthy = "healthy",
        /// Takes nothing: it failed.
        Tripped = "tripped",
        /// Takes single payments, to see whether it works again.
        Probing = "probing",
        /// Works again and takes a growing part of its share.
        Ramping = "ramping",
        /// Taken out by hand, until an end.
        ForcedOut = "forced_out",
        /// Kept in by hand, whatever its outcomes, until an end.
        ForcedIn = "forced_in",
        /// Takes its full share; what its breaker would have done is only counted.
        ObserveOnly = "observe_only",
    }
}

impl BreakerState {
    /// Whether somebody chose the state by hand.
    #[must_use]
    pub const fn is_by_hand(self) -> bool {
        matches!(self, Self::ForcedOut | Self::ForcedIn | Self::ObserveOnly)
    }
}
