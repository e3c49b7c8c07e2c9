//! The task behind the writer: gathers what waits, commits it as one batch, answers each caller.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tracing::warn;

use super::{Reply, Write};
use crate::attempt::{AttemptRecord, Recorded, Resolved};
use crate::decision::DecisionRecord;
use crate::error::LedgerError;
use crate::metric;
use crate::port::{Batch, Committed, Ledger};

/// How long decisions wait for an attempt to share a transaction with. Nobody waits for them, and a flush of their own
/// for every few of them would keep the disk from those for whom somebody does.
const DECISION_LINGER: Duration = Duration::from_millis(100);

/// Told of every attempt that was newly kept.
type OnNew = Box<dyn FnMut(&AttemptRecord) + Send>;

/// A batch that is being gathered, and who waits for which part of it.
#[derive(Default)]
struct Gathered {
    batch: Batch,
    attempts: Vec<Reply<Recorded>>,
    resolutions: Vec<Reply<Resolved>>,
}

/// The writer's task.
pub(super) struct Task {
    ledger: Arc<dyn Ledger>,
    limit: usize,
    on_new: OnNew,
    closers: Vec<Reply<()>>,
    depth: Gauge,
    rows: Histogram,
    duration: Histogram,
    failures: Counter,
    dropped: Counter,
}

impl Task {
    /// A task that writes up to `limit` attempts and resolutions, and as many decisions, at a time.
    pub(super) fn new(ledger: Arc<dyn Ledger>, limit: usize, on_new: OnNew) -> Self {
        Self {
            ledger,
            limit,
            on_new,
            closers: Vec::new(),
            depth: gauge!(metric::QUEUE_DEPTH),
            rows: histogram!(metric::COMMIT_ROWS),
            duration: histogram!(metric::COMMIT_DURATION),
            failures: counter!(metric::COMMIT_FAILURES),
            dropped: counter!(metric::DECISIONS_DROPPED),
        }
    }

    /// Writes until the writer is closed or dropped by all who held it, and everything accepted is written.
    pub(super) async fn run(
        mut self,
        mut writes: mpsc::Receiver<Write>,
        mut decisions: mpsc::Receiver<DecisionRecord>,
    ) {
        let mut linger = interval(DECISION_LINGER);
        linger.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting = Vec::with_capacity(self.limit);
        let mut open = true;
        while open {
            open = self
                .wait(&mut writes, &mut waiting, &decisions, &mut linger)
                .await;
            let mut gathered = self.sort(&mut waiting);
            if !self.closers.is_empty() {
                writes.close();
                decisions.close();
            }
            loop {
                self.take_decisions(&mut decisions, &mut gathered.batch);
                if gathered.batch.is_empty() {
                    break;
                }
                self.commit(std::mem::take(&mut gathered)).await;
                self.depth.set(u32::try_from(writes.len()).unwrap_or(u32::MAX));
                // Decisions that came meanwhile share the next transaction, unless there will be none.
                if open {
                    break;
                }
            }
        }
        let closed = self.ledger.close().await;
        for closer in self.closers {
            let _gone = closer.send(closed.clone());
        }
    }

    /// Waits for writes, or for decisions to be old or many enough; `false` when no write can come any more.
    async fn wait(
        &mut self,
        writes: &mut mpsc::Receiver<Write>,
        waiting: &mut Vec<Write>,
        decisions: &mpsc::Receiver<DecisionRecord>,
        linger: &mut Interval,
    ) -> bool {
        let many = decisions.len() >= self.limit;
        tokio::select! {
            biased;
            received = writes.recv_many(waiting, self.limit) => received > 0,
            () = std::future::ready(()), if many => true,
            _ = linger.tick() => true,
        }
    }

    fn sort(&mut self, waiting: &mut Vec<Write>) -> Gathered {
        let mut gathered = Gathered::default();
        for write in waiting.drain(..) {
            match write {
                Write::Attempt(attempt, reply) => {
                    gathered.batch.attempts.push(*attempt);
                    gathered.attempts.push(reply);
                }
                Write::Resolution(resolution, reply) => {
                    gathered.batch.resolutions.push(*resolution);
                    gathered.resolutions.push(reply);
                }
                Write::Close(reply) => self.closers.push(reply),
            }
        }
        gathered
    }

    fn take_decisions(&self, decisions: &mut mpsc::Receiver<DecisionRecord>, batch: &mut Batch) {
        while batch.decisions.len() < self.limit {
            match decisions.try_recv() {
                Ok(decision) => batch.decisions.push(decision),
                Err(_) => break,
            }
        }
    }

    async fn commit(&mut self, gathered: Gathered) {
        let began = Instant::now();
        let committed = self.ledger.commit(&gathered.batch).await;
        self.duration.record(began.elapsed());
        let batch = &gathered.batch;
        let rows = batch.attempts.len() + batch.resolutions.len() + batch.decisions.len();
        self.rows.record(u32::try_from(rows).unwrap_or(u32::MAX));
        match committed {
            Ok(committed) => self.answer(gathered, committed),
            Err(error) => self.refuse(gathered, &error),
        }
    }

    fn answer(&mut self, gathered: Gathered, committed: Committed) {
        let attempts = gathered.batch.attempts.iter().zip(gathered.attempts);
        for ((attempt, reply), recorded) in attempts.zip(committed.attempts) {
            if recorded == Recorded::New {
                (self.on_new)(attempt);
            }
            // A caller that has gone away is not missed: the attempt is kept and counted.
            let _gone = reply.send(Ok(recorded));
        }
        for (reply, resolved) in gathered.resolutions.into_iter().zip(committed.resolutions) {
            let _gone = reply.send(Ok(resolved));
        }
    }

    fn refuse(&self, gathered: Gathered, error: &LedgerError) {
        self.failures.increment(1);
        let lost = gathered.batch.decisions.len();
        self.dropped.increment(u64::try_from(lost).unwrap_or(u64::MAX));
        warn!(
            attempts = gathered.attempts.len(),
            resolutions = gathered.resolutions.len(),
            decisions = lost,
            cause = std::error::Error::source(error).map(tracing::field::display),
            "a transaction of the ledger failed and was refused to its callers: {error}"
        );
        for reply in gathered.attempts {
            let _gone = reply.send(Err(error.clone()));
        }
        for reply in gathered.resolutions {
            let _gone = reply.send(Err(error.clone()));
        }
    }
}
