//! What is taken out of the spool at once.

use serde::Serialize;

use super::payload::Group;
use super::segment::Waiting;
use crate::attempt::AttemptRecord;
use crate::decision::DecisionRecord;
use crate::port::Batch;

/// Records that wait, as one batch in their order.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    /// What is in them.
    pub(crate) batch: Batch,
    /// The number of the last of them.
    pub(crate) upto: u64,
    /// How many of the attempts were left by an earlier process; they stand before the others.
    pub(crate) inherited: usize,
}

impl Portion {
    /// Attempts and decisions together.
    pub(crate) fn entries(&self) -> usize {
        self.batch.attempts.len() + self.batch.decisions.len()
    }

    /// Takes one more record in, the next in order.
    pub(super) fn add(&mut self, waiting: &Waiting, group: Group) {
        if waiting.inherited {
            self.inherited += group.attempts.len();
        }
        self.upto = waiting.number;
        self.batch.attempts.extend(group.attempts);
        self.batch.decisions.extend(group.decisions);
    }
}

/// Something that was acknowledged and that the ledger will never take.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// Why not.
    pub(crate) because: String,
    /// What it is.
    #[serde(flatten)]
    pub(crate) entry: Entry,
}

/// One of what a group holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A reported attempt.
    Attempt(Box<AttemptRecord>),
    /// A decision.
    Decision(Box<DecisionRecord>),
}
