//! What has to be done about an attempt whose money is not settled: what to ask the merchant's integration, when, and
//! what follows when nothing helps.
//!
//! A [`Case`] is all that is kept, so a process that starts anew goes on where another stopped: [`next`] looks at nothing
//! else. It ends in one of two ways: the attempt is settled, or a person has to look. Nothing is ever given up silently.

mod case;
mod next;
#[cfg(test)]
mod tests;

pub use case::{Ask, Asked, Case, Cause};
pub use next::{Facts, Next, age, next};

use crate::attempt::{Standing, State};

/// Whether somebody has to find out about an attempt in this state, pay it back, or decide what becomes of it.
#[must_use]
pub const fn is_open(state: State) -> bool {
    match state {
        State::Submitted
        | State::AwaitingCustomer
        | State::Unknown
        | State::ReversalPending
        | State::NeedsReview
        | State::LateSuccess
        | State::RefundPending
        | State::RefundNeedsReview => true,
        State::Created
        | State::Declined
        | State::FailedNotProcessed
        | State::Closed
        | State::Reversed
        | State::Succeeded
        | State::ConfirmedSucceeded
        | State::Refunded => false,
    }
}

/// Whether a person has to look.
#[must_use]
pub const fn needs_review(state: State) -> bool {
    matches!(state, State::NeedsReview | State::RefundNeedsReview)
}

/// Whether the attempt was settled without a debit.
const fn without_debit(state: State) -> bool {
    matches!(state.standing(), Standing::NoDebit)
}
