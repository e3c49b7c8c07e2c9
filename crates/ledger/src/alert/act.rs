//! What people do about alerts.

use domain::control::Actor;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Silence;
use crate::control::{Digest, Draft};

/// What somebody does, and when.
#[derive(Clone, Debug)]
pub struct Act {
    /// What.
    pub deed: Deed,
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// What can be done.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Take an incident on: its pages are not repeated.
    Acknowledge {
        /// The incident.
        incident: Uuid,
    },
    /// Write something into an incident's timeline.
    Note {
        /// The incident.
        incident: Uuid,
        /// What.
        text: String,
    },
    /// Write down what an incident came from and what was learned. Can be done again, to write it better.
    Close {
        /// The incident.
        incident: Uuid,
        /// Why it happened.
        cause: String,
        /// What was learned.
        lesson: String,
        /// Words to find it by.
        tags: Vec<String>,
    },
    /// Allow what the runbook of an incident offers.
    Approve {
        /// The incident.
        incident: Uuid,
        /// The runbook's document with the approval in it.
        runbook: Value,
        /// The document that it replaces: as it was when the approval was made.
        before: Value,
    },
    /// Ask not to be told of some alerts for a time.
    Silence(Silence),
    /// End a silence before its time.
    EndSilence {
        /// The silence.
        silence: Uuid,
    },
    /// Put alert rules into force.
    Rules {
        /// The document, which was checked.
        text: String,
        /// Why; may be empty.
        note: String,
        /// The version that must be in force, if that matters; 0 for none.
        expected: Option<u64>,
    },
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It is durable. For rules: their version is this.
    Done {
        /// The version of the rules in force; 0 when none are.
        rules: u64,
    },
    /// There is nothing of that name.
    Unknown,
    /// It cannot be done by now: the incident still goes on, the silence is over, the rules or the runbook are others.
    TooLate,
}

impl Act {
    /// What the audit log calls it.
    const fn action(&self) -> &'static str {
        match self.deed {
            Deed::Acknowledge { .. } => "acknowledge",
            Deed::Note { .. } => "note_incident",
            Deed::Close { .. } => "close_incident",
            Deed::Approve { .. } => "approve_runbook",
            Deed::Silence(_) => "silence",
            Deed::EndSilence { .. } => "end_silence",
            Deed::Rules { .. } => "activate_alert_rules",
        }
    }

    /// Its entry in the audit log, at the present `revision` of the configuration.
    pub(crate) fn draft(&self, rules: u64, revision: u64) -> Draft {
        Draft {
            at: self.at,
            actor: self.by.clone(),
            action: self.action(),
            revision,
            before: json!({}).to_string(),
            after: self.audited(rules).to_string(),
        }
    }

    /// What the audit log keeps of it, as a JSON object. `rules` is the version that rules become.
    fn audited(&self, rules: u64) -> Value {
        match &self.deed {
            Deed::Acknowledge { incident } => json!({format!("incident {incident}"): {"acknowledged": true}}),
            Deed::Note { incident, text } => json!({format!("incident {incident}"): {"note": text}}),
            Deed::Close {
                incident,
                cause,
                lesson,
                tags,
            } => json!({
                format!("incident {incident}"): {"cause": cause, "lesson": lesson, "tags": tags}
            }),
            Deed::Approve {
                incident, runbook, ..
            } => {
                json!({format!("incident {incident}"): {"runbook": runbook}})
            }
            Deed::Silence(silence) => json!({
                format!("silence {}", silence.id): {
                    "matchers": silence.matchers,
                    "reason": silence.reason,
                    "from": silence.from,
                    "until": silence.until,
                }
            }),
            Deed::EndSilence { silence } => json!({format!("silence {silence}"): {"ended": true}}),
            Deed::Rules { text, note, .. } => json!({
                format!("alert_rules {rules}"): {"note": note, "digest": Digest::of([text.as_bytes()]).to_string()}
            }),
        }
    }
}
