//! The writer: what services hand their writes to.
//!
//! One task owns the writing side of the ledger. While it waits for the disk, further writes gather in its queue; when
//! the disk has answered they go into the next transaction together. There is no delay added to collect more: under
//! little load a write is alone in its transaction, under much load one flush serves hundreds.

mod task;

use std::fmt;
use std::sync::Arc;

use metrics::{Counter, counter};
use tokio::sync::{mpsc, oneshot};

use crate::attempt::{AttemptRecord, Recorded, Resolution, Resolved};
use crate::decision::DecisionRecord;
use crate::error::LedgerError;
use crate::metric;
use crate::port::Ledger;
use task::Task;

/// How much may wait, and how much goes into one transaction. A limit of zero counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts and resolutions that may wait. The next one is refused as busy.
    pub writes: usize,
    /// Decisions that may wait. The next one is dropped and counted.
    pub decisions: usize,
    /// Attempts and resolutions in one transaction, and as many decisions beside them.
    pub batch: usize,
}

impl Default for Limits {
    /// Room for a fifth of a second of the fastest writing measured (20 000 attempts a second, two busy cores), so
    /// that what is accepted is answered soon; and transactions of 512, where the flush is a small part of each.
    fn default() -> Self {
        Self {
            writes: 4_096,
            decisions: 8_192,
            batch: 512,
        }
    }
}

/// The answer to one write, on its way to who asked.
type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

/// What waits for the task.
enum Write {
    Attempt(Box<AttemptRecord>, Reply<Recorded>),
    Resolution(Box<Resolution>, Reply<Resolved>),
    Close(Reply<()>),
}

/// The writing side of a ledger, shared by all who write.
#[derive(Clone)]
pub struct Writer {
    writes: mpsc::Sender<Write>,
    decisions: mpsc::Sender<DecisionRecord>,
    dropped: Counter,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("writes_free", &self.writes.capacity())
            .field("decisions_free", &self.decisions.capacity())
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the task that writes to `ledger`, on the present runtime.
    ///
    /// `on_new` is told of every attempt that was newly kept, once, in the order in which they were committed and
    /// before its caller is answered. Count outcomes there: a caller may be gone before its answer comes, the
    /// outcome is durable all the same. It must not block, for everyone waits behind it.
    pub fn spawn(
        ledger: Arc<dyn Ledger>,
        limits: Limits,
        on_new: impl FnMut(&AttemptRecord) + Send + 'static,
    ) -> Self {
        let (writes, waiting_writes) = mpsc::channel(limits.writes.max(1));
        let (decisions, waiting_decisions) = mpsc::channel(limits.decisions.max(1));
        let task = Task::new(ledger, limits.batch.max(1), Box::new(on_new));
        tokio::spawn(task.run(waiting_writes, waiting_decisions));
        Self {
            writes,
            decisions,
            dropped: counter!(metric::DECISIONS_DROPPED),
        }
    }

    /// Records an attempt; answers when it is durable.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] at once when the queue is full, [`LedgerError::Closed`] after [`Writer::close`], and
    /// whatever the store refuses the transaction with; then nothing was kept.
    pub async fn record(&self, attempt: AttemptRecord) -> Result<Recorded, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Write::Attempt(Box::new(attempt), reply))?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Changes the state of an attempt; answers when the change is durable.
    ///
    /// # Errors
    /// As for [`Writer::record`].
    pub async fn resolve(&self, resolution: Resolution) -> Result<Resolved, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Write::Resolution(Box::new(resolution), reply))?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Hands over a decision and returns at once; within about a tenth of a second it is durable.
    ///
    /// Routing never waits for the disk: when the queue is full, the record is dropped and counted.
    pub fn record_decision(&self, decision: DecisionRecord) {
        if self.decisions.try_send(decision).is_err() {
            self.dropped.increment(1);
        }
    }

    /// Writes everything that was accepted, then closes the ledger.
    ///
    /// # Errors
    /// [`LedgerError::Closed`] when it was closed before, and whatever the store fails to close with.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.writes
            .send(Write::Close(reply))
            .await
            .map_err(|_| LedgerError::Closed)?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    fn enqueue(&self, write: Write) -> Result<(), LedgerError> {
        let queue = self.writes.max_capacity();
        self.writes.try_send(write).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => LedgerError::Busy { queue },
            mpsc::error::TrySendError::Closed(_) => LedgerError::Closed,
        })
    }
}

#[cfg(test)]
mod tests;
