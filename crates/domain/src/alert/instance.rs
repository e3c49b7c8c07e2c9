//! An alert: a rule, what it is about, and how it stands.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dimension::Scope;
use super::flaps::Flaps;
use super::observation::Measured;
use super::rule::{Labels, Rule};
use super::severity::Severity;
use super::transition::Resolution;
use crate::bucket::{Draw, Purpose};

/// What an alert is known by, whatever happens to it: a rule's name and a scope, as 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Box<str>);

impl Fingerprint {
    /// That of `rule` about `scope`.
    #[must_use]
    pub fn of(rule: &str, scope: &Scope) -> Self {
        let dimensions = scope
            .iter()
            .flat_map(|(dimension, value)| [dimension.as_str(), value]);
        Self::over(std::iter::once(rule).chain(dimensions))
    }

    pub(super) fn over<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let draw = Draw::of(Purpose::Alert, names);
        Self(format!("{:016x}", draw.bits()).into())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An alert. Plain data that a store keeps from one evaluation to the next, whoever evaluates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// Its rule, by name: it may be gone.
    pub rule: Box<str>,
    /// What it is about.
    pub scope: Scope,
    /// How bad it is.
    pub severity: Severity,
    /// Its labels.
    pub labels: Labels,
    /// How it stands.
    pub state: State,
    /// Counts the times that it fired.
    pub generation: u32,
    /// Since when each check holds, by its name.
    pub clocks: BTreeMap<String, Clock>,
    /// How often it fired lately.
    pub flaps: Flaps,
    /// Since when nothing is known; `None` when something is.
    pub no_data_since: Option<Timestamp>,
    /// Why the source cannot be asked; `None` when it can.
    pub error: Option<ReadError>,
    /// Who has taken it on; `None` while nobody has.
    pub acknowledged: Option<Acknowledgement>,
    /// The silence that keeps it from being told.
    pub silenced_by: Option<Box<str>>,
    /// The alert that keeps it from being told.
    pub inhibited_by: Option<Fingerprint>,
    /// What was measured last.
    pub measured: Option<Measured>,
    /// When it was looked at last.
    pub evaluated_at: Timestamp,
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nothing is wrong.
    Inactive,
    /// The line is crossed, not yet for long enough.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// It is wrong.
    Firing {
        /// Since when: it stays the same when it only seemed over.
        since: Timestamp,
    },
    /// It seems over, not yet for long enough.
    Recovering {
        /// Since when it seems over.
        since: Timestamp,
        /// Since when it is wrong.
        firing_since: Timestamp,
    },
    /// It is over.
    Resolved {
        /// Since when.
        at: Timestamp,
        /// Since when it was wrong.
        firing_since: Timestamp,
        /// How it came to its end.
        by: Resolution,
    },
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending { .. } => "pending",
            Self::Firing { .. } => "firing",
            Self::Recovering { .. } => "recovering",
            Self::Resolved { .. } => "resolved",
        }
    }

    /// Whether an incident is going on: it is wrong, or only just seems over.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Firing { .. } | Self::Recovering { .. })
    }

    /// Since when it is or was wrong; `None` when it never was.
    #[must_use]
    pub const fn firing_since(&self) -> Option<Timestamp> {
        match self {
            Self::Firing { since } => Some(*since),
            Self::Recovering { firing_since, .. } | Self::Resolved { firing_since, .. } => {
                Some(*firing_since)
            }
            Self::Inactive | Self::Pending { .. } => None,
        }
    }
}

/// Since when a check holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Since when.
    pub since: Timestamp,
    /// When it was last seen to hold.
    pub seen_at: Timestamp,
}

/// Why the source cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadError {
    /// Since when.
    pub since: Timestamp,
    /// What it said last.
    pub message: Box<str>,
}

/// Who has taken an alert on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
}

impl Instance {
    /// The alert of `rule` about `scope`, before anything was wrong.
    #[must_use]
    pub fn new(rule: &Rule, scope: &Scope, now: Timestamp) -> Self {
        Self {
            fingerprint: Fingerprint::of(&rule.name, scope),
            rule: rule.name.clone(),
            scope: scope.clone(),
            severity: rule.severity,
            labels: rule.labels_of(scope),
            state: State::Inactive,
            generation: 0,
            clocks: BTreeMap::new(),
            flaps: Flaps::default(),
            no_data_since: None,
            error: None,
            acknowledged: None,
            silenced_by: None,
            inhibited_by: None,
            measured: None,
            evaluated_at: now,
        }
    }

    /// Whether it may be told: it is going on, and neither a silence nor a worse alert keeps it quiet.
    #[must_use]
    pub const fn is_audible(&self) -> bool {
        self.state.is_active() && self.silenced_by.is_none() && self.inhibited_by.is_none()
    }

    /// Whether nothing is lost when it is forgotten: one that ever fired is kept, because its generation goes on.
    #[must_use]
    pub fn is_forgettable(&self) -> bool {
        self.state == State::Inactive && self.generation == 0 && self.clocks.is_empty()
    }

    /// Somebody takes it on: it is not told again while it goes on. Whether it is going on and nobody had.
    pub fn acknowledge(&mut self, by: &str, now: Timestamp) -> bool {
        let takes = self.state.is_active() && self.acknowledged.is_none();
        if takes {
            self.acknowledged = Some(Acknowledgement {
                by: by.into(),
                at: now,
            });
        }
        takes
    }
}
