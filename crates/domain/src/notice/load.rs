//! Reading a document of notice rules.

use jiff::tz::TimeZone;

use super::occasion::{Happened, Way};
use super::quiet::{QuietHours, time_of_day};
use super::template::{Body, Pattern};
use super::{Placeholder, Rule, Rules, Template};
use crate::catalogue::{Reason, is_tag};
use crate::diagnostic::Diagnostic;
use crate::document::Value;
use crate::document::field::{Field, Findings, Table};
use crate::document::parse;

/// Most rules of a document.
const MAX_RULES: usize = 200;

/// Longest text of a field, in bytes. A text message has room for a tenth of it.
const MAX_TEXT: usize = 1_000;

/// How long a notice may still be sent, in seconds: from a minute to a week; a day when nothing is said.
const VALID_SECS: std::ops::RangeInclusive<i64> = 60..=604_800;
const DEFAULT_VALID_SECS: u32 = 86_400;

/// Whether a receiver of the configuration can be used for a way.
pub type Fits<'f> = dyn Fn(Way, &str) -> Result<(), String> + 'f;

impl Rules {
    /// Reads the rules `text`, called `file` in diagnostics.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document.
    pub fn load(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::load_for(text, file, &|_, _| Ok(()))
    }

    /// The same, where `fits` says of every receiver whether it is there and sends by that way, and else what is wrong.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document.
    pub fn load_for(text: &str, file: &str, fits: &Fits<'_>) -> Result<Self, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        match read(&Field::root(&node), fits, &mut found) {
            Some(rules) => found.finish(rules),
            // Whatever made reading stop has been reported.
            None => Err(found.finish(()).err().unwrap_or_default()),
        }
    }
}

fn read(root: &Field<'_>, fits: &Fits<'_>, found: &mut Findings) -> Option<Rules> {
    let keys = [
        "version",
        "timezone",
        "quiet_hours",
        "receivers",
        "rules",
        "templates",
    ];
    let table = root.table(&keys, found)?;
    let receivers = table.required("receivers", found);
    let receivers = receivers.map_or_else(Vec::new, |field| read_receivers(&field, fits, found));
    let templates = table.required("templates", found);
    let templates = templates.map_or_else(Vec::new, |field| read_templates(&field, found));
    let rules = table.required("rules", found);
    if let Some(field) = &rules {
        refuse_unsent(field, &receivers, found);
    }
    let rules = rules.map_or_else(Vec::new, |field| read_rules(&field, &templates, found));
    Some(Rules {
        version: read_version(&table, found).unwrap_or_default(),
        timezone: read_timezone(&table, found).unwrap_or(TimeZone::UTC),
        quiet: table
            .get("quiet_hours")
            .and_then(|field| read_quiet(&field, found)),
        receivers,
        list: rules,
        templates,
    })
}

/// By which receiver each way is sent.
fn read_receivers(field: &Field<'_>, fits: &Fits<'_>, found: &mut Findings) -> Vec<(Way, Box<str>)> {
    let Some(table) = field.table(&Way::ALL.map(Way::as_str), found) else {
        return Vec::new();
    };
    let read = |way: Way| {
        let fitting = |name: &str| fits(way, name).map(|()| Box::from(name));
        Some((way, table.get(way.as_str())?.parsed(fitting, found)?))
    };
    Way::ALL.into_iter().filter_map(read).collect()
}

/// Reports every way of a rule that no receiver sends by.
fn refuse_unsent(rules: &Field<'_>, receivers: &[(Way, Box<str>)], found: &mut Findings) {
    for item in rules.items(&mut Findings::new("")) {
        let table = item.open_table(&mut Findings::new(""));
        let send = table.and_then(|table| table.get("send"));
        for way in send.map_or_else(Vec::new, |field| field.items(&mut Findings::new(""))) {
            let known = way.text(&mut Findings::new("")).and_then(Way::from_name);
            if known.is_some_and(|known| !receivers.iter().any(|(way, _)| *way == known)) {
                way.refuse(found, "no receiver is named for it in `receivers`");
            }
        }
    }
}

fn read_version(table: &Table<'_>, found: &mut Findings) -> Option<Box<str>> {
    let field = table.required("version", found)?;
    match field.value() {
        Value::Integer(number @ 0..) => Some(number.to_string().into()),
        _ => field.text(found).map(Box::from),
    }
}

fn read_timezone(table: &Table<'_>, found: &mut Findings) -> Option<TimeZone> {
    let named = |name: &str| {
        let refused = |_| format!("`{name}` is not a time zone of the IANA database, such as Asia/Shanghai");
        TimeZone::get(name).map_err(refused)
    };
    table.required("timezone", found)?.parsed(named, found)
}

fn read_quiet(field: &Field<'_>, found: &mut Findings) -> Option<QuietHours> {
    let table = field.table(&["from", "to"], found)?;
    let mut time = |key: &str| table.required(key, found)?.parsed(time_of_day, found);
    let (from, to) = (time("from"), time("to"));
    let quiet = QuietHours::new(from?, to?);
    if quiet.is_none() {
        field.refuse(found, "begins when it ends: that could mean never or always");
    }
    quiet
}

fn read_templates(field: &Field<'_>, found: &mut Findings) -> Vec<Template> {
    let Some(table) = field.open_table(found) else {
        return Vec::new();
    };
    let ways = Way::ALL.map(Way::as_str);
    let mut templates = Vec::new();
    for (name, field) in table.fields() {
        let mut bodies = Vec::new();
        if let Some(table) = field.table(&ways, found) {
            for (way, languages) in table.fields() {
                if let Some(way) = Way::from_name(way) {
                    bodies.extend(read_bodies(&languages, way, found));
                }
            }
        }
        templates.push(Template {
            name: name.into(),
            bodies,
        });
    }
    templates
}

/// What one way says, by language.
fn read_bodies(field: &Field<'_>, way: Way, found: &mut Findings) -> Vec<Body> {
    let Some(languages) = field.open_table(found) else {
        return Vec::new();
    };
    let mut bodies = Vec::new();
    for (locale, field) in languages.fields() {
        if !is_tag(locale) {
            let message = format!("`{locale}` is not a language tag of BCP 47, such as en or zh-CN");
            languages.refuse_key(locale, found, message);
        }
        bodies.extend(read_body(&field, way, locale, found));
    }
    if languages.is_empty() {
        field.refuse(found, "expected a text in one language at least");
    }
    bodies
}

fn read_body(field: &Field<'_>, way: Way, locale: &str, found: &mut Findings) -> Option<Body> {
    // A text message and a template message are the vendor's own texts, which we only fill.
    let keys: &[&str] = if way.reaches_a_person() {
        &["template", "fields"]
    } else {
        &["fields"]
    };
    let table = field.table(keys, found)?;
    let vendor_template = if way.reaches_a_person() {
        let template = table.required("template", found);
        template.and_then(|template| template.text(found)).map(Box::from)
    } else {
        None
    };
    let fields = table.required("fields", found)?.open_table(found)?;
    let mut patterns = Vec::new();
    for (name, field) in fields.fields() {
        let Some(text) = field.text(found) else { continue };
        if text.len() > MAX_TEXT {
            field.refuse(
                found,
                format!("is {} bytes long, at most {MAX_TEXT} are allowed", text.len()),
            );
        }
        if let Some(pattern) = field.parsed(Pattern::parse, found) {
            patterns.push((name.into(), pattern));
        }
    }
    Some(Body {
        way,
        locale: locale.into(),
        vendor_template,
        fields: patterns,
    })
}

const RULE_KEYS: [&str; 8] = [
    "name",
    "events",
    "reasons",
    "methods",
    "send",
    "template",
    "urgent",
    "valid_secs",
];

fn read_rules(field: &Field<'_>, templates: &[Template], found: &mut Findings) -> Vec<Rule> {
    let items = field.items(found);
    if items.len() > MAX_RULES {
        field.refuse(
            found,
            format!("holds {} rules, at most {MAX_RULES} are allowed", items.len()),
        );
    }
    let mut rules: Vec<Rule> = Vec::new();
    for item in items.into_iter().take(MAX_RULES) {
        let Some(rule) = read_rule(&item, templates, found) else {
            continue;
        };
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            item.refuse(found, format!("rule `{}` is there already", rule.name));
        }
        rules.push(rule);
    }
    rules
}

fn read_rule(field: &Field<'_>, templates: &[Template], found: &mut Findings) -> Option<Rule> {
    let table = field.table(&RULE_KEYS, found)?;
    let name = table.required("name", found).and_then(|name| name.text(found));
    let events = table.required("events", found);
    let events = events.map_or_else(Vec::new, |field| {
        choices(&field, &Happened::ALL.map(|event| (event.as_str(), event)), found)
    });
    let reasons = table.get("reasons");
    let reasons = reasons.map(|field| {
        choices(
            &field,
            &Reason::ALL.map(|reason| (reason.as_str(), reason)),
            found,
        )
    });
    let methods = table
        .get("methods")
        .map_or_else(Vec::new, |field| field.texts(found));
    let ways = table.required("send", found).map_or_else(Vec::new, |field| {
        let all = Way::ALL.map(|way| (way.as_str(), way));
        field
            .items(found)
            .iter()
            .filter_map(|item| item.choice(&all, found))
            .collect()
    });
    let template = read_template(&table, &ways, templates, found);
    let urgent = table.get("urgent").and_then(|field| field.flag(found));
    let valid_secs = table
        .get("valid_secs")
        .and_then(|field| field.number(VALID_SECS, found));
    let rule = Rule {
        name: name?.into(),
        events,
        reasons,
        methods,
        ways,
        template,
        urgent: urgent.unwrap_or(false),
        valid_secs: valid_secs.unwrap_or(DEFAULT_VALID_SECS),
    };
    refuse_unsaid(field, &rule, templates, found);
    Some(rule)
}

/// The values of a list that must hold one at least.
fn choices<T: Copy>(field: &Field<'_>, all: &[(&'static str, T)], found: &mut Findings) -> Vec<T> {
    let items = field.items(found);
    if items.is_empty() {
        field.refuse(found, "expected one at least");
    }
    items.iter().filter_map(|item| item.choice(all, found)).collect()
}

/// The template of a rule: it must say something by every way of the rule.
fn read_template(
    table: &Table<'_>,
    ways: &[Way],
    templates: &[Template],
    found: &mut Findings,
) -> Option<usize> {
    if ways.is_empty() {
        if table.get("template").is_some() {
            table.refuse_key("template", found, "a rule that sends nothing has no template");
        }
        return None;
    }
    let field = table.required("template", found)?;
    let name = field.text(found)?;
    let at = templates.iter().position(|template| &*template.name == name);
    let Some(template) = at.and_then(|at| templates.get(at)) else {
        let known: Vec<&str> = templates.iter().map(|template| &*template.name).collect();
        field.unknown_name(name, &known, found);
        return None;
    };
    for way in ways {
        if !template.bodies.iter().any(|body| body.way == *way) {
            field.refuse(found, format!("template `{name}` says nothing by `{way}`"));
        }
    }
    at
}

/// Reports a rule that would send a reason's text where there may be no reason: a success has none.
fn refuse_unsaid(field: &Field<'_>, rule: &Rule, templates: &[Template], found: &mut Findings) {
    let without = rule.events.iter().find(|event| event.ends_doubt());
    let (Some(event), None) = (without, &rule.reasons) else {
        return;
    };
    let bodies = rule
        .template
        .and_then(|at| templates.get(at))
        .map_or(&[][..], |template| &template.bodies);
    let speaks = |body: &&Body| {
        let has = |placeholder| body.fields.iter().any(|(_, pattern)| pattern.has(placeholder));
        rule.ways.contains(&body.way) && (has(Placeholder::What) || has(Placeholder::Todo))
    };
    if bodies.iter().any(|body| speaks(&body)) {
        let message = format!(
            "`{{what}}` and `{{todo}}` may be empty after `{event}`: name `reasons`, or leave them out"
        );
        field.refuse(found, message);
    }
}
