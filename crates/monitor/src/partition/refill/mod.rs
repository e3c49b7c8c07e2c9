//! Refilling partitions whose statistics are gone, or wrong, from the ledger.
//!
//! The end of each stream is noted before the ledger is read: what comes later is read from the stream, what came before
//! is in the ledger, and what is in both is counted once, because the names of the last hour's outcomes are refilled
//! too, and what is older is not counted from the stream. The ledger counts, for moving a day of outcomes here takes
//! many times longer; all partitions share one reading.
//!
//! The result is what live counting would have come to, but for names beyond the caps that turn up within the same
//! bucket, or minute: which of them are kept apart is then for the alphabet to say.

mod filling;
mod history;
mod reading;

use std::sync::Arc;

use domain::window::BUCKET_SECS;
use futures_util::future::try_join_all;
use ledger::{LedgerError, Recount, StatisticsSource, Tally};
use stats::redis::{PartitionId, StatsError, Store, StreamId};

use filling::{Filling, Fillings};
use history::Minutes;
use reading::{Piece, Reach, Reading};

/// Why partitions could not be refilled. They are as unknown as before.
#[derive(Debug, thiserror::Error)]
pub enum RefillError {
    /// The ledger cannot be read.
    #[error("the ledger cannot be read")]
    Ledger(#[from] LedgerError),
    /// Redis cannot be written.
    #[error("the statistics cannot be written")]
    Stats(#[from] StatsError),
}

/// What refilling came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refill {
    /// Partitions that are known again.
    pub partitions: usize,
    /// Outcomes that were counted.
    pub outcomes: u64,
}

/// Which partitions are to be refilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them: those that are known begin a new life when the refill is finished, and are served until then.
    All,
    /// Those that nothing is known of.
    Missing,
}

impl Refill {
    /// Reads the ledger once and refills `partitions` from it. A partition that somebody else refills meanwhile is left
    /// to them.
    ///
    /// # Errors
    /// When the ledger or Redis fails; the partitions are as they were before then.
    pub async fn run(
        store: &Store,
        source: &Arc<dyn StatisticsSource>,
        partitions: &[PartitionId],
    ) -> Result<Self, RefillError> {
        let begun = partitions.iter().map(|partition| store.begin_rebuild(*partition));
        let mut fillings: Fillings = try_join_all(begun)
            .await?
            .into_iter()
            .flatten()
            .map(|rebuild| (rebuild.partition(), Filling::new(rebuild)))
            .collect();
        let times = || fillings.values().map(Filling::time);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(Self::default());
        };
        let mut refill = Self::default();
        let mut reading = Reading::begin(Arc::clone(source), Reach::new(first, last));
        while let Some(piece) = reading.next().await {
            refill.outcomes += match piece? {
                Piece::Minutes(tallies) => count(store, &mut fillings, tallies, false).await?,
                Piece::Recent(recount) => recent(store, &mut fillings, recount).await?,
            };
        }
        let mut read = Minutes::default();
        for filling in fillings.into_values() {
            refill.partitions += usize::from(filling.finish(store, &**source, &mut read).await?);
        }
        Ok(refill)
    }
}

/// Refills partitions of `store` from `source`: for operators, and for whoever starts with an empty Redis.
///
/// # Errors
/// When the ledger or Redis fails; the partitions are as they were before then.
pub async fn rebuild_stats(
    store: &Store,
    source: &Arc<dyn StatisticsSource>,
    which: Which,
) -> Result<Refill, RefillError> {
    let all: Vec<PartitionId> = PartitionId::all().collect();
    let partitions = match which {
        Which::All => all,
        Which::Missing => {
            let asked = all
                .iter()
                .map(|partition| store.read(*partition, StreamId::START, 0));
            let pages = try_join_all(asked).await?;
            let states = all.iter().zip(pages);
            states
                .filter_map(|(partition, page)| page.state.is_none().then_some(*partition))
                .collect()
        }
    };
    Refill::run(store, source, &partitions).await
}

/// Counts `tallies`, of ten seconds when they are `fine` and else of a minute; returns how many outcomes they hold.
async fn count(
    store: &Store,
    fillings: &mut Fillings,
    mut tallies: Vec<Tally>,
    fine: bool,
) -> Result<u64, RefillError> {
    tallies.sort_unstable_by(|one, other| {
        let order = |tally: &Tally| tally.bucket;
        order(one).cmp(&order(other)).then_with(|| one.cmp(other))
    });
    let per_bucket = if fine { 1 } else { 60 / BUCKET_SECS };
    let mut outcomes = 0;
    for bucket in tallies.chunk_by(|one, other| one.bucket == other.bucket) {
        let number = bucket.first().map_or(0, |tally| tally.bucket);
        for filling in fillings.values_mut() {
            filling.slide(number.saturating_mul(per_bucket));
        }
        for tally in bucket {
            let Some(filling) = fillings.get_mut(&PartitionId::of(&tally.channel)) else {
                continue;
            };
            if fine {
                filling.bucket(tally);
            } else {
                filling.minute(tally);
            }
            outcomes += u64::from(tally.count);
            filling.write_some(store).await?;
        }
    }
    Ok(outcomes)
}

/// Counts what windows look at, by name.
async fn recent(store: &Store, fillings: &mut Fillings, recount: Recount) -> Result<u64, RefillError> {
    let outcomes = count(store, fillings, recount.tallies, true).await?;
    for outcome in &recount.outcomes {
        if let Some(filling) = fillings.get_mut(&PartitionId::of(&outcome.channel)) {
            filling.outcome(outcome);
            filling.write_some(store).await?;
        }
    }
    Ok(outcomes)
}
