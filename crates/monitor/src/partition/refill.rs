//! Refilling partitions whose statistics are gone, or wrong, from the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::id::ChannelId;
use domain::outcome_event::OutcomeEvent;
use jiff::{SignedDuration, Timestamp};
use ledger::{Ledger, LedgerError};
use stats::redis::{Changes, PartitionId, Rebuild, StatsError, Store};

use super::mirror::Mirror;
use crate::rebuild::{PAGE, events, since};

/// How far back the statistics reach: the minutes of a day, and an hour for what is being looked at.
const SPAN: SignedDuration = SignedDuration::from_hours(25);

/// How many outcomes are written at once.
const AT_ONCE: usize = 500;

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
    /// Outcomes and corrections that were counted.
    pub outcomes: u64,
}

/// A partition on its way.
#[derive(Debug)]
struct Filling {
    rebuild: Rebuild,
    mirror: Mirror,
    changes: Changes,
    waiting: usize,
    channels: BTreeSet<ChannelId>,
}

impl Refill {
    /// Reads the ledger once and refills `partitions` from it. A partition that somebody else refills meanwhile is left
    /// to them.
    ///
    /// The end of each stream is noted before the ledger is read: what comes later is read from the stream, what came
    /// before is in the ledger, and what is in both is counted once, because the names of outcomes are refilled too.
    ///
    /// # Errors
    /// When the ledger or Redis fails; the partitions are as unknown as before then.
    pub async fn run(
        store: &Store,
        ledger: &Arc<dyn Ledger>,
        partitions: &[PartitionId],
    ) -> Result<Self, RefillError> {
        let mut fillings = BTreeMap::new();
        for partition in partitions {
            if let Some(rebuild) = store.begin_rebuild(*partition).await? {
                fillings.insert(*partition, Filling::new(rebuild));
            }
        }
        let Some(now) = fillings
            .values()
            .map(|filling| filling.rebuild.state().time())
            .min()
        else {
            return Ok(Self::default());
        };
        let mut refill = Self::default();
        let mut after = None;
        loop {
            let page = ledger.outcomes_since(since(now, SPAN), after, PAGE).await?;
            for event in page.attempts.iter().flat_map(events) {
                if let Some(filling) = fillings.get_mut(&PartitionId::of(&event.channel)) {
                    filling.count(store, &event).await?;
                    refill.outcomes += 1;
                }
            }
            match page.next {
                Some(cursor) => after = Some(cursor),
                None => break,
            }
        }
        for filling in fillings.into_values() {
            refill.partitions += usize::from(filling.finish(store).await?);
        }
        Ok(refill)
    }
}

impl Filling {
    fn new(rebuild: Rebuild) -> Self {
        let state = *rebuild.state();
        Self {
            mirror: Mirror::before(state, Timestamp::MIN),
            rebuild,
            changes: Changes::default(),
            waiting: 0,
            channels: BTreeSet::new(),
        }
    }

    async fn count(&mut self, store: &Store, event: &OutcomeEvent) -> Result<(), StatsError> {
        self.mirror.recount(event, &mut self.changes);
        self.waiting += 1;
        if !self.channels.contains(&event.channel) {
            self.channels.insert(event.channel.clone());
        }
        if self.waiting >= AT_ONCE {
            self.write(store).await?;
        }
        Ok(())
    }

    async fn write(&mut self, store: &Store) -> Result<bool, StatsError> {
        let changes = std::mem::take(&mut self.changes);
        self.waiting = 0;
        store.fill(&mut self.rebuild, &changes).await
    }

    async fn finish(mut self, store: &Store) -> Result<bool, StatsError> {
        for channel in &self.channels {
            self.mirror.mark(channel, &mut self.changes);
        }
        Ok(self.write(store).await? && store.finish_rebuild(self.rebuild).await?)
    }
}
