//! Reading a partition's statistics back into memory, for its next owner.

use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::window::{Caps, Segment, Statistics, Streaks, Windows, bucket_number};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::apply::oldest_bucket;
use super::changes::{BIN_FIELD, IndexEntry, class_field};
use super::connection::Store;
use super::error::StatsError;
use super::keys::segment_text;
use super::partition_id::PartitionId;
use super::state::{State, StreamId};

/// How many buckets are asked for at once: few enough that the answer comes well within the limit of a call.
const BUCKETS_AT_ONCE: usize = 360;

/// How many questions are on their way at the same time.
const QUESTIONS_AT_ONCE: usize = 4;

/// How far ahead of the stream's time a bucket may lie: the two minutes that clocks may differ by.
const BUCKETS_AHEAD: i64 = 13;

/// A partition's statistics in memory.
#[derive(Clone, Debug)]
pub struct PartitionState {
    /// Where the partition stood when they began to be read. If it moved meanwhile, the next step from here is stale.
    pub state: State,
    /// The windows, as if every outcome up to there had been recorded here.
    pub windows: Windows,
}

impl Store {
    /// What the partition knows; `None` when it has no state, which is not the same as no outcomes.
    ///
    /// # Errors
    /// When Redis cannot be asked, or what it holds cannot be read.
    pub async fn load(
        &self,
        partition: PartitionId,
        caps: Caps,
    ) -> Result<Option<PartitionState>, StatsError> {
        let Some(state) = self.read(partition, StreamId::START, 0).await?.state else {
            return Ok(None);
        };
        let key = self.keys.index(partition, state.epoch);
        let index: Vec<(String, i64)> = self.query(redis::cmd("HGETALL").arg(key)).await?;
        let now = state.time();
        let mut windows = Windows::new(caps);
        let newest = bucket_number(now);
        let oldest = oldest_bucket(&state);
        let entries: Vec<IndexEntry> = index
            .iter()
            .filter(|(_, last)| *last >= oldest)
            .map(|(text, _)| serde_json::from_str(text).map_err(|_| corrupt("the index", text)))
            .collect::<Result<_, _>>()?;
        let questions: Vec<_> = entries
            .iter()
            .map(|entry| self.buckets(partition, &state, entry, oldest..=newest + BUCKETS_AHEAD))
            .collect();
        let mut found = stream::iter(questions).buffer_unordered(QUESTIONS_AT_ONCE);
        while let Some((entry, buckets)) = found.try_next().await? {
            if buckets.is_empty() {
                continue;
            }
            let window = windows.restore(&entry.0, entry.segment());
            window.slide(now);
            for (number, bucket) in &buckets {
                window.restore_bucket(*number, bucket);
            }
        }
        drop(found);
        for entry in entries.iter().filter(|entry| entry.segment() == Segment::Overall) {
            self.restore_marks(partition, &state, &entry.0, &mut windows)
                .await?;
        }
        windows.slide(now);
        Ok(Some(PartitionState { state, windows }))
    }

    /// Minutes of one segment, from `from` up to and without `until`, those without outcomes left out. A day of them is
    /// kept.
    ///
    /// # Errors
    /// When Redis cannot be asked, or what it holds cannot be read.
    pub async fn minutes(
        &self,
        channel: &ChannelId,
        segment: Segment<'_>,
        span: std::ops::Range<Timestamp>,
    ) -> Result<Vec<(Timestamp, Statistics)>, StatsError> {
        let partition = PartitionId::of(channel);
        let Some(state) = self.read(partition, StreamId::START, 0).await?.state else {
            return Ok(Vec::new());
        };
        let minute = |at: Timestamp| at.as_second().div_euclid(60);
        let first = minute(span.start);
        let numbers: Vec<i64> = (first..minute(span.end).min(first.saturating_add(1_500))).collect();
        let text = segment_text(channel, segment);
        let key = |number: &i64| self.keys.minute(partition, state.epoch, &text, *number);
        let found = self.statistics(&numbers, key).await?;
        let start = |number: i64| Timestamp::from_second(number.saturating_mul(60)).unwrap_or(Timestamp::MAX);
        Ok(found
            .into_iter()
            .map(|(number, seen)| (start(number), seen))
            .collect())
    }

    async fn buckets<'e>(
        &self,
        partition: PartitionId,
        state: &State,
        entry: &'e IndexEntry,
        numbers: std::ops::RangeInclusive<i64>,
    ) -> Result<(&'e IndexEntry, Vec<(i64, Statistics)>), StatsError> {
        let text = segment_text(&entry.0, entry.segment());
        let numbers: Vec<i64> = numbers.collect();
        let key = |number: &i64| self.keys.fine(partition, state.epoch, &text, *number);
        Ok((entry, self.statistics(&numbers, key).await?))
    }

    /// The buckets of those numbers that are there.
    async fn statistics(
        &self,
        numbers: &[i64],
        key: impl Fn(&i64) -> String,
    ) -> Result<Vec<(i64, Statistics)>, StatsError> {
        let mut all = Vec::new();
        for numbers in numbers.chunks(BUCKETS_AT_ONCE) {
            let mut asked = redis::pipe();
            for number in numbers {
                asked.cmd("HGETALL").arg(key(number));
            }
            let found: Vec<Vec<(String, i64)>> = self.pipeline(&asked).await?;
            for (number, fields) in numbers.iter().zip(found) {
                if !fields.is_empty() {
                    all.push((*number, statistics(&fields)?));
                }
            }
        }
        Ok(all)
    }

    async fn restore_marks(
        &self,
        partition: PartitionId,
        state: &State,
        channel: &ChannelId,
        windows: &mut Windows,
    ) -> Result<(), StatsError> {
        let key = self.keys.marks(partition, state.epoch, channel);
        let mut asked = redis::cmd("HMGET");
        asked
            .arg(key)
            .arg(&["timeouts", "failures", "last_us", "last_ok_us", "late"]);
        let [timeouts, failures, last, last_ok, late]: [Option<String>; 5] = self.query(&asked).await?;
        let number = |text: &Option<String>| -> Result<u64, StatsError> {
            let text = text.as_deref().unwrap_or("0");
            text.parse().map_err(|_| corrupt("a channel's marks", text))
        };
        let count = |text| number(text).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let time = |text: &Option<String>| match text.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => {
                let at = text
                    .parse()
                    .ok()
                    .and_then(|us| Timestamp::from_microsecond(us).ok());
                at.map(Some).ok_or_else(|| corrupt("a channel's marks", text))
            }
        };
        let streaks = Streaks {
            timeouts: count(&timeouts)?,
            technical_failures: count(&failures)?,
            last_at: time(&last)?,
        };
        windows
            .restore(channel, Segment::Overall)
            .restore_marks(streaks, time(&last_ok)?, number(&late)?);
        Ok(())
    }
}

fn statistics(fields: &[(String, i64)]) -> Result<Statistics, StatsError> {
    let mut seen = Statistics::default();
    for (field, count) in fields {
        let wrong = || corrupt("a bucket", field);
        let count = u32::try_from(*count).map_err(|_| wrong())?;
        if let Some(class) = OutcomeClass::ALL
            .into_iter()
            .find(|class| class_field(*class) == field)
        {
            seen.counts.add_many(class, count);
            continue;
        }
        let bin = field.strip_prefix(BIN_FIELD).and_then(|bin| bin.parse().ok());
        if !bin.is_some_and(|bin| seen.latencies.restore(bin, count)) {
            return Err(wrong());
        }
    }
    Ok(seen)
}

fn corrupt(what: &str, text: &str) -> StatsError {
    StatsError::Corrupt(format!("{what} holds `{}`", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_with_a_field_that_nobody_writes_is_corrupt() {
        let field = |name: &str, count| [(name.to_owned(), count)];
        assert_eq!(statistics(&field("s", 3)).unwrap().counts.success, 3);
        assert_eq!(statistics(&field("l214", 3)).unwrap().latencies.count(), 3);
        for bad in [field("x", 1), field("l215", 1), field("s", -1), field("l", 1)] {
            assert!(matches!(statistics(&bad), Err(StatsError::Corrupt(_))), "{bad:?}");
        }
    }
}
