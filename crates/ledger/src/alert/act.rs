//! What people do about alerts.

use domain::control::Actor;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Book, Run, Silence};
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
    /// Allow what a runbook offers, or have it taken back.
    Direct {
        /// What is wished.
        direction: Direction,
        /// The runbook at work, with the wish in it.
        run: Run,
        /// What it was when the wish was made.
        before: Value,
    },
    /// Ask not to be told of some alerts for a time.
    Silence(Silence),
    /// End a silence before its time.
    EndSilence {
        /// The silence.
        silence: Uuid,
    },
    /// Put alert rules or runbooks into force.
    Put {
        /// Which of them.
        book: Book,
        /// The document, which was checked.
        text: String,
        /// Why; may be empty.
        note: String,
        /// The version that must be in force, if that matters; 0 for none.
        expected: Option<u64>,
    },
}

/// What can be wished of a runbook at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// That it does what it offers.
    Apply,
    /// That what it did is taken back.
    Revert,
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It is durable.
    Done {
        /// The version that a document became which was put into force; 0 for everything else.
        version: u64,
    },
    /// There is nothing of that name.
    Unknown,
    /// It cannot be done by now: the incident still goes on, the silence is over, the document or the run is another.
    TooLate,
}

impl Act {
    /// What the audit log calls it.
    const fn action(&self) -> &'static str {
        match self.deed {
            Deed::Acknowledge { .. } => "acknowledge",
            Deed::Note { .. } => "note_incident",
            Deed::Close { .. } => "close_incident",
            Deed::Direct { direction, .. } => match direction {
                Direction::Apply => "apply_runbook",
                Direction::Revert => "revert_runbook",
            },
            Deed::Silence(_) => "silence",
            Deed::EndSilence { .. } => "end_silence",
            Deed::Put { book, .. } => match book {
                Book::Rules => "activate_alert_rules",
                Book::Runbooks => "activate_runbooks",
            },
        }
    }

    /// Which document it puts into force, if it does, and the version that must be in force for it, if that matters.
    pub(crate) const fn puts(&self) -> Option<(Book, Option<u64>)> {
        match self.deed {
            Deed::Put { book, expected, .. } => Some((book, expected)),
            _ => None,
        }
    }

    /// Its entry in the audit log, at the present `revision` of the configuration. `version` is the one that a document
    /// becomes.
    pub(crate) fn draft(&self, version: u64, revision: u64) -> Draft {
        Draft {
            at: self.at,
            actor: self.by.clone(),
            action: self.action(),
            revision,
            before: json!({}).to_string(),
            after: self.audited(version).to_string(),
        }
    }

    /// What the audit log keeps of it, as a JSON object.
    fn audited(&self, version: u64) -> Value {
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
            Deed::Direct { direction, run, .. } => {
                let wish = match direction {
                    Direction::Apply => "apply",
                    Direction::Revert => "revert",
                };
                json!({format!("incident {}", run.incident): {wish: run.runbook}})
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
            Deed::Put { book, text, note, .. } => {
                let name = match book {
                    Book::Rules => "alert_rules",
                    Book::Runbooks => "runbooks",
                };
                let digest = Digest::of([text.as_bytes()]).to_string();
                json!({format!("{name} {version}"): {"note": note, "digest": digest}})
            }
        }
    }
}
