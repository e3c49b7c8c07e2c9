//! Who is told of what happens to outcomes.

use std::fmt;

/// Which call tells of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `ReportOutcome`.
    Report,
    /// `ResolveAttempt`.
    Resolve,
}

/// Whose outcome it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Whose payment.
    pub merchant_id: String,
    /// The payment.
    pub payment_id: String,
    /// The attempt, as Payroute knows it.
    pub attempt_id: String,
    /// Where it was submitted.
    pub channel_id: String,
}

/// An outcome that Payroute has acknowledged, and so never loses.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged<'a> {
    /// Whose.
    pub subject: &'a Subject,
    /// The state of the attempt, as the acknowledgement has it.
    pub state: &'a str,
    /// Whether Payroute had heard of it before.
    pub duplicate: bool,
    /// What told it.
    pub call: Call,
}

/// Whoever watches outcomes go. Called in the middle of payments, so nothing here may wait.
pub trait Observer: Send + Sync + fmt::Debug {
    /// An outcome is about to be told. It is told until it is acknowledged or refused.
    fn told(&self, _subject: &Subject, _call: Call) {}

    /// Payroute has acknowledged an outcome.
    fn acknowledged(&self, _said: &Acknowledged<'_>) {}

    /// Payroute has refused an outcome for good: it is not in the ledger, and `why` says why not.
    fn refused(&self, _subject: &Subject, _call: Call, _why: &tonic::Status) {}
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silent;

impl Observer for Silent {}
