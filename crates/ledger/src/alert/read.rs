//! Reads the rows of either store.

use std::collections::BTreeMap;

use domain::control::Actor;
use serde_json::Value;
use uuid::Uuid;

use super::plan::Cell;
use super::{Book, Edition, Entry, Group, Incident, Instance, Run, Search, Silence};
use crate::error::LedgerError;
use crate::row::{Cells, Columns};

pub(crate) const INSTANCES: &str =
    "select fingerprint, rule, state, since_us, generation, content from alert order by fingerprint";
pub(crate) const GROUPS: &str = "select group_key, content from alert_group order by group_key";

/// The document of `book` that is in force.
pub(crate) const fn in_force(book: Book) -> &'static str {
    match book {
        Book::Rules => {
            "select version, text, author, note, created_at_us from alert_rules order by version desc limit 1"
        }
        Book::Runbooks => {
            "select version, text, author, note, created_at_us from runbooks order by version desc limit 1"
        }
    }
}

/// Asks for the document of that version, or for the one in force.
pub(crate) fn edition_of(book: Book, version: Option<u64>) -> (&'static str, Vec<Cell>) {
    match (book, version) {
        (book, None) => (in_force(book), Vec::new()),
        (Book::Rules, Some(version)) => (
            "select version, text, author, note, created_at_us from alert_rules where version = $1",
            vec![Cell::from(version)],
        ),
        (Book::Runbooks, Some(version)) => (
            "select version, text, author, note, created_at_us from runbooks where version = $1",
            vec![Cell::from(version)],
        ),
    }
}

pub(crate) const RUNS_UNDER_WAY: &str = "select incident_id, runbook, is_over, content from runbook_run \
     where is_over = 0 order by incident_id, runbook";
pub(crate) const RUNS: &str = "select incident_id, runbook, is_over, content from runbook_run \
     where incident_id = $1 order by runbook";

macro_rules! silence_columns {
    () => {
        "silence_id, matchers, reason, author, created_at_us, from_us, until_us, ended_at_us, ended_by"
    };
}

pub(crate) const SILENCES: &str = concat!(
    "select ",
    silence_columns!(),
    " from silence order by created_at_us desc, silence_id desc limit $1"
);
pub(crate) const ACTIVE_SILENCES: &str = concat!(
    "select ",
    silence_columns!(),
    " from silence where until_us > $1 and ended_at_us is null order by silence_id"
);

macro_rules! incident_columns {
    () => {
        "incident_id, fingerprint, rule, severity, labels, title, generation, opened_at_us, resolved_at_us, \
         resolution, closed_at_us, closed_by, acknowledged_at_us, acknowledged_by, impact, cause, lesson, tags"
    };
}

pub(crate) const OPEN: &str = concat!(
    "select ",
    incident_columns!(),
    " from incident where resolved_at_us is null order by incident_id"
);
pub(crate) const INCIDENT: &str = concat!(
    "select ",
    incident_columns!(),
    " from incident where incident_id = $1"
);
pub(crate) const ENTRIES: &str = "select incident_id, entry_key, at_us, kind, actor, text, content \
     from incident_entry where incident_id = $1 order by at_us, entry_key";

/// Up to eight words are looked for; the rest of the places match everything.
const WORDS: usize = 8;

pub(crate) const FOUND: &str = concat!(
    "select ",
    incident_columns!(),
    " from incident where ($1 = '' or rule = $1) and ($2 = 0 or resolved_at_us is null) \
     and (opened_at_us < $3 or (opened_at_us = $3 and incident_id < $4)) \
     and words like $6 escape '!' and words like $7 escape '!' and words like $8 escape '!' \
     and words like $9 escape '!' and words like $10 escape '!' and words like $11 escape '!' \
     and words like $12 escape '!' and words like $13 escape '!' \
     order by opened_at_us desc, incident_id desc limit $5"
);

/// The values of [`FOUND`] for `search`.
pub(crate) fn found(search: &Search) -> Vec<Cell> {
    let (at, id) = search.before.map_or((i64::MAX, String::new()), |(at, id)| {
        (at.as_microsecond(), id.to_string())
    });
    let mut cells = vec![
        Cell::Text(search.rule.clone().unwrap_or_default()),
        Cell::Whole(i64::from(search.open)),
        Cell::Whole(at),
        Cell::Text(id),
        Cell::Whole(i64::from(search.limit)),
    ];
    let pattern = |word: &String| {
        let word = word.to_lowercase();
        let word = word.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        format!("%{word}%")
    };
    let words = search.words.iter().map(pattern);
    let any = std::iter::repeat_with(|| "%".to_owned());
    cells.extend(words.chain(any).take(WORDS).map(Cell::Text));
    cells
}

fn actor(
    columns: &Columns<'_>,
    at: &'static str,
    by: &'static str,
) -> Result<Option<(jiff::Timestamp, Actor)>, LedgerError> {
    let at = columns.epoch_some(at)?;
    let by = columns.parse_some(by, Actor::new)?;
    Ok(at.zip(by))
}

fn document(columns: &Columns<'_>, field: &'static str) -> Result<Value, LedgerError> {
    columns.parse(field, serde_json::from_str)
}

fn labels(columns: &Columns<'_>, field: &'static str) -> Result<BTreeMap<String, String>, LedgerError> {
    columns.parse(field, serde_json::from_str)
}

pub(crate) fn instance(row: &dyn Cells) -> Result<Instance, LedgerError> {
    let columns = Columns::of("alert", row);
    Ok(Instance {
        fingerprint: columns.text("fingerprint")?,
        rule: columns.text("rule")?,
        state: columns.text("state")?,
        since: columns.epoch("since_us")?,
        generation: columns.whole("generation")?,
        content: document(&columns, "content")?,
    })
}

pub(crate) fn group(row: &dyn Cells) -> Result<Group, LedgerError> {
    let columns = Columns::of("alert_group", row);
    Ok(Group {
        key: columns.text("group_key")?,
        content: document(&columns, "content")?,
    })
}

pub(crate) fn run(row: &dyn Cells) -> Result<Run, LedgerError> {
    let columns = Columns::of("runbook_run", row);
    Ok(Run {
        incident: columns.parse("incident_id", Uuid::parse_str)?,
        runbook: columns.text("runbook")?,
        is_over: columns.whole::<u64>("is_over")? != 0,
        content: document(&columns, "content")?,
    })
}

pub(crate) fn edition(row: &dyn Cells) -> Result<Edition, LedgerError> {
    let columns = Columns::of("a document in force", row);
    Ok(Edition {
        version: columns.whole("version")?,
        text: columns.text("text")?,
        author: columns.parse("author", Actor::new)?,
        note: columns.text("note")?,
        created_at: columns.epoch("created_at_us")?,
    })
}

pub(crate) fn silence(row: &dyn Cells) -> Result<Silence, LedgerError> {
    let columns = Columns::of("silence", row);
    Ok(Silence {
        id: columns.parse("silence_id", Uuid::parse_str)?,
        matchers: columns.parse("matchers", serde_json::from_str)?,
        reason: columns.text("reason")?,
        author: columns.parse("author", Actor::new)?,
        created_at: columns.epoch("created_at_us")?,
        from: columns.epoch("from_us")?,
        until: columns.epoch("until_us")?,
        ended: actor(&columns, "ended_at_us", "ended_by")?,
    })
}

pub(crate) fn incident(row: &dyn Cells) -> Result<Incident, LedgerError> {
    let columns = Columns::of("incident", row);
    let resolved = columns.epoch_some("resolved_at_us")?;
    Ok(Incident {
        id: columns.parse("incident_id", Uuid::parse_str)?,
        fingerprint: columns.text("fingerprint")?,
        rule: columns.text("rule")?,
        severity: columns.text("severity")?,
        labels: labels(&columns, "labels")?,
        title: columns.text("title")?,
        generation: columns.whole("generation")?,
        opened_at: columns.epoch("opened_at_us")?,
        resolved: resolved.zip(columns.text_some("resolution")?),
        acknowledged: actor(&columns, "acknowledged_at_us", "acknowledged_by")?,
        closed: actor(&columns, "closed_at_us", "closed_by")?,
        impact: document(&columns, "impact")?,
        cause: columns.text("cause")?,
        lesson: columns.text("lesson")?,
        tags: columns.parse("tags", serde_json::from_str)?,
    })
}

pub(crate) fn entry(row: &dyn Cells) -> Result<Entry, LedgerError> {
    let columns = Columns::of("incident_entry", row);
    Ok(Entry {
        incident: columns.parse("incident_id", Uuid::parse_str)?,
        key: columns.text("entry_key")?,
        at: columns.epoch("at_us")?,
        kind: columns.text("kind")?,
        actor: columns.parse_some("actor", Actor::new)?,
        text: columns.text("text")?,
        content: document(&columns, "content")?,
    })
}
