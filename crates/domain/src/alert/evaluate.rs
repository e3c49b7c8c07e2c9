//! A rule against all that is known.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::dimension::Scope;
use super::instance::Instance;
use super::observation::Reading;
use super::rule::Rule;
use super::step::{end, step};
use super::transition::{Resolution, Transition};

/// What an evaluation led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluated {
    /// Every alert of the rule, those included that did not change.
    pub instances: Vec<Instance>,
    /// What happened to them, in the order in which it did.
    pub transitions: Vec<Transition>,
}

/// Evaluates `rule`. `readings` holds what was found, each scope once; `before` are the rule's alerts, however they
/// stood: one that `readings` does not speak of is without data.
#[must_use]
pub fn evaluate(
    rule: &Rule,
    readings: &BTreeMap<Scope, Reading>,
    before: Vec<Instance>,
    now: Timestamp,
) -> Evaluated {
    let mut evaluated = Evaluated::default();
    let mut known: BTreeMap<Scope, Instance> = BTreeMap::new();
    for mut instance in before {
        if is_about(rule, &instance.scope) {
            known.insert(instance.scope.clone(), instance);
        } else {
            evaluated
                .transitions
                .extend(end(&mut instance, Resolution::RuleChanged, now));
            evaluated.instances.push(instance);
        }
    }
    for (scope, reading) in readings.iter().filter(|(scope, _)| is_about(rule, scope)) {
        let before = known.remove(scope);
        evaluated.take(step(rule, scope, reading, before, now));
    }
    for (scope, instance) in known {
        evaluated.take(step(rule, &scope, &Reading::NoData, Some(instance), now));
    }
    evaluated
}

/// Ends alerts whose rule, or whose subject, is gone; those that were over already stay as they are.
#[must_use]
pub fn retire(before: Vec<Instance>, by: Resolution, now: Timestamp) -> Evaluated {
    let mut evaluated = Evaluated::default();
    for mut instance in before {
        evaluated.transitions.extend(end(&mut instance, by, now));
        evaluated.instances.push(instance);
    }
    evaluated
}

impl Evaluated {
    fn take(&mut self, (instance, transitions): (Instance, Vec<Transition>)) {
        if !instance.is_forgettable() {
            self.instances.push(instance);
        }
        self.transitions.extend(transitions);
    }
}

/// Whether `rule` tells apart what `scope` does, and counts it.
fn is_about(rule: &Rule, scope: &Scope) -> bool {
    let counted = |(dimension, value): (super::Dimension, &str)| {
        let about = |only: &&super::Matcher| &*only.label == dimension.as_str();
        rule.only.iter().filter(about).all(|only| only.fits(Some(value)))
    };
    scope.is_by(&rule.by) && scope.iter().all(counted)
}
