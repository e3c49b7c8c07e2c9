//! What can happen to an attempt, and who says so.

use crate::catalogue::{Certainty, Failure, Reason, Side};
use crate::named::named;

named! {
    /// Who says so. Kept with every change of state.
    pub enum Source {
        /// The provider's answer to the call itself.
        Reply = "reply",
        /// The provider's answer to a query.
        Query = "query",
        /// A notice that the provider sent by itself.
        Notice = "notice",
        /// The provider's settlement file.
        Settlement = "settlement",
        /// A person.
        Operator = "operator",
        /// Payroute itself: a restart, or a budget that is spent.
        Payroute = "payroute",
    }
}

impl Source {
    /// Whether its word is the last one: a provider's answer may still be an intermediate one.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Settlement | Self::Operator)
    }
}

named! {
    /// What somebody says about an attempt's money.
    pub enum Claim {
        /// The customer was charged.
        Paid = "paid",
        /// The payment was refused.
        Declined = "declined",
        /// The request was never acted on.
        NotProcessed = "not_processed",
        /// The order expired or was closed at the provider, unpaid.
        Closed = "closed",
        /// The customer still has to act.
        AwaitingCustomer = "awaiting_customer",
        /// Nobody can tell: no answer, or one that says nothing.
        Unclear = "unclear",
    }
}

impl Claim {
    /// What a failure says about the attempt's money.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match failure.certainty {
            Certainty::Declined => Self::Declined,
            Certainty::NotProcessed => Self::NotProcessed,
            Certainty::Unknown
                if failure.reason == Reason::PaymentInProgress && failure.side == Side::Customer =>
            {
                Self::AwaitingCustomer
            }
            Certainty::Unknown => Self::Unclear,
        }
    }
}

/// Something that happens to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is about to be sent.
    Submitted,
    /// Somebody says what became of it.
    Said(Claim, Source),
    /// Payroute starts again and does not know what happened meanwhile.
    Restarted,
    /// All queries were asked and none was answered with certainty.
    QueriesSpent,
    /// The provider took it back.
    ReversalAccepted,
    /// The provider cannot take it back, because it charged.
    ReversalRefused,
    /// All tries to take it back went without an answer.
    ReversalsSpent,
    /// The order is open and nothing else succeeded: a late success is taken as its payment.
    Adopted,
    /// The payment was satisfied elsewhere, or its order is gone: pay back.
    RefundOrdered,
    /// The customer has the money back.
    RefundDone,
    /// All tries to pay back failed.
    RefundsSpent,
}

#[cfg(test)]
impl Event {
    /// Everything that can happen.
    pub(crate) fn all() -> Vec<Self> {
        let said = Claim::ALL
            .into_iter()
            .flat_map(|claim| Source::ALL.map(|source| Self::Said(claim, source)));
        [
            Self::Submitted,
            Self::Restarted,
            Self::QueriesSpent,
            Self::ReversalAccepted,
            Self::ReversalRefused,
            Self::ReversalsSpent,
            Self::Adopted,
            Self::RefundOrdered,
            Self::RefundDone,
            Self::RefundsSpent,
        ]
        .into_iter()
        .chain(said)
        .collect()
    }
}
