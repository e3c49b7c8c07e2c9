//! Reading a policy document, and refusing it whole when anything in it is wrong.

use jiff::tz::TimeZone;

use super::rule::Rule;
use super::sample::Sample;
use super::trial::Trial;
use super::{Policy, breaker_rules, read_rule, sample, shadow};
use crate::channels::Channels;
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings, Table};
use crate::document::{Node, Value, parse};

/// Most rules of a policy: each costs every payment some ten nanoseconds.
const MAX_RULES: usize = 1_000;

/// Most conditions of a policy, each value of a list counted: the search for shadowed rules compares all with all,
/// and must end within a second.
const MAX_CONDITIONS: usize = 10_000;

/// Longest version or name of a policy, in bytes.
const MAX_NAME: usize = 64;

const KEYS: [&str; 7] = [
    "version", "name", "timezone", "rules", "default", "breaker", "tests",
];

impl Policy {
    /// Reads the policy document `text`, called `file` in diagnostics, for `channels`, and runs its tests.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document. Its tests are run, and shadowed rules looked
    /// for, once everything else is right.
    pub fn load(text: &str, file: &str, channels: &Channels) -> Result<Self, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        let Some(document) = Document::read(&node, channels, &mut found) else {
            return Err(found.finish(()).err().unwrap_or_default());
        };
        if found.is_empty() {
            refuse_shadowed(&document.policy, &document.places, &mut found);
            for test in &document.tests {
                test.run(&document.policy, channels, &mut found);
            }
        }
        found.finish(document.policy)
    }

    /// The name that the policy document `text` gives itself; `None` where it gives none that can be read. Nothing else
    /// of it is looked at.
    #[must_use]
    pub fn name_in(text: &str) -> Option<Box<str>> {
        let node = parse(text, "policy").ok()?;
        let Value::Table(entries) = node.value else {
            return None;
        };
        let name = entries.into_iter().find(|entry| entry.key == "name")?;
        match name.node.value {
            Value::Text(name) => Some(name.into()),
            _ => None,
        }
    }

    /// Runs the tests of the policy document `text`, called `file` in diagnostics, for `channels`: each with its own
    /// result, in the order of the document.
    ///
    /// # Errors
    /// Everything else that is wrong with the document: its tests say nothing then.
    pub fn trials(text: &str, file: &str, channels: &Channels) -> Result<Vec<Trial>, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        let document = Document::read(&node, channels, &mut found);
        if let Some(document) = document.as_ref().filter(|_| found.is_empty()) {
            refuse_shadowed(&document.policy, &document.places, &mut found);
        }
        found.finish(())?;
        let trial = |document: &Document<'_>, test: &Sample<'_>| {
            let mut found = Findings::new(file);
            test.run(&document.policy, channels, &mut found);
            Trial::of(test, found)
        };
        let trials = document
            .iter()
            .flat_map(|document| document.tests.iter().map(move |test| trial(document, test)));
        Ok(trials.collect())
    }
}

/// A document that was read. Whether it is good is in the findings; its tests have not been run.
struct Document<'n> {
    policy: Policy,
    /// The field of each rule.
    places: Vec<Field<'n>>,
    tests: Vec<Sample<'n>>,
}

impl<'n> Document<'n> {
    /// `None`, and reported, when it is no table at all.
    fn read(node: &'n Node, channels: &Channels, found: &mut Findings) -> Option<Self> {
        let table = Field::root(node).table(&KEYS, found)?;
        let (rules, places) = read_rules(&table, channels, found);
        let default = table
            .required("default", found)
            .map(|field| read_rule::read_default(&field, channels, found));
        let policy = Policy {
            version: read_version(&table, found).unwrap_or_default(),
            name: read_name(&table, found).unwrap_or_default(),
            timezone: read_timezone(&table, found).unwrap_or(TimeZone::UTC),
            rules: rules.into(),
            default: default.unwrap_or_else(Rule::blank),
            breaker_rules: table
                .get("breaker")
                .map(|field| breaker_rules::read(&field, found))
                .unwrap_or_default(),
        };
        let tests = table
            .get("tests")
            .map_or_else(Vec::new, |field| sample::read(&field, channels, found));
        Some(Self {
            policy,
            places,
            tests,
        })
    }
}

/// The rules, and the field of each.
fn read_rules<'n>(
    table: &Table<'n>,
    channels: &Channels,
    found: &mut Findings,
) -> (Vec<Rule>, Vec<Field<'n>>) {
    let Some(field) = table.get("rules") else {
        return (Vec::new(), Vec::new());
    };
    let items = field.items(found);
    if items.len() > MAX_RULES {
        field.refuse(
            found,
            format!("holds {} rules, at most {MAX_RULES} are allowed", items.len()),
        );
    }
    let mut rules: Vec<Rule> = Vec::new();
    let mut places = Vec::new();
    for item in items.into_iter().take(MAX_RULES) {
        let Some(rule) = read_rule::read(&item, channels, found) else {
            continue;
        };
        if *rule.name == *super::DEFAULT_RULE || rules.iter().any(|earlier| earlier.name == rule.name) {
            item.refuse(found, format!("rule `{}` is there already", rule.name));
        }
        rules.push(rule);
        places.push(item);
    }
    let conditions: usize = rules.iter().map(|rule| rule.when.weight()).sum();
    if conditions > MAX_CONDITIONS {
        field.refuse(
            found,
            format!("hold {conditions} conditions, at most {MAX_CONDITIONS} are allowed"),
        );
    }
    (rules, places)
}

/// Reports each rule whose selection an earlier one always comes before.
fn refuse_shadowed(policy: &Policy, places: &[Field<'_>], found: &mut Findings) {
    let selecting = || {
        policy
            .rules
            .iter()
            .zip(places)
            .filter(|(rule, _)| rule.selection.is_some())
    };
    for (number, (rule, place)) in selecting().enumerate() {
        let earlier = selecting()
            .take(number)
            .find(|(earlier, _)| shadow::implies(&rule.when, &earlier.when));
        if let Some((earlier, earlier_place)) = earlier {
            let message = format!(
                "rule `{}` never selects: whatever it matches, rule `{}` in line {} has matched before",
                rule.name,
                earlier.name,
                earlier_place.at().line
            );
            place.refuse(found, message);
        }
    }
}

/// A number, or a text such as `2026-03-01.2`.
fn read_version(table: &Table<'_>, found: &mut Findings) -> Option<Box<str>> {
    let field = table.required("version", found)?;
    match field.value() {
        Value::Integer(number) if *number >= 0 => Some(number.to_string().into()),
        _ => short(&field, found),
    }
}

fn read_name(table: &Table<'_>, found: &mut Findings) -> Option<Box<str>> {
    let field = table.required("name", found)?;
    short(&field, found)
}

fn short(field: &Field<'_>, found: &mut Findings) -> Option<Box<str>> {
    let text = field.text(found)?;
    if text.len() > MAX_NAME {
        field.refuse(
            found,
            format!("is {} bytes long, at most {MAX_NAME} are allowed", text.len()),
        );
    }
    Some(text.into())
}

fn read_timezone(table: &Table<'_>, found: &mut Findings) -> Option<TimeZone> {
    let field = table.required("timezone", found)?;
    let name = field.text(found)?;
    let timezone = TimeZone::get(name).ok();
    if timezone.is_none() {
        field.refuse(
            found,
            format!("`{name}` is not a time zone of the IANA database, such as Asia/Shanghai"),
        );
    }
    timezone
}
