//! Alerts that are told together, and what is told of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::instance::{Fingerprint, Instance};
use super::rule::{Labels, Rule};
use super::severity::Severity;
use crate::named::named;

/// Alerts of one rule and one severity that are told together. Plain data that a store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What it is known by.
    pub key: Fingerprint,
    /// The rule, by name: it may be gone.
    pub rule: Box<str>,
    /// How bad its alerts are.
    pub severity: Severity,
    /// What its alerts have in common.
    pub labels: Labels,
    /// Since when it has something to tell.
    pub since: Timestamp,
    /// What was told of it; `None` while nothing was.
    pub told: Option<Told>,
}

/// What was told of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What receivers know the whole of it by: the same from the first message to the last, and never again.
    pub key: Box<str>,
    /// When first.
    pub at: Timestamp,
    /// Who was told.
    pub receivers: Vec<Box<str>>,
    /// The alerts that were told to fire, with their generations.
    pub members: BTreeMap<Fingerprint, u32>,
    /// When last.
    pub last_at: Timestamp,
    /// How many messages there were.
    pub messages: u32,
    /// Whether it was told that it goes to and fro.
    pub flapping: bool,
}

named! {
    /// What a message is for.
    pub enum Kind {
        /// Something is wrong.
        Trigger = "trigger",
        /// More of the same is wrong.
        Update = "update",
        /// It is still wrong, and nobody has taken it on.
        Repeat = "repeat",
        /// It goes to and fro, and from now on takes longer to be over.
        Flapping = "flapping",
        /// It is over.
        Resolve = "resolve",
    }
}

/// One message to be sent to each of its receivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What it is for.
    pub kind: Kind,
    /// To whom; those who got the first get the last, whatever the routes say by then.
    pub receivers: Vec<Box<str>>,
    /// The group.
    pub group: Fingerprint,
    /// What the receiver joins the messages of one group by, from trigger to resolve. Messages with the same key to
    /// the same receiver must stay in order.
    pub key: Box<str>,
    /// Which message of its key this is, from 1: `key` and this together are unique.
    pub number: u32,
    /// The rule, by name.
    pub rule: Box<str>,
    /// How bad it is.
    pub severity: Severity,
    /// What the alerts have in common.
    pub labels: Labels,
    /// The alerts that go on.
    pub firing: Vec<Fingerprint>,
    /// The alerts that were told, and are over.
    pub resolved: Vec<Fingerprint>,
    /// When it was decided.
    pub at: Timestamp,
}

impl Group {
    /// The key of the group that `instance` of `rule` belongs to.
    pub(super) fn key_of(rule: &Rule, instance: &Instance) -> Fingerprint {
        let dimensions = rule
            .grouping
            .by
            .iter()
            .flat_map(|by| [by.as_str(), instance.scope.get(*by).unwrap_or_default()]);
        let names = [&*rule.name, instance.severity.as_str()];
        Fingerprint::over(names.into_iter().chain(dimensions))
    }

    /// The group that `instance` of `rule` is the first of.
    pub(super) fn begin(rule: &Rule, instance: &Instance, now: Timestamp) -> Self {
        let mut labels = rule.labels.clone();
        labels.insert("alertname".into(), rule.name.clone());
        labels.insert("severity".into(), instance.severity.as_str().into());
        for by in &rule.grouping.by {
            if let Some(value) = instance.scope.get(*by) {
                labels.insert(by.as_str().into(), value.into());
            }
        }
        Self {
            key: Self::key_of(rule, instance),
            rule: rule.name.clone(),
            severity: instance.severity,
            labels,
            since: now,
            told: None,
        }
    }
}
