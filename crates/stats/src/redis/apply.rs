//! Changing a partition: all of a batch, or nothing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::outcome_event::OutcomeId;
use domain::window::{BUCKET_SECS, View, bucket_number};
use jiff::Timestamp;
use redis::{Script, ScriptInvocation};

use super::changes::Changes;
use super::connection::Store;
use super::error::StatsError;
use super::keys;
use super::partition_id::PartitionId;
use super::state::{State, StreamId};

static APPLY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/apply_batch.lua")));

/// How long entries stay in the stream after they were applied, in milliseconds: for people who look.
const KEEP_APPLIED_MS: u64 = 600_000;

/// How often what is no longer needed is cleared away, by the stream's own time, in milliseconds.
const CLEAR_EVERY_MS: u64 = 60_000;

/// A step of a partition from one state to the next.
#[derive(Clone, Copy, Debug)]
pub struct Step<'s> {
    /// The state that the changes were computed from.
    pub from: &'s State,
    /// The last entry that was read.
    pub applied: StreamId,
    /// How many entries were read.
    pub read: u64,
    /// What they change.
    pub changes: &'s Changes,
    /// What readers see from now on; `None` leaves what they see.
    pub snapshot: Option<&'s [u8]>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was taken, and this is the state now.
    Done(State),
    /// Somebody else was faster, or the partition has no state: nothing was changed.
    Stale,
}

impl Store {
    /// Takes `step` when the partition still is in the state that it starts from.
    ///
    /// # Errors
    /// When Redis cannot be asked. The step may have been taken all the same; taking it again is harmless, and answers
    /// [`Applied::Stale`] then.
    pub async fn apply(&self, partition: PartitionId, step: Step<'_>) -> Result<Applied, StatsError> {
        self.apply_to(self.keys.state(partition), partition, step).await
    }

    /// As [`Store::apply`], for the state in the key `state`.
    pub(super) async fn apply_to(
        &self,
        state: String,
        partition: PartitionId,
        step: Step<'_>,
    ) -> Result<Applied, StatsError> {
        let mut call = APPLY.prepare_invoke();
        call.key(state)
            .key(self.keys.stream(partition))
            .key(self.keys.dead(partition))
            .key(self.keys.snapshot(partition))
            .key(self.keys.index(partition, step.from.epoch));
        head(&mut call, &step);
        let sets = self.names(partition, &step);
        let changes = step.changes;
        let minutes = changes.minutes();
        let epoch = step.from.epoch;
        // What a rebuild brings from hours ago is only looked at by the minute.
        let oldest = oldest_bucket(step.from);
        let recent = changes.fine.iter().filter(|((_, bucket), _)| *bucket >= oldest);
        let fine = recent.map(|((segment, bucket), deltas)| {
            let key = self.keys.fine(partition, epoch, segment, *bucket);
            (key, keys::FINE_TTL_SECS, deltas)
        });
        let fine: Vec<_> = fine.collect();
        let minute = minutes.iter().map(|((segment, minute), deltas)| {
            let key = self.keys.minute(partition, epoch, segment, *minute);
            (key, keys::MINUTE_TTL_SECS, deltas)
        });
        call.arg(sets.len())
            .arg(fine.len() + minute.len())
            .arg(changes.marks.len())
            .arg(changes.newest.len())
            .arg(changes.letters.len());
        for (key, names) in sets {
            call.key(key).arg(names.len()).arg(names);
        }
        for (key, ttl, deltas) in fine.into_iter().chain(minute) {
            call.key(key).arg(ttl).arg(deltas.len());
            for (field, delta) in deltas {
                call.arg(field).arg(delta);
            }
        }
        for (channel, fields) in &changes.marks {
            call.key(self.keys.marks(partition, epoch, channel))
                .arg(keys::MARKS_TTL_SECS)
                .arg(fields.len())
                .arg(fields);
        }
        for (segment, newest) in &changes.newest {
            call.arg(segment).arg(newest);
        }
        for letter in &changes.letters {
            call.arg(letter.entry.to_string())
                .arg(&letter.reason)
                .arg(&letter.bytes);
        }
        match self.script::<String>(&call).await?.as_str() {
            "OK" => Ok(Applied::Done(State {
                epoch: step.from.epoch,
                seq: step.from.seq.saturating_add(1),
                applied: step.applied,
                read: step.from.read.saturating_add(step.read),
            })),
            _ => Ok(Applied::Stale),
        }
    }

    /// Which of `outcomes` were counted before, in their order. Holds as long as the partition's state does.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn seen(
        &self,
        partition: PartitionId,
        state: &State,
        outcomes: &[(OutcomeId, Timestamp)],
    ) -> Result<Vec<bool>, StatsError> {
        if outcomes.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = redis::pipe();
        for (id, received_at) in outcomes {
            let key = self.keys.digests(partition, state.epoch, *id, *received_at);
            asked.cmd("SISMEMBER").arg(key).arg(name(*id));
        }
        self.pipeline(&asked).await
    }

    /// The names to remember, by the set that they belong in.
    fn names(&self, partition: PartitionId, step: &Step<'_>) -> BTreeMap<String, Vec<i64>> {
        let mut sets = BTreeMap::<_, Vec<i64>>::new();
        for (id, received_at) in &step.changes.names {
            let key = self.keys.digests(partition, step.from.epoch, *id, *received_at);
            sets.entry(key).or_default().push(name(*id));
        }
        sets
    }
}

/// The arguments whose places are fixed.
fn head(call: &mut ScriptInvocation<'_>, step: &Step<'_>) {
    let clears = step.applied.ms / CLEAR_EVERY_MS != step.from.applied.ms / CLEAR_EVERY_MS;
    let trim = StreamId {
        ms: step.applied.ms.saturating_sub(KEEP_APPLIED_MS),
        seq: 0,
    };
    let oldest = oldest_bucket(step.from);
    call.arg(step.from.epoch.0)
        .arg(step.from.seq)
        .arg(step.from.applied.to_string())
        .arg(step.applied.to_string())
        .arg(step.read)
        .arg(step.snapshot.unwrap_or_default())
        .arg(keys::SNAPSHOT_TTL_SECS)
        .arg(if clears { trim.to_string() } else { String::new() })
        .arg(if clears { oldest.to_string() } else { String::new() })
        .arg(step.changes.duplicates)
        .arg(step.changes.late)
        .arg(step.changes.late_revisions)
        .arg(keys::DIGEST_TTL_SECS)
        .arg(keys::MINUTE_TTL_SECS)
        .arg(keys::DEAD_TTL_SECS);
}

/// The oldest bucket that windows still look at in `state`.
pub(super) fn oldest_bucket(state: &State) -> i64 {
    bucket_number(state.time()).saturating_sub(View::LONGEST.secs() / BUCKET_SECS - 1)
}

/// An outcome's name as sets keep it: Redis packs whole numbers with a sign.
const fn name(id: OutcomeId) -> i64 {
    id.0.cast_signed()
}
