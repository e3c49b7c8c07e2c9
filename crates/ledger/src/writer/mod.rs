//! The writer: what services hand their writes to.
//!
//! One task owns the writing side of the ledger. While it waits for the disk, further writes gather in its queue; when
//! the disk has answered they go into the next transaction together. There is no delay added to collect more: under
//! little load a write is alone in its transaction, under much load one flush serves hundreds.
//!
//! With a spool ([`Builder::spool`]) a ledger that does not answer costs no outcome:
//!
//! - A transaction that the store refuses for now, or does not end in time, goes to the spool with all its attempts and
//!   decisions, and its callers are answered when it is durable there. Its resolutions and registrations are refused:
//!   what they mean depends on a state that only the store knows.
//! - From then on everything goes through the spool, in order, until the drainer has brought all of it to the ledger.
//! - A transaction that was not answered in time may have happened. It is drained all the same: the ledger knows it
//!   again.
//! - An attempt that waits in the spool is known there when it is reported again. One that the ledger has had before, or
//!   that another process has, is not: it is answered as new, and when it is drained the first report stands. When the
//!   two contradict each other, the later one is set aside for people, in a `.bad` file, and counted.

mod build;
mod drain;
mod hooks;
mod pace;
mod shared;
mod store;
mod task;

use std::fmt;
use std::sync::Arc;

use metrics::Counter;
use tokio::sync::{mpsc, oneshot, watch};

use crate::attempt::{AttemptRecord, Recorded, Resolution, Resolved};
use crate::decision::DecisionRecord;
use crate::error::LedgerError;
use crate::guard::{Registered, Registration};
use crate::port::Ledger;
use shared::{Progress, Stage};

pub use build::Builder;

/// How much may wait, and how much goes into one transaction. A limit of zero counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts, resolutions and registrations that may wait. The next one is refused as busy.
    pub writes: usize,
    /// Decisions that may wait. The next one is dropped and counted.
    pub decisions: usize,
    /// Attempts, resolutions and registrations in one transaction, and as many decisions beside them.
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
    Registration(Box<Registration>, Reply<Registered>),
    Close(Reply<()>),
}

/// The writing side of a ledger, shared by all who write.
#[derive(Clone)]
pub struct Writer {
    writes: mpsc::Sender<Write>,
    decisions: mpsc::Sender<DecisionRecord>,
    dropped: Counter,
    /// How far the spool is drained; `None` without a spool.
    spool: Option<watch::Receiver<Progress>>,
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
    /// Starts the task that writes to `ledger`, without a spool, on the present runtime.
    ///
    /// `on_new` is as for [`Builder::on_new`].
    pub fn spawn(
        ledger: Arc<dyn Ledger>,
        limits: Limits,
        on_new: impl FnMut(&AttemptRecord) + Send + 'static,
    ) -> Self {
        Self::builder(ledger).limits(limits).on_new(on_new).spawn()
    }

    /// A writer to `ledger` that is yet to be described.
    #[must_use]
    pub fn builder(ledger: Arc<dyn Ledger>) -> Builder {
        Builder::new(ledger)
    }

    /// Whether the spool holds something that the ledger does not have yet: then what the ledger does not know may have
    /// been acknowledged all the same. Always `false` without a spool.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let behind = |progress: &watch::Receiver<Progress>| progress.borrow().stage != Stage::Empty;
        self.spool.as_ref().is_some_and(behind)
    }

    /// Records an attempt; answers when it is durable, in the ledger or in the spool.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] at once when the queue is full, [`LedgerError::Closed`] after [`Writer::close`],
    /// [`LedgerError::SpoolFull`] when the store does not answer and the spool has no room left, and whatever the
    /// store refuses the transaction with; then nothing was kept, unless the store did not answer in time.
    pub async fn record(&self, attempt: AttemptRecord) -> Result<Recorded, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Write::Attempt(Box::new(attempt), reply))?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Changes the state of an attempt; answers when the change is durable.
    ///
    /// # Errors
    /// As for [`Writer::record`], and [`LedgerError::Unavailable`] while the spool is not empty.
    pub async fn resolve(&self, resolution: Resolution) -> Result<Resolved, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Write::Resolution(Box::new(resolution), reply))?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Registers an attempt that is about to be submitted; answers when that is durable. Whatever else waits shares its
    /// transaction.
    ///
    /// # Errors
    /// As for [`Writer::record`], and [`LedgerError::Unavailable`] while the spool is not empty: nobody else can know
    /// what was registered there. Nothing may be submitted then; the registration may have happened all the same.
    pub async fn register(&self, registration: Registration) -> Result<Registered, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Write::Registration(Box::new(registration), reply))?;
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

    /// Writes everything that was accepted, drains the spool as far as the store takes it, then closes the ledger.
    /// What stays in the spool is drained by the next process.
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
