//! Incidents, their timelines, and how they are found again.

use std::collections::BTreeMap;

use domain::control::Actor;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// Something that broke, from the moment somebody had to be told until its lesson is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its name, a UUID of version 7.
    pub id: Uuid,
    /// The alert that it is about.
    pub fingerprint: String,
    /// The rule that found it.
    pub rule: String,
    /// How bad it is.
    pub severity: String,
    /// What it is about.
    pub labels: BTreeMap<String, String>,
    /// What broke, in one sentence.
    pub title: String,
    /// Which firing of the alert it is.
    pub generation: u64,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it was over, and how; `None` while it goes on.
    pub resolved: Option<(Timestamp, String)>,
    /// When somebody acknowledged it, and who.
    pub acknowledged: Option<(Timestamp, Actor)>,
    /// When it was closed with its cause, and by whom.
    pub closed: Option<(Timestamp, Actor)>,
    /// What it has cost: counts, reasons, parts, some of the payments.
    pub impact: Value,
    /// Why it happened; empty until somebody wrote it down.
    pub cause: String,
    /// What was learned; empty until somebody wrote it down.
    pub lesson: String,
    /// Words to find it by.
    pub tags: Vec<String>,
}

impl Incident {
    /// What it can be found by, in lower case.
    pub(crate) fn words(&self) -> String {
        let labels = self.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let mut words: Vec<String> = vec![self.rule.clone(), self.title.clone()];
        words.extend(labels);
        words.extend([self.cause.clone(), self.lesson.clone()]);
        words.extend(self.tags.iter().cloned());
        words.join("\n").to_lowercase()
    }
}

/// One line of an incident's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The incident.
    pub incident: Uuid,
    /// The same for the same thing: what is noted twice is there once.
    pub key: String,
    /// When it happened.
    pub at: Timestamp,
    /// What kind of thing: `fired`, `breaker`, `suspension`, `runbook`, `note` and so on.
    pub kind: String,
    /// Who did it; `None` when Payroute saw or did it by itself.
    pub actor: Option<Actor>,
    /// What happened, in one sentence.
    pub text: String,
    /// Figures beside it; null when there are none.
    pub content: Value,
}

/// Which incidents are looked for. What is not given is not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Words that must all be in its title, labels, notes, cause, lesson or tags; in any case. Eight are looked for.
    pub words: Vec<String>,
    /// The rule.
    pub rule: Option<String>,
    /// Only those that are not resolved.
    pub open: bool,
    /// Only those that began before: the last one of the page before, by time and name.
    pub before: Option<(Timestamp, Uuid)>,
    /// How many at most.
    pub limit: u32,
}
