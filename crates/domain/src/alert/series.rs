//! Outcomes counted by everything that a rule can tell apart, and what each rule finds in them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::dimension::{Dimension, Scope};
use super::instance::Instance;
use super::metric::{Metric, Nature};
use super::observation::{Observation, Reading, Span};
use super::rule::{LATEST_WITHIN_SECS, Rule};
use crate::window::{BUCKET_SECS, Counts, bucket_number};

/// Counted outcomes of the last hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// By bucket, and in it by place: a scope that says every dimension which is known.
    buckets: BTreeMap<i64, BTreeMap<Scope, Span>>,
}

/// What rules look at beside counted outcomes, each by the scope that its metric is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// How many outcomes an hour holds at this time of the day, by the scope of the rule; what is not there is not
    /// known.
    pub hourly: BTreeMap<Scope, u32>,
    /// Technical failures in a row, timeouts included, and timeouts in a row, by provider and channel.
    pub streaks: BTreeMap<Scope, (u32, u32)>,
    /// How metrics of the moment stand, in their units.
    pub gauges: BTreeMap<(Metric, Scope), u64>,
}

impl Series {
    /// Counts what was `seen` at `place` in the ten seconds of the bucket with this number: see
    /// [`bucket_number`]. `place` says every dimension that is known of the outcomes.
    pub fn add(&mut self, bucket: i64, place: Scope, seen: &Span) {
        let places = self.buckets.entry(bucket).or_default();
        places.entry(place).or_default().merge(seen);
    }

    /// Forgets the buckets from `first` to `last`, both included: to count them anew.
    pub fn forget(&mut self, first: i64, last: i64) {
        let mut later = self.buckets.split_off(&first);
        self.buckets.append(&mut later.split_off(&last.saturating_add(1)));
    }

    /// Forgets buckets with smaller numbers.
    pub fn forget_before(&mut self, bucket: i64) {
        self.buckets = self.buckets.split_off(&bucket);
    }

    /// What `rule` finds at `now`, for each scope that has outcomes; for everything together also without any.
    #[must_use]
    pub fn readings(&self, rule: &Rule, beside: &Beside, now: Timestamp) -> BTreeMap<Scope, Reading> {
        let mut observations = self.observations(rule, now);
        match rule.metric.nature() {
            Nature::Gauge => {
                observations.clear();
                for ((_, scope), value) in beside
                    .gauges
                    .iter()
                    .filter(|((metric, _), _)| *metric == rule.metric)
                {
                    observations.entry(scope.clone()).or_default().gauge = Some(*value);
                }
            }
            Nature::Streak => {
                let known = |scope: &Scope| beside.streaks.get(scope);
                observations.retain(|scope, _| known(scope).is_some());
                for (scope, (failures, timeouts)) in &beside.streaks {
                    let seen = observations.entry(scope.clone()).or_default();
                    (seen.failure_streak, seen.timeout_streak) = (*failures, *timeouts);
                    blank_spans(rule, seen);
                }
            }
            Nature::Absence => {
                for (scope, hourly) in &beside.hourly {
                    let seen = observations.entry(scope.clone()).or_default();
                    blank_spans(rule, seen);
                    for (secs, span) in &mut seen.spans {
                        span.expected = Some(share_of_hour(*hourly, *secs));
                    }
                }
            }
            Nature::Share | Nature::Figure => {}
        }
        observations
            .into_iter()
            .map(|(scope, seen)| (scope, Reading::Known(Box::new(seen))))
            .collect()
    }

    /// Failures in a row, timeouts included, and timeouts in a row at `channel` up to `now`, as far as whole buckets
    /// tell: one with anything else in it ends them.
    pub(super) fn streaks(&self, channel: &Scope, now: Timestamp) -> (u32, u32) {
        let (mut failures, mut timeouts) = (0_u32, 0_u32);
        let mut only_timeouts = true;
        for (_, places) in self.buckets.range(..=bucket_number(now)).rev() {
            let of_channel = places
                .iter()
                .filter(|(place, _)| channel.iter().all(|(by, value)| place.get(by) == Some(value)));
            let counts = of_channel.fold(Counts::default(), |mut counts, (_, seen)| {
                counts.merge(&seen.outcomes.counts);
                counts
            });
            let failed = counts.timeout + counts.technical_failure + counts.maintenance;
            if counts.total() > failed + counts.busy {
                break;
            }
            failures = failures.saturating_add(failed);
            only_timeouts &= failed + counts.busy == counts.timeout;
            if only_timeouts {
                timeouts = timeouts.saturating_add(counts.timeout);
            }
        }
        (failures, timeouts)
    }

    fn observations(&self, rule: &Rule, now: Timestamp) -> BTreeMap<Scope, Observation> {
        let mut observations: BTreeMap<Scope, Observation> = BTreeMap::new();
        if rule.metric.is_gauge() {
            return observations;
        }
        if rule.by.is_empty() {
            observations.insert(Scope::overall(), Observation::default());
        }
        let spans = rule.spans();
        let last = bucket_number(now);
        let longest = spans.iter().max().copied().unwrap_or(0).max(LATEST_WITHIN_SECS);
        let first = last.saturating_sub(i64::from(longest) / BUCKET_SECS - 1);
        for (number, places) in self.buckets.range(first..=last).rev() {
            let age = last - number;
            let at = Timestamp::from_second(number.saturating_mul(BUCKET_SECS)).unwrap_or(now);
            for (place, seen) in places.iter().filter(|(place, _)| is_counted(rule, place)) {
                let Some(scope) = place.narrowed(&rule.by) else {
                    continue;
                };
                let observation = observations.entry(scope).or_default();
                for secs in spans.iter().filter(|secs| age < i64::from(**secs) / BUCKET_SECS) {
                    observation.spans.entry(*secs).or_default().merge(seen);
                }
                note_latest(observation, at, seen);
            }
        }
        for observation in observations.values_mut() {
            blank_spans(rule, observation);
        }
        observations
    }
}

/// What every alert of `rule` finds, and everything together, when the source cannot be asked.
#[must_use]
pub fn failed(rule: &Rule, before: &[Instance], message: &str) -> BTreeMap<Scope, Reading> {
    let error = || Reading::Error(message.into());
    let mut readings: BTreeMap<Scope, Reading> = before
        .iter()
        .map(|instance| (instance.scope.clone(), error()))
        .collect();
    if rule.by.is_empty() {
        readings.insert(Scope::overall(), error());
    }
    readings
}

/// Whether `rule` counts what was seen at `place`.
fn is_counted(rule: &Rule, place: &Scope) -> bool {
    rule.only.iter().all(|only| {
        let dimension = Dimension::from_name(&only.label);
        only.fits(dimension.and_then(|dimension| place.get(dimension)))
    })
}

/// The spans that nothing was seen in, as such: nothing seen is not nothing known.
fn blank_spans(rule: &Rule, seen: &mut Observation) {
    for secs in rule.spans() {
        seen.spans.entry(secs).or_default();
    }
}

/// Notes what was seen as the latest but for what was noted before.
fn note_latest(observation: &mut Observation, at: Timestamp, seen: &Span) {
    if seen.total() == 0 {
        return;
    }
    observation.latest_at = observation.latest_at.max(Some(at));
    match observation.latest.last_mut() {
        Some((last, counts)) if *last == at => counts.merge(&seen.outcomes.counts),
        _ => observation.latest.push((at, seen.outcomes.counts)),
    }
}

/// The part of an hour's outcomes that falls into so many seconds, rounded down.
fn share_of_hour(hourly: u32, secs: u32) -> u32 {
    u32::try_from(u64::from(hourly) * u64::from(secs) / 3_600).unwrap_or(u32::MAX)
}
