//! What a writer is made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::mpsc;

use super::hooks::{Hooks, OnCommitted, OnNew};
use super::shared::SharedSpool;
use super::store::Store;
use super::task::Task;
use super::{Limits, Writer};
use crate::attempt::AttemptRecord;
use crate::metric;
use crate::port::{Committed, Ledger};
use crate::spool::Spool;

/// How long a transaction may take before the store counts as away, where there is a spool to go to. A transaction of
/// 512 attempts takes tens of milliseconds; a caller waits for a payment's next step meanwhile.
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

/// A writer that is yet to be started.
pub struct Builder {
    ledger: Arc<dyn Ledger>,
    limits: Limits,
    within: Option<Duration>,
    spool: Option<(Spool, u64)>,
    on_new: OnNew,
    on_committed: OnCommitted,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("ledger", &self.ledger)
            .field("limits", &self.limits)
            .field("within", &self.within)
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// A writer to `ledger` with the default limits, no bound on a transaction's time, no spool, and nobody to tell.
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self {
            ledger,
            limits: Limits::default(),
            within: None,
            spool: None,
            on_new: Box::new(|_| {}),
            on_committed: Box::new(|_| {}),
        }
    }

    /// How much may wait, and how much goes into one transaction.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How long a transaction may take. One that takes longer is given up, though it may still happen: with a spool it
    /// is drained again, without one its callers are told that the ledger is unavailable. 2 s where there is a spool
    /// and nothing else was said.
    #[must_use]
    pub fn commit_within(self, within: Duration) -> Self {
        Self {
            within: Some(within),
            ..self
        }
    }

    /// Where outcomes go while the ledger does not answer; what is in it already is drained first. `seed` should
    /// differ from process to process: it spreads their questions whether the store is back.
    #[must_use]
    pub fn spool(self, spool: Spool, seed: u64) -> Self {
        Self {
            spool: Some((spool, seed)),
            ..self
        }
    }

    /// Who is told of every attempt that was newly kept, in the order in which they were kept and before its caller is
    /// answered. Count outcomes there that nothing else counts: a caller may be gone before its answer comes, the
    /// outcome is durable all the same. It must not block, for everyone waits behind it.
    ///
    /// Told once in a process: when the attempt was committed, or when it was spooled, whichever comes first; one that
    /// an earlier process left in the spool, when it is drained. An attempt that was spooled and that the ledger turns
    /// out to have had before was told once too often. What must be exact comes from the ledger's own transactions:
    /// [`Builder::on_committed`].
    #[must_use]
    pub fn on_new(self, on_new: impl FnMut(&AttemptRecord) + Send + 'static) -> Self {
        Self {
            on_new: Box::new(on_new),
            ..self
        }
    }

    /// Who is told of every transaction of the ledger, those that drain the spool included, in their order. It must
    /// not block. A transaction whose answer was lost is not told; what it wrote is in the ledger all the same.
    #[must_use]
    pub fn on_committed(self, on_committed: impl FnMut(&Committed) + Send + 'static) -> Self {
        Self {
            on_committed: Box::new(on_committed),
            ..self
        }
    }

    /// Starts the writer's tasks on the present runtime.
    #[must_use]
    pub fn spawn(self) -> Writer {
        let limits = self.limits;
        let (writes, waiting_writes) = mpsc::channel(limits.writes.max(1));
        let (decisions, waiting_decisions) = mpsc::channel(limits.decisions.max(1));
        let store = Store {
            ledger: self.ledger,
            within: self.within.or(self.spool.as_ref().map(|_| COMMIT_WITHIN)),
        };
        let hooks = Hooks::new(self.on_new, self.on_committed);
        let task = Task::new(store, limits.batch.max(1), hooks);
        let (task, spool) = match self.spool {
            None => (task, None),
            Some((spool, seed)) => {
                let shared = SharedSpool::new(spool);
                let progress = shared.watch();
                (task.spooling(shared, seed), Some(progress))
            }
        };
        tokio::spawn(task.run(waiting_writes, waiting_decisions));
        Writer {
            writes,
            decisions,
            dropped: counter!(metric::DECISIONS_DROPPED),
            spool,
        }
    }
}
