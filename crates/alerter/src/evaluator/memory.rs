//! What the evaluator knows of alerts: the board of the store, read; and what changed since.

use std::collections::BTreeMap;

use domain::alert::{Group, Instance, Silence, State};
use jiff::{SignedDuration, Timestamp};
use ledger::alert::{Board, Incident, Run};

/// How often an alert that does not change is written all the same, so that its clocks are known to go on.
const REFRESH: SignedDuration = SignedDuration::from_mins(10);

/// How long an alert that is over is remembered, for its generation.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// Alerts as they are, and as they were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The revision that was read.
    pub(super) revision: u64,
    pub(super) instances: Vec<Instance>,
    pub(super) groups: Vec<Group>,
    pub(super) silences: Vec<Silence>,
    pub(super) open: Vec<Incident>,
    /// The runbooks at work.
    pub(super) runs: Vec<Run>,
    /// As the store has them.
    written: BTreeMap<String, (Instance, Timestamp)>,
    written_groups: BTreeMap<String, Group>,
}

impl Memory {
    /// What `board` says. A row that cannot be read, because a later release wrote it, is left for that one.
    pub(super) fn of(board: Board) -> Self {
        let mut memory = Self {
            revision: board.revision,
            open: board.open,
            runs: board.runs,
            ..Self::default()
        };
        for row in board.instances {
            match serde_json::from_value::<Instance>(row.content) {
                Ok(mut instance) => {
                    let acknowledged = memory
                        .open
                        .iter()
                        .find(|open| open.fingerprint == row.fingerprint);
                    if let Some((at, by)) = acknowledged.and_then(|open| open.acknowledged.as_ref()) {
                        instance.acknowledge(by.as_str(), *at);
                    }
                    let at = instance.evaluated_at;
                    memory.written.insert(row.fingerprint, (instance.clone(), at));
                    memory.instances.push(instance);
                }
                Err(error) => tracing::warn!(%error, alert = row.fingerprint, "an alert cannot be read"),
            }
        }
        for row in board.groups {
            match serde_json::from_value::<Group>(row.content) {
                Ok(group) => {
                    memory.written_groups.insert(row.key, group.clone());
                    memory.groups.push(group);
                }
                Err(error) => tracing::warn!(%error, group = row.key, "a group of alerts cannot be read"),
            }
        }
        memory.silences = board.silences.iter().map(silence).collect();
        memory
    }

    /// Takes over the clocks of what was found while the store was away, so that what fired meanwhile fires at once.
    pub(super) fn resume(&mut self, shadow: &Self) {
        for found in shadow.instances.iter().filter(|found| !found.clocks.is_empty()) {
            let mine = self
                .instances
                .iter_mut()
                .find(|instance| instance.fingerprint == found.fingerprint);
            match mine {
                Some(instance) if instance.state.is_active() => {}
                Some(instance) => instance.clocks.clone_from(&found.clocks),
                None => self.instances.push(Instance {
                    state: State::Inactive,
                    generation: 0,
                    ..found.clone()
                }),
            }
        }
    }

    /// The alerts that differ from what was written by more than what was measured.
    pub(super) fn changed(&self, now: Timestamp) -> Vec<&Instance> {
        let differs = |instance: &&Instance| {
            self.written
                .get(instance.fingerprint.as_str())
                .is_none_or(|(written, at)| {
                    let is_alive = !instance.clocks.is_empty() || instance.state.is_active();
                    essence(instance) != essence(written) || (is_alive && now.duration_since(*at) >= REFRESH)
                })
        };
        self.instances.iter().filter(differs).collect()
    }

    /// Alerts that need not be kept any longer, with the groups that no longer are.
    pub(super) fn at_rest(&self, now: Timestamp) -> (Vec<String>, Vec<String>) {
        let is_told = |instance: &Instance| {
            let told = self.groups.iter().filter_map(|group| group.told.as_ref());
            told.into_iter()
                .any(|told| told.members.contains_key(&instance.fingerprint))
        };
        let has_ended = |instance: &Instance| match instance.state {
            State::Resolved { at, .. } => now.duration_since(at) > REMEMBERED,
            State::Inactive => now.duration_since(instance.evaluated_at) > REMEMBERED,
            _ => false,
        };
        let present: BTreeMap<&str, &Instance> = self
            .instances
            .iter()
            .map(|instance| (instance.fingerprint.as_str(), instance))
            .collect();
        let rests = |name: &&String| {
            present
                .get(name.as_str())
                .is_none_or(|instance| has_ended(instance) && !is_told(instance))
        };
        let at_rest = self.written.keys().filter(rests).cloned().collect();
        let is_over = |key: &&String| !self.groups.iter().any(|group| group.key.as_str() == key.as_str());
        let empty = self.written_groups.keys().filter(is_over).cloned().collect();
        (at_rest, empty)
    }

    /// The groups that differ from what was written.
    pub(super) fn changed_groups(&self) -> Vec<&Group> {
        let differs = |group: &&Group| self.written_groups.get(group.key.as_str()) != Some(group);
        self.groups.iter().filter(differs).collect()
    }

    /// How far a runbook is was written, at this revision.
    pub(super) fn keep_run(&mut self, revision: u64, run: Run) {
        self.revision = revision;
        let same = |kept: &Run| kept.incident == run.incident && kept.runbook == run.runbook;
        self.runs.retain(|kept| !same(kept));
        if !run.is_over {
            self.runs.push(run);
        }
    }

    /// All of it is written now, at this revision.
    pub(super) fn wrote(&mut self, revision: u64, changed: &[Instance], at_rest: &[String], now: Timestamp) {
        self.revision = revision;
        for instance in changed {
            self.written
                .insert(instance.fingerprint.to_string(), (instance.clone(), now));
        }
        for name in at_rest {
            self.written.remove(name);
        }
        self.instances
            .retain(|instance| !at_rest.iter().any(|name| name == instance.fingerprint.as_str()));
        self.written_groups = self
            .groups
            .iter()
            .map(|group| (group.key.to_string(), group.clone()))
            .collect();
    }
}

/// An alert without what changes with every look.
fn essence(instance: &Instance) -> Instance {
    let mut essence = instance.clone();
    essence.measured = None;
    essence.evaluated_at = Timestamp::UNIX_EPOCH;
    for clock in essence.clocks.values_mut() {
        clock.seen_at = Timestamp::UNIX_EPOCH;
    }
    if let Some(error) = &mut essence.error {
        error.message = "".into();
    }
    essence
}

fn silence(row: &ledger::alert::Silence) -> Silence {
    Silence {
        id: row.id.to_string().into(),
        matchers: row.matchers.clone(),
        starts_at: row.from,
        ends_at: row.until,
        author: row.author.as_str().into(),
        reason: row.reason.as_str().into(),
    }
}
