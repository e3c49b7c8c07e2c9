//! One partition of the statistics in Redis, in the hands of its owner.

mod mirror;
pub mod owners;
mod refill;

use std::collections::HashSet;
use std::time::Duration;

use domain::id::ChannelId;
use domain::outcome_event::OutcomeId;
use domain::window::Caps;
use metrics::counter;
use stats::redis::{Applied, Page, PartitionId, StatsError, Step, Store, StreamId};
use telemetry::metric;
use tokio::time::Instant;

use mirror::Mirror;
pub use refill::{Refill, RefillError, Which, rebuild_stats};

/// How many entries are read and applied at once. A script of this size keeps Redis busy for a few milliseconds.
pub const BATCH: usize = 500;

/// How often what changed is published.
const PUBLISH_CHANGED: Duration = Duration::from_millis(250);

/// How often what did not change is published: views slide, and readers want to know that somebody counts.
const PUBLISH_IDLE: Duration = Duration::from_secs(1);

/// A partition and what its owner remembers of it.
#[derive(Debug)]
pub struct Partition {
    id: PartitionId,
    /// `None` when nothing is known, or not whether it is true: then it is read back first.
    mirror: Option<Mirror>,
    published_at: Option<Instant>,
    /// Whether something changed since.
    changed: bool,
}

/// What one turn at a partition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It was looked after.
    Done(Report),
    /// Somebody else changed it: this owner is not, or not the only one.
    Stale,
    /// It has no state, so nothing may be said of it before it is rebuilt.
    Unknown,
}

/// Figures of one turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that were applied.
    pub applied: usize,
    /// Entries that wait.
    pub waiting: u64,
    /// How far the statistics are behind the end of the stream.
    pub lag: Duration,
}

impl Partition {
    /// A partition that nothing is known of yet.
    #[must_use]
    pub const fn new(id: PartitionId) -> Self {
        Self {
            id,
            mirror: None,
            published_at: None,
            changed: false,
        }
    }

    /// Which one it is.
    #[must_use]
    pub const fn id(&self) -> PartitionId {
        self.id
    }

    /// Reads what is new, counts it, and publishes when it is time. `known` are the channels that are configured.
    ///
    /// # Errors
    /// When Redis cannot be asked. What was read may have been applied all the same; the next turn finds out.
    pub async fn turn(&mut self, store: &Store, known: &HashSet<ChannelId>) -> Result<Turn, StatsError> {
        // Taken out, and put back only when it is known to be true.
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => match store.load(self.id, Caps::default()).await? {
                Some(loaded) => Mirror::new(loaded),
                None => return Ok(Turn::Unknown),
            },
        };
        let mut page = store.read(self.id, mirror.state.applied, BATCH).await?;
        match page.state {
            Some(state) if state == mirror.state => {}
            Some(_) => return Ok(stale()),
            None => return Ok(Turn::Unknown),
        }
        page.entries
            .truncate(Mirror::ready(&page.entries, known, page.now));
        if page.entries.is_empty() && !self.is_due() {
            let report = report(&mirror, &page, 0);
            self.mirror = Some(mirror);
            return Ok(Turn::Done(report));
        }
        let turn = self.advance(store, known, &mut mirror, &page).await?;
        if let Turn::Done(_) = turn {
            self.mirror = Some(mirror);
        }
        Ok(turn)
    }

    async fn advance(
        &mut self,
        store: &Store,
        known: &HashSet<ChannelId>,
        mirror: &mut Mirror,
        page: &Page,
    ) -> Result<Turn, StatsError> {
        let asked: Vec<_> = mirror
            .to_ask(&page.entries)
            .into_iter()
            .map(|event| (event.id, event.received_at))
            .collect();
        let answers = store.seen(self.id, &mirror.state, &asked).await?;
        let seen: HashSet<OutcomeId> = asked
            .iter()
            .zip(answers)
            .filter_map(|((id, _), seen)| seen.then_some(*id))
            .collect();
        let changes = mirror.count(&page.entries, &seen, known);
        self.changed |= !changes.is_empty();
        let snapshot = self.is_due().then(|| mirror.snapshot(page.now).encode());
        let step = Step {
            from: &mirror.state,
            applied: page.entries.last().map_or(mirror.state.applied, |entry| entry.id),
            read: u64::try_from(page.entries.len()).unwrap_or(u64::MAX),
            changes: &changes,
            snapshot: snapshot.as_deref(),
        };
        let Applied::Done(state) = store.apply(self.id, step).await? else {
            return Ok(stale());
        };
        mirror.state = state;
        if snapshot.is_some() {
            self.published_at = Some(Instant::now());
            self.changed = false;
        }
        counter!(metric::STATS_DUPLICATES).increment(changes.duplicates);
        counter!(metric::LATE).increment(changes.late.saturating_add(changes.late_revisions));
        let dead = u64::try_from(changes.dead()).unwrap_or(u64::MAX);
        counter!(metric::STATS_DEAD_LETTERS).increment(dead);
        if dead > 0 {
            tracing::warn!(partition = %self.id, dead, "{dead} entries of partition {} say nothing", self.id);
        }
        Ok(Turn::Done(report(mirror, page, page.entries.len())))
    }

    fn is_due(&self) -> bool {
        let period = if self.changed {
            PUBLISH_CHANGED
        } else {
            PUBLISH_IDLE
        };
        self.published_at.is_none_or(|at| at.elapsed() >= period)
    }
}

fn stale() -> Turn {
    counter!(metric::STATS_STALE).increment(1);
    Turn::Stale
}

fn report(mirror: &Mirror, page: &Page, applied: usize) -> Report {
    let waiting = page.tail.added.saturating_sub(mirror.state.read);
    let behind = |last: StreamId| Duration::from_millis(last.ms.saturating_sub(mirror.state.applied.ms));
    Report {
        applied,
        waiting,
        // A stream that was read to its end has no lag, whenever its last entry came.
        lag: if waiting == 0 {
            Duration::ZERO
        } else {
            behind(page.tail.last)
        },
    }
}
