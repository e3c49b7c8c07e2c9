//! What a batch of outcomes changes, added up: a hundred outcomes of one segment are one increment.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeId;
use domain::window::{BUCKET_SECS, Latencies, Revision, Sample, Segment, Window, bucket_number};
use jiff::Timestamp;

use super::keys::segment_text;
use super::state::StreamId;

/// Ten-second buckets in a minute.
const FINE_PER_MINUTE: i64 = 60 / BUCKET_SECS;

/// What the field of a bucket begins with that counts latencies of one bin.
pub(crate) const BIN_FIELD: &str = "l";

/// Most bytes of an entry that its dead letter keeps.
const DEAD_BYTES: usize = 2_048;

/// The field of a bucket that a class is counted in.
pub(crate) const fn class_field(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::Success => "s",
        OutcomeClass::Refusal => "r",
        OutcomeClass::SoftDecline => "d",
        OutcomeClass::TechnicalFailure => "f",
        OutcomeClass::Timeout => "t",
        OutcomeClass::Busy => "b",
        OutcomeClass::Maintenance => "m",
        OutcomeClass::IssuerUnavailable => "i",
    }
}

/// A segment of a channel, as the index names it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct IndexEntry(
    pub(crate) ChannelId,
    pub(crate) Option<String>,
    pub(crate) Option<String>,
);

impl IndexEntry {
    fn of(channel: &ChannelId, segment: Segment<'_>) -> Self {
        let (method, issuer) = match segment {
            Segment::Overall => (None, None),
            Segment::Method(method) => (Some(method), None),
            Segment::Issuer(issuer) => (None, Some(issuer)),
            Segment::MethodIssuer(method, issuer) => (Some(method), Some(issuer)),
        };
        Self(
            channel.clone(),
            method.map(str::to_owned),
            issuer.map(str::to_owned),
        )
    }

    /// The segment that it names.
    pub(crate) fn segment(&self) -> Segment<'_> {
        match (&self.1, &self.2) {
            (None, None) => Segment::Overall,
            (Some(method), None) => Segment::Method(method),
            (None, Some(issuer)) => Segment::Issuer(issuer),
            (Some(method), Some(issuer)) => Segment::MethodIssuer(method, issuer),
        }
    }
}

/// Increments by field.
type Deltas = BTreeMap<String, i64>;

/// An entry of the stream that says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) entry: StreamId,
    pub(crate) reason: String,
    pub(crate) bytes: Vec<u8>,
}

/// Outcomes of one class in one bucket.
#[derive(Clone, Copy, Debug)]
pub struct Many<'b> {
    /// The number of the ten-second bucket.
    pub bucket: i64,
    /// What they count as.
    pub class: OutcomeClass,
    /// How many they are.
    pub count: u32,
    /// The bins of their latencies, each with how many are in it.
    pub bins: &'b [(u8, u32)],
}

/// Everything that a batch changes in one partition.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The outcomes that must not be counted again, with the time they were received at.
    pub(crate) names: BTreeSet<(OutcomeId, Timestamp)>,
    /// By segment and ten-second bucket.
    pub(crate) fine: BTreeMap<(String, i64), Deltas>,
    /// By the index's own text: the segment's newest bucket.
    pub(crate) newest: BTreeMap<String, i64>,
    /// By channel: streaks, last success and what was late, as they are now.
    pub(crate) marks: BTreeMap<ChannelId, Vec<(&'static str, String)>>,
    pub(crate) letters: Vec<Letter>,
    /// Outcomes that were counted before.
    pub duplicates: u64,
    /// Outcomes that came too late.
    pub late: u64,
    /// Corrections of outcomes that are not there any more.
    pub late_revisions: u64,
}

impl Changes {
    /// Whether nothing changes but the offset.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
            && self.marks.is_empty()
            && self.letters.is_empty()
            && self.duplicates + self.late + self.late_revisions == 0
    }

    /// How many entries of the stream said nothing.
    #[must_use]
    pub fn dead(&self) -> usize {
        self.letters.len()
    }

    /// Remembers that an outcome was looked at, so that it is not counted again; `false` when it was before, in the
    /// same batch.
    pub fn remember(&mut self, id: OutcomeId, received_at: Timestamp) -> bool {
        self.names.insert((id, received_at))
    }

    /// Counts an outcome in one segment.
    pub fn count(&mut self, channel: &ChannelId, segment: Segment<'_>, sample: Sample) {
        let deltas = self.bucket(channel, segment, bucket_number(sample.at));
        add(deltas, class_field(sample.class).to_owned(), 1);
        if let Some(ms) = sample.latency_ms {
            add(deltas, format!("{BIN_FIELD}{}", Latencies::bin(ms)), 1);
        }
    }

    /// Counts many outcomes in one segment.
    pub fn count_many(&mut self, channel: &ChannelId, segment: Segment<'_>, many: Many<'_>) {
        let deltas = self.bucket(channel, segment, many.bucket);
        add(deltas, class_field(many.class).to_owned(), i64::from(many.count));
        for (bin, count) in many.bins {
            add(deltas, format!("{BIN_FIELD}{bin}"), i64::from(*count));
        }
    }

    /// Corrects an outcome in one segment.
    pub fn revise(&mut self, channel: &ChannelId, segment: Segment<'_>, revision: Revision) {
        let deltas = self.bucket(channel, segment, bucket_number(revision.at));
        add(deltas, class_field(revision.from).to_owned(), -1);
        add(deltas, class_field(revision.to).to_owned(), 1);
    }

    /// Keeps what `window`, that of the whole channel, knows beside its buckets, as of `at`. It is read back for as long
    /// as a bucket of that time is, even when nothing of the channel was counted.
    pub fn mark(&mut self, channel: &ChannelId, window: &Window, at: Timestamp) {
        self.list(channel, Segment::Overall, bucket_number(at));
        let streaks = window.streaks();
        let micros = |at: Option<Timestamp>| at.map(|at| at.as_microsecond().to_string()).unwrap_or_default();
        let marks = vec![
            ("timeouts", streaks.timeouts.to_string()),
            ("failures", streaks.technical_failures.to_string()),
            ("last_us", micros(streaks.last_at)),
            ("last_ok_us", micros(window.last_success_at())),
            ("late", window.late().to_string()),
        ];
        self.marks.insert(channel.clone(), marks);
    }

    /// Puts an entry aside that says nothing, with the reason.
    pub fn bury(&mut self, entry: StreamId, reason: impl Into<String>, bytes: &[u8]) {
        self.letters.push(Letter {
            entry,
            reason: reason.into(),
            bytes: bytes.iter().take(DEAD_BYTES).copied().collect(),
        });
    }

    /// The increments of whole minutes.
    pub(crate) fn minutes(&self) -> BTreeMap<(&str, i64), Deltas> {
        let mut minutes = BTreeMap::<_, Deltas>::new();
        for ((segment, bucket), deltas) in &self.fine {
            let minute = minutes
                .entry((segment.as_str(), bucket.div_euclid(FINE_PER_MINUTE)))
                .or_default();
            for (field, delta) in deltas {
                add(minute, field.clone(), *delta);
            }
        }
        minutes
    }

    fn bucket(&mut self, channel: &ChannelId, segment: Segment<'_>, number: i64) -> &mut Deltas {
        self.list(channel, segment, number);
        self.fine
            .entry((segment_text(channel, segment), number))
            .or_default()
    }

    /// Has the index name a segment, for as long as the bucket of that number is looked at.
    fn list(&mut self, channel: &ChannelId, segment: Segment<'_>, number: i64) {
        // Names are valid text, so there is always a form of them.
        let name = serde_json::to_string(&IndexEntry::of(channel, segment)).unwrap_or_default();
        let newest = self.newest.entry(name).or_insert(number);
        *newest = number.max(*newest);
    }
}

fn add(deltas: &mut Deltas, field: String, delta: i64) {
    let total = deltas.entry(field).or_default();
    *total = total.saturating_add(delta);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn sample(second: i64, class: OutcomeClass) -> Sample {
        Sample {
            at: at(second),
            class,
            latency_ms: Some(100),
        }
    }

    #[test]
    fn outcomes_of_one_bucket_are_added_up_and_buckets_of_one_minute_too() {
        let channel = ChannelId::new("a").unwrap();
        let mut changes = Changes::default();
        for second in [0, 9, 10, 61] {
            changes.count(&channel, Segment::Overall, sample(second, OutcomeClass::Success));
        }
        let counts: Vec<_> = changes.fine.values().map(|deltas| deltas["s"]).collect();
        assert_eq!(counts, [2, 1, 1]);
        let minutes: Vec<_> = changes
            .minutes()
            .into_values()
            .map(|deltas| (deltas["s"], deltas[&format!("l{}", Latencies::bin(100))]))
            .collect();
        assert_eq!(minutes, [(3, 3), (1, 1)]);
        assert_eq!(changes.newest.values().copied().collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn many_outcomes_at_once_are_as_many_one_by_one() {
        let channel = ChannelId::new("a").unwrap();
        let (mut single, mut many) = (Changes::default(), Changes::default());
        for second in [0, 9] {
            single.count(&channel, Segment::Overall, sample(second, OutcomeClass::Busy));
        }
        let both = Many {
            bucket: 0,
            class: OutcomeClass::Busy,
            count: 2,
            bins: &[(Latencies::bin(100), 2)],
        };
        many.count_many(&channel, Segment::Overall, both);
        assert_eq!((many.fine, many.newest), (single.fine, single.newest));
    }

    #[test]
    fn a_correction_moves_one_count() {
        let channel = ChannelId::new("a").unwrap();
        let mut changes = Changes::default();
        let revision = Revision {
            at: at(5),
            from: OutcomeClass::Timeout,
            to: OutcomeClass::Success,
        };
        changes.count(&channel, Segment::Overall, sample(5, OutcomeClass::Timeout));
        changes.revise(&channel, Segment::Overall, revision);
        let deltas = changes.fine.values().next().unwrap();
        assert_eq!((deltas["t"], deltas["s"]), (0, 1));
    }

    #[test]
    fn an_outcome_is_remembered_once() {
        let mut changes = Changes::default();
        assert!(changes.remember(OutcomeId(1), at(0)));
        assert!(!changes.remember(OutcomeId(1), at(0)));
        assert!(!changes.is_empty());
    }

    #[test]
    fn every_class_has_a_field_of_its_own() {
        let fields: BTreeSet<_> = OutcomeClass::ALL.into_iter().map(class_field).collect();
        assert_eq!(fields.len(), OutcomeClass::ALL.len());
    }
}
