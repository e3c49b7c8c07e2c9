//! The task behind the writer: gathers what waits, commits it as one batch, answers each caller.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tracing::{error, warn};

use super::drain::Drainer;
use super::hooks::Hooks;
use super::shared::SharedSpool;
use super::store::{Store, passes};
use super::{Reply, Write};
use crate::attempt::{Recorded, Resolved};
use crate::decision::DecisionRecord;
use crate::error::LedgerError;
use crate::guard::Registered;
use crate::metric;
use crate::port::{Batch, Committed};

/// How long decisions wait for an attempt to share a transaction with. Nobody waits for them, and a flush of their own
/// for every few of them would keep the disk from those for whom somebody does.
const DECISION_LINGER: Duration = Duration::from_millis(100);

/// How many times larger the drainer's transactions are: it must empty the spool faster than it is filled.
const DRAINED_AT_ONCE: usize = 4;

/// A batch that is being gathered, and who waits for which part of it.
#[derive(Default)]
struct Gathered {
    batch: Batch,
    attempts: Vec<Reply<Recorded>>,
    resolutions: Vec<Reply<Resolved>>,
    registrations: Vec<Reply<Registered>>,
}

/// The spool, and the drainer behind it.
struct Spooling {
    shared: SharedSpool,
    closing: oneshot::Sender<()>,
    drainer: JoinHandle<()>,
}

/// The writer's task.
pub(super) struct Task {
    store: Store,
    limit: usize,
    hooks: Hooks,
    spooling: Option<Spooling>,
    closers: Vec<Reply<()>>,
    depth: Gauge,
    rows: Histogram,
    duration: Histogram,
    failures: Counter,
    dropped: Counter,
}

impl Task {
    /// A task that writes up to `limit` attempts and resolutions, and as many decisions, at a time.
    pub(super) fn new(store: Store, limit: usize, hooks: Hooks) -> Self {
        Self {
            store,
            limit,
            hooks,
            spooling: None,
            closers: Vec::new(),
            depth: gauge!(metric::QUEUE_DEPTH),
            rows: histogram!(metric::COMMIT_ROWS),
            duration: histogram!(metric::COMMIT_DURATION),
            failures: counter!(metric::COMMIT_FAILURES),
            dropped: counter!(metric::DECISIONS_DROPPED),
        }
    }

    /// The same with a spool, and a drainer whose pace differs by `seed`.
    pub(super) fn spooling(self, shared: SharedSpool, seed: u64) -> Self {
        let most = self.limit.saturating_mul(DRAINED_AT_ONCE);
        let (store, hooks) = (self.store.clone(), self.hooks.clone());
        let drainer = Drainer::new(store, shared.clone(), hooks, (seed, most));
        let (closing, told) = oneshot::channel();
        let drainer = tokio::spawn(drainer.run(told));
        let spooling = Spooling {
            shared,
            closing,
            drainer,
        };
        Self {
            spooling: Some(spooling),
            ..self
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
        if let Some(spooling) = self.spooling {
            let _gone = spooling.closing.send(());
            if let Err(error) = spooling.drainer.await {
                error!(%error, "the drainer of the spool has failed; what is left is drained at the next start: {error}");
            }
        }
        let closed = self.store.ledger.close().await;
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
                Write::Registration(registration, reply) => {
                    gathered.batch.registrations.push(*registration);
                    gathered.registrations.push(reply);
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

    async fn commit(&self, gathered: Gathered) {
        let limit = self.limit;
        if let Some(Spooling { shared, .. }) = &self.spooling
            && !shared.is_out_of_the_way(limit).await
        {
            return self.spool(shared, gathered, None).await;
        }
        let began = Instant::now();
        let committed = self.store.commit(&gathered.batch).await;
        self.duration.record(began.elapsed());
        let batch = &gathered.batch;
        let asked = batch.resolutions.len() + batch.registrations.len();
        let rows = batch.attempts.len() + asked + batch.decisions.len();
        self.rows.record(u32::try_from(rows).unwrap_or(u32::MAX));
        match (committed, &self.spooling) {
            (Ok(committed), _) => self.answer(gathered, committed),
            (Err(error), Some(Spooling { shared, .. })) if passes(&error) => {
                self.failures.increment(1);
                error!(
                    cause = std::error::Error::source(&error).map(tracing::field::display),
                    "outcomes go to the spool until the ledger answers again: {error}"
                );
                self.spool(shared, gathered, Some(error)).await;
            }
            (Err(error), _) => {
                self.failures.increment(1);
                let decisions = gathered.batch.decisions.len();
                self.refuse(gathered, decisions, &error);
            }
        }
    }

    /// Answers from the spool, after `failure` or because the spool has to be drained first.
    async fn spool(&self, shared: &SharedSpool, mut gathered: Gathered, failure: Option<LedgerError>) {
        let down = failure.is_some();
        let behind = failure.unwrap_or_else(behind);
        for reply in gathered.resolutions.drain(..) {
            let _gone = reply.send(Err(behind.clone()));
        }
        for reply in gathered.registrations.drain(..) {
            let _gone = reply.send(Err(behind.clone()));
        }
        gathered.batch.resolutions.clear();
        gathered.batch.registrations.clear();
        if gathered.batch.is_empty() {
            return;
        }
        let decisions = gathered.batch.decisions.len();
        match shared.keep(std::mem::take(&mut gathered.batch), down).await {
            Ok((batch, Ok(recorded))) => {
                gathered.batch = batch;
                self.tell(gathered, recorded);
            }
            Ok((_, Err(error))) | Err(error) => self.refuse(gathered, decisions, &error),
        }
    }

    fn answer(&self, mut gathered: Gathered, committed: Committed) {
        self.hooks.committed(&committed);
        for (reply, resolved) in gathered.resolutions.drain(..).zip(committed.resolutions) {
            let _gone = reply.send(Ok(resolved));
        }
        for (reply, registered) in gathered.registrations.drain(..).zip(committed.registrations) {
            let _gone = reply.send(Ok(registered));
        }
        self.tell(gathered, committed.attempts);
    }

    /// Tells each attempt's caller what became of it.
    fn tell(&self, gathered: Gathered, recorded: Vec<Recorded>) {
        let attempts = gathered.batch.attempts.iter().zip(gathered.attempts);
        for ((attempt, reply), recorded) in attempts.zip(recorded) {
            if recorded == Recorded::New {
                self.hooks.new_attempt(attempt);
            }
            // A caller that has gone away is not missed: the attempt is kept and counted.
            let _gone = reply.send(Ok(recorded));
        }
    }

    fn refuse(&self, gathered: Gathered, decisions: usize, error: &LedgerError) {
        self.dropped
            .increment(u64::try_from(decisions).unwrap_or(u64::MAX));
        warn!(
            attempts = gathered.attempts.len(),
            resolutions = gathered.resolutions.len(),
            registrations = gathered.registrations.len(),
            decisions,
            cause = std::error::Error::source(error).map(tracing::field::display),
            "a transaction of the ledger failed and was refused to its callers: {error}"
        );
        for reply in gathered.attempts {
            let _gone = reply.send(Err(error.clone()));
        }
        for reply in gathered.resolutions {
            let _gone = reply.send(Err(error.clone()));
        }
        for reply in gathered.registrations {
            let _gone = reply.send(Err(error.clone()));
        }
    }
}

/// What a resolution or a registration is told while the ledger has yet to get the attempts that were spooled.
fn behind() -> LedgerError {
    LedgerError::Unavailable {
        operation: "change an attempt before what was spooled is drained",
        source: Arc::new(Behind),
    }
}

/// The cause of it.
#[derive(Debug, thiserror::Error)]
#[error("outcomes wait in the spool")]
struct Behind;
