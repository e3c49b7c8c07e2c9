//! What the caller brings: its own integrations with the channels.

use crate::submit::{Submit, Submitted};

/// What a channel says of an attempt when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// It was paid.
    Paid,
    /// It was refused, with the provider's code (empty when there is none).
    Declined(String),
    /// The provider is certain that it never acted on it.
    NotProcessed,
    /// The order was closed unpaid: nobody can pay it any more.
    Closed,
    /// It is still being worked on.
    Processing,
    /// The provider knows no such attempt. The request may still be on its way, so this is believed only when it is said
    /// three times in a row.
    NotFound,
    /// The question itself was not answered.
    Unclear,
    /// This channel cannot be asked.
    Cannot,
}

/// What a channel says when an attempt is to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reversal {
    /// It was: no money is held for it, and none will be.
    Reversed,
    /// There was nothing to take back, and the order can no longer be paid.
    Closed,
    /// It was paid, and cannot be taken back.
    Paid,
    /// There was no answer.
    Unclear,
    /// This channel cannot take anything back.
    Cannot,
}

/// The caller's integrations, for one payment. Credentials stay in here; the client never sees any.
///
/// A closure that submits is one as well: then open outcomes are left to the compensation service and its stream.
pub trait Channels: Send + Sync + 'static {
    /// Submits to `submit.channel_id` with `submit.attempt_key` as idempotency key or order number, and says what the
    /// provider said.
    ///
    /// After `submit.timeout` the future is dropped and the outcome is unknown. A panic is an unknown outcome too.
    fn submit(&self, submit: &Submit) -> impl Future<Output = Submitted> + Send;

    /// Asks what became of a submit. Answered within `submit.timeout`, else it counts as [`Found::Unclear`].
    fn query(&self, _submit: &Submit) -> impl Future<Output = Found> + Send {
        std::future::ready(Found::Cannot)
    }

    /// Takes a submit back, so that no money is held for it: cancels, reverses, or closes the order.
    fn reverse(&self, _submit: &Submit) -> impl Future<Output = Reversal> + Send {
        std::future::ready(Reversal::Cannot)
    }
}

impl<F, A> Channels for F
where
    F: Fn(Submit) -> A + Send + Sync + 'static,
    A: Future<Output = Submitted> + Send + 'static,
{
    fn submit(&self, submit: &Submit) -> impl Future<Output = Submitted> + Send {
        self(submit.clone())
    }
}
