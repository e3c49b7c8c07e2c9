//! Reading a document of runbooks.

use jiff::SignedDuration;

use super::{Lower, Run, Runbook, Runbooks, Step, Word};
use crate::alert::{Matcher, read_basis_points, read_matchers, read_secs};
use crate::brain::Forced;
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings, Table};
use crate::document::{Value, parse};

/// Most runbooks of a document, and most steps of a runbook.
const MAX_RUNBOOKS: usize = 100;
const MAX_STEPS: usize = 20;

/// Longest name of a runbook, in bytes: it stands in the audit log beside the incident's.
const MAX_NAME: usize = 64;

/// Longest text that is told, in bytes.
const MAX_TEXT: usize = 1_000;

/// How long a step may last, in seconds: as long as a breaker can be overridden, because whoever forgets it is reminded by
/// the next day's traffic.
const LASTS_SECS: std::ops::RangeInclusive<u64> = 60..=86_400;

impl Runbooks {
    /// Reads the runbooks `text`, called `file` in diagnostics. `receivers` are the names that can be told; not looked
    /// at when `None`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document.
    pub fn load(text: &str, file: &str, receivers: Option<&[&str]>) -> Result<Self, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        match read(&Field::root(&node), receivers, &mut found) {
            Some(runbooks) => found.finish(runbooks),
            // Whatever made reading stop has been reported.
            None => Err(found.finish(()).err().unwrap_or_default()),
        }
    }
}

fn read(root: &Field<'_>, receivers: Option<&[&str]>, found: &mut Findings) -> Option<Runbooks> {
    let table = root.table(&["version", "runbooks"], found)?;
    let version = table.required("version", found);
    let version = version.and_then(|field| match field.value() {
        Value::Integer(number @ 0..) => Some(number.to_string().into()),
        _ => field.text(found).map(Box::from),
    });
    let items = table.required("runbooks", found);
    let items = items.map_or_else(Vec::new, |field| bounded(&field, MAX_RUNBOOKS, found));
    let mut list: Vec<Runbook> = Vec::new();
    for item in &items {
        let Some(runbook) = read_runbook(item, receivers, found) else {
            continue;
        };
        if list.iter().any(|earlier| earlier.name == runbook.name) {
            item.refuse(found, format!("runbook `{}` is there already", runbook.name));
        }
        list.push(runbook);
    }
    Some(Runbooks {
        version: version.unwrap_or_default(),
        list,
    })
}

/// The items of a list of 1 to `most`.
fn bounded<'n>(field: &Field<'n>, most: usize, found: &mut Findings) -> Vec<Field<'n>> {
    let mut items = field.items(found);
    if items.len() > most {
        field.refuse(
            found,
            format!("holds {}, at most {most} are allowed", items.len()),
        );
        items.truncate(most);
    }
    items
}

fn read_runbook(field: &Field<'_>, receivers: Option<&[&str]>, found: &mut Findings) -> Option<Runbook> {
    let table = field.table(&["name", "on", "match", "run", "steps"], found)?;
    let name = table
        .required("name", found)
        .and_then(|name| read_name(&name, found));
    let on = table.get("on");
    let on = on.map_or_else(Vec::new, |field| field.texts(found));
    let when = table.get("match");
    let when: Vec<Matcher> = when.map_or_else(Vec::new, |field| read_matchers(&field, found));
    let runs = Run::ALL.map(|run| (run.as_str(), run));
    let run = table.required("run", found);
    let run = run.and_then(|field| field.choice(&runs, found));
    let items = table.required("steps", found).map_or_else(Vec::new, |field| {
        let items = bounded(&field, MAX_STEPS, found);
        if items.is_empty() {
            field.refuse(found, "expected one step at least");
        }
        items
    });
    let steps = items.iter().filter_map(|item| read_step(item, receivers, found));
    let steps = steps.collect();
    Some(Runbook {
        name: name?.into(),
        on: on.into_iter().map(Box::from).collect(),
        when,
        run: run?,
        steps,
    })
}

/// A name that stands in paths and on one line.
fn read_name<'n>(field: &Field<'n>, found: &mut Findings) -> Option<&'n str> {
    let name = field.text(found)?;
    let is_good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_good) {
        let message = format!("`{name}`: expected 1 to {MAX_NAME} letters, digits, `_` and `-`");
        field.refuse(found, message);
    }
    Some(name)
}

const ACTIONS: [&str; 5] = [
    "suspend",
    "force_breaker",
    "activate_policy",
    "lower_limit",
    "notify",
];

fn read_step(field: &Field<'_>, receivers: Option<&[&str]>, found: &mut Findings) -> Option<Step> {
    let keys = [&ACTIONS[..], &["for", "text"]].concat();
    let table = field.table(&keys, found)?;
    let given: Vec<&str> = ACTIONS
        .into_iter()
        .filter(|action| table.get(action).is_some())
        .collect();
    let [action] = given.as_slice() else {
        field.refuse(found, format!("expected one of: {}", ACTIONS.join(", ")));
        return None;
    };
    let action_field = table.get(action)?;
    if *action == "notify" {
        return read_notify(&action_field, &table, receivers, found);
    }
    if table.get("text").is_some() {
        table.refuse_key("text", found, "only `notify` has a text");
    }
    let lasts = table.required("for", found);
    let lasts = lasts.and_then(|field| read_secs(&field, LASTS_SECS, found));
    let lasts = SignedDuration::from_secs(i64::from(lasts.unwrap_or(60)));
    match *action {
        "suspend" => read_suspend(&action_field, lasts, found),
        "force_breaker" => read_force(&action_field, lasts, found),
        "activate_policy" => Some(Step::ActivatePolicy {
            name: action_field.text(found)?.into(),
            lasts,
        }),
        _ => read_lower(&action_field, lasts, found),
    }
}

fn read_notify(
    field: &Field<'_>,
    table: &Table<'_>,
    known: Option<&[&str]>,
    found: &mut Findings,
) -> Option<Step> {
    if table.get("for").is_some() {
        table.refuse_key("for", found, "what was told has no end");
    }
    let mut receivers = Vec::new();
    for item in field.one_or_more(found) {
        let Some(name) = item.text(found) else { continue };
        if let Some(known) = known
            && !known.contains(&name)
        {
            item.unknown_name(name, known, found);
        }
        receivers.push(name.into());
    }
    let text = table.required("text", found)?;
    let words = text.text(found)?;
    if words.len() > MAX_TEXT {
        text.refuse(
            found,
            format!("is {} bytes long, at most {MAX_TEXT} are allowed", words.len()),
        );
    }
    Some(Step::Notify {
        receivers,
        text: words.into(),
    })
}

fn read_suspend(field: &Field<'_>, lasts: SignedDuration, found: &mut Findings) -> Option<Step> {
    let table = field.table(&["channel", "issuer", "region", "method"], found)?;
    let mut word = |key: &str| table.get(key).and_then(|field| read_word(&field, found));
    let (channel, issuer) = (word("channel"), word("issuer"));
    let (region, method) = (word("region"), word("method"));
    if channel.is_none() && issuer.is_none() && region.is_none() {
        let message = "would leave a method without any channel: name a channel, an issuer or a region";
        field.refuse(found, message);
    }
    Some(Step::Suspend {
        channel,
        issuer,
        region,
        method,
        lasts,
    })
}

fn read_word(field: &Field<'_>, found: &mut Findings) -> Option<Word> {
    let text = field.text(found)?;
    let word = Word::new(text);
    let is_odd = word
        .label()
        .map_or_else(|| text.contains(['{', '}']), str::is_empty);
    if is_odd {
        field.refuse(
            found,
            format!("`{text}`: expected a name, or an alert's label as `{{channel}}`"),
        );
    }
    Some(word)
}

fn read_force(field: &Field<'_>, lasts: SignedDuration, found: &mut Findings) -> Option<Step> {
    let table = field.table(&["channel", "to"], found)?;
    let channel = table.required("channel", found);
    let channel = channel.and_then(|field| read_word(&field, found));
    let choices = [
        ("out", Forced::Out),
        ("in", Forced::In),
        ("observe_only", Forced::ObserveOnly),
    ];
    let forced = table.required("to", found);
    let forced = forced.and_then(|field| field.choice(&choices, found));
    Some(Step::ForceBreaker {
        channel: channel?,
        forced: forced?,
        lasts,
    })
}

fn read_lower(field: &Field<'_>, lasts: SignedDuration, found: &mut Findings) -> Option<Step> {
    let table = field.table(&["limit", "to"], found)?;
    let id = table.required("limit", found).and_then(|id| id.text(found));
    let to = table.required("to", found).and_then(|to| match to.value() {
        Value::Text(_) => {
            let part = to.parsed(read_basis_points, found)?;
            u16::try_from(part).ok().map(Lower::Part)
        }
        _ => to.integer(0..=i64::MAX, found).map(Lower::To),
    });
    Some(Step::LowerLimit {
        id: id?.into(),
        to: to?,
        lasts,
    })
}
