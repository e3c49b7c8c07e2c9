//! Refilling a partition from the ledger, under a new epoch.
//!
//! The new life is written beside the old one, with its own keys, and takes its place by one rename. A crash on the
//! way leaves everything as it was, and the unfinished life ends by its TTL; two rebuilds at once do not meet.

use std::sync::LazyLock;
use std::time::Duration;

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

/// How often a part is written before the rebuild is given up.
const TRIES: u32 = 5;

/// Pause between two of them.
const PAUSE: Duration = Duration::from_millis(200);

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
    /// Tries a few times: a rebuild is much work to lose for one answer. Nobody else writes to it, so where it stands
    /// tells whether a part whose answer was lost was taken.
    ///
    /// # Errors
    /// When Redis cannot be asked. The part may have been written; the rebuild is given up then.
    pub async fn fill(&self, rebuild: &mut Rebuild, changes: &Changes) -> Result<bool, StatsError> {
        let mut tries = 1;
        loop {
            match self.try_fill(rebuild, changes, tries > 1).await {
                Ok(state) => {
                    rebuild.state = state.unwrap_or(rebuild.state);
                    return Ok(state.is_some());
                }
                Err(StatsError::TimedOut | StatsError::Unavailable(_)) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the rebuild stands after a part of it was written; `None` when it is gone.
    async fn try_fill(
        &self,
        rebuild: &Rebuild,
        changes: &Changes,
        again: bool,
    ) -> Result<Option<State>, StatsError> {
        let key = self.keys.rebuild(rebuild.partition, rebuild.state.epoch);
        let next = rebuild.state.seq.saturating_add(1);
        let taken = || State {
            seq: next,
            ..rebuild.state
        };
        if again {
            let seq: Option<u64> = self.query(redis::cmd("HGET").arg(&key).arg("seq")).await?;
            if seq == Some(next) {
                return Ok(Some(taken()));
            }
        }
        let step = Step {
            from: &rebuild.state,
            applied: rebuild.state.applied,
            read: 0,
            changes,
            snapshot: None,
        };
        match self.apply_to(key, rebuild.partition, step).await? {
            Applied::Done(state) => Ok(Some(state)),
            Applied::Stale => Ok(None),
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
