//! Reading one rule.

use jiff::SignedDuration;

use super::super::check::Statistic;
use super::super::dimension::Dimension;
use super::super::metric::{Metric, Nature, Unit};
use super::super::quantity;
use super::super::rule::{Bound, Grouping, Labels, Link, Rule};
use super::super::severity::Severity;
use super::checks::{self, Usual};
use super::{long, matchers, secs, short, telling};
use crate::channels::not_a_label;
use crate::document::Value;
use crate::document::field::{Field, Findings, Table};

const KEYS: [&str; 20] = [
    "name",
    "metric",
    "by",
    "only",
    "below",
    "above",
    "at_least",
    "checks",
    "mode",
    "for",
    "keep_firing_for",
    "resolve",
    "severity",
    "labels",
    "annotations",
    "receivers",
    "runbook",
    "links",
    "group",
    "repeat_every",
];

/// How long a line must be crossed, and how long it must not, when nothing is said.
const USUAL_HOLD: SignedDuration = SignedDuration::from_secs(60);
const USUAL_KEEP: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn read(field: &Field<'_>, receivers: Option<&[&str]>, found: &mut Findings) -> Option<Rule> {
    let table = field.table(&KEYS, found)?;
    let name = table
        .required("name", found)
        .and_then(|name| read_name(&name, found));
    let metrics = Metric::ALL.map(|metric| (metric.as_str(), metric));
    let metric = table.required("metric", found);
    let metric = metric.and_then(|field| field.choice(&metrics, found));
    let severities = Severity::ALL.map(|severity| (severity.as_str(), severity));
    let severity = table.required("severity", found);
    let severity = severity.and_then(|field| field.choice(&severities, found));
    let by = table
        .get("by")
        .map_or_else(Vec::new, |field| read_by(&field, found));
    let dimensions = Dimension::ALL.map(Dimension::as_str);
    let only = table.get("only");
    let only = only.map_or_else(Vec::new, |field| matchers::read(&field, Some(&dimensions), found));
    let told = table.get("receivers");
    let told = told.map_or_else(Vec::new, |field| {
        telling::read_receivers(&field, receivers, found)
    });
    let runbook = table.get("runbook").and_then(|field| short(&field, found));
    let links = table
        .get("links")
        .map_or_else(Vec::new, |field| read_links(&field, found));
    let labels = table.get("labels").map(|field| read_labels(&field, found));
    let annotations = table.get("annotations").map(|field| read_texts(&field, found));
    let keep = table.get("keep_firing_for");
    let keep = keep.and_then(|field| span(&field, 30..=3_600, found));
    let usual_repeat = SignedDuration::from_mins(if severity.is_some_and(Severity::is_page) {
        30
    } else {
        240
    });
    let repeat = table.get("repeat_every");
    let repeat = repeat.and_then(|field| span(&field, 60..=604_800, found));
    let group = table.get("group");
    let grouping = read_grouping(group.as_ref(), &by, found);
    // What follows means something for a metric only.
    let metric = metric?;
    if metric.only_by().is_some_and(|only| only != by) {
        let expected = if metric.only_by() == Some(&[]) {
            "overall"
        } else {
            "channel"
        };
        table.refuse_key("by", found, format!("`{metric}` is known by `{expected}` only"));
    }
    let usual = read_usual(&table, metric, found);
    let checks = checks::read(&table, usual, found);
    Some(Rule {
        name: name?,
        metric,
        bound: usual.bound,
        resolve: checks::read_resolve(table.get("resolve"), usual, &checks, found),
        checks,
        by,
        only,
        keep_firing_for: keep.unwrap_or(USUAL_KEEP),
        severity: severity?,
        labels: labels.unwrap_or_default(),
        annotations: annotations.unwrap_or_default(),
        receivers: told,
        runbook,
        links,
        grouping,
        repeat_every: repeat.unwrap_or(usual_repeat),
    })
}

/// A name that is a label everywhere: `SuccessRateLow`.
fn read_name(field: &Field<'_>, found: &mut Findings) -> Option<Box<str>> {
    let name = short(field, found)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.chars().all(fits) {
        field.refuse(found, format!("`{name}`: expected letters, digits and `_` only"));
    }
    Some(name)
}

/// What is told apart. A segment is a method and an issuer; a channel is told apart with its provider, which is what
/// alerts are grouped by.
fn read_by(field: &Field<'_>, found: &mut Findings) -> Vec<Dimension> {
    match field.value() {
        Value::Text(text) if text == "overall" => return Vec::new(),
        Value::Text(text) if text == "segment" => {
            return vec![Dimension::Method, Dimension::Issuer];
        }
        _ => {}
    }
    let mut dimensions = telling::read_dimensions(field, found);
    if dimensions.contains(&Dimension::Channel) && !dimensions.contains(&Dimension::Provider) {
        dimensions.push(Dimension::Provider);
    }
    dimensions.sort_unstable();
    dimensions
}

fn read_usual(table: &Table<'_>, metric: Metric, found: &mut Findings) -> Usual {
    let mode = table.get("mode");
    if let (Some(mode), true) = (&mode, metric.nature() != Nature::Share) {
        mode.refuse(found, format!("`{metric}` is no share: it has no mode"));
    }
    let statistic = mode.and_then(|mode| mode.choice(&Statistic::NAMES, found));
    let usual_hold = match metric.nature() {
        // In a row is long enough, and so is a span without anything.
        Nature::Streak | Nature::Absence => SignedDuration::ZERO,
        Nature::Share | Nature::Figure | Nature::Gauge => USUAL_HOLD,
    };
    let hold_field = table.get("for");
    Usual {
        metric,
        bound: read_bound(table, metric, found),
        statistic,
        hold: hold_field
            .and_then(|field| hold(&field, found))
            .unwrap_or(usual_hold),
    }
}

fn read_bound(table: &Table<'_>, metric: Metric, found: &mut Findings) -> Option<Bound> {
    let fitting: &[&str] = match metric.nature() {
        Nature::Share if metric.is_bad_when_low() => &["below"],
        Nature::Figure if metric == Metric::Volume => &["below", "above"],
        Nature::Share | Nature::Gauge | Nature::Figure => &["above"],
        Nature::Absence => &[],
        Nature::Streak => &["at_least"],
    };
    // Whether a channel is down is no matter of degree.
    if metric == Metric::ChannelDown {
        for key in ["below", "above", "at_least"] {
            if table.get(key).is_some() {
                table.refuse_key(key, found, format!("`{metric}` has no `{key}`"));
            }
        }
        return Some(Bound::AtLeast(1));
    }
    let mut bound = None;
    for key in ["below", "above", "at_least"] {
        let Some(field) = table.get(key) else { continue };
        if !fitting.contains(&key) {
            let message = match fitting {
                [] => format!("`{metric}` has no line"),
                [one, ..] => format!("`{metric}` has no `{key}`, expected `{one}`"),
            };
            table.refuse_key(key, found, message);
        } else if bound.is_some() {
            table.refuse_key(key, found, "one line only");
        } else if let Some(line) = quantity(&field, metric.unit(), found) {
            bound = Some(match key {
                "below" => Bound::Below(line),
                "above" => Bound::Above(line),
                _ => Bound::AtLeast(line.max(1)),
            });
        } else {
            // Reported; a line that stands in keeps it from being reported as missing.
            bound = Some(Bound::Above(0));
        }
    }
    if let (None, [one, ..]) = (bound, fitting) {
        table.required(one, found);
    }
    bound
}

/// A number of the unit of a metric.
pub(in super::super) fn quantity(field: &Field<'_>, unit: Unit, found: &mut Findings) -> Option<u64> {
    match unit {
        Unit::Share => field.parsed(quantity::basis_points, found),
        Unit::Millis => field.parsed(quantity::millis, found),
        Unit::Secs => field.parsed(quantity::secs, found),
        Unit::Count => field.number(0..=i64::MAX, found),
    }
}

/// How long something must hold.
pub(super) fn hold(field: &Field<'_>, found: &mut Findings) -> Option<SignedDuration> {
    span(field, 0..=86_400, found)
}

fn span(
    field: &Field<'_>,
    range: std::ops::RangeInclusive<u64>,
    found: &mut Findings,
) -> Option<SignedDuration> {
    let secs = secs(field, range, found)?;
    Some(SignedDuration::from_secs(i64::from(secs)))
}

fn read_labels(field: &Field<'_>, found: &mut Findings) -> Labels {
    let own = ["alertname", "severity"];
    let labels = read_texts(field, found);
    for name in labels.keys() {
        let is_taken = own.contains(&&**name) || Dimension::from_name(name).is_some();
        if is_taken {
            field.refuse(found, format!("`{name}` is set by Payroute"));
        } else if let Some(message) = not_a_label(name) {
            field.refuse(found, message);
        }
    }
    labels
}

fn read_texts(field: &Field<'_>, found: &mut Findings) -> Labels {
    let Some(table) = field.open_table(found) else {
        return Labels::new();
    };
    let mut texts = Labels::new();
    for (name, field) in table.fields() {
        if let Some(text) = long(&field, found) {
            texts.insert(name.into(), text);
        }
    }
    texts
}

fn read_links(field: &Field<'_>, found: &mut Findings) -> Vec<Link> {
    let mut links = Vec::new();
    for item in field.items(found) {
        let Some(table) = item.table(&["text", "url"], found) else {
            continue;
        };
        let text = table.required("text", found).and_then(|text| long(&text, found));
        let url = table.required("url", found);
        if let Some(url) = &url
            && let Some(text) = url.text(found)
            && !text.starts_with("https://")
            && !text.starts_with("http://")
        {
            url.refuse(found, "expected an address that begins with https:// or http://");
        }
        let url = url.and_then(|url| long(&url, found));
        if let (Some(text), Some(url)) = (text, url) {
            links.push(Link { text, url });
        }
    }
    links
}

/// By provider where providers are told apart, and otherwise all together.
fn read_grouping(field: Option<&Field<'_>>, by: &[Dimension], found: &mut Findings) -> Grouping {
    let usual = by.iter().copied().filter(|by| *by == Dimension::Provider);
    let mut grouping = Grouping {
        by: usual.collect(),
        wait: SignedDuration::ZERO,
        interval: SignedDuration::from_mins(1),
    };
    let Some(table) = field.and_then(|field| field.table(&["by", "wait", "interval"], found)) else {
        return grouping;
    };
    if let Some(field) = table.get("by") {
        grouping.by = match field.value() {
            Value::List(items) if items.is_empty() => Vec::new(),
            _ => telling::read_dimensions(&field, found),
        };
        if let Some(other) = grouping.by.iter().find(|wanted| !by.contains(wanted)) {
            field.refuse(found, format!("the rule does not tell apart each `{other}`"));
        }
    }
    if let Some(field) = table.get("wait") {
        grouping.wait = span(&field, 0..=600, found).unwrap_or(grouping.wait);
    }
    if let Some(field) = table.get("interval") {
        grouping.interval = span(&field, 10..=3_600, found).unwrap_or(grouping.interval);
    }
    grouping
}
