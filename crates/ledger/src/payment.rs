//! What is read back: a payment as a whole, and outcomes page by page.

use jiff::Timestamp;

use crate::attempt::{AttemptRecord, Transition};
use crate::decision::DecisionRecord;

/// Everything the ledger knows of one payment.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRecord {
    /// Its decisions, earliest first.
    pub decisions: Vec<DecisionRecord>,
    /// Its attempts in their current states, by attempt number, then by arrival.
    pub attempts: Vec<AttemptRecord>,
    /// The changes of its attempts' states, in the order in which they were made.
    pub transitions: Vec<Transition>,
}

/// A place in the sequence of outcomes: the arrival time of the last one read, and its number among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) received_at: Timestamp,
    pub(crate) seq: i64,
}

/// Some outcomes in the order of their arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The outcomes, earliest first.
    pub attempts: Vec<AttemptRecord>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<Cursor>,
}
