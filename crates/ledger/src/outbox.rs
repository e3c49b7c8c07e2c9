//! The port for outcomes on their way to the statistics of other processes.
//!
//! A transaction that brings outcomes leaves them in the outbox too, so that there is no moment in which the ledger has
//! an outcome and nobody is bound to tell of it. Whoever wrote them relays them at once and marks them; what stays
//! unmarked, because its router is gone, is found here by anyone. Found by its state, and never by "numbers above the
//! last one seen": of two transactions that run side by side, the one with the lower number may commit last.

use std::fmt;
use std::time::Duration;

use domain::outcome_event::OutcomeEvent;
use jiff::Timestamp;

use crate::port::Answer;

/// The number of a batch in the outbox. It names the batch; that it is higher than another says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId(pub(crate) i64);

impl fmt::Display for OutboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Outcomes that were committed together.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxBatch {
    /// Its number.
    pub id: OutboxId,
    /// The new outcomes, and the corrections of earlier ones.
    pub events: Vec<OutcomeEvent>,
}

/// How much waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Batches that nobody has relayed.
    pub rows: u64,
    /// How long the oldest of them has waited; zero when there is none.
    pub oldest: Duration,
}

/// A ledger that leaves outcomes for others. All times are of the store's own clock.
///
/// A batch that cannot be read, because a later release wrote it, is left where it is for a process that can, and counted.
pub trait Outbox: Send + Sync + fmt::Debug {
    /// Up to `limit` batches that have waited for `min_age` or longer, lowest number first. They stay until they are
    /// marked, so two who ask at once get the same ones: relaying twice does no harm.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unrelayed(&self, min_age: Duration, limit: u32) -> Answer<'_, Vec<OutboxBatch>>;

    /// Up to `limit` batches above `after` that may have been relayed at `since` or later, lowest number first: for a
    /// receiver that has lost what it got since then. Batches that are not marked are among them, because their
    /// marking may be on its way.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn relayed_since(
        &self,
        since: Timestamp,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Answer<'_, Vec<OutboxBatch>>;

    /// Marks batches as relayed. One that is marked or gone already is left as it is.
    ///
    /// # Errors
    /// When the store cannot be written; they will be relayed again.
    fn mark_relayed<'a>(&'a self, batches: &'a [OutboxId]) -> Answer<'a, ()>;

    /// Removes what was relayed before `before`, and says how many batches that were.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn forget_relayed(&self, before: Timestamp) -> Answer<'_, u64>;

    /// How much waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn backlog(&self) -> Answer<'_, Backlog>;
}
