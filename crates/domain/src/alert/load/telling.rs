//! Reading who is told of what: routes, inhibitions and silences.

use jiff::Timestamp;

use super::super::dimension::Dimension;
use super::super::inhibition::Inhibition;
use super::super::route::Route;
use super::super::silence::Silence;
use super::{long, matchers, short};
use crate::document::field::{Field, Findings, Table};

/// Names of receivers, each one of `known` when that is given.
pub(super) fn read_receivers(
    field: &Field<'_>,
    known: Option<&[&str]>,
    found: &mut Findings,
) -> Vec<Box<str>> {
    let items = field.one_or_more(found);
    if items.is_empty() {
        field.refuse(found, "expected one receiver at least");
    }
    let mut receivers: Vec<Box<str>> = Vec::new();
    for item in items {
        let Some(name) = short(&item, found) else { continue };
        if known.is_some_and(|known| !known.contains(&&*name)) {
            item.unknown_name(&name, known.unwrap_or_default(), found);
        }
        if receivers.contains(&name) {
            item.refuse(found, format!("`{name}` stands here twice"));
        } else {
            receivers.push(name);
        }
    }
    receivers
}

/// Names of dimensions.
pub(super) fn read_dimensions(field: &Field<'_>, found: &mut Findings) -> Vec<Dimension> {
    let all = Dimension::ALL.map(|dimension| (dimension.as_str(), dimension));
    let mut dimensions = Vec::new();
    for item in field.one_or_more(found) {
        if let Some(dimension) = item.choice(&all, found)
            && !dimensions.contains(&dimension)
        {
            dimensions.push(dimension);
        }
    }
    dimensions.sort_unstable();
    dimensions
}

pub(super) fn read_routes(field: &Field<'_>, known: Option<&[&str]>, found: &mut Findings) -> Vec<Route> {
    let mut routes = Vec::new();
    for item in field.items(found) {
        let Some(table) = item.table(&["match", "receivers", "continue"], found) else {
            continue;
        };
        let when = table.get("match");
        let receivers = table.required("receivers", found);
        let goes_on = table.get("continue");
        routes.push(Route {
            when: when.map_or_else(Vec::new, |field| matchers::read(&field, None, found)),
            receivers: receivers.map_or_else(Vec::new, |field| read_receivers(&field, known, found)),
            goes_on: goes_on.and_then(|field| field.flag(found)).unwrap_or(false),
        });
    }
    routes
}

pub(super) fn read_inhibitions(field: &Field<'_>, rules: &[&str], found: &mut Findings) -> Vec<Inhibition> {
    let mut inhibitions: Vec<Inhibition> = Vec::new();
    for item in field.items(found) {
        let Some(inhibition) = read_inhibition(&item, rules, found) else {
            continue;
        };
        // Two that keep each other quiet would both never be heard.
        for muted in &inhibition.mute {
            if *muted == inhibition.while_firing || speaks_over(&inhibitions, muted, &inhibition.while_firing)
            {
                let speaker = &inhibition.while_firing;
                item.refuse(found, format!("`{muted}` keeps `{speaker}` quiet already"));
            }
        }
        inhibitions.push(inhibition);
    }
    inhibitions
}

fn read_inhibition(field: &Field<'_>, rules: &[&str], found: &mut Findings) -> Option<Inhibition> {
    let table = field.table(&["while", "mute", "same"], found)?;
    let rule = |field: &Field<'_>, found: &mut Findings| {
        let name = field.text(found)?;
        if !rules.contains(&name) {
            field.unknown_name(name, rules, found);
        }
        Some(Box::from(name))
    };
    let speaker = table.required("while", found);
    let speaker = speaker.and_then(|field| rule(&field, found));
    let mut mute = Vec::new();
    if let Some(field) = table.required("mute", found) {
        for item in field.one_or_more(found) {
            mute.extend(rule(&item, found));
        }
    }
    let same = table.required("same", found);
    Some(Inhibition {
        while_firing: speaker?,
        mute,
        same: same.map_or_else(Vec::new, |field| match field.value() {
            crate::document::Value::List(items) if items.is_empty() => Vec::new(),
            _ => read_dimensions(&field, found),
        }),
    })
}

/// Whether `speaker` keeps `other` quiet, by itself or through others.
fn speaks_over(inhibitions: &[Inhibition], speaker: &str, other: &str) -> bool {
    let mut reached = vec![speaker];
    let mut next = 0;
    while let Some(from) = reached.get(next).copied() {
        next += 1;
        for inhibition in inhibitions {
            if &*inhibition.while_firing != from {
                continue;
            }
            for muted in &inhibition.mute {
                if &**muted == other {
                    return true;
                }
                if !reached.contains(&&**muted) {
                    reached.push(muted);
                }
            }
        }
    }
    false
}

pub(super) fn read_silences(field: &Field<'_>, found: &mut Findings) -> Vec<Silence> {
    let mut silences: Vec<Silence> = Vec::new();
    for item in field.items(found) {
        let Some(silence) = read_silence(&item, found) else {
            continue;
        };
        if silences.iter().any(|earlier| earlier.id == silence.id) {
            item.refuse(found, format!("silence `{}` is there already", silence.id));
        }
        silences.push(silence);
    }
    silences
}

fn read_silence(field: &Field<'_>, found: &mut Findings) -> Option<Silence> {
    let table = field.table(&["name", "match", "from", "to", "author", "reason"], found)?;
    let id = table.required("name", found).and_then(|name| short(&name, found));
    let meant = table.required("match", found);
    let matchers = meant.map(|field| matchers::read(&field, None, found));
    let starts_at = read_time(&table, "from", found);
    let ends_at = read_time(&table, "to", found);
    let author = table.required("author", found);
    let author = author.and_then(|author| short(&author, found));
    let reason = table.required("reason", found);
    let reason = reason.and_then(|reason| long(&reason, found));
    let silence = Silence {
        id: id?,
        matchers: matchers?,
        starts_at: starts_at?,
        ends_at: ends_at?,
        author: author?,
        reason: reason?,
    };
    if silence.ends_at <= silence.starts_at {
        field.refuse(found, "ends before it begins");
    }
    Some(silence)
}

fn read_time(table: &Table<'_>, key: &str, found: &mut Findings) -> Option<Timestamp> {
    let field = table.required(key, found)?;
    let refused = |text: &str| format!("`{text}` is not a time such as 2026-03-02T00:10:00+08:00");
    field.parsed(
        |text: &str| text.parse::<Timestamp>().map_err(|_| refused(text)),
        found,
    )
}
