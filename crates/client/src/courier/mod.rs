//! The courier: brings outcomes to Payroute until they are acknowledged, whoever waits for the answer or does not.
//!
//! Every outcome is delivered by a task of its own, so a payment that is dropped loses none. The outcomes of one payment
//! go one after the other. An outcome that is not acknowledged at once stands in line with the others, oldest first, so
//! that a router that comes back is not met by all of them.

mod backoff;
mod delivery;
mod entry;
mod journal;
mod letter;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proto::v1;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::PayError;
use crate::observer::{Observer, Subject};
use crate::port::Payroute;
use delivery::Delivery;
use entry::Entry;
use journal::Journal;
pub(crate) use letter::{Content, Delivered, Letter, Ticket};

/// How many outcomes that were not acknowledged at once are told at a time.
const LINE: usize = 64;

/// Room for one attempt and everything that is told of it. Held by whoever works on it.
pub(crate) type Slot = Arc<OwnedSemaphorePermit>;

/// What a courier is made of.
pub(crate) struct Plan<P> {
    pub(crate) payroute: Arc<P>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) capacity: usize,
    pub(crate) rng: StdRng,
}

/// The courier. Cheap to clone.
pub(crate) struct Courier<P>(Arc<Office<P>>);

struct Office<P> {
    payroute: Arc<P>,
    observer: Arc<dyn Observer>,
    capacity: usize,
    slots: Arc<Semaphore>,
    line: Semaphore,
    journal: Option<Journal>,
    next: AtomicU64,
    undelivered: AtomicUsize,
    rng: Mutex<StdRng>,
    runtime: Handle,
    tasks: TaskTracker,
    /// Cancelled when nothing is delivered any more.
    stop: CancellationToken,
}

impl<P> Clone for Courier<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Payroute> Courier<P> {
    /// A courier that works in `runtime`. With a journal it begins with what an earlier one left there.
    ///
    /// # Errors
    /// When the journal cannot be opened.
    pub(crate) fn new(plan: Plan<P>, journal: Option<&Path>, runtime: Handle) -> io::Result<Self> {
        let opened = journal.map(Journal::open).transpose()?;
        let (journal, left) =
            opened.map_or_else(|| (None, Vec::new()), |(journal, left)| (Some(journal), left));
        let last = left.iter().map(|entry| entry.seq).max().unwrap_or(0);
        let courier = Self(Arc::new(Office {
            payroute: plan.payroute,
            observer: plan.observer,
            capacity: plan.capacity,
            slots: Arc::new(Semaphore::new(plan.capacity)),
            line: Semaphore::new(LINE),
            journal,
            next: AtomicU64::new(last + 1),
            undelivered: AtomicUsize::new(0),
            rng: Mutex::new(plan.rng),
            runtime,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }));
        courier.resume(left);
        Ok(courier)
    }

    /// Delivers what an earlier client could not.
    fn resume(&self, left: Vec<Entry>) {
        if left.is_empty() {
            return;
        }
        let count = left.len();
        tracing::info!(count, "{count} outcomes of an earlier run are delivered now");
        let mut tickets = BTreeMap::<u64, Ticket>::new();
        for entry in left {
            let (seq, after) = (entry.seq, entry.after);
            let Some(letter) = Letter::from_entry(entry) else {
                continue;
            };
            // Beyond the capacity: these were accepted before, and their number is that of an earlier client.
            let ticket = self.post(letter, tickets.get(&after).cloned(), None, true);
            tickets.insert(seq, ticket);
        }
    }

    /// Room for an attempt.
    ///
    /// # Errors
    /// When there is none, or the client is closed.
    pub(crate) fn room(&self) -> Result<Slot, PayError> {
        let permit = Arc::clone(&self.0.slots).try_acquire_owned();
        permit.map(Arc::new).map_err(|error| match error {
            tokio::sync::TryAcquireError::NoPermits => PayError::Full {
                capacity: self.0.capacity,
            },
            tokio::sync::TryAcquireError::Closed => PayError::Closed,
        })
    }

    /// Writes down that an attempt is about to be submitted. `unknown` is what is reported of it should nobody ever say
    /// what became of it.
    ///
    /// # Errors
    /// When the journal does not take it: then it must not be submitted.
    pub(crate) async fn begin(
        &self,
        slot: Slot,
        subject: Subject,
        unknown: v1::ReportOutcomeRequest,
    ) -> Result<Underway<P>, PayError> {
        let letter = Letter {
            seq: self.0.next.fetch_add(1, Ordering::Relaxed),
            subject,
            content: Content::Report(Box::new(unknown)),
        };
        if let Some(journal) = &self.0.journal {
            let written = journal.append(letter.to_entry(0)).await;
            written.map_err(PayError::Journal)?;
        }
        Ok(Underway {
            courier: self.clone(),
            letter: Some(letter),
            slot,
            after: None,
        })
    }

    /// Tells what is known by now of an attempt, once what was told of it before (`after`) is acknowledged. Its receipt
    /// is filled in then.
    pub(crate) fn resolve(
        &self,
        slot: Option<Slot>,
        subject: Subject,
        request: v1::ResolveAttemptRequest,
        after: Option<Ticket>,
    ) -> Ticket {
        let letter = Letter {
            seq: self.0.next.fetch_add(1, Ordering::Relaxed),
            subject,
            content: Content::Resolve(Box::new(request)),
        };
        self.post(letter, after, slot, false)
    }

    fn post(&self, letter: Letter, after: Option<Ticket>, slot: Option<Slot>, is_kept: bool) -> Ticket {
        let (answered, ticket) = watch::channel(None);
        let seq = letter.seq;
        self.0.undelivered.fetch_add(1, Ordering::Relaxed);
        let delivery = Delivery {
            office: Arc::clone(&self.0),
            letter,
            after,
            is_kept,
            answered,
            _slot: slot,
        };
        self.0.tasks.spawn_on(delivery.run(), &self.0.runtime);
        Ticket::new(seq, ticket)
    }

    /// How many outcomes wait to be delivered.
    pub(crate) fn undelivered(&self) -> usize {
        self.0.undelivered.load(Ordering::Relaxed)
    }

    /// Takes no more attempts.
    pub(crate) fn shut(&self) {
        self.0.slots.close();
    }

    /// Waits until everything is delivered, for at most `time`; then gives up what is not. Says how many outcomes those are:
    /// with a journal, the next client delivers them.
    pub(crate) async fn close(&self, time: Duration) -> usize {
        self.shut();
        self.0.tasks.close();
        let _in_time = timeout(time, self.0.tasks.wait()).await;
        self.0.stop.cancel();
        self.0.tasks.wait().await;
        if let Some(journal) = &self.0.journal {
            journal.close().await;
        }
        self.undelivered()
    }
}

/// An attempt that is being submitted. If nobody says how it ended, it is reported as unknown.
pub(crate) struct Underway<P: Payroute> {
    courier: Courier<P>,
    letter: Option<Letter>,
    slot: Slot,
    after: Option<Ticket>,
}

impl<P: Payroute> Underway<P> {
    /// Delivers its outcome only after those that were told before.
    pub(crate) fn after(mut self, earlier: Option<Ticket>) -> Self {
        self.after = earlier;
        self
    }

    /// It ended: tells how.
    pub(crate) fn end(mut self, report: v1::ReportOutcomeRequest) -> Option<Ticket> {
        let letter = self.letter.take()?;
        let letter = Letter {
            content: Content::Report(Box::new(report)),
            ..letter
        };
        Some(self.deliver(letter))
    }

    /// It was not submitted after all.
    pub(crate) async fn withdraw(mut self) {
        let journal = self.courier.0.journal.as_ref();
        if let Some((letter, journal)) = self.letter.take().zip(journal) {
            journal.done(letter.seq).await;
        }
    }

    fn deliver(&mut self, letter: Letter) -> Ticket {
        let slot = Arc::clone(&self.slot);
        self.courier.post(letter, self.after.take(), Some(slot), false)
    }
}

impl<P: Payroute> Drop for Underway<P> {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            let attempt = &letter.subject.attempt_id;
            tracing::warn!(
                attempt,
                "nobody said what became of {attempt}: it is reported as unknown"
            );
            let _nobody_waits = self.deliver(letter);
        }
    }
}
