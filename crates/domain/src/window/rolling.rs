//! One rolling window: an hour of outcomes in buckets of ten seconds.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::counts::Counts;
use super::latency::Sum;
use super::streak::Streaks;
use super::view::{BUCKET_SECS, Statistics, View};
use crate::outcome::OutcomeClass;

/// How far ahead of now an outcome's time may be, in seconds: clocks of two machines differ.
const AHEAD_SECS: i64 = 120;

/// One outcome, as a window counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was received.
    pub at: Timestamp,
    /// What it says about the channel.
    pub class: OutcomeClass,
    /// How long the channel took, in milliseconds; `None` when nobody measured it.
    pub latency_ms: Option<u32>,
}

/// A better knowledge of an outcome that was counted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// When the outcome was received first.
    pub at: Timestamp,
    /// What it was counted as.
    pub from: OutcomeClass,
    /// What it was in truth.
    pub to: OutcomeClass,
}

/// Whether an outcome or a revision came in time to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the window.
    Counted,
    /// It is left out: too old, too far ahead, or a revision of something that is not there.
    Late,
}

/// An hour of outcomes. Recording one costs the same however many there were.
///
/// Only buckets with outcomes take room, at most 360 of them.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// In ascending order of bucket numbers.
    buckets: VecDeque<(i64, Statistics)>,
    /// The latest bucket number that was ever "now": what is an hour older is gone.
    newest: Option<i64>,
    streaks: Streaks,
    last_success_at: Option<Timestamp>,
    late: u64,
}

impl Window {
    /// Counts `sample` in the bucket of its own time.
    pub fn record(&mut self, sample: Sample, now: Timestamp) -> Recorded {
        self.slide(now);
        let Some(bucket) = self.bucket_in_time(sample.at, now) else {
            self.late = self.late.saturating_add(1);
            return Recorded::Late;
        };
        bucket.counts.add(sample.class);
        if let Some(ms) = sample.latency_ms {
            bucket.latencies.record(ms);
        }
        self.streaks.record(sample.class, sample.at);
        if sample.class.is_success() {
            self.last_success_at = self.last_success_at.max(Some(sample.at));
        }
        Recorded::Counted
    }

    /// Corrects the bucket of an outcome that turned out otherwise.
    ///
    /// A streak is not corrected: it says how often in a row nobody answered in time, which stays true.
    pub fn revise(&mut self, revision: Revision, now: Timestamp) -> Recorded {
        self.slide(now);
        let number = bucket_number(revision.at);
        let corrected = match self.buckets.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => self
                .buckets
                .get_mut(at)
                .is_some_and(|(_, bucket)| bucket.counts.revise(revision.from, revision.to)),
            Err(_) => false,
        };
        if !corrected {
            self.late = self.late.saturating_add(1);
            return Recorded::Late;
        }
        if revision.to.is_success() {
            self.last_success_at = self.last_success_at.max(Some(revision.at));
        }
        Recorded::Counted
    }

    /// What was seen in the span of `view` that ends `now`.
    ///
    /// Adds up at most 360 buckets; nothing is kept for it between two outcomes, so there is nothing to go wrong.
    #[must_use]
    pub fn view(&self, view: View, now: Timestamp) -> Statistics {
        let last = bucket_number(now);
        let first = last.saturating_sub(view.buckets() - 1);
        let mut counts = Counts::default();
        let mut latencies = Sum::new();
        for (number, bucket) in self.buckets.iter().rev() {
            if *number < first {
                break;
            }
            if *number <= last {
                counts.merge(&bucket.counts);
                latencies.add(&bucket.latencies);
            }
        }
        Statistics {
            counts,
            latencies: latencies.total(),
        }
    }

    /// Adds all of `other`, as if every outcome had been recorded here.
    ///
    /// Except the streaks, which have no meaning across two sequences: those of the later sequence are kept.
    pub fn merge(&mut self, other: &Self) {
        self.newest = self.newest.max(other.newest);
        for (number, bucket) in &other.buckets {
            if let Some(own) = self.bucket(*number) {
                own.merge(bucket);
            }
        }
        self.forget_old();
        self.streaks = self.streaks.later(other.streaks);
        self.last_success_at = self.last_success_at.max(other.last_success_at);
        self.late = self.late.saturating_add(other.late);
    }

    /// Adds outcomes that were counted elsewhere to the bucket of that number. What they say beside their bucket, such
    /// as streaks, is not known from counts.
    pub fn add(&mut self, number: i64, counted: &Statistics, now: Timestamp) {
        self.slide(now);
        self.restore_bucket(number, counted);
    }

    /// Adds what a store kept of the bucket of that number; nothing when it is older than an hour.
    pub fn restore_bucket(&mut self, number: i64, kept: &Statistics) {
        if number > self.newest_forgotten()
            && let Some(bucket) = self.bucket(number)
        {
            bucket.merge(kept);
        }
    }

    /// Takes over what a store kept beside the buckets.
    pub fn restore_marks(&mut self, streaks: Streaks, last_success_at: Option<Timestamp>, late: u64) {
        self.streaks = streaks;
        self.last_success_at = last_success_at;
        self.late = late;
    }

    /// The buckets with outcomes, by their numbers, the oldest first.
    pub fn buckets(&self) -> impl Iterator<Item = (i64, &Statistics)> {
        self.buckets.iter().map(|(number, bucket)| (*number, bucket))
    }

    /// Counts one that was left out without being looked at here.
    pub const fn note_late(&mut self) {
        self.late = self.late.saturating_add(1);
    }

    /// Lets go of what is older than an hour.
    pub fn slide(&mut self, now: Timestamp) {
        self.newest = self.newest.max(Some(bucket_number(now)));
        self.forget_old();
    }

    /// How often in a row the channel failed, up to the last outcome.
    #[must_use]
    pub const fn streaks(&self) -> Streaks {
        self.streaks
    }

    /// When the last success was received, however long ago.
    #[must_use]
    pub const fn last_success_at(&self) -> Option<Timestamp> {
        self.last_success_at
    }

    /// How many outcomes and revisions were left out.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Whether there was no outcome in the last hour.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    fn bucket_in_time(&mut self, at: Timestamp, now: Timestamp) -> Option<&mut Statistics> {
        let number = bucket_number(at);
        let ahead = at.as_second().saturating_sub(now.as_second()) > AHEAD_SECS;
        if ahead || number <= self.newest_forgotten() {
            return None;
        }
        self.bucket(number)
    }

    /// The bucket of that number, made when there is none. Nearly always the last one.
    fn bucket(&mut self, number: i64) -> Option<&mut Statistics> {
        let at = match self.buckets.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => at,
            Err(at) => {
                self.buckets.insert(at, (number, Statistics::default()));
                at
            }
        };
        self.buckets.get_mut(at).map(|(_, bucket)| bucket)
    }

    fn newest_forgotten(&self) -> i64 {
        self.newest
            .map_or(i64::MIN, |newest| newest.saturating_sub(View::LONGEST.buckets()))
    }

    fn forget_old(&mut self) {
        let forgotten = self.newest_forgotten();
        while self
            .buckets
            .front()
            .is_some_and(|(number, _)| *number <= forgotten)
        {
            self.buckets.pop_front();
        }
    }
}

/// The number of the bucket that `at` falls in: ten-second spans since 1970.
#[must_use]
pub fn bucket_number(at: Timestamp) -> i64 {
    at.as_second().div_euclid(BUCKET_SECS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    fn window(seconds: &[i64]) -> Window {
        let mut window = Window::default();
        for &second in seconds {
            assert_eq!(
                window.record(sample(second, OutcomeClass::Success), at(second)),
                Recorded::Counted
            );
        }
        window
    }

    fn total(window: &Window, view: View, now: i64) -> u32 {
        window.view(view, at(now)).counts.total()
    }

    #[test]
    fn a_view_holds_its_own_span_and_no_more() {
        let window = window(&[0, 3_300, 3_540, 3_550, 3_599]);
        assert_eq!(total(&window, View::OneMinute, 3_599), 3);
        assert_eq!(total(&window, View::FiveMinutes, 3_599), 4);
        assert_eq!(total(&window, View::OneHour, 3_599), 5);
        assert_eq!(total(&window, View::OneHour, 3_600), 4);
        assert_eq!(total(&window, View::OneMinute, 3_600), 2);
    }

    #[test]
    fn an_outcome_older_than_an_hour_is_late() {
        let mut window = window(&[7_200]);
        assert_eq!(
            window.record(sample(3_609, OutcomeClass::Success), at(7_200)),
            Recorded::Late
        );
        assert_eq!(
            window.record(sample(3_610, OutcomeClass::Success), at(7_200)),
            Recorded::Counted
        );
        assert_eq!((window.late(), total(&window, View::OneHour, 7_200)), (1, 2));
    }

    #[test]
    fn an_outcome_more_than_two_minutes_ahead_is_late() {
        let mut window = Window::default();
        assert_eq!(
            window.record(sample(1_121, OutcomeClass::Success), at(1_000)),
            Recorded::Late
        );
        assert_eq!(
            window.record(sample(1_120, OutcomeClass::Success), at(1_000)),
            Recorded::Counted
        );
        assert_eq!(
            total(&window, View::OneMinute, 1_000),
            0,
            "it is not seen before its time"
        );
        assert_eq!(total(&window, View::OneMinute, 1_120), 1);
    }

    #[test]
    fn a_clock_that_goes_backwards_loses_nothing() {
        let mut window = window(&[5_000]);
        assert_eq!(
            window.record(sample(4_000, OutcomeClass::Success), at(4_000)),
            Recorded::Counted
        );
        assert_eq!(total(&window, View::OneHour, 5_000), 2);
        assert_eq!(total(&window, View::OneHour, 4_000), 1);
    }

    #[test]
    fn a_timeout_that_proves_a_success_is_corrected_in_its_own_bucket() {
        let mut window = Window::default();
        let received = sample(100, OutcomeClass::Timeout);
        window.record(received, at(100));
        let revision = Revision {
            at: received.at,
            from: OutcomeClass::Timeout,
            to: OutcomeClass::Success,
        };
        assert_eq!(window.revise(revision, at(400)), Recorded::Counted);
        assert_eq!(total(&window, View::OneMinute, 400), 0);
        let hour = window.view(View::OneHour, at(400)).counts;
        assert_eq!((hour.timeout, hour.success, hour.total()), (0, 1, 1));
        assert_eq!(window.last_success_at(), Some(at(100)));
        assert_eq!(window.streaks().timeouts, 1);
    }

    #[test]
    fn a_revision_of_what_is_gone_is_late() {
        let mut window = window(&[100]);
        let revision = Revision {
            at: at(100),
            from: OutcomeClass::Success,
            to: OutcomeClass::Refusal,
        };
        assert_eq!(window.revise(revision, at(10_000)), Recorded::Late);
        assert_eq!(window.late(), 1);
    }

    #[test]
    fn an_hour_without_outcomes_empties_the_window_and_keeps_the_last_success() {
        let mut window = window(&[100]);
        window.slide(at(3_800));
        assert!(window.is_empty());
        assert_eq!(window.last_success_at(), Some(at(100)));
    }

    #[test]
    fn the_ends_of_time_are_just_times() {
        let mut window = Window::default();
        for (time, now) in [(Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MIN)] {
            let sample = Sample {
                at: time,
                class: OutcomeClass::Success,
                latency_ms: None,
            };
            assert_eq!(window.record(sample, now), Recorded::Late);
            let _ = window.view(View::OneHour, now);
        }
    }

    /// What a window of samples would hold if every view were counted anew.
    fn counted_anew(samples: &[(i64, OutcomeClass)], view: View, now: i64) -> u32 {
        let first = now / 10 - view.secs() / 10 + 1;
        let count = samples
            .iter()
            .filter(|(second, _)| (first..=now / 10).contains(&(second / 10)))
            .count();
        u32::try_from(count).unwrap()
    }

    fn class() -> impl Strategy<Value = OutcomeClass> {
        proptest::sample::select(&OutcomeClass::ALL[..])
    }

    fn samples() -> impl Strategy<Value = Vec<(i64, OutcomeClass)>> {
        proptest::collection::vec((6_400..10_000_i64, class()), 0..80)
    }

    fn recorded(samples: &[(i64, OutcomeClass)], now: i64) -> Window {
        let mut window = Window::default();
        for &(second, class) in samples {
            window.record(sample(second, class), at(now));
        }
        window
    }

    proptest! {
        #[test]
        fn sliding_drops_exactly_what_is_too_old(samples in samples(), later in 0..5_000_i64) {
            let window = recorded(&samples, 10_000);
            for view in View::ALL {
                let now = 10_000 + later;
                prop_assert_eq!(total(&window, view, now), counted_anew(&samples, view, now));
            }
        }

        #[test]
        fn every_outcome_is_counted_or_late(
            samples in proptest::collection::vec((0..20_000_i64, class()), 0..80),
        ) {
            let window = recorded(&samples, 10_000);
            let kept: u32 = window.buckets.iter().map(|(_, bucket)| bucket.counts.total()).sum();
            prop_assert_eq!(u64::from(kept) + window.late(), u64::try_from(samples.len()).unwrap());
        }

        #[test]
        fn the_order_of_outcomes_changes_nothing_but_streaks(samples in samples()) {
            let mut reversed = samples.clone();
            reversed.reverse();
            let (one, other) = (recorded(&samples, 10_000), recorded(&reversed, 10_000));
            prop_assert_eq!(one.buckets, other.buckets);
            prop_assert_eq!(one.last_success_at, other.last_success_at);
        }

        #[test]
        fn merging_is_recording_both(one in samples(), other in samples()) {
            let mut merged = recorded(&one, 10_000);
            merged.merge(&recorded(&other, 10_000));
            prop_assert_eq!(merged.buckets, recorded(&[one, other].concat(), 10_000).buckets);
        }

        #[test]
        fn a_revision_keeps_the_number_of_outcomes(samples in samples(), to in class()) {
            prop_assume!(!samples.is_empty());
            let mut window = recorded(&samples, 10_000);
            let before = total(&window, View::OneHour, 10_000);
            let (second, from) = samples[0];
            window.revise(Revision { at: at(second), from, to }, at(10_000));
            prop_assert_eq!(total(&window, View::OneHour, 10_000), before);
        }
    }
}
