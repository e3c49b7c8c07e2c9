//! The sweep: brings to the streams what its router did not, and again what Redis lost.
//!
//! One monitor does it, by a lease; were it two for a moment, outcomes would come twice, and count once. Each turn it
//!
//! 1. looks at the watermarks: when a partition's Redis went back in time, or another monitor swept before, everything
//!    relayed since the watermark is brought again; when that is longer ago than the outbox remembers, the partition is
//!    refilled from the ledger;
//! 2. relays what waits in the outbox for longer than two seconds;
//! 3. moves the watermarks to the turn's beginning, by the ledger's clock: what was relayed before is in this Redis.

mod again;
mod chores;
mod lookout;
pub mod metric;

use std::sync::Arc;
use std::time::Duration;

use domain::clock::SharedClock;
use jiff::{SignedDuration, Timestamp};
use ledger::{LedgerError, Outbox, PostgresLedger, StatisticsSource};
use metrics::{counter, gauge};
use stats::redis::{PartitionId, StatsError, Store};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::partition::{Refill, RefillError};
use again::{Again, Progress};
use chores::Chores;
use lookout::{Found, Lookout, Sight, doubtful_since};

/// The name of the lease.
pub const LEASE: &str = "sweep";

/// How long the lease is held without being renewed.
const LEASE_TTL: Duration = Duration::from_secs(5);

/// How often is swept.
const EVERY: Duration = Duration::from_secs(1);

/// How long a turn may go on relaying. What is left then is relayed by the next turn, which comes at once.
const TURN: Duration = Duration::from_secs(1);

/// How long a router has for relaying what it committed.
const OVERDUE: Duration = Duration::from_secs(2);

/// Batches that are read from the outbox at once.
const PAGE: u32 = 64;

/// How long the outbox keeps what was relayed.
const KEPT: SignedDuration = SignedDuration::from_mins(15);

/// Who lacks more than this is refilled from the ledger: what the outbox keeps, less what bringing it may take.
const MOST_AGAIN: SignedDuration = SignedDuration::from_mins(13);

/// Why a turn did not come to its end. The next one makes up for it.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error("the ledger cannot be asked")]
    Ledger(#[from] LedgerError),
    #[error("the streams cannot be written")]
    Stats(#[from] StatsError),
}

/// A monitor that sweeps when it is its turn.
#[derive(Debug)]
pub struct Sweep {
    /// Where outcomes are brought.
    pub store: Store,
    /// Where they come from.
    pub ledger: Arc<PostgresLedger>,
    /// The monitor's own name: no other one's, and another one after a restart.
    pub name: String,
    /// For the ledger's days.
    pub clock: SharedClock,
}

/// What the monitor that sweeps has in its hands.
#[derive(Debug, Default)]
struct Duty {
    lookout: Lookout,
    again: Option<Again>,
    refill: Option<Refilling>,
}

/// Partitions that lack too much, on their way.
#[derive(Debug)]
struct Refilling {
    found: Found,
    begun: Timestamp,
    task: JoinHandle<Result<Refill, RefillError>>,
}

impl Drop for Refilling {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sweep {
    /// Sweeps whenever it has the lease, until `stop` is cancelled; then gives the lease back.
    pub async fn run(self, stop: CancellationToken) {
        metric::describe();
        let mut duty: Option<Duty> = None;
        let mut chores = Chores::default();
        let mut reachable = true;
        while !stop.is_cancelled() {
            let began = Instant::now();
            chores.measure(&*self.ledger).await;
            let held = self.store.lease(LEASE, &self.name, LEASE_TTL).await;
            let swept = match held {
                Ok(true) => self.turn(duty.get_or_insert_default(), &mut chores).await,
                Ok(false) => {
                    duty = None;
                    Ok(false)
                }
                // The lease may be ours still: what was learned is kept, and its watermarks are compared.
                Err(error) => Err(error.into()),
            };
            gauge!(metric::SWEEPS).set(f64::from(u8::from(duty.is_some())));
            log(swept.as_ref().err(), &mut reachable);
            if swept.unwrap_or(false) {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(began + EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        if duty.is_some() {
            let _ends_by_itself = self.store.release(LEASE, &self.name).await;
        }
    }

    /// One turn; says whether more waits.
    async fn turn(&self, duty: &mut Duty, chores: &mut Chores) -> Result<bool, SweepError> {
        let until = Instant::now() + TURN;
        chores.keep_house(&self.ledger, &self.clock);
        let now = self.ledger.time().await?;
        let sight = duty.lookout.look(&self.store).await?;
        let sound = sight.sound.clone();
        let in_doubt = !sight.doubtful.is_empty() || sight.silent > 0;
        self.begin_again(duty, sight, now);
        self.go_on(duty, until).await?;
        let more = self.relay(until).await?;
        duty.lookout.advance(&self.store, &sound, now).await?;
        if !in_doubt {
            chores.forget(&*self.ledger, now, KEPT).await?;
        }
        Ok(more)
    }

    /// Begins to make up for what partitions may have lost, unless that is under way.
    fn begin_again(&self, duty: &mut Duty, sight: Sight, now: Timestamp) {
        let is_under_way = |partition: &PartitionId| {
            duty.again.as_ref().is_some_and(|again| again.is_for(*partition))
                || duty
                    .refill
                    .as_ref()
                    .is_some_and(|refill| refill.found.contains_key(partition))
        };
        let mut new = sight.doubtful;
        new.retain(|partition, _| !is_under_way(partition));
        if new.is_empty() {
            return;
        }
        let remembered = now.checked_sub(MOST_AGAIN).unwrap_or(Timestamp::MIN);
        let lacks_much =
            |found: &stats::redis::Watermark| doubtful_since(found).is_some_and(|since| since < remembered);
        let (much, little): (Found, Found) = new.into_iter().partition(|(_, found)| lacks_much(found));
        if !little.is_empty() && duty.again.is_none() {
            if sight.back > 0 {
                counter!(metric::STEPS_BACK).increment(u64::try_from(sight.back).unwrap_or(u64::MAX));
                tracing::warn!(
                    partitions = sight.back,
                    "Redis went back, or is another server, in {} partitions: what it may lack is relayed again",
                    sight.back
                );
            }
            duty.again = Some(Again::new(little, now, KEPT, sight.back > 0));
        }
        if !much.is_empty() && duty.refill.is_none() {
            tracing::warn!(
                partitions = much.len(),
                "{} partitions were not swept for longer than the outbox remembers: refilling them from the ledger",
                much.len()
            );
            let partitions: Vec<PartitionId> = much.keys().copied().collect();
            let store = self.store.clone();
            let source = Arc::clone(&self.ledger) as Arc<dyn StatisticsSource>;
            let task = tokio::spawn(async move { Refill::run(&store, &source, &partitions).await });
            duty.refill = Some(Refilling {
                found: much,
                begun: now,
                task,
            });
        }
    }

    /// Goes on with what is being made up for.
    async fn go_on(&self, duty: &mut Duty, until: Instant) -> Result<(), SweepError> {
        if let Some(refilling) = duty.refill.take_if(|refilling| refilling.task.is_finished()) {
            self.finish_refill(duty, refilling).await?;
        }
        let Some(again) = duty.again.take() else {
            return Ok(());
        };
        match again.go_on(&self.store, &*self.ledger, until).await {
            Ok(Progress::Going(again)) => duty.again = Some(again),
            Ok(Progress::Done(found, begun)) => duty.lookout.advance(&self.store, &found, begun).await?,
            Err((again, error)) => {
                duty.again = Some(again);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn finish_refill(&self, duty: &mut Duty, mut refilling: Refilling) -> Result<(), SweepError> {
        match (&mut refilling.task).await {
            Ok(Ok(_)) => {
                let (found, begun) = (std::mem::take(&mut refilling.found), refilling.begun);
                duty.lookout.advance(&self.store, &found, begun).await?;
            }
            Ok(Err(error)) => tracing::warn!(%error, "statistics could not be refilled yet"),
            Err(error) => tracing::error!(%error, "refilling statistics ended with a bug"),
        }
        Ok(())
    }

    /// Relays what is overdue, oldest first, until `until`; says whether there may be more.
    async fn relay(&self, until: Instant) -> Result<bool, SweepError> {
        loop {
            let batches = self.ledger.unrelayed(OVERDUE, PAGE).await?;
            if batches.is_empty() {
                return Ok(false);
            }
            let full = batches.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
            let ids: Vec<_> = batches.iter().map(|batch| batch.id).collect();
            let events: Vec<_> = batches.into_iter().flat_map(|batch| batch.events).collect();
            self.store.append(&events).await?;
            counter!(metric::RELAYED).increment(u64::try_from(events.len()).unwrap_or(u64::MAX));
            self.ledger.mark_relayed(&ids).await?;
            if !full || Instant::now() >= until {
                return Ok(full);
            }
        }
    }
}

fn log(failed: Option<&SweepError>, reachable: &mut bool) {
    match failed {
        Some(error) if *reachable => {
            *reachable = false;
            tracing::warn!(
                cause = std::error::Error::source(error).map(tracing::field::display),
                "outcomes cannot be swept, they wait in the ledger: {error}"
            );
        }
        None if !*reachable => {
            *reachable = true;
            tracing::info!("outcomes are swept again");
        }
        _ => {}
    }
}
