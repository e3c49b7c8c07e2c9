//! Writes as lists of statements, which both stores understand: each adapter only carries them out.
//!
//! Parameters are numbered the way that Postgres does, which SQLite accepts as well.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Act, Advance, Book, Deed, Direction, Entry, Incident, Run, Silence};
use crate::control::Digest;

/// One value that is stored.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// A whole number.
    Whole(i64),
    /// A text.
    Text(String),
    /// A text, when there is one.
    TextSome(Option<String>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Value> for Cell {
    fn from(value: &Value) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<Timestamp> for Cell {
    fn from(at: Timestamp) -> Self {
        Self::Whole(at.as_microsecond())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// How many rows a statement must change for the whole write to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Must {
    /// Any number.
    Any,
    /// One; none means that somebody else was faster, or that there is nothing of that name.
    One,
}

/// One statement with its values.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) statement: &'static str,
    pub(crate) cells: Vec<Cell>,
    pub(crate) must: Must,
}

fn step<const N: usize>(statement: &'static str, cells: [Cell; N]) -> Step {
    Step {
        statement,
        cells: cells.into(),
        must: Must::Any,
    }
}

fn one<const N: usize>(statement: &'static str, cells: [Cell; N]) -> Step {
    Step {
        must: Must::One,
        ..step(statement, cells)
    }
}

/// What writes `advance`, in the order of the names: whoever waits for another holds nothing that comes later.
pub(crate) fn advance(advance: &Advance) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(advance.instances.iter().map(|instance| {
        step(
            "insert into alert (fingerprint, rule, state, since_us, generation, content) \
             values ($1, $2, $3, $4, $5, $6) on conflict (fingerprint) do update set rule = excluded.rule, \
             state = excluded.state, since_us = excluded.since_us, generation = excluded.generation, \
             content = excluded.content",
            [
                instance.fingerprint.as_str().into(),
                instance.rule.as_str().into(),
                instance.state.as_str().into(),
                instance.since.into(),
                instance.generation.into(),
                (&instance.content).into(),
            ],
        )
    }));
    steps.extend(advance.at_rest.iter().map(|fingerprint| {
        step(
            "delete from alert where fingerprint = $1",
            [fingerprint.as_str().into()],
        )
    }));
    steps.extend(advance.groups.iter().map(|group| {
        step(
            "insert into alert_group (group_key, content) values ($1, $2) \
             on conflict (group_key) do update set content = excluded.content",
            [group.key.as_str().into(), (&group.content).into()],
        )
    }));
    steps.extend(advance.empty_groups.iter().map(|key| {
        step(
            "delete from alert_group where group_key = $1",
            [key.as_str().into()],
        )
    }));
    // Resolved before opened: an alert that fires anew right away has its next incident.
    steps.extend(advance.resolved.iter().map(|resolution| {
        one(
            "update incident set resolved_at_us = $2, resolution = $3 \
             where incident_id = $1 and resolved_at_us is null",
            [
                resolution.incident.to_string().into(),
                resolution.at.into(),
                resolution.how.as_str().into(),
            ],
        )
    }));
    steps.extend(advance.opened.iter().map(open));
    steps.extend(advance.impacts.iter().map(|(incident, impact)| {
        step(
            "update incident set impact = $2 where incident_id = $1",
            [incident.to_string().into(), impact.into()],
        )
    }));
    steps.extend(advance.runs.iter().map(run));
    steps.extend(advance.entries.iter().map(entry));
    steps
}

/// Opens an incident, unless one of its alert is open.
fn open(incident: &Incident) -> Step {
    one(
        "insert into incident (incident_id, fingerprint, rule, severity, labels, title, generation, opened_at_us, \
         impact, cause, lesson, tags, words) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', '[]', $10) \
         on conflict (fingerprint) where resolved_at_us is null do nothing",
        [
            incident.id.to_string().into(),
            incident.fingerprint.as_str().into(),
            incident.rule.as_str().into(),
            incident.severity.as_str().into(),
            serde_json::json!(incident.labels).to_string().into(),
            incident.title.as_str().into(),
            incident.generation.into(),
            incident.opened_at.into(),
            (&incident.impact).into(),
            incident.words().into(),
        ],
    )
}

/// Keeps what a runbook has come to; once for each incident.
fn run(run: &Run) -> Step {
    step(
        "insert into runbook_run (incident_id, runbook, is_over, content) values ($1, $2, $3, $4) \
         on conflict (incident_id, runbook) do update set is_over = excluded.is_over, content = excluded.content",
        [
            run.incident.to_string().into(),
            run.runbook.as_str().into(),
            u64::from(run.is_over).into(),
            (&run.content).into(),
        ],
    )
}

fn entry(entry: &Entry) -> Step {
    step(
        "insert into incident_entry (incident_id, entry_key, at_us, kind, actor, text, content) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (incident_id, entry_key) do nothing",
        [
            entry.incident.to_string().into(),
            entry.key.as_str().into(),
            entry.at.into(),
            entry.kind.as_str().into(),
            Cell::TextSome(entry.actor.as_ref().map(ToString::to_string)),
            entry.text.as_str().into(),
            (&entry.content).into(),
        ],
    )
}

/// What does `act`. `version` is the one that a document becomes which it puts into force.
pub(crate) fn act(act: &Act, version: u64) -> Vec<Step> {
    let by = || Cell::from(act.by.as_str());
    let at = || Cell::from(act.at);
    match &act.deed {
        Deed::Acknowledge { incident } => vec![
            one(
                "update incident set acknowledged_at_us = $2, acknowledged_by = $3 \
                 where incident_id = $1 and resolved_at_us is null",
                [incident.to_string().into(), at(), by()],
            ),
            noted(act, *incident, "acknowledged", "acknowledged"),
        ],
        Deed::Note { incident, text } => vec![
            one(
                "update incident set words = words || $2 where incident_id = $1",
                [
                    incident.to_string().into(),
                    format!("\n{}", text.to_lowercase()).into(),
                ],
            ),
            noted(act, *incident, "note", text),
        ],
        Deed::Close {
            incident,
            cause,
            lesson,
            tags,
        } => closed(act, *incident, (cause, lesson), tags),
        Deed::Direct {
            direction,
            run,
            before,
        } => directed(act, *direction, run, before),
        Deed::Silence(silence) => vec![silenced(silence)],
        Deed::EndSilence { silence } => vec![one(
            "update silence set ended_at_us = $2, ended_by = $3 \
             where silence_id = $1 and ended_at_us is null and until_us > $2",
            [silence.to_string().into(), at(), by()],
        )],
        Deed::Put { book, text, note, .. } => vec![step(
            match book {
                Book::Rules => {
                    "insert into alert_rules (version, text, author, note, created_at_us) \
                     values ($1, $2, $3, $4, $5)"
                }
                Book::Runbooks => {
                    "insert into runbooks (version, text, author, note, created_at_us) \
                     values ($1, $2, $3, $4, $5)"
                }
            },
            [
                version.into(),
                text.as_str().into(),
                by(),
                note.as_str().into(),
                at(),
            ],
        )],
    }
}

fn closed(act: &Act, incident: Uuid, (cause, lesson): (&str, &str), tags: &[String]) -> Vec<Step> {
    let words = format!("\n{cause}\n{lesson}\n{}", tags.join("\n")).to_lowercase();
    vec![
        one(
            "update incident set closed_at_us = $2, closed_by = $3, cause = $4, lesson = $5, tags = $6, \
             words = words || $7 where incident_id = $1 and resolved_at_us is not null",
            [
                incident.to_string().into(),
                act.at.into(),
                act.by.as_str().into(),
                cause.into(),
                lesson.into(),
                serde_json::json!(tags).to_string().into(),
                words.into(),
            ],
        ),
        noted(act, incident, "closed", cause),
    ]
}

fn directed(act: &Act, direction: Direction, run: &Run, before: &Value) -> Vec<Step> {
    let text = match direction {
        Direction::Apply => format!("runbook {} is to be applied", run.runbook),
        Direction::Revert => format!("what runbook {} did is to be taken back", run.runbook),
    };
    vec![
        one(
            "update runbook_run set content = $3 \
             where incident_id = $1 and runbook = $2 and is_over = 0 and content = $4",
            [
                run.incident.to_string().into(),
                run.runbook.as_str().into(),
                (&run.content).into(),
                before.into(),
            ],
        ),
        noted(act, run.incident, "runbook", &text),
    ]
}

fn silenced(silence: &Silence) -> Step {
    step(
        "insert into silence (silence_id, matchers, reason, author, created_at_us, from_us, until_us) \
         values ($1, $2, $3, $4, $5, $6, $7)",
        [
            silence.id.to_string().into(),
            serde_json::json!(silence.matchers).to_string().into(),
            silence.reason.as_str().into(),
            silence.author.as_str().into(),
            silence.created_at.into(),
            silence.from.into(),
            silence.until.into(),
        ],
    )
}

/// The line of the timeline that says what `act` did.
fn noted(act: &Act, incident: Uuid, kind: &str, text: &str) -> Step {
    let digest = Digest::of([
        kind.as_bytes(),
        act.by.as_str().as_bytes(),
        &act.at.as_microsecond().to_be_bytes(),
        text.as_bytes(),
    ]);
    entry(&Entry {
        incident,
        key: format!("{kind} {digest}"),
        at: act.at,
        kind: kind.to_owned(),
        actor: Some(act.by.clone()),
        text: text.to_owned(),
        content: Value::Null,
    })
}

/// Looks for what `act` is about, when it is about something that must be there.
pub(crate) fn named(act: &Act) -> Option<Step> {
    match &act.deed {
        Deed::Acknowledge { incident } | Deed::Note { incident, .. } | Deed::Close { incident, .. } => {
            Some(step(
                "select incident_id from incident where incident_id = $1",
                [incident.to_string().into()],
            ))
        }
        Deed::Direct { run, .. } => Some(step(
            "select incident_id from runbook_run where incident_id = $1 and runbook = $2",
            [run.incident.to_string().into(), run.runbook.as_str().into()],
        )),
        Deed::EndSilence { silence } => Some(step(
            "select silence_id from silence where silence_id = $1",
            [silence.to_string().into()],
        )),
        Deed::Silence(_) | Deed::Put { .. } => None,
    }
}
