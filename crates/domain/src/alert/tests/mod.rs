//! What rules, alerts and messages do together, in simulated time.

mod chance;
mod counted;
mod life;
mod properties;
mod telling;
mod trials;
mod wrong;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Change, Circumstances, Group, Instance, Kind, Notification, Observation, Reading, Rules, Scope, Silence,
    Span, Transition, evaluate, notify,
};
use crate::outcome::OutcomeClass;
use crate::window::{Counts, Statistics};

/// A document with one rule about all outcomes of a minute.
const ONE: &str = "
version: 1
rules:
  - name: Low
    metric: technical_success
    below: 95%
    checks: [{window: 1m, min_volume: 10, mode: naive}]
    for: 10s
    resolve: {window: 1m, min_volume: 10}
    keep_firing_for: 1m
    severity: critical
";

pub(in super::super) fn rules(text: &str) -> Rules {
    Rules::load(text, "alerts.yaml", None).unwrap_or_else(|found| {
        panic!(
            "{}",
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    })
}

pub(in super::super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// So many outcomes in a minute, of which so many failed.
fn seen(total: u32, failed: u32, second: i64) -> Reading {
    let mut counts = Counts::default();
    counts.add_many(OutcomeClass::Success, total - failed);
    counts.add_many(OutcomeClass::TechnicalFailure, failed);
    let span = Span {
        outcomes: Statistics {
            counts,
            ..Statistics::default()
        },
        ..Span::default()
    };
    Reading::Known(Box::new(Observation {
        spans: BTreeMap::from([(60, span)]),
        latest_at: (total > 0).then(|| at(second)),
        ..Observation::default()
    }))
}

fn well(second: i64) -> Reading {
    seen(100, 0, second)
}

pub(in super::super) fn ill(second: i64) -> Reading {
    seen(100, 50, second)
}

/// All alerts and groups of a document, as a store keeps them.
pub(in super::super) struct World {
    pub(in super::super) rules: Rules,
    pub(in super::super) instances: Vec<Instance>,
    groups: Vec<Group>,
    silences: Vec<Silence>,
    transitions: Vec<Transition>,
    pub(in super::super) sent: Vec<(i64, Notification)>,
}

impl World {
    pub(in super::super) fn new(text: &str) -> Self {
        Self {
            rules: rules(text),
            instances: Vec::new(),
            groups: Vec::new(),
            silences: Vec::new(),
            transitions: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Evaluates the rule `name` alone, and tells what there is to tell.
    pub(in super::super) fn look_at(&mut self, name: &str, second: i64, readings: &BTreeMap<Scope, Reading>) {
        let rule = self.rules.rule(name).unwrap();
        let (own, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.instances)
            .into_iter()
            .partition(|instance| &*instance.rule == name);
        let evaluated = evaluate(rule, readings, stored(&own), at(second));
        self.instances = others;
        self.instances.extend(evaluated.instances);
        self.transitions.extend(evaluated.transitions);
        self.tell(second);
    }

    fn look(&mut self, second: i64, reading: Reading) {
        self.look_at("Low", second, &BTreeMap::from([(Scope::overall(), reading)]));
    }

    fn tell(&mut self, second: i64) {
        let everybody = [Box::from("oncall")];
        let with = Circumstances {
            rules: &self.rules,
            silences: &self.silences,
            everybody: &everybody,
            now: at(second),
        };
        let groups = std::mem::take(&mut self.groups);
        let notified = notify(&mut self.instances, groups, &with);
        self.groups = stored(&notified.groups);
        self.sent
            .extend(notified.notifications.into_iter().map(|sent| (second, sent)));
    }

    fn state(&self) -> &'static str {
        self.instances
            .first()
            .map_or("none", |instance| instance.state.as_str())
    }

    fn changes(&self) -> Vec<(i64, Change)> {
        let told = |transition: &Transition| {
            let second = transition.at.duration_since(at(0)).as_secs();
            (second, transition.change)
        };
        self.transitions.iter().map(told).collect()
    }

    fn kinds(&self) -> Vec<(i64, Kind)> {
        self.sent
            .iter()
            .map(|(second, sent)| (*second, sent.kind))
            .collect()
    }
}

/// Through a store and back: whatever an evaluation knows must be in it.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(values: &[T]) -> Vec<T> {
    let text = serde_json::to_string(values).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn silence(matchers: Vec<super::Matcher>, from: i64, to: i64) -> Silence {
    Silence {
        id: "s1".into(),
        matchers,
        starts_at: at(from),
        ends_at: at(to),
        author: "ann".into(),
        reason: "maintenance".into(),
    }
}
