//! Looking out for a Redis that went back in time.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use stats::redis::{PartitionId, StatsError, Store, Watermark};

/// What was relayed up to this long before a watermark is brought again with what came after: of two servers that were
/// both taken for the first one, the other may have got it.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// The watermarks as they were found at the beginning of a turn.
pub(super) type Found = BTreeMap<PartitionId, Watermark>;

/// What the watermarks say.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// Partitions in which everything relayed before is.
    pub(super) sound: Found,
    /// Partitions that may have lost something, with the watermarks from which on.
    pub(super) doubtful: Found,
    /// Those among the doubtful that certainly went back, or are on another server.
    pub(super) back: usize,
    /// Partitions that could not be asked: a member of the cluster is away.
    pub(super) silent: usize,
}

/// Remembers how far the watermarks were moved from here.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    wrote: BTreeMap<PartitionId, Timestamp>,
}

impl Lookout {
    /// Reads all watermarks. One that was not moved from here is in doubt: nobody knows what happened before. Fails when
    /// none can be read.
    pub(super) async fn look(&self, store: &Store) -> Result<Sight, StatsError> {
        let partitions: Vec<PartitionId> = PartitionId::all().collect();
        let asked = partitions.iter().map(|partition| store.watermark(*partition));
        let mut sight = Sight::default();
        let mut failed = None;
        for (partition, found) in partitions.iter().zip(join_all(asked).await) {
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    sight.silent += 1;
                    failed = Some(error);
                    continue;
                }
            };
            let wrote = self.wrote.get(partition).copied();
            let went_back = !found.same_server || found.at < wrote;
            // Without a state there is nothing to lose: the partition is refilled from the ledger.
            if !found.known || (wrote.is_some() && !went_back) {
                sight.sound.insert(*partition, found);
            } else {
                sight.back += usize::from(went_back);
                sight.doubtful.insert(*partition, found);
            }
        }
        match failed {
            Some(error) if sight.silent == partitions.len() => Err(error),
            _ => Ok(sight),
        }
    }

    /// Moves the watermarks that were `found` to `at`. One that cannot be moved is found in doubt the next time.
    pub(super) async fn advance(
        &mut self,
        store: &Store,
        found: &Found,
        at: Timestamp,
    ) -> Result<(), StatsError> {
        let moves = found
            .iter()
            .map(|(partition, mark)| store.advance_watermark(*partition, mark, at));
        let mut outcome = Ok(());
        for (partition, moved) in found.keys().zip(join_all(moves).await) {
            match moved {
                Ok(true) => drop(self.wrote.insert(*partition, at)),
                Ok(false) => drop(self.wrote.remove(partition)),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

/// From when on a partition with this watermark may lack something; `None` when that is all that there ever was.
pub(super) fn doubtful_since(found: &Watermark) -> Option<Timestamp> {
    found.at.and_then(|at| at.checked_sub(MARGIN).ok())
}
