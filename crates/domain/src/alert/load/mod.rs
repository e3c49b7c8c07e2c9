//! Reading a document of alert rules, and refusing it whole when anything in it is wrong.

mod checks;
pub(super) mod matchers;
pub(super) mod rule;
mod telling;

use super::quantity;
use super::{Rules, Unit};
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings, Table};
use crate::document::{Node, Value, parse};

/// Most rules of a document.
const MAX_RULES: usize = 200;

/// Longest text, in bytes: it must fit into a message.
const MAX_TEXT: usize = 1_000;

/// Longest name of a rule, a label, a receiver, in bytes.
const MAX_NAME: usize = 64;

const KEYS: [&str; 6] = ["version", "rules", "routes", "inhibit", "silences", "tests"];

impl Rules {
    /// Reads the rules `text`, called `file` in diagnostics. `receivers` are the names that can be told; not looked
    /// at when `None`. What its tests say is not looked at.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document.
    pub fn load(text: &str, file: &str, receivers: Option<&[&str]>) -> Result<Self, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        match Self::read(&node, receivers, &mut found) {
            Some(rules) => found.finish(rules),
            // Whatever made reading stop has been reported.
            None => Err(found.finish(()).err().unwrap_or_default()),
        }
    }

    /// Reads the rules of a document; `None`, and reported, when it is no table at all.
    pub(super) fn read(node: &Node, receivers: Option<&[&str]>, found: &mut Findings) -> Option<Self> {
        let table = Field::root(node).table(&KEYS, found)?;
        let list = table.required("rules", found);
        let list = list.map_or_else(Vec::new, |field| read_rules(&field, receivers, found));
        let names: Vec<&str> = list.iter().map(|rule| &*rule.name).collect();
        let routes = table.get("routes");
        let inhibitions = table.get("inhibit");
        let silences = table.get("silences");
        Some(Self {
            version: read_version(&table, found).unwrap_or_default(),
            routes: routes.map_or_else(Vec::new, |field| telling::read_routes(&field, receivers, found)),
            inhibitions: inhibitions
                .map_or_else(Vec::new, |field| telling::read_inhibitions(&field, &names, found)),
            silences: silences.map_or_else(Vec::new, |field| telling::read_silences(&field, found)),
            list,
        })
    }
}

fn read_version(table: &Table<'_>, found: &mut Findings) -> Option<Box<str>> {
    let field = table.required("version", found)?;
    match field.value() {
        Value::Integer(number @ 0..) => Some(number.to_string().into()),
        _ => short(&field, found),
    }
}

fn read_rules(field: &Field<'_>, receivers: Option<&[&str]>, found: &mut Findings) -> Vec<super::Rule> {
    let items = field.items(found);
    if items.len() > MAX_RULES {
        let message = format!("holds {} rules, at most {MAX_RULES} are allowed", items.len());
        field.refuse(found, message);
    }
    let mut rules: Vec<super::Rule> = Vec::new();
    for item in items.into_iter().take(MAX_RULES) {
        let Some(rule) = rule::read(&item, receivers, found) else {
            continue;
        };
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            item.refuse(found, format!("rule `{}` is there already", rule.name));
        }
        rules.push(rule);
    }
    rules
}

/// A text of at most [`MAX_NAME`] bytes.
pub(super) fn short(field: &Field<'_>, found: &mut Findings) -> Option<Box<str>> {
    bounded(field, MAX_NAME, found)
}

/// A text of at most [`MAX_TEXT`] bytes.
fn long(field: &Field<'_>, found: &mut Findings) -> Option<Box<str>> {
    bounded(field, MAX_TEXT, found)
}

fn bounded(field: &Field<'_>, most: usize, found: &mut Findings) -> Option<Box<str>> {
    let text = field.text(found)?;
    if text.len() > most {
        field.refuse(
            found,
            format!("is {} bytes long, at most {most} are allowed", text.len()),
        );
    }
    Some(text.into())
}

/// Seconds within `range`, written as a time.
pub(crate) fn secs(
    field: &Field<'_>,
    range: std::ops::RangeInclusive<u64>,
    found: &mut Findings,
) -> Option<u32> {
    let secs = field.parsed(quantity::secs, found)?;
    if !range.contains(&secs) {
        let shown = |value| quantity::Quantity {
            value,
            unit: Unit::Secs,
        };
        let (from, to) = (shown(*range.start()), shown(*range.end()));
        field.refuse(found, format!("expected from {from} to {to}"));
        return None;
    }
    u32::try_from(secs).ok()
}

/// A span of outcomes, in seconds: they are counted in buckets of ten.
fn window(field: &Field<'_>, found: &mut Findings) -> Option<u32> {
    let secs = secs(field, 10..=21_600, found)?;
    if !secs.is_multiple_of(10) {
        field.refuse(
            found,
            "outcomes are counted every 10s: expected a multiple of that",
        );
    }
    Some(secs)
}

/// Reads which alerts are meant, by any labels: for documents beside this one.
pub(crate) fn read_matchers(field: &Field<'_>, found: &mut Findings) -> Vec<super::Matcher> {
    matchers::read(field, None, found)
}
