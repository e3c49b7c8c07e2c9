//! Reading a test.

use jiff::Timestamp;

use super::super::dimension::{Dimension, Scope};
use super::super::group::Kind;
use super::super::load::{matchers, rule::quantity, secs, short};
use super::super::matcher::Matcher;
use super::super::metric::Metric;
use crate::document::Position;
use crate::document::field::{Field, Findings, Table};
use crate::outcome::OutcomeClass;
use crate::window::Counts;

/// Longest time that a test can play, in seconds.
const LONGEST_SECS: u64 = 172_800;

/// Most outcomes a minute.
const MAX_PER_MINUTE: i64 = 1_000_000;

/// A test as it was read. Times are seconds from its start.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) name: Box<str>,
    pub(super) line: u32,
    pub(super) start: Timestamp,
    pub(super) every_secs: u32,
    pub(super) flows: Vec<Flow>,
    pub(super) gauges: Vec<Gauge>,
    pub(super) hourly: Vec<(Scope, u32)>,
    pub(super) missing: Vec<Missing>,
    pub(super) silences: Vec<(Stretch, Vec<Matcher>)>,
    pub(super) acknowledged: Vec<(u32, Box<str>)>,
    pub(super) expected: Vec<Expected>,
    pub(super) told: Option<Told>,
}

/// From a second to before another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// Outcomes at one place for a time.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) stretch: Stretch,
    pub(super) place: Scope,
    pub(super) per_minute: Counts,
    pub(super) switches_per_minute: u32,
    pub(super) latency_ms: Option<u32>,
}

/// How a metric of the moment stands for a time.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    pub(super) stretch: Stretch,
    pub(super) metric: Metric,
    pub(super) scope: Scope,
    pub(super) value: u64,
}

/// A time in which the source has nothing, or fails.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) stretch: Stretch,
    pub(super) error: Option<Box<str>>,
}

/// How an alert is to stand at a time.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) at: Position,
    pub(super) path: String,
    pub(super) second: u32,
    pub(super) rule: Box<str>,
    pub(super) about: Scope,
    pub(super) state: Box<str>,
    pub(super) no_data: Option<bool>,
}

/// All messages that are to be sent.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) at: Position,
    pub(super) path: String,
    pub(super) list: Vec<Message>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) second: u32,
    pub(super) kind: Kind,
    pub(super) rule: Box<str>,
    pub(super) receivers: Option<Vec<Box<str>>>,
}

impl Stretch {
    pub(super) const fn holds(self, second: u32) -> bool {
        self.from <= second && second < self.to
    }
}

const KEYS: [&str; 11] = [
    "name",
    "start",
    "every",
    "outcomes",
    "gauges",
    "expected_volume",
    "missing",
    "silences",
    "acknowledge",
    "expect",
    "notifications",
];

pub(super) fn read(field: &Field<'_>, found: &mut Findings) -> Vec<Sample> {
    let items = field.items(found);
    items.iter().filter_map(|item| read_sample(item, found)).collect()
}

fn read_sample(field: &Field<'_>, found: &mut Findings) -> Option<Sample> {
    let table = field.table(&KEYS, found)?;
    let name = table.required("name", found).and_then(|name| name.text(found));
    let start = table.get("start");
    let start = start.and_then(|field| field.parsed(str::parse::<Timestamp>, found));
    let every = table
        .get("every")
        .and_then(|field| secs(&field, 1..=3_600, found));
    let told = table.get("notifications").map(|field| Told {
        at: field.at(),
        path: field.path().to_owned(),
        list: each(&table, "notifications", found, read_message),
    });
    Some(Sample {
        name: name?.into(),
        line: field.at().line,
        start: start.unwrap_or(Timestamp::from_second(NOON).ok()?),
        every_secs: every.unwrap_or(10),
        flows: each(&table, "outcomes", found, read_flow),
        gauges: each(&table, "gauges", found, read_gauge),
        hourly: each(&table, "expected_volume", found, read_hourly),
        missing: each(&table, "missing", found, read_missing),
        silences: each(&table, "silences", found, read_silence),
        acknowledged: each(&table, "acknowledge", found, read_acknowledge),
        expected: each(&table, "expect", found, read_expected),
        told,
    })
}

/// Noon of a working day, in UTC.
const NOON: i64 = 1_772_452_800;

fn each<T>(
    table: &Table<'_>,
    key: &str,
    found: &mut Findings,
    read: impl Fn(&Field<'_>, &mut Findings) -> Option<T>,
) -> Vec<T> {
    let items = table.get(key).map_or_else(Vec::new, |field| field.items(found));
    items.iter().filter_map(|item| read(item, found)).collect()
}

fn moment(table: &Table<'_>, key: &str, found: &mut Findings) -> Option<u32> {
    let field = table.required(key, found)?;
    secs(&field, 0..=LONGEST_SECS, found)
}

fn stretch(table: &Table<'_>, found: &mut Findings) -> Option<Stretch> {
    let from = match table.get("from") {
        Some(_) => moment(table, "from", found),
        None => Some(0),
    };
    let to = moment(table, "to", found);
    let (from, to) = (from?, to?);
    if to <= from {
        table.refuse_key("to", found, "ends before it begins");
    }
    Some(Stretch { from, to })
}

/// A scope, by its dimensions.
fn scope(table: &Table<'_>, key: &str, found: &mut Findings) -> Scope {
    let known = Dimension::ALL.map(Dimension::as_str);
    let place = table.get(key).and_then(|field| field.table(&known, found));
    let mut scope = Scope::overall();
    for (name, field) in place.iter().flat_map(Table::fields) {
        if let (Some(dimension), Some(value)) = (Dimension::from_name(name), short(&field, found)) {
            scope = scope.with(dimension, &value);
        }
    }
    scope
}

fn read_flow(field: &Field<'_>, found: &mut Findings) -> Option<Flow> {
    let keys = [
        "place",
        "from",
        "to",
        "per_minute",
        "switches_per_minute",
        "latency",
    ];
    let table = field.table(&keys, found)?;
    let classes = OutcomeClass::ALL.map(OutcomeClass::as_str);
    let mut per_minute = Counts::default();
    let given = table.required("per_minute", found);
    let given = given.and_then(|field| field.table(&classes, found));
    for (name, field) in given.iter().flat_map(Table::fields) {
        if let (Some(class), Some(count)) = (
            OutcomeClass::from_name(name),
            field.number(0..=MAX_PER_MINUTE, found),
        ) {
            per_minute.add_many(class, count);
        }
    }
    let switches = table.get("switches_per_minute");
    let latency = table.get("latency");
    let latency = latency.and_then(|field| field.parsed(super::super::quantity::millis, found));
    Some(Flow {
        stretch: stretch(&table, found)?,
        place: scope(&table, "place", found),
        per_minute,
        switches_per_minute: switches
            .and_then(|field| field.number(0..=MAX_PER_MINUTE, found))
            .unwrap_or(0),
        latency_ms: latency.and_then(|ms| u32::try_from(ms).ok()),
    })
}

fn read_gauge(field: &Field<'_>, found: &mut Findings) -> Option<Gauge> {
    let table = field.table(&["metric", "place", "from", "to", "value"], found)?;
    let gauges: Vec<_> = Metric::ALL
        .into_iter()
        .filter(|metric| metric.is_gauge())
        .map(|metric| (metric.as_str(), metric))
        .collect();
    let metric = table.required("metric", found);
    let metric = metric.and_then(|field| field.choice(&gauges, found))?;
    let value = table.required("value", found);
    let value = value.and_then(|field| quantity(&field, metric.unit(), found));
    Some(Gauge {
        stretch: stretch(&table, found)?,
        metric,
        scope: scope(&table, "place", found),
        value: value?,
    })
}

fn read_hourly(field: &Field<'_>, found: &mut Findings) -> Option<(Scope, u32)> {
    let table = field.table(&["place", "per_hour"], found)?;
    let per_hour = table.required("per_hour", found);
    let per_hour = per_hour.and_then(|field| field.number(0..=i64::from(u32::MAX), found));
    Some((scope(&table, "place", found), per_hour?))
}

fn read_missing(field: &Field<'_>, found: &mut Findings) -> Option<Missing> {
    let table = field.table(&["from", "to", "error"], found)?;
    let error = table.get("error").and_then(|field| field.text(found));
    Some(Missing {
        stretch: stretch(&table, found)?,
        error: error.map(Box::from),
    })
}

fn read_silence(field: &Field<'_>, found: &mut Findings) -> Option<(Stretch, Vec<Matcher>)> {
    let table = field.table(&["from", "to", "match"], found)?;
    let meant = table.required("match", found)?;
    let meant = matchers::read(&meant, None, found);
    Some((stretch(&table, found)?, meant))
}

fn read_acknowledge(field: &Field<'_>, found: &mut Findings) -> Option<(u32, Box<str>)> {
    let table = field.table(&["at", "rule"], found)?;
    let at = moment(&table, "at", found);
    let rule = table.required("rule", found).and_then(|rule| short(&rule, found));
    Some((at?, rule?))
}

fn read_expected(field: &Field<'_>, found: &mut Findings) -> Option<Expected> {
    let table = field.table(&["at", "rule", "about", "state", "no_data"], found)?;
    let states = [
        ("inactive", "inactive"),
        ("pending", "pending"),
        ("firing", "firing"),
        ("recovering", "recovering"),
        ("resolved", "resolved"),
    ];
    let second = moment(&table, "at", found);
    let rule = table.required("rule", found).and_then(|rule| short(&rule, found));
    let state = table.required("state", found);
    let state = state.and_then(|field| field.choice(&states, found));
    let no_data = table.get("no_data").and_then(|field| field.flag(found));
    Some(Expected {
        at: field.at(),
        path: field.path().to_owned(),
        second: second?,
        rule: rule?,
        about: scope(&table, "about", found),
        state: state?.into(),
        no_data,
    })
}

fn read_message(field: &Field<'_>, found: &mut Findings) -> Option<Message> {
    let table = field.table(&["at", "kind", "rule", "receivers"], found)?;
    let kinds = Kind::ALL.map(|kind| (kind.as_str(), kind));
    let second = moment(&table, "at", found);
    let kind = table.required("kind", found);
    let kind = kind.and_then(|field| field.choice(&kinds, found));
    let rule = table.required("rule", found).and_then(|rule| short(&rule, found));
    let receivers = table.get("receivers");
    let receivers = receivers.map(|field| field.texts(found).into_iter().map(Box::from).collect());
    Some(Message {
        second: second?,
        kind: kind?,
        rule: rule?,
        receivers,
    })
}
