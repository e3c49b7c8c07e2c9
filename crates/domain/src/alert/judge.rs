//! What a rule says of an observation: is the line crossed, or is what was wrong right again?
//!
//! Between the two lies a third answer, neither: too few outcomes, or a value at the line. It fires nothing, and
//! resolves nothing.

use jiff::{SignedDuration, Timestamp};

use super::check::{Check, Look, Statistic};
use super::metric::{Metric, Nature};
use super::observation::{Measured, Observation, Span};
use super::rule::{Bound, LATEST_WITHIN_SECS, NO_TRAFFIC, Rule};
use super::significance::{is_above, is_below};
use crate::window::Counts;

/// What a rule says of an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Positions of the checks that see the line crossed.
    pub held: Vec<usize>,
    /// Whether it is right again, by the rule's condition for that.
    pub is_clear: bool,
    /// Whether there were no outcomes for so long that nothing is known.
    pub is_quiet: bool,
    /// What the first check that sees it crossed measured, or else what the condition for the end did.
    pub measured: Option<Measured>,
}

/// What `rule` says of `seen` at `now`.
#[must_use]
pub fn judge(rule: &Rule, seen: &Observation, now: Timestamp) -> Judgement {
    let judge = Judge { rule, seen, now };
    let is_quiet = judge.is_quiet();
    let is_right = judge.is_clear();
    let mut held = Vec::new();
    let mut measured = None;
    for (place, check) in rule.checks.iter().enumerate() {
        // What is right by now was wrong earlier in a span that reaches further back: no reason to fire any more.
        if is_right && looks_back(check, rule.resolve.window_secs) {
            continue;
        }
        if let Some(found) = judge.crossed(check) {
            held.push(place);
            measured = measured.or(Some(found));
        }
    }
    Judgement {
        is_clear: held.is_empty() && !is_quiet && is_right,
        held,
        is_quiet,
        measured: measured.or_else(|| judge.at_rest()),
    }
}

/// Whether `check` looks at outcomes from before the last `window_secs`.
const fn looks_back(check: &Check, window_secs: u32) -> bool {
    match check.look {
        Look::Window { secs } => secs > window_secs,
        Look::Latest { .. } | Look::Burn { .. } | Look::Now => false,
    }
}

/// So many bad ones among so many.
#[derive(Clone, Copy)]
struct Share {
    bad: u32,
    total: u32,
}

struct Judge<'a> {
    rule: &'a Rule,
    seen: &'a Observation,
    now: Timestamp,
}

impl Judge<'_> {
    /// What was measured, where `check` sees the line crossed.
    fn crossed(&self, check: &Check) -> Option<Measured> {
        match check.look {
            Look::Window { secs } => self.crossed_in_span(check, secs),
            Look::Latest {
                outcomes,
                within_secs,
                quiet_below,
                quiet_secs,
            } => {
                let is_quiet = self.span(quiet_secs)?.total() < quiet_below;
                let share = self.share_of_counts(&self.latest(outcomes, within_secs));
                let crossed =
                    is_quiet && share.total >= check.min_volume && self.is_over(share, check.statistic);
                crossed.then(|| self.measured_share(share, within_secs))
            }
            Look::Burn {
                hundredths,
                long_secs,
                short_secs,
            } => {
                let (long, short) = (self.share_in(long_secs)?, self.share_in(short_secs)?);
                let line = burn_line(self.budget(), hundredths);
                let burns = |share: Share| is_above(share.bad, share.total, line, check.statistic);
                let crossed = long.total >= check.min_volume && burns(long) && burns(short);
                crossed.then(|| self.measured_share(long, long_secs))
            }
            Look::Now => {
                let value = self.at_the_moment()?;
                self.is_past(value).then_some(Measured {
                    value,
                    volume: 0,
                    span_secs: 0,
                })
            }
        }
    }

    fn crossed_in_span(&self, check: &Check, secs: u32) -> Option<Measured> {
        let span = self.span(secs)?;
        match self.rule.metric.nature() {
            Nature::Share => {
                let share = self.share(span);
                let crossed = share.total >= check.min_volume && self.is_over(share, check.statistic);
                crossed.then(|| self.measured_share(share, secs))
            }
            Nature::Figure => {
                let (value, volume) = self.figure(span)?;
                let crossed = volume >= check.min_volume && self.is_past(value);
                crossed.then_some(Measured {
                    value,
                    volume,
                    span_secs: secs,
                })
            }
            Nature::Absence => {
                let was_expected = span.expected.is_some_and(|expected| expected >= check.min_volume);
                let is_silent = was_expected && span.total() == 0;
                is_silent.then_some(Measured {
                    value: 0,
                    volume: 0,
                    span_secs: secs,
                })
            }
            Nature::Streak | Nature::Gauge => None,
        }
    }

    /// Whether what was wrong is right again.
    fn is_clear(&self) -> bool {
        let resolve = self.rule.resolve;
        if self.rule.metric.nature() == Nature::Gauge {
            return self.at_the_moment().is_some_and(|value| self.is_right(value));
        }
        let Some(span) = self.span(resolve.window_secs) else {
            return false;
        };
        let outcomes = span.total();
        match self.rule.metric.nature() {
            Nature::Share => {
                let share = self.share(span);
                if share.total >= resolve.min_volume {
                    return self.is_right_share(share);
                }
                let latest = self.latest(resolve.latest, LATEST_WITHIN_SECS);
                let share = self.share_of_counts(&latest);
                resolve.latest > 0 && share.total >= resolve.latest.div_ceil(2) && self.is_right_share(share)
            }
            Nature::Figure => {
                let figure = self.figure(span);
                figure.is_some_and(|(value, volume)| volume >= resolve.min_volume && self.is_right(value))
            }
            Nature::Absence => outcomes >= resolve.min_volume.max(1),
            // A monitor that was started anew knows of no failures in a row: it must have seen an outcome.
            Nature::Streak => outcomes >= resolve.min_volume.max(1) && self.at_the_moment() == Some(0),
            Nature::Gauge => false,
        }
    }

    /// Whether the last outcome is so old that nothing is known of now. Of a silence that is the point.
    fn is_quiet(&self) -> bool {
        let metric = self.rule.metric;
        let speaks = matches!(metric.nature(), Nature::Gauge | Nature::Absence) || metric == Metric::Volume;
        let is_old = |at: Timestamp| self.now.duration_since(at) > NO_TRAFFIC;
        !speaks && self.seen.latest_at.is_none_or(is_old)
    }

    /// What is measured while nothing is wrong.
    fn at_rest(&self) -> Option<Measured> {
        if let Some(value) = self.at_the_moment() {
            return Some(Measured {
                value,
                volume: 0,
                span_secs: 0,
            });
        }
        let secs = self.rule.resolve.window_secs;
        let span = self.span(secs)?;
        match self.rule.metric.nature() {
            Nature::Share => {
                let share = self.share(span);
                (share.total > 0).then(|| self.measured_share(share, secs))
            }
            Nature::Figure => {
                let (value, volume) = self.figure(span)?;
                Some(Measured {
                    value,
                    volume,
                    span_secs: secs,
                })
            }
            Nature::Absence => {
                let volume = span.total();
                Some(Measured {
                    value: u64::from(volume),
                    volume,
                    span_secs: secs,
                })
            }
            Nature::Streak | Nature::Gauge => None,
        }
    }

    fn span(&self, secs: u32) -> Option<&Span> {
        self.seen.spans.get(&secs)
    }

    fn share_in(&self, secs: u32) -> Option<Share> {
        self.span(secs).map(|span| self.share(span))
    }

    fn share(&self, span: &Span) -> Share {
        let total = span.total();
        match self.rule.metric {
            Metric::SwitchRate => Share {
                bad: span.switches.min(total),
                total,
            },
            Metric::UnknownRate => Share {
                bad: span.unknown.min(total),
                total,
            },
            _ => self.share_of_counts(&span.outcomes.counts),
        }
    }

    fn share_of_counts(&self, counts: &Counts) -> Share {
        let total = counts.total();
        let bad = match self.rule.metric {
            Metric::TechnicalSuccess => counts.technical_failures(),
            Metric::BusinessSuccess => total.saturating_sub(counts.success),
            Metric::UnknownRate
            | Metric::SwitchRate
            | Metric::LatencyP95
            | Metric::Volume
            | Metric::SilentChannel
            | Metric::FailureStreak
            | Metric::TimeoutStreak
            | Metric::ChannelDown
            | Metric::DeadLetters
            | Metric::SnapshotAge
            | Metric::CompensationAge
            | Metric::Spool => 0,
        };
        Share { bad, total }
    }

    /// The latest outcomes: so many, with the rest of the portion that the last of them is in, and none older than
    /// `within_secs`.
    fn latest(&self, outcomes: u32, within_secs: u32) -> Counts {
        let within = SignedDuration::from_secs(i64::from(within_secs));
        let is_late = |at: Timestamp| self.now.duration_since(at) <= within;
        let mut counts = Counts::default();
        for (_, portion) in self.seen.latest.iter().take_while(|(at, _)| is_late(*at)) {
            if counts.total() >= outcomes {
                break;
            }
            counts.merge(portion);
        }
        counts
    }

    /// A figure of the outcomes in `span`, and of how many; `None` when there is none.
    fn figure(&self, span: &Span) -> Option<(u64, u32)> {
        if self.rule.metric == Metric::Volume {
            let total = span.total();
            return Some((u64::from(total), total));
        }
        let latencies = &span.outcomes.latencies;
        let volume = u32::try_from(latencies.count()).unwrap_or(u32::MAX);
        Some((u64::from(latencies.percentile_ms(95)?), volume))
    }

    /// What stands at the moment; `None` for what only a span of time has.
    fn at_the_moment(&self) -> Option<u64> {
        match self.rule.metric.nature() {
            Nature::Gauge => self.seen.gauge,
            Nature::Streak if self.rule.metric == Metric::TimeoutStreak => {
                Some(u64::from(self.seen.timeout_streak))
            }
            Nature::Streak => Some(u64::from(self.seen.failure_streak)),
            Nature::Share | Nature::Figure | Nature::Absence => None,
        }
    }

    /// Whether `value` is on the wrong side of the line.
    const fn is_past(&self, value: u64) -> bool {
        match self.rule.bound {
            Some(Bound::Below(line)) => value < line,
            Some(Bound::Above(line)) => value > line,
            Some(Bound::AtLeast(line)) => value >= line,
            None => false,
        }
    }

    /// Whether `value` is on the right side of the line, and far enough from it.
    const fn is_right(&self, value: u64) -> bool {
        let margin = self.rule.resolve.margin;
        match self.rule.bound {
            Some(Bound::Below(line)) => value >= line.saturating_add(margin),
            Some(Bound::Above(line)) => value.saturating_add(margin) <= line,
            Some(Bound::AtLeast(line)) => value.saturating_add(margin) < line,
            None => false,
        }
    }

    /// Whether a share is over the line, as surely as `statistic` wants.
    fn is_over(&self, share: Share, statistic: Statistic) -> bool {
        let good = share.total.saturating_sub(share.bad);
        match self.rule.bound {
            Some(Bound::Below(line)) => is_below(good, share.total, line, statistic),
            Some(Bound::Above(line) | Bound::AtLeast(line)) => {
                is_above(share.bad, share.total, line, statistic)
            }
            None => false,
        }
    }

    /// Whether a share is on the right side of the line, and far enough from it.
    fn is_right_share(&self, share: Share) -> bool {
        let margin = self.rule.resolve.margin;
        let good = share.total.saturating_sub(share.bad);
        match self.rule.bound {
            Some(Bound::Below(line)) => !is_below(
                good,
                share.total,
                line.saturating_add(margin).min(10_000),
                Statistic::Naive,
            ),
            Some(Bound::Above(line) | Bound::AtLeast(line)) => !is_above(
                share.bad,
                share.total,
                line.saturating_sub(margin),
                Statistic::Naive,
            ),
            None => false,
        }
    }

    /// The share that may be bad, in basis points.
    fn budget(&self) -> u64 {
        budget(self.rule.bound)
    }

    fn measured_share(&self, share: Share, span_secs: u32) -> Measured {
        let part = if self.rule.metric.is_bad_when_low() {
            share.total.saturating_sub(share.bad)
        } else {
            share.bad
        };
        let value = (u64::from(part) * 10_000).checked_div(u64::from(share.total));
        Measured {
            value: value.unwrap_or(0),
            volume: share.total,
            span_secs,
        }
    }
}

/// The share that may be bad under `bound`, in basis points.
pub(super) fn budget(bound: Option<Bound>) -> u64 {
    match bound {
        Some(Bound::Below(line)) => 10_000_u64.saturating_sub(line),
        Some(Bound::Above(line) | Bound::AtLeast(line)) => line,
        None => 0,
    }
}

/// The share of bad ones at which `budget` is used up so many hundredths times too fast, in basis points.
pub(super) fn burn_line(budget: u64, hundredths: u32) -> u64 {
    budget.saturating_mul(u64::from(hundredths)) / 100
}
