//! Playing a test: one evaluation after the other, as in production, only without waiting.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::dimension::{Dimension, Scope};
use super::super::group::{Group, Notification};
use super::super::instance::Instance;
use super::super::metric::Unit;
use super::super::observation::{Measured, Reading, Span};
use super::super::quantity::Quantity;
use super::super::rule::Rule;
use super::super::series::{Beside, Series, failed};
use super::super::silence::Silence;
use super::super::transition::{Change, Transition};
use super::super::{Circumstances, Rules, evaluate, notify};
use super::read::{Flow, Sample};
use crate::outcome::OutcomeClass;
use crate::window::{BUCKET_SECS, bucket_number};

/// Who is told where nobody is named.
const EVERYBODY: &str = "everybody";

/// Most evaluations of a test.
const MOST_STEPS: u32 = 50_000;

/// What has happened.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// The alerts that were not inactive, by the second of each evaluation that an expectation is about.
    pub(super) seen: BTreeMap<u32, Vec<Instance>>,
    /// The messages, each with its second.
    pub(super) sent: Vec<(u32, Notification)>,
    pub(super) timeline: Vec<String>,
}

/// Plays `sample` on `rules` until everything that it expects is past.
pub(super) fn play(rules: &Rules, sample: &Sample) -> Played {
    let mut player = Player {
        rules,
        sample,
        series: Series::default(),
        instances: Vec::new(),
        groups: Vec::new(),
        played: Played::default(),
    };
    let end = player.end();
    // At the very beginning nothing has happened yet.
    let mut second = sample.every_secs;
    let mut filled = 0;
    for _ in 0..MOST_STEPS {
        if second > end {
            break;
        }
        filled = player.fill(filled, second);
        player.evaluate(second);
        second = second.saturating_add(sample.every_secs);
    }
    player.played
}

struct Player<'a> {
    rules: &'a Rules,
    sample: &'a Sample,
    series: Series,
    instances: Vec<Instance>,
    groups: Vec<Group>,
    played: Played,
}

impl Player<'_> {
    /// The last second that anything is expected of; the end of all that happens when nothing is.
    fn end(&self) -> u32 {
        let sample = self.sample;
        let expected = sample.expected.iter().map(|expected| expected.second);
        let told = sample.told.iter().flat_map(|told| &told.list);
        let flows = sample.flows.iter().map(|flow| flow.stretch.to);
        let gauges = sample.gauges.iter().map(|gauge| gauge.stretch.to);
        let all = expected
            .chain(told.map(|message| message.second))
            .chain(flows)
            .chain(gauges);
        all.max().unwrap_or(0)
    }

    fn moment(&self, second: u32) -> Timestamp {
        let passed = SignedDuration::from_secs(i64::from(second));
        self.sample.start.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Counts what has happened before `second`, in whole buckets, the first `filled` seconds of which are counted. How
    /// many seconds are now.
    fn fill(&mut self, filled: u32, second: u32) -> u32 {
        const STEP: u32 = 10;
        let mut from = filled;
        while from.saturating_add(STEP) <= second {
            let bucket = bucket_number(self.moment(from));
            for flow in self.sample.flows.iter().filter(|flow| flow.stretch.holds(from)) {
                let seen = in_bucket(flow, from - flow.stretch.from);
                self.series.add(bucket, flow.place.clone(), &seen);
            }
            from = from.saturating_add(STEP);
        }
        from
    }

    fn evaluate(&mut self, second: u32) {
        let now = self.moment(second);
        // The bucket that begins now is empty: what is looked at ends with the one before.
        let looked_at = now
            .checked_sub(SignedDuration::from_millis(1))
            .unwrap_or(Timestamp::MIN);
        let beside = self.beside(second, looked_at);
        let missing = self.sample.missing.iter();
        let missing = missing.rev().find(|missing| missing.stretch.holds(second));
        let mut before: BTreeMap<Box<str>, Vec<Instance>> = BTreeMap::new();
        for instance in std::mem::take(&mut self.instances) {
            before.entry(instance.rule.clone()).or_default().push(instance);
        }
        for rule in &self.rules.list {
            let own = before.remove(&rule.name).unwrap_or_default();
            let readings = match missing {
                None => self.series.readings(rule, &beside, looked_at),
                Some(missing) => match &missing.error {
                    Some(error) => failed(rule, &own, error),
                    None => BTreeMap::from([(Scope::overall(), Reading::NoData)]),
                },
            };
            let evaluated = evaluate(rule, &readings, own, now);
            for transition in &evaluated.transitions {
                self.note(second, rule, transition, &evaluated.instances);
            }
            self.instances.extend(evaluated.instances);
        }
        for (_, rule) in self.sample.acknowledged.iter().filter(|(at, _)| *at == second) {
            for instance in self.instances.iter_mut().filter(|one| one.rule == *rule) {
                instance.acknowledge("test", now);
            }
        }
        self.tell(second, now);
        if self
            .sample
            .expected
            .iter()
            .any(|expected| expected.second == second)
        {
            self.played.seen.insert(second, self.instances.clone());
        }
    }

    fn tell(&mut self, second: u32, now: Timestamp) {
        let silences = self.silences();
        let everybody = [Box::from(EVERYBODY)];
        let with = Circumstances {
            rules: self.rules,
            silences: &silences,
            everybody: &everybody,
            now,
        };
        let notified = notify(&mut self.instances, std::mem::take(&mut self.groups), &with);
        self.groups = notified.groups;
        for sent in notified.notifications {
            let (kind, rule, severity) = (sent.kind, &sent.rule, sent.severity);
            let receivers = sent.receivers.join(", ");
            let alerts = sent.firing.len() + sent.resolved.len();
            let at = shown(second);
            self.played.timeline.push(format!(
                "{at:>8}  {kind} to {receivers}: {rule} ({severity}), {alerts} alert{}",
                if alerts == 1 { "" } else { "s" }
            ));
            self.played.sent.push((second, sent));
        }
    }

    fn silences(&self) -> Vec<Silence> {
        let silence = |(place, (stretch, matchers)): (usize, &(super::read::Stretch, Vec<_>))| Silence {
            id: format!("silence {}", place + 1).into(),
            matchers: matchers.clone(),
            starts_at: self.moment(stretch.from),
            ends_at: self.moment(stretch.to),
            author: "test".into(),
            reason: "test".into(),
        };
        self.sample.silences.iter().enumerate().map(silence).collect()
    }

    /// What stands beside counted outcomes at `second`. Streaks follow from whole buckets of nothing but failures.
    fn beside(&self, second: u32, now: Timestamp) -> Beside {
        let mut beside = Beside {
            hourly: self.sample.hourly.iter().cloned().collect(),
            ..Beside::default()
        };
        for gauge in self
            .sample
            .gauges
            .iter()
            .filter(|gauge| gauge.stretch.holds(second))
        {
            let key = (gauge.metric, gauge.scope.clone());
            beside.gauges.insert(key, gauge.value);
        }
        for flow in &self.sample.flows {
            let by = [Dimension::Provider, Dimension::Channel];
            if let Some(channel) = flow.place.narrowed(&by)
                && !beside.streaks.contains_key(&channel)
            {
                let streaks = self.series.streaks(&channel, now);
                beside.streaks.insert(channel, streaks);
            }
        }
        beside
    }

    fn note(&mut self, second: u32, rule: &Rule, transition: &Transition, instances: &[Instance]) {
        let instance = instances
            .iter()
            .find(|one| one.fingerprint == transition.fingerprint);
        let about = instance.map_or_else(String::new, |one| format!(" ({})", one.scope));
        let measured = transition
            .measured
            .map_or_else(String::new, |measured| told(rule, measured));
        let change = match transition.change {
            Change::Pending => "pending",
            Change::Cancelled => "not for long enough",
            Change::Fired => "fires",
            Change::Recovering => "recovering",
            Change::Relapsed => "fires again",
            Change::Resolved { by } => by.as_str(),
            Change::Flapping => "flapping",
            Change::Steady => "steady",
            Change::DataLost => "no data",
            Change::DataBack => "data again",
            Change::ReadFailed => "the source fails",
            Change::ReadBack => "the source answers again",
        };
        self.played.timeline.push(format!(
            "{:>8}  {}{about}: {change}{measured}",
            shown(second),
            rule.name
        ));
    }
}

/// What a rule has measured, in words.
fn told(rule: &Rule, measured: Measured) -> String {
    let value = Quantity {
        value: measured.value,
        unit: rule.metric.unit(),
    };
    if measured.volume > 0 {
        format!(
            "; {value} of {} in {}",
            measured.volume,
            shown(measured.span_secs)
        )
    } else {
        format!("; {value}")
    }
}

/// So many seconds, as people write them.
pub(super) fn shown(secs: u32) -> String {
    let quantity = Quantity {
        value: u64::from(secs),
        unit: Unit::Secs,
    };
    quantity.to_string()
}

/// What flows in the ten seconds that begin `passed` seconds after its start: a minute's outcomes are spread evenly.
fn in_bucket(flow: &Flow, passed: u32) -> Span {
    let bucket = u64::from(passed) / u64::try_from(BUCKET_SECS).unwrap_or(10);
    let part = |per_minute: u32| {
        let until = |bucket: u64| u64::from(per_minute) * bucket / 6;
        u32::try_from(until(bucket + 1) - until(bucket)).unwrap_or(u32::MAX)
    };
    let mut span = Span::default();
    for class in OutcomeClass::ALL {
        let count = part(flow.per_minute.of(class));
        span.outcomes.counts.add_many(class, count);
        if let Some(ms) = flow.latency_ms {
            for _ in 0..count {
                span.outcomes.latencies.record(ms);
            }
        }
    }
    span.unknown = span.outcomes.counts.timeout;
    span.switches = part(flow.switches_per_minute);
    span
}
