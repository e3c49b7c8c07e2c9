//! Which monitor owns which partition: each its fair share, by leases.
//!
//! Two owners of one partition cost work and never a wrong count, so a lease needs no fencing: it only keeps monitors
//! out of each other's way.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::id::ChannelId;
use futures_util::{StreamExt as _, stream};
use ledger::StatisticsSource;
use metrics::gauge;
use stats::redis::{PARTITIONS, PartitionId, StatsError, Store};
use telemetry::metric;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Partition, Refill, RefillError, Turn};

/// How long a lease lasts: a monitor that died is replaced after this long.
const LEASE: Duration = Duration::from_secs(5);

/// How often leases are renewed and shares compared.
const RENEWAL: Duration = Duration::from_secs(1);

/// Pause between two rounds when nothing waits.
const PAUSE: Duration = Duration::from_millis(50);

/// How many partitions are looked after at the same time: enough to hide the way to Redis, few enough that the last
/// one's call is not over its limit because of the others.
const AT_ONCE: usize = 8;

/// A monitor among others.
#[derive(Debug)]
pub struct Owners {
    /// The statistics.
    pub store: Store,
    /// What refills a partition that is unknown.
    pub source: Arc<dyn StatisticsSource>,
    /// The monitor's own name: no other one's, and another one after a restart.
    pub name: String,
    /// The channels that are configured.
    pub channels: watch::Receiver<Arc<HashSet<ChannelId>>>,
}

/// What a monitor has in its hands.
#[derive(Debug, Default)]
struct Hands {
    owned: BTreeMap<PartitionId, Owned>,
    refill: Option<JoinHandle<Result<Refill, RefillError>>>,
}

#[derive(Debug)]
struct Owned {
    partition: Partition,
    /// Until when it is certainly ours.
    until: Instant,
}

/// What one round over all partitions came to.
#[derive(Debug, Default)]
struct Round {
    waiting: u64,
    lag: Duration,
    stale: Vec<PartitionId>,
    unknown: Vec<PartitionId>,
    failed: Option<StatsError>,
}

impl Owners {
    /// Owns a fair share of the partitions and looks after it, until `stop` is cancelled; then hands it over.
    pub async fn run(self, stop: CancellationToken) {
        let mut hands = Hands::default();
        let mut renewed_at: Option<Instant> = None;
        let mut reachable = true;
        while !stop.is_cancelled() {
            if renewed_at.is_none_or(|at| at.elapsed() >= RENEWAL) {
                renewed_at = Some(Instant::now());
                if let Err(error) = self.share(&mut hands).await {
                    tracing::debug!(%error, "the share of partitions was not renewed");
                }
            }
            let round = self.round(&mut hands).await;
            measure(&round, hands.owned.len());
            self.log(&round, &mut reachable);
            for partition in &round.stale {
                hands.owned.remove(partition);
                // It is whoever's was faster; when it was nobody's, it comes back with the next renewal.
                let _given_up = self.store.cede(*partition, &self.name).await;
            }
            self.refill(&mut hands, round.unknown).await;
            if round.waiting == 0 || round.failed.is_some() || hands.owned.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        self.leave(hands).await;
    }

    /// Renews what is owned, gives up what is too much, and claims what is missing to the fair share.
    async fn share(&self, hands: &mut Hands) -> Result<(), StatsError> {
        let until = Instant::now() + LEASE;
        let live = self.store.announce(&self.name, LEASE).await?;
        let share = usize::from(PARTITIONS).div_ceil(usize::try_from(live.max(1)).unwrap_or(1));
        let owned: Vec<PartitionId> = hands.owned.keys().copied().collect();
        for (partition, answer) in owned
            .iter()
            .zip(self.store.claim(&owned, &self.name, LEASE).await)
        {
            match answer {
                Ok(true) => {
                    if let Some(owned) = hands.owned.get_mut(partition) {
                        owned.until = until;
                    }
                }
                Ok(false) => drop(hands.owned.remove(partition)),
                Err(_) => {}
            }
        }
        let now = Instant::now();
        hands.owned.retain(|_, owned| owned.until > now);
        while hands.owned.len() > share {
            let Some((partition, _)) = hands.owned.pop_last() else {
                break;
            };
            self.store.cede(partition, &self.name).await?;
        }
        let free: Vec<PartitionId> = self
            .in_turn()
            .filter(|id| !hands.owned.contains_key(id))
            .collect();
        for wanted in free.chunks(AT_ONCE) {
            let missing = share.saturating_sub(hands.owned.len());
            let wanted: Vec<PartitionId> = wanted.iter().copied().take(missing).collect();
            if wanted.is_empty() {
                break;
            }
            let answers = self.store.claim(&wanted, &self.name, LEASE).await;
            for (id, _) in wanted
                .into_iter()
                .zip(answers)
                .filter(|(_, answer)| matches!(answer, Ok(true)))
            {
                let partition = Partition::new(id);
                hands.owned.insert(id, Owned { partition, until });
            }
        }
        Ok(())
    }

    /// All partitions, beginning at a place of this monitor's own, so that those that start together do not all ask for
    /// the same ones.
    fn in_turn(&self) -> impl Iterator<Item = PartitionId> {
        let sum = self
            .name
            .bytes()
            .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let all: Vec<PartitionId> = PartitionId::all().collect();
        all.into_iter()
            .cycle()
            .skip(usize::from(sum % PARTITIONS))
            .take(usize::from(PARTITIONS))
    }

    /// One turn at each partition: a long queue in one of them gets one batch like the others, and so delays nobody.
    async fn round(&self, hands: &mut Hands) -> Round {
        let known = Arc::clone(&self.channels.borrow());
        let now = Instant::now();
        let mut turns = Vec::new();
        for owned in hands.owned.values_mut() {
            if owned.until > now {
                turns.push(turn(&self.store, &known, &mut owned.partition));
            }
        }
        let mut turns = stream::iter(turns).buffer_unordered(AT_ONCE);
        let mut round = Round::default();
        while let Some((partition, turn)) = turns.next().await {
            match turn {
                Ok(Turn::Done(report)) => {
                    round.waiting = round.waiting.saturating_add(report.waiting);
                    round.lag = round.lag.max(report.lag);
                }
                Ok(Turn::Stale) => round.stale.push(partition),
                Ok(Turn::Unknown) | Err(StatsError::Corrupt(_)) => round.unknown.push(partition),
                Err(error) => round.failed = Some(error),
            }
        }
        round
    }

    /// Has unknown partitions refilled, one reading of the ledger at a time.
    async fn refill(&self, hands: &mut Hands, unknown: Vec<PartitionId>) {
        if let Some(running) = hands.refill.take_if(|running| running.is_finished()) {
            match running.await {
                Ok(Ok(done)) => {
                    tracing::info!(
                        partitions = done.partitions,
                        outcomes = done.outcomes,
                        "statistics were refilled from the ledger"
                    );
                }
                Ok(Err(error)) => tracing::warn!(%error, "statistics could not be refilled yet"),
                Err(error) => tracing::error!(%error, "refilling statistics ended with a bug"),
            }
            return;
        }
        if unknown.is_empty() || hands.refill.is_some() {
            return;
        }
        tracing::warn!(
            partitions = unknown.len(),
            "the statistics of {} partitions are unknown: refilling them from the ledger",
            unknown.len()
        );
        let (store, source) = (self.store.clone(), Arc::clone(&self.source));
        hands.refill = Some(tokio::spawn(async move {
            Refill::run(&store, &source, &unknown).await
        }));
    }

    fn log(&self, round: &Round, reachable: &mut bool) {
        match &round.failed {
            Some(error) if *reachable => {
                *reachable = false;
                tracing::warn!(%error, monitor = self.name, "statistics cannot be kept: outcomes wait in the ledger");
            }
            None if !*reachable => {
                *reachable = true;
                tracing::info!(monitor = self.name, "statistics are kept again");
            }
            _ => {}
        }
    }

    /// Hands everything over, so that others need not wait for leases to end.
    async fn leave(&self, hands: Hands) {
        if let Some(running) = hands.refill {
            running.abort();
        }
        let given = hands
            .owned
            .keys()
            .map(|partition| self.store.cede(*partition, &self.name));
        let _ended_by_themselves = futures_util::future::join_all(given).await;
        let _forgotten_in_time = self.store.announce(&self.name, Duration::ZERO).await;
    }
}

async fn turn(
    store: &Store,
    known: &HashSet<ChannelId>,
    partition: &mut Partition,
) -> (PartitionId, Result<Turn, StatsError>) {
    (partition.id(), partition.turn(store, known).await)
}

fn measure(round: &Round, owned: usize) {
    let owned = u32::try_from(owned).unwrap_or(u32::MAX);
    let waiting = u32::try_from(round.waiting).unwrap_or(u32::MAX);
    gauge!(metric::STATS_PARTITIONS).set(f64::from(owned));
    gauge!(metric::STATS_WAITING).set(f64::from(waiting));
    gauge!(metric::STATS_LAG).set(round.lag.as_secs_f64());
}
