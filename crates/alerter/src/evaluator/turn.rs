//! One evaluation: from what is known to what is to be written and told. Decides; does nothing.

use std::collections::BTreeMap;

use domain::alert::{
    Beside, Change, Circumstances, Evaluated, Instance, Metric, Notification, Resolution, Rule, Rules,
    Series, Transition, evaluate, failed, notify, retire,
};
use jiff::Timestamp;
use ledger::alert::{Advance, Entry, Group, Incident, Instance as Row, Resolution as Over};
use serde_json::json;

use super::memory::Memory;
use super::name;
use super::subjects::is_gone;

/// What rules are evaluated on.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// Counted outcomes, or why there are none.
    pub(super) series: Result<&'a Series, &'a str>,
    /// What is known beside them.
    pub(super) beside: &'a Beside,
    /// The channels of the configuration, with their providers.
    pub(super) providers: &'a BTreeMap<String, String>,
}

/// What a turn has led to.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What to write.
    pub(super) advance: Advance,
    /// What to tell.
    pub(super) notifications: Vec<Notification>,
    /// What happened.
    pub(super) transitions: Vec<Transition>,
    /// The alerts that are written, as they are now.
    pub(super) changed: Vec<Instance>,
}

/// Evaluates all `rules`, and leaves what is known of alerts now in `memory`.
pub(super) fn take(
    memory: &mut Memory,
    rules: &Rules,
    known: &Known<'_>,
    everybody: &[Box<str>],
    now: Timestamp,
) -> Turn {
    let mut turn = Turn::default();
    let mut before: BTreeMap<Box<str>, Vec<Instance>> = BTreeMap::new();
    for instance in std::mem::take(&mut memory.instances) {
        before.entry(instance.rule.clone()).or_default().push(instance);
    }
    for rule in &rules.list {
        let (gone, mine): (Vec<_>, Vec<_>) = before
            .remove(&rule.name)
            .unwrap_or_default()
            .into_iter()
            .partition(|instance| is_gone(&instance.scope, known.providers));
        turn.keep(memory, retire(gone, Resolution::SubjectGone, now));
        let readings = readings(rule, known, &mine, now);
        turn.keep(memory, evaluate(rule, &readings, mine, now));
    }
    for (_, orphans) in before {
        turn.keep(memory, retire(orphans, Resolution::RuleDeleted, now));
    }
    let circumstances = Circumstances {
        rules,
        silences: &memory.silences,
        everybody,
        now,
    };
    let groups = std::mem::take(&mut memory.groups);
    let notified = notify(&mut memory.instances, groups, &circumstances);
    memory.groups = notified.groups;
    turn.notifications = notified.notifications;
    turn.write(memory, rules, now);
    turn
}

fn readings(
    rule: &Rule,
    known: &Known<'_>,
    before: &[Instance],
    now: Timestamp,
) -> BTreeMap<domain::alert::Scope, domain::alert::Reading> {
    match known.series {
        Ok(series) => series.readings(rule, known.beside, now),
        // What stands at the moment, and failures in a row, do not come from the ledger. That no outcome is known of
        // keeps the latter from being resolved.
        Err(_) if rule.metric.is_gauge() || is_streak(rule.metric) => {
            Series::default().readings(rule, known.beside, now)
        }
        Err(message) => failed(rule, before, message),
    }
}

const fn is_streak(metric: Metric) -> bool {
    matches!(metric, Metric::FailureStreak | Metric::TimeoutStreak)
}

impl Turn {
    fn keep(&mut self, memory: &mut Memory, evaluated: Evaluated) {
        memory.instances.extend(evaluated.instances);
        self.transitions.extend(evaluated.transitions);
    }

    fn write(&mut self, memory: &mut Memory, rules: &Rules, now: Timestamp) {
        let by_name: BTreeMap<&str, &Instance> = memory
            .instances
            .iter()
            .map(|instance| (instance.fingerprint.as_str(), instance))
            .collect();
        let mut open: BTreeMap<String, uuid::Uuid> = memory
            .open
            .iter()
            .map(|incident| (incident.fingerprint.clone(), incident.id))
            .collect();
        for transition in &self.transitions {
            let Some(instance) = by_name.get(transition.fingerprint.as_str()) else {
                continue;
            };
            let fingerprint = transition.fingerprint.to_string();
            match transition.change {
                Change::Fired => {
                    let incident = begun(instance, rules.rule(&instance.rule), transition);
                    open.insert(fingerprint.clone(), incident.id);
                    self.advance.opened.push(incident);
                }
                Change::Resolved { by } => {
                    if let Some(incident) = open.get(&fingerprint) {
                        self.advance.resolved.push(Over {
                            incident: *incident,
                            at: transition.at,
                            how: by.as_str().to_owned(),
                        });
                    }
                }
                _ => {}
            }
            if let Some(incident) = open.get(&fingerprint) {
                self.advance.entries.push(line(*incident, transition, rules));
            }
        }
        self.changed = memory.changed(now).into_iter().cloned().collect();
        self.advance.revision = memory.revision;
        self.advance.instances = self.changed.iter().filter_map(row).collect();
        let groups = memory.changed_groups();
        self.advance.groups = groups
            .into_iter()
            .filter_map(|group| {
                Some(Group {
                    key: group.key.to_string(),
                    content: serde_json::to_value(group).ok()?,
                })
            })
            .collect();
        (self.advance.at_rest, self.advance.empty_groups) = memory.at_rest(now);
    }

    /// Whether there is nothing to write.
    pub(super) fn is_still(&self) -> bool {
        let advance = &self.advance;
        advance.instances.is_empty()
            && advance.at_rest.is_empty()
            && advance.groups.is_empty()
            && advance.empty_groups.is_empty()
            && advance.opened.is_empty()
            && advance.resolved.is_empty()
            && advance.entries.is_empty()
            && advance.impacts.is_empty()
            && advance.runs.is_empty()
            && advance.deliveries.is_empty()
            && self.notifications.is_empty()
    }
}

fn row(instance: &Instance) -> Option<Row> {
    use domain::alert::State;
    let since = match instance.state {
        State::Inactive => instance.evaluated_at,
        State::Pending { since } | State::Firing { since } | State::Recovering { since, .. } => since,
        State::Resolved { at, .. } => at,
    };
    Some(Row {
        fingerprint: instance.fingerprint.to_string(),
        rule: instance.rule.to_string(),
        state: instance.state.as_str().to_owned(),
        since,
        generation: u64::from(instance.generation),
        content: serde_json::to_value(instance).ok()?,
    })
}

/// The incident that begins with `transition`.
fn begun(instance: &Instance, rule: Option<&Rule>, transition: &Transition) -> Incident {
    let fingerprint = instance.fingerprint.as_str();
    let generation = instance.generation.to_string();
    Incident {
        id: name::of(transition.at, &["incident", fingerprint, &generation]),
        fingerprint: fingerprint.to_owned(),
        rule: instance.rule.to_string(),
        severity: instance.severity.as_str().to_owned(),
        labels: instance
            .labels
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        title: super::words::title(instance, rule, delivery::locale::Locale::En),
        generation: u64::from(instance.generation),
        opened_at: instance.state.firing_since().unwrap_or(transition.at),
        resolved: None,
        acknowledged: None,
        closed: None,
        impact: json!({}),
        cause: String::new(),
        lesson: String::new(),
        tags: Vec::new(),
    }
}

/// The line of the timeline that tells of `transition`.
fn line(incident: uuid::Uuid, transition: &Transition, rules: &Rules) -> Entry {
    let kind = super::words::kind(transition.change);
    Entry {
        incident,
        key: format!("{kind} {}", transition.at.as_microsecond()),
        at: transition.at,
        kind: kind.to_owned(),
        actor: None,
        text: super::words::happened(transition),
        content: json!({ "measured": transition.measured, "rules": rules.version }),
    }
}
