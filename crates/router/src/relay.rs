//! The relay: brings what the ledger has just committed to the streams of the statistics.
//!
//! It only makes the way short. The outcomes are in the ledger's outbox already, and stay there until they are marked as
//! relayed; what the relay does not bring in time, because Redis does not answer or its queue is full, the monitors'
//! sweep brings some seconds later. So nothing here waits, tries again, or can lose anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::outcome_event::OutcomeEvent;
use ledger::{Committed, Outbox, OutboxBatch, OutboxId};
use metrics::{counter, describe_counter};
use stats::redis::{StatsError, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Outcomes that were relayed as soon as they were committed.
pub const RELAYED: &str = "payroute_relay_relayed_total";
/// Outcomes that were left to the sweep, by `reason`: `queue` was full, the `stream` did not take them, or the process
/// came to its `end`.
pub const LEFT: &str = "payroute_relay_left_total";
/// Batches that were relayed and could not be marked: the sweep relays them again, and they are not counted again.
pub const UNMARKED: &str = "payroute_relay_unmarked_total";

/// Most outcomes that wait, about 10 MB: more than a second of the fastest writing measured. Beyond that the sweep is
/// as quick.
const ROOM: usize = 32_768;

/// Outcomes that go in one call, unless a batch holds more by itself.
const AT_ONCE: usize = 2_048;

/// How long marks are gathered: each statement is a transaction of the ledger, and two seconds are time enough.
const MARK_EVERY: Duration = Duration::from_millis(100);

/// Marks that wait, and that go in one statement.
const MARKS: usize = 1_024;

/// How long what is queued is still relayed for at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often it is said, at most, that something was left.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// Where outcomes are brought.
pub trait OutcomeStreams: Send + Sync {
    /// Appends `events`, each to the stream it belongs to, in their order.
    ///
    /// # Errors
    /// When any was not appended for certain. Appending them again is harmless.
    fn append(&self, events: &[OutcomeEvent]) -> impl Future<Output = Result<(), StatsError>> + Send;
}

impl OutcomeStreams for Store {
    async fn append(&self, events: &[OutcomeEvent]) -> Result<(), StatsError> {
        Self::append(self, events).await
    }
}

/// A batch, and the room that it takes.
#[derive(Debug)]
struct Waiting {
    batch: OutboxBatch,
    _room: OwnedSemaphorePermit,
}

/// The end that the ledger's writer holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Relay {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    left: Arc<AtomicU64>,
}

impl Relay {
    /// A relay to `streams`, and its task, which is yet to be run. Relayed batches are marked in `outbox`.
    #[must_use]
    pub fn new<S: OutcomeStreams>(streams: S, outbox: Arc<dyn Outbox>) -> (Self, RelayTask<S>) {
        describe();
        let (queue, waiting) = mpsc::channel(ROOM);
        let left = Arc::<AtomicU64>::default();
        let relay = Self {
            queue,
            room: Arc::new(Semaphore::new(ROOM)),
            left: Arc::clone(&left),
        };
        let task = RelayTask {
            streams,
            outbox,
            waiting,
            left,
            said: None,
        };
        (relay, task)
    }

    /// Takes what a transaction has left in the outbox. Never waits.
    pub fn committed(&self, committed: &Committed) {
        let Some(batch) = &committed.outbox else {
            return;
        };
        let count = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(count).ok();
        let sent = room.is_some_and(|room| {
            let batch = batch.clone();
            self.queue.try_send(Waiting { batch, _room: room }).is_ok()
        });
        if !sent {
            leave(&self.left, batch.events.len(), "queue");
        }
    }
}

/// The task that relays.
#[derive(Debug)]
pub struct RelayTask<S> {
    streams: S,
    outbox: Arc<dyn Outbox>,
    waiting: mpsc::Receiver<Waiting>,
    left: Arc<AtomicU64>,
    said: Option<Instant>,
}

impl<S: OutcomeStreams> RelayTask<S> {
    /// Relays until `stop` is cancelled or the ledger's writer is gone; then what is queued, for two seconds at most.
    /// Stop it before the ledger is closed, or its last marks are lost: that costs the sweep some work.
    pub async fn run(self, stop: CancellationToken) {
        let (marks, to_mark) = mpsc::channel(MARKS);
        let marking = mark(Arc::clone(&self.outbox), to_mark);
        let ended = CancellationToken::new();
        let relaying = self.relay(marks, stop.clone());
        let relaying = async {
            relaying.await;
            ended.cancel();
        };
        let hurry = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = ended.cancelled() => {}
            }
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            _ = async { tokio::join!(relaying, marking) } => {}
            () = hurry => {}
        }
    }

    async fn relay(mut self, marks: mpsc::Sender<OutboxId>, stop: CancellationToken) {
        let mut batches = Vec::new();
        loop {
            let taken = tokio::select! {
                biased;
                () = stop.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    continue;
                }
                taken = self.waiting.recv() => taken,
            };
            let Some(first) = taken else {
                break;
            };
            let mut count = first.batch.events.len();
            batches.push(first);
            while count < AT_ONCE
                && let Ok(next) = self.waiting.try_recv()
            {
                count += next.batch.events.len();
                batches.push(next);
            }
            self.bring(&mut batches, &marks).await;
            self.say();
        }
    }

    /// Appends the outcomes of `batches` in one go, and has them marked.
    async fn bring(&self, batches: &mut Vec<Waiting>, marks: &mpsc::Sender<OutboxId>) {
        let ids: Vec<OutboxId> = batches.iter().map(|waiting| waiting.batch.id).collect();
        let events: Vec<OutcomeEvent> = batches
            .drain(..)
            .flat_map(|waiting| waiting.batch.events)
            .collect();
        match self.streams.append(&events).await {
            Ok(()) => {
                counter!(RELAYED).increment(u64::try_from(events.len()).unwrap_or(u64::MAX));
                for id in ids {
                    if marks.try_send(id).is_err() {
                        counter!(UNMARKED).increment(1);
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "outcomes are left to the sweep: {error}");
                leave(&self.left, events.len(), "stream");
            }
        }
    }

    fn say(&mut self) {
        if self.said.is_some_and(|at| at.elapsed() < SAY_EVERY) {
            return;
        }
        let left = self.left.swap(0, Ordering::Relaxed);
        if left > 0 {
            self.said = Some(Instant::now());
            tracing::warn!(
                left,
                "{left} outcomes were left to the sweep: Redis does not keep up"
            );
        }
    }
}

impl<S> Drop for RelayTask<S> {
    fn drop(&mut self) {
        self.waiting.close();
        while let Ok(waiting) = self.waiting.try_recv() {
            leave(&self.left, waiting.batch.events.len(), "end");
        }
    }
}

/// Marks what was relayed, until nobody relays any more.
async fn mark(outbox: Arc<dyn Outbox>, mut to_mark: mpsc::Receiver<OutboxId>) {
    let mut ids = Vec::with_capacity(MARKS);
    while to_mark.recv_many(&mut ids, MARKS).await > 0 {
        if !to_mark.is_closed() {
            let gathered =
                async { while ids.len() < MARKS && to_mark.recv_many(&mut ids, MARKS).await > 0 {} };
            let _time_is_up = timeout(MARK_EVERY, gathered).await;
        }
        if let Err(error) = outbox.mark_relayed(&ids).await {
            tracing::debug!(%error, "relayed outcomes were not marked: {error}");
            counter!(UNMARKED).increment(u64::try_from(ids.len()).unwrap_or(u64::MAX));
        }
        ids.clear();
    }
}

fn leave(left: &AtomicU64, count: usize, reason: &'static str) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    left.fetch_add(count, Ordering::Relaxed);
    counter!(LEFT, "reason" => reason).increment(count);
}

fn describe() {
    describe_counter!(RELAYED, "Outcomes relayed as soon as they were committed.");
    describe_counter!(LEFT, "Outcomes left to the sweep, by reason.");
    describe_counter!(UNMARKED, "Relayed batches that could not be marked.");
}

#[cfg(test)]
mod tests;
