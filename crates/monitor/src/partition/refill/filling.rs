//! One partition on its way from the ledger to Redis.

use std::collections::BTreeMap;

use domain::id::ChannelId;
use domain::window::{BUCKET_SECS, Counts, Place, Segment, Statistics, Windows, bucket_number};
use jiff::Timestamp;
use ledger::{KnownOutcome, StatisticsSource, Tally};
use stats::redis::{Changes, Many, PartitionId, Rebuild, StatsError, Store};

use super::RefillError;
use super::history::{History, Minutes};

/// How many fields are written at once: Redis is busy with them for some milliseconds.
const FIELDS_AT_ONCE: usize = 6_000;

/// Ten-second buckets in a minute.
const BUCKETS_PER_MINUTE: i64 = 60 / BUCKET_SECS;

/// A partition that is refilled.
#[derive(Debug)]
pub(super) struct Filling {
    rebuild: Rebuild,
    /// Folds names as live counting does: the same caps, in the order of time.
    windows: Windows,
    changes: Changes,
    fields: usize,
    channels: BTreeMap<ChannelId, History>,
}

impl Filling {
    pub(super) fn new(rebuild: Rebuild) -> Self {
        Self {
            rebuild,
            windows: Windows::default(),
            changes: Changes::default(),
            fields: 0,
            channels: BTreeMap::new(),
        }
    }

    /// The time that its statistics begin at, by Redis's clock.
    pub(super) fn time(&self) -> Timestamp {
        self.rebuild.state().time()
    }

    /// Counts a tally by the minute.
    pub(super) fn minute(&mut self, tally: &Tally) {
        let mut counts = Counts::default();
        counts.add_many(tally.class, tally.count);
        self.history(&tally.channel).minute(tally.bucket, &counts);
        self.count(tally, tally.bucket.saturating_mul(BUCKETS_PER_MINUTE));
    }

    /// Counts a tally by the bucket.
    pub(super) fn bucket(&mut self, tally: &Tally) {
        self.count(tally, tally.bucket);
    }

    /// Remembers an outcome that was counted in a tally.
    pub(super) fn outcome(&mut self, outcome: &KnownOutcome) {
        self.changes.remember(outcome.id, outcome.received_at);
        if let Some(correction) = outcome.correction {
            self.changes.remember(correction, outcome.received_at);
        }
        self.fields += 1;
        self.history(&outcome.channel).outcome(outcome);
    }

    /// Lets go of what is an hour older than the bucket of that number.
    pub(super) fn slide(&mut self, bucket: i64) {
        self.windows.slide(self.clock(bucket));
    }

    /// Writes what was counted, if it is enough; `false` when the rebuild is gone.
    pub(super) async fn write_some(&mut self, store: &Store) -> Result<bool, StatsError> {
        if self.fields < FIELDS_AT_ONCE {
            return Ok(true);
        }
        self.write(store).await
    }

    /// Writes what is left and makes the partition known; `false` when somebody else was faster.
    pub(super) async fn finish(
        mut self,
        store: &Store,
        source: &dyn StatisticsSource,
        read: &mut Minutes,
    ) -> Result<bool, RefillError> {
        for (channel, history) in std::mem::take(&mut self.channels) {
            let marks = history.marks(&channel, source, read).await?;
            let window = self.windows.restore(&channel, Segment::Overall);
            window.restore_marks(marks.streaks, marks.last_success_at, 0);
            let last_at = marks.streaks.last_at.unwrap_or(Timestamp::MIN);
            self.changes.mark(&channel, window, last_at);
        }
        Ok(self.write(store).await? && store.finish_rebuild(self.rebuild).await?)
    }

    fn count(&mut self, tally: &Tally, bucket: i64) {
        let mut seen = Statistics::default();
        seen.counts.add_many(tally.class, tally.count);
        for (bin, count) in &tally.bins {
            seen.latencies.restore(*bin, *count);
        }
        let place = Place {
            channel: &tally.channel,
            method: &tally.method,
            issuer: tally.issuer.as_deref(),
        };
        let many = Many {
            bucket,
            class: tally.class,
            count: tally.count,
            bins: &tally.bins,
        };
        let now = self.clock(bucket);
        let (changes, fields) = (&mut self.changes, &mut self.fields);
        self.windows.add_with(place, (bucket, &seen), now, |segment| {
            changes.count_many(&tally.channel, segment, many);
            *fields += 1 + tally.bins.len();
        });
    }

    /// The time that the statistics have reached with the bucket of that number. Outcomes may be ahead of their time.
    fn clock(&self, bucket: i64) -> Timestamp {
        if bucket >= bucket_number(self.time()) {
            return self.time();
        }
        Timestamp::from_second(bucket.saturating_mul(BUCKET_SECS)).unwrap_or(Timestamp::MIN)
    }

    fn history(&mut self, channel: &ChannelId) -> &mut History {
        self.channels.entry(channel.clone()).or_default()
    }

    async fn write(&mut self, store: &Store) -> Result<bool, StatsError> {
        self.fields = 0;
        let changes = std::mem::take(&mut self.changes);
        store.fill(&mut self.rebuild, &changes).await
    }
}

/// The fillings that are under way, by their partitions.
pub(super) type Fillings = BTreeMap<PartitionId, Filling>;
