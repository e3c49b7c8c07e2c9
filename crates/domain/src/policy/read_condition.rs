//! Reading the conditions of a rule.

use super::attribute::{NumberAttribute, OPERATIONS, STAGES, TagAttribute, TextAttribute};
use super::condition::{Condition, MetadataTest, Range, TagTest, TextTest};
use super::local_time::{DAYS, TimeSpan, Weekdays, minute_of_day};
use crate::channels::Channels;
use crate::country::is_country;
use crate::document::Value;
use crate::document::field::{Field, Findings, Table};
use crate::money::Currency;

/// Deepest nesting of `not`, `all` and `any`.
const MAX_DEPTH: usize = 8;

/// Keys of `when` besides the names of text attributes.
const OTHER_KEYS: [&str; 12] = [
    "attempt_no",
    "risk_score",
    "amount_minor",
    "new_customer",
    "segments",
    "wallets",
    "metadata",
    "time",
    "weekday",
    "not",
    "all",
    "any",
];

/// Reads a table of conditions, all of which must hold.
pub(super) fn read(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Condition {
    read_table(field, channels, 1, found)
}

fn read_table(field: &Field<'_>, channels: &Channels, depth: usize, found: &mut Findings) -> Condition {
    if depth > MAX_DEPTH {
        field.refuse(
            found,
            format!("conditions may be nested {MAX_DEPTH} deep at most"),
        );
        return Condition::All(Box::default());
    }
    let texts = TextAttribute::ALL.iter().map(|(name, _)| *name);
    let known: Vec<&str> = texts.chain(OTHER_KEYS).collect();
    let Some(table) = field.table(&known, found) else {
        return Condition::All(Box::default());
    };
    let mut conditions = Vec::new();
    for (key, field) in table.fields() {
        let read = match TextAttribute::named(key) {
            Some(attribute) => read_text(&field, attribute, channels, found),
            None => read_other(key, &field, (channels, depth), found),
        };
        conditions.extend(read);
    }
    Condition::All(conditions.into())
}

fn read_other(
    key: &str,
    field: &Field<'_>,
    (channels, depth): (&Channels, usize),
    found: &mut Findings,
) -> Option<Condition> {
    match key {
        "attempt_no" => Some(Condition::Number(
            NumberAttribute::AttemptNo,
            read_range(field, found)?,
        )),
        "risk_score" => Some(Condition::Number(
            NumberAttribute::RiskScore,
            read_range(field, found)?,
        )),
        "amount_minor" => read_amount(field, found),
        "new_customer" => Some(Condition::NewCustomer(field.flag(found)?)),
        "segments" => Some(Condition::Tags(TagAttribute::Segments, read_tags(field, found)?)),
        "wallets" => Some(Condition::Tags(TagAttribute::Wallets, read_tags(field, found)?)),
        "metadata" => read_metadata(field, found),
        "time" => read_time(field, found),
        "weekday" => Some(Condition::Weekday(read_weekdays(field, found))),
        "not" => Some(Condition::Not(Box::new(read_table(
            field,
            channels,
            depth + 1,
            found,
        )))),
        "all" => Some(Condition::All(read_list(field, channels, depth, found))),
        _ => Some(Condition::Any(read_list(field, channels, depth, found))),
    }
}

fn read_list(field: &Field<'_>, channels: &Channels, depth: usize, found: &mut Findings) -> Box<[Condition]> {
    let items = field.items(found);
    if items.is_empty() {
        field.refuse(found, "expected at least one table of conditions");
    }
    items
        .iter()
        .map(|item| read_table(item, channels, depth + 1, found))
        .collect()
}

/// One text, a list of texts, or a table with one of `in`, `prefix` and `present`.
fn read_text(
    field: &Field<'_>,
    attribute: TextAttribute,
    channels: &Channels,
    found: &mut Findings,
) -> Option<Condition> {
    let test = read_text_test(field, found)?;
    if let TextTest::In(values) = &test {
        for value in values {
            check_value(field, attribute, value, (channels, found));
        }
    }
    Some(Condition::Text(attribute, test))
}

fn read_text_test(field: &Field<'_>, found: &mut Findings) -> Option<TextTest> {
    if !matches!(field.value(), Value::Table(_)) {
        return Some(TextTest::In(read_values(field, found)?));
    }
    let table = field.table(&["in", "prefix", "present"], found)?;
    match (table.get("in"), table.get("prefix"), table.get("present")) {
        (Some(values), None, None) => Some(TextTest::In(read_values(&values, found)?)),
        (None, Some(prefixes), None) => Some(TextTest::Prefix(read_values(&prefixes, found)?)),
        (None, None, Some(present)) => Some(TextTest::Present(present.flag(found)?)),
        _ => {
            field.refuse(found, "expected exactly one of `in`, `prefix` and `present`");
            None
        }
    }
}

fn read_values(field: &Field<'_>, found: &mut Findings) -> Option<Box<[Box<str>]>> {
    let items = field.one_or_more(found);
    let values: Box<[Box<str>]> = items
        .iter()
        .filter_map(|item| item.text(found))
        .map(Into::into)
        .collect();
    if items.is_empty() {
        field.refuse(found, "expected at least one value");
    }
    (!values.is_empty()).then_some(values)
}

/// Reports a value that the attribute can never have: a rule on it would silently never match.
fn check_value(
    field: &Field<'_>,
    attribute: TextAttribute,
    value: &str,
    (channels, found): (&Channels, &mut Findings),
) {
    let known: Vec<&str> = match attribute {
        TextAttribute::Operation => OPERATIONS.iter().map(|(name, _)| *name).collect(),
        TextAttribute::Stage => STAGES.iter().map(|(name, _)| *name).collect(),
        TextAttribute::CardFunding => vec!["credit", "debit", "prepaid"],
        TextAttribute::Method => channels.methods(),
        TextAttribute::Currency => {
            if let Err(error) = value.parse::<Currency>() {
                field.refuse(found, error.to_string());
            }
            return;
        }
        TextAttribute::Country | TextAttribute::IssuerCountry => {
            if !is_country(value) {
                field.refuse(
                    found,
                    format!("`{value}` is not a country code of ISO 3166-1, such as CN or NO"),
                );
            }
            return;
        }
        _ => return,
    };
    if !known.contains(&value) {
        field.unknown_name(value, &known, found);
    }
}

/// One number, or a table with `min` and `max`, both included.
fn read_range(field: &Field<'_>, found: &mut Findings) -> Option<Range> {
    if let Value::Integer(number) = field.value() {
        return Some(Range {
            min: *number,
            max: *number,
        });
    }
    let table = field.table(&["min", "max"], found)?;
    bounds(field, &table, found)
}

fn bounds(field: &Field<'_>, table: &Table<'_>, found: &mut Findings) -> Option<Range> {
    let mut bound = |key: &str, missing: i64| match table.get(key) {
        Some(field) => field.integer(0..=i64::MAX, found),
        None => Some(missing),
    };
    let (min, max) = (bound("min", i64::MIN), bound("max", i64::MAX));
    let range = Range { min: min?, max: max? };
    if range.min == i64::MIN && range.max == i64::MAX {
        field.refuse(found, "expected `min`, `max` or both");
    } else if range.min > range.max {
        field.refuse(
            found,
            format!(
                "min {} is above max {}: nothing would match",
                range.min, range.max
            ),
        );
    }
    Some(range)
}

fn read_amount(field: &Field<'_>, found: &mut Findings) -> Option<Condition> {
    let table = field.table(&["min", "max", "currency"], found)?;
    let currency = table
        .required("currency", found)
        .and_then(|field| field.parsed(str::parse, found));
    let range = bounds(field, &table, found);
    Some(Condition::Amount(currency?, range?))
}

/// One tag or a list, one of which must be there, or a table with one of `any`, `all` and `none`.
fn read_tags(field: &Field<'_>, found: &mut Findings) -> Option<TagTest> {
    if !matches!(field.value(), Value::Table(_)) {
        return Some(TagTest::Any(read_values(field, found)?));
    }
    let table = field.table(&["any", "all", "none"], found)?;
    match (table.get("any"), table.get("all"), table.get("none")) {
        (Some(tags), None, None) => Some(TagTest::Any(read_values(&tags, found)?)),
        (None, Some(tags), None) => Some(TagTest::All(read_values(&tags, found)?)),
        (None, None, Some(tags)) => Some(TagTest::None(read_values(&tags, found)?)),
        _ => {
            field.refuse(found, "expected exactly one of `any`, `all` and `none`");
            None
        }
    }
}

fn read_metadata(field: &Field<'_>, found: &mut Findings) -> Option<Condition> {
    let table = field.open_table(found)?;
    if table.is_empty() {
        field.refuse(found, "expected at least one key");
    }
    let conditions = table.fields().filter_map(|(key, field)| {
        let test = read_metadata_test(&field, found)?;
        Some(Condition::Metadata(key.into(), test))
    });
    Some(Condition::All(conditions.collect()))
}

fn read_metadata_test(field: &Field<'_>, found: &mut Findings) -> Option<MetadataTest> {
    let Value::Table(lines) = field.value() else {
        return Some(MetadataTest::Text(read_text_test(field, found)?));
    };
    if !lines.iter().any(|line| line.key == "min" || line.key == "max") {
        return Some(MetadataTest::Text(read_text_test(field, found)?));
    }
    let table = field.table(&["min", "max"], found)?;
    let mut bound = |key: &str, missing: f64| match table.get(key) {
        Some(field) => read_decimal(&field, found),
        None => Some(missing),
    };
    let (min, max) = (bound("min", f64::NEG_INFINITY)?, bound("max", f64::INFINITY)?);
    if min > max {
        field.refuse(
            found,
            format!("min {min} is above max {max}: nothing would match"),
        );
    }
    Some(MetadataTest::Between(min, max))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a bound on a caller's own number, never an amount; beyond 2^53 it may be off by its last digit"
)]
fn read_decimal(field: &Field<'_>, found: &mut Findings) -> Option<f64> {
    match field.value() {
        Value::Integer(number) => Some(*number as f64),
        Value::Decimal(number) => Some(*number),
        _ => {
            field.mismatch(found, "a number");
            None
        }
    }
}

fn read_time(field: &Field<'_>, found: &mut Findings) -> Option<Condition> {
    let table = field.table(&["from", "to"], found)?;
    let mut minute = |key: &str| {
        let field = table.required(key, found)?;
        let minute = field.text(found).map(minute_of_day);
        if minute == Some(None) {
            field.mismatch(found, "a time of day from \"00:00\" to \"24:00\"");
        }
        minute.flatten()
    };
    let (from, to) = (minute("from"), minute("to"));
    let span = TimeSpan::new(from?, to?);
    if span.is_none() {
        field.refuse(found, "from and to are the same time");
    }
    span.map(Condition::Time)
}

fn read_weekdays(field: &Field<'_>, found: &mut Findings) -> Weekdays {
    let mut days = Weekdays::default();
    for item in field.one_or_more(found) {
        if let Some(day) = item.choice(&DAYS, found) {
            days.insert(day);
        }
    }
    if days == Weekdays::default() {
        field.refuse(found, "expected at least one day");
    }
    days
}
