//! The states of an attempt.

use crate::named::named;

named! {
    /// What is known of an attempt's money.
    pub enum State {
        /// Written down, not yet sent.
        Created = "created",
        /// May have been sent: written before the first byte leaves.
        Submitted = "submitted",
        /// The customer has something to pay, or a password to enter.
        AwaitingCustomer = "awaiting_customer",
        /// May have charged; being asked for.
        Unknown = "unknown",
        /// May have charged; being taken back.
        ReversalPending = "reversal_pending",
        /// Nobody could say whether it charged: a person decides.
        NeedsReview = "needs_review",
        /// Refused.
        Declined = "declined",
        /// Provably never acted on.
        FailedNotProcessed = "failed_not_processed",
        /// Expired and closed at the provider: it can no longer be paid.
        Closed = "closed",
        /// Taken back: net zero.
        Reversed = "reversed",
        /// Charged after all, when it was thought to be settled without.
        LateSuccess = "late_success",
        /// Charged.
        Succeeded = "succeeded",
        /// Charged, as a failed reversal has shown.
        ConfirmedSucceeded = "confirmed_succeeded",
        /// Charged although the payment was satisfied elsewhere; being paid back.
        RefundPending = "refund_pending",
        /// Charged, and the money could not be paid back: a person decides.
        ///
        /// Apart from [`State::NeedsReview`], because here it is certain that the customer paid.
        RefundNeedsReview = "refund_needs_review",
        /// Paid back.
        Refunded = "refunded",
    }
}

/// Whether another attempt of the same payment may be made beside one in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Settled, and no money moved.
    NoDebit,
    /// Money may have moved, or may yet.
    Blocking,
}

impl State {
    /// Whether another attempt of the same payment may be made beside this one.
    ///
    /// Beside what may charge or has charged, three states block that are settled or harmless by themselves: an
    /// attempt that is created can be sent any moment, and one that is being or was paid back belongs to a payment
    /// that somebody has to look at as a whole.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Declined | Self::FailedNotProcessed | Self::Closed | Self::Reversed => Standing::NoDebit,
            Self::Created
            | Self::Submitted
            | Self::AwaitingCustomer
            | Self::Unknown
            | Self::ReversalPending
            | Self::NeedsReview
            | Self::LateSuccess
            | Self::Succeeded
            | Self::ConfirmedSucceeded
            | Self::RefundPending
            | Self::RefundNeedsReview
            | Self::Refunded => Standing::Blocking,
        }
    }

    /// Whether it is certain that the customer was charged, paid back since or not.
    #[must_use]
    pub const fn was_charged(self) -> bool {
        matches!(
            self,
            Self::LateSuccess
                | Self::Succeeded
                | Self::ConfirmedSucceeded
                | Self::RefundPending
                | Self::RefundNeedsReview
                | Self::Refunded
        )
    }

    /// Whether it may have charged, or may yet, and nobody can tell.
    #[must_use]
    pub const fn may_charge(self) -> bool {
        matches!(self.standing(), Standing::Blocking) && !self.was_charged()
    }

    /// Whether the attempt satisfies its payment.
    #[must_use]
    pub const fn satisfies_payment(self) -> bool {
        matches!(self, Self::Succeeded | Self::ConfirmedSucceeded)
    }
}
