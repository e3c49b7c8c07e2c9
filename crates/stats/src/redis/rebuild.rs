//! Refilling a partition from the ledger, under a new epoch.
//!
//! The new life is written beside the old one, with its own keys, and takes its place by one rename. A crash on the
//! way leaves everything as it was, and the unfinished life ends by its TTL; two rebuilds at once do not meet.

use std::sync::LazyLock;

use redis::Script;

use super::apply::{Applied, Step};
use super::changes::Changes;
use super::connection::Store;
use super::error::StatsError;
use super::keys;
use super::partition_id::PartitionId;
use super::state::{Epoch, State, StreamId};

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/begin_rebuild.lua")));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/finish_rebuild.lua")));

/// A rebuild under way.
#[derive(Clone, Debug)]
pub struct Rebuild {
    partition: PartitionId,
    state: State,
}

impl Rebuild {
    /// The partition that is rebuilt.
    #[must_use]
    pub const fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Where the new life stands.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }
}

impl Store {
    /// Begins to rebuild a partition: from the end of its stream on, the stream tells; everything up to there has to
    /// come from the ledger, read after this call. `None` when somebody else began in the same millisecond.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn begin_rebuild(&self, partition: PartitionId) -> Result<Option<Rebuild>, StatsError> {
        let page = self.read(partition, StreamId::START, 0).await?;
        let now = u64::try_from(page.now.as_millisecond()).unwrap_or(0);
        // The clock of the server may have gone back; epochs do not.
        let next = page.state.map_or(0, |state| state.epoch.0.saturating_add(1));
        let state = State {
            epoch: Epoch(now.max(next)),
            seq: 0,
            applied: page.tail.last,
            read: page.tail.added,
        };
        let mut call = BEGIN.prepare_invoke();
        call.key(self.keys.rebuild(partition, state.epoch))
            .key(self.keys.state(partition))
            .arg(state.epoch.0)
            .arg(state.applied.to_string())
            .arg(state.read)
            .arg(keys::REBUILD_TTL_SECS);
        let begun = self.script::<String>(&call).await? == "OK";
        Ok(begun.then_some(Rebuild { partition, state }))
    }

    /// Writes a part of what the ledger knows; `false` when the rebuild is gone. Nothing of it is seen by anybody yet.
    ///
    /// # Errors
    /// When Redis cannot be asked. The part may have been written; the rebuild is given up then.
    pub async fn fill(&self, rebuild: &mut Rebuild, changes: &Changes) -> Result<bool, StatsError> {
        let step = Step {
            from: &rebuild.state,
            applied: rebuild.state.applied,
            read: 0,
            changes,
            snapshot: None,
        };
        let key = self.keys.rebuild(rebuild.partition, rebuild.state.epoch);
        match self.apply_to(key, rebuild.partition, step).await? {
            Applied::Done(state) => {
                rebuild.state = state;
                Ok(true)
            }
            Applied::Stale => Ok(false),
        }
    }

    /// Makes the new life the partition's; `false` when another one was faster, or the rebuild is gone.
    ///
    /// # Errors
    /// When Redis cannot be asked. The new life may have begun all the same.
    pub async fn finish_rebuild(&self, rebuild: Rebuild) -> Result<bool, StatsError> {
        let mut call = FINISH.prepare_invoke();
        call.key(self.keys.rebuild(rebuild.partition, rebuild.state.epoch))
            .key(self.keys.state(rebuild.partition))
            .arg(rebuild.state.epoch.0);
        Ok(self.script::<String>(&call).await? == "OK")
    }
}
