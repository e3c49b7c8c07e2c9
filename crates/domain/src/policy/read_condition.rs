//! Reading the conditions of a rule.

use super::attribute::{NumberAttribute, OPERATIONS, STAGES, TagAttribute, TextAttribute};
use super::condition::{Condition, MetadataTest, Range, TagTest, TextTest};
use super::local_time::{DAYS, TimeSpan, Weekdays, minute_of_day};
use crate::channels::Channels;
use crate::country::not_a_country;
use crate::document::Value;
use crate::document::field::{Field, Findings, Table, unknown_name};
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
            None => read_other(key, &field, channels, depth, found),
        };
        conditions.extend(read);
    }
    Condition::All(conditions.into())
}

fn read_other(
    key: &str,
    field: &Field<'_>,
    channels: &Channels,
    depth: usize,
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

/// What is wrong with a value that an attribute can never have: a rule on it would silently never match.
type Complaint<'c> = &'c dyn Fn(&str) -> Option<String>;

/// One text, a list of texts, or a table with one of `in`, `prefix` and `present`.
fn read_text(
    field: &Field<'_>,
    attribute: TextAttribute,
    channels: &Channels,
    found: &mut Findings,
) -> Option<Condition> {
    let complaint = |value: &str| complaint(attribute, value, channels);
    Some(Condition::Text(
        attribute,
        read_text_test(field, &complaint, found)?,
    ))
}

fn complaint(attribute: TextAttribute, value: &str, channels: &Channels) -> Option<String> {
    let known: Vec<&str> = match attribute {
        TextAttribute::Operation => OPERATIONS.iter().map(|(name, _)| *name).collect(),
        TextAttribute::Stage => STAGES.iter().map(|(name, _)| *name).collect(),
        TextAttribute::CardFunding => vec!["credit", "debit", "prepaid"],
        TextAttribute::Method => channels.methods(),
        TextAttribute::Currency => return value.parse::<Currency>().err().map(|error| error.to_string()),
        TextAttribute::Country | TextAttribute::IssuerCountry => return not_a_country(value),
        _ => return None,
    };
    (!known.contains(&value)).then(|| unknown_name(value, &known))
}

fn read_text_test(field: &Field<'_>, complaint: Complaint<'_>, found: &mut Findings) -> Option<TextTest> {
    if !matches!(field.value(), Value::Table(_)) {
        return Some(TextTest::In(read_values(field, complaint, found)?));
    }
    let table = field.table(&["in", "prefix", "present"], found)?;
    match (table.get("in"), table.get("prefix"), table.get("present")) {
        (Some(values), None, None) => Some(TextTest::In(read_values(&values, complaint, found)?)),
        (None, Some(prefixes), None) => Some(TextTest::Prefix(read_values(&prefixes, &|_| None, found)?)),
        (None, None, Some(present)) => Some(TextTest::Present(present.flag(found)?)),
        _ => {
            field.refuse(found, "expected exactly one of `in`, `prefix` and `present`");
            None
        }
    }
}

fn read_values(field: &Field<'_>, complaint: Complaint<'_>, found: &mut Findings) -> Option<Box<[Box<str>]>> {
    let items = field.one_or_more(found);
    if items.is_empty() {
        field.refuse(found, "expected at least one value");
    }
    let mut values: Vec<Box<str>> = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = item.text(found) else { continue };
        if let Some(message) = complaint(text) {
            item.refuse(found, message);
        }
        values.push(text.into());
    }
    (!values.is_empty()).then(|| values.into())
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
        return Some(TagTest::Any(read_values(field, &|_| None, found)?));
    }
    let table = field.table(&["any", "all", "none"], found)?;
    match (table.get("any"), table.get("all"), table.get("none")) {
        (Some(tags), None, None) => Some(TagTest::Any(read_values(&tags, &|_| None, found)?)),
        (None, Some(tags), None) => Some(TagTest::All(read_values(&tags, &|_| None, found)?)),
        (None, None, Some(tags)) => Some(TagTest::None(read_values(&tags, &|_| None, found)?)),
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
        return Some(MetadataTest::Text(read_text_test(field, &|_| None, found)?));
    };
    if !lines.iter().any(|line| line.key == "min" || line.key == "max") {
        return Some(MetadataTest::Text(read_text_test(field, &|_| None, found)?));
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

#[cfg(test)]
pub(super) mod tests {
    use jiff::tz::TimeZone;

    use super::super::condition::Subject;
    use super::*;
    use crate::channels::tests::channels;
    use crate::document::parse;
    use crate::payment::tests::payment;
    use crate::payment::{Attributes, Card, Operation};

    pub(in super::super) fn condition(text: &str) -> Result<Condition, Vec<String>> {
        let node = parse(text, "p.yaml").unwrap();
        let mut found = Findings::new("p.yaml");
        let condition = read(&Field::root(&node), &channels(&["a"]), &mut found);
        let said =
            |found: Vec<crate::diagnostic::Diagnostic>| found.into_iter().map(|one| one.message).collect();
        found.finish(condition).map_err(said)
    }

    pub(in super::super) fn holds(condition: &Condition, payment: &Attributes) -> bool {
        // 10:30 on a Monday in Shanghai.
        let now = "2026-01-05T02:30:00Z".parse().unwrap();
        let timezone = TimeZone::get("Asia/Shanghai").unwrap();
        condition.holds(&Subject::new(payment, now, &timezone))
    }

    fn told() -> Attributes {
        let mut payment = payment("p1");
        payment.attempt_no = 2;
        payment.operation = Operation::Authorize;
        payment.issuer = Some("icbc".to_owned());
        payment.country = Some("CN".to_owned());
        payment.card = Some(Card {
            brand: Some("unionpay".to_owned()),
            funding: Some("debit".to_owned()),
            bin: Some("622848".to_owned()),
        });
        payment.customer.segments = vec!["vip".to_owned(), "member".to_owned()];
        payment.device.wallets = vec!["apple_pay".to_owned()];
        payment.risk_score = Some(300);
        payment.metadata.insert("weight".to_owned(), "2.5".to_owned());
        payment
    }

    #[test]
    fn conditions_on_what_is_told() {
        let payment = told();
        let met = [
            "{merchant: shop, payment: {prefix: p}, currency: CNY, operation: authorize, stage: debit}",
            "{method: [pay], issuer: {in: [cmb, icbc]}, country: CN}",
            "{card_brand: unionpay, card_funding: debit, bin: {prefix: [\"4\", \"62\"]}}",
            "{attempt_no: {min: 2}, risk_score: {min: 300, max: 300}}",
            "{amount_minor: {min: 10000, max: 10000, currency: CNY}}",
            "{segments: [gold, vip], wallets: {all: [apple_pay]}}",
            "{segments: {none: [gold]}, new_customer: false}",
            "{metadata: {weight: {min: 2, max: 3.5}, colour: {present: false}}}",
            "{metadata: {weight: [\"1\", \"2.5\"]}}",
            "{time: {from: \"10:00\", to: \"10:31\"}, weekday: [sun, mon]}",
            "{any: [{new_customer: true}, {all: [{method: pay}, {not: {issuer: cmb}}]}]}",
            "{}",
        ];
        for text in met {
            assert!(holds(&condition(text).unwrap(), &payment), "{text}");
        }
        let unmet = [
            "{merchant: shop, payment: {prefix: q}}",
            "{operation: sale}",
            "{bin: {prefix: \"63\"}}",
            "{attempt_no: 1}",
            "{risk_score: {max: 299}}",
            "{amount_minor: {min: 1, currency: USD}}",
            "{segments: {all: [vip, gold]}}",
            "{segments: {none: vip}}",
            "{metadata: {weight: {max: 2.4}}}",
            "{metadata: {colour: red}}",
            "{time: {from: \"22:00\", to: \"10:30\"}}",
            "{weekday: tue}",
            "{not: {method: pay}}",
            "{any: [{new_customer: true}, {issuer: cmb}]}",
        ];
        for text in unmet {
            assert!(!holds(&condition(text).unwrap(), &payment), "{text}");
        }
    }

    #[test]
    fn what_is_not_told_meets_nothing_but_its_absence() {
        let payment = payment("p1");
        for text in [
            "{issuer: icbc}",
            "{issuer: {prefix: i}}",
            "{bin: {present: true}}",
            "{risk_score: {min: 0}}",
            "{segments: vip}",
            "{metadata: {weight: {min: 0}}}",
        ] {
            assert!(!holds(&condition(text).unwrap(), &payment), "{text}");
        }
        assert!(holds(
            &condition("{issuer: {present: false}, segments: {none: vip}}").unwrap(),
            &payment
        ));
    }

    #[test]
    fn conditions_that_could_never_hold_are_refused() {
        let cases = [
            (
                "{operation: refund}",
                "`refund`, expected one of: sale, authorize, agreement_debit",
            ),
            ("{card_funding: debt}", "`debt`, did you mean `debit`?"),
            (
                "{currency: RMB}",
                "`RMB` is not a currency code of ISO 4217, such as CNY or USD",
            ),
            (
                "{country: [CN, UK]}",
                "`UK` is not a country code of ISO 3166-1, such as CN or NO",
            ),
            (
                "{risk_score: {min: 5, max: 4}}",
                "min 5 is above max 4: nothing would match",
            ),
            (
                "{metadata: {x: {min: 5, max: 4.5}}}",
                "min 5 is above max 4.5: nothing would match",
            ),
            (
                "{time: {from: \"10:00\", to: \"10:00\"}}",
                "from and to are the same time",
            ),
            ("{issuer: []}", "expected at least one value"),
            (
                "{issuer: {in: [a], prefix: [b]}}",
                "expected exactly one of `in`, `prefix` and `present`",
            ),
            ("{any: []}", "expected at least one table of conditions"),
        ];
        for (text, expected) in cases {
            assert_eq!(condition(text).unwrap_err(), [expected], "{text}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| format!("{}{{method: pay}}{}", "{not: ".repeat(depth), "}".repeat(depth));
        assert!(condition(&nested(7)).is_ok());
        assert!(condition(&nested(8)).is_err());
    }
}
