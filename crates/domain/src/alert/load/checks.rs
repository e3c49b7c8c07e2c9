//! Reading when a line counts as crossed, and when it counts as over.

use jiff::SignedDuration;

use super::super::check::{Check, Look, Statistic};
use super::super::judge::{budget, burn_line};
use super::super::metric::{Metric, Nature};
use super::super::rule::{Bound, Resolve};
use super::{rule, secs, window};
use crate::document::field::{Field, Findings, Table};

/// Most outcomes that a check can want.
const MAX_VOLUME: i64 = 10_000_000;

/// Most of the latest outcomes that are looked at.
const MAX_LATEST: i64 = 200;

/// Most checks of a rule.
const MAX_CHECKS: usize = 8;

/// What holds for every check of a rule that says nothing else.
#[derive(Clone, Copy)]
pub(super) struct Usual {
    pub(super) metric: Metric,
    pub(super) bound: Option<Bound>,
    pub(super) statistic: Option<Statistic>,
    pub(super) hold: SignedDuration,
}

const KEYS: [&str; 9] = [
    "window",
    "latest",
    "within",
    "when_fewer_than",
    "in",
    "burn",
    "mode",
    "min_volume",
    "for",
];

pub(super) fn read(table: &Table<'_>, usual: Usual, found: &mut Findings) -> Vec<Check> {
    let nature = usual.metric.nature();
    let Some(field) = table.get("checks") else {
        if matches!(nature, Nature::Streak | Nature::Gauge) {
            return vec![Check {
                look: Look::Now,
                statistic: Statistic::Naive,
                min_volume: 0,
                hold: usual.hold,
            }];
        }
        table.required("checks", found);
        return Vec::new();
    };
    if matches!(nature, Nature::Streak | Nature::Gauge) {
        let message = format!("`{}` is looked at as it stands: it has no checks", usual.metric);
        field.refuse(found, message);
        return Vec::new();
    }
    let items = field.items(found);
    if items.is_empty() || items.len() > MAX_CHECKS {
        field.refuse(found, format!("expected 1 to {MAX_CHECKS} checks"));
    }
    let mut checks: Vec<Check> = Vec::new();
    for item in items.iter().take(MAX_CHECKS) {
        let Some(check) = read_check(item, usual, found) else {
            continue;
        };
        if checks
            .iter()
            .any(|earlier| earlier.to_string() == check.to_string())
        {
            item.refuse(found, "is the same as an earlier check");
        }
        checks.push(check);
    }
    checks
}

fn read_check(field: &Field<'_>, usual: Usual, found: &mut Findings) -> Option<Check> {
    let table = field.table(&KEYS, found)?;
    let is_share = usual.metric.nature() == Nature::Share;
    let mode = table.get("mode");
    if let (Some(mode), false) = (&mode, is_share) {
        mode.refuse(found, format!("`{}` is no share: it has no mode", usual.metric));
    }
    let statistic = mode.and_then(|mode| mode.choice(&Statistic::NAMES, found));
    let min_volume = if usual.metric == Metric::Volume {
        table.get("min_volume")
    } else {
        table.required("min_volume", found)
    };
    let min_volume = min_volume.and_then(|field| field.number(1..=MAX_VOLUME, found));
    let hold = table.get("for").and_then(|field| rule::hold(&field, found));
    let look = read_look(&table, usual, found);
    let usual_statistic = if is_share {
        usual.statistic.unwrap_or(Statistic::Wilson)
    } else {
        Statistic::Naive
    };
    Some(Check {
        look: look?,
        statistic: statistic.unwrap_or(usual_statistic),
        min_volume: min_volume.unwrap_or(0),
        hold: hold.unwrap_or(usual.hold),
    })
}

fn read_look(table: &Table<'_>, usual: Usual, found: &mut Findings) -> Option<Look> {
    let kinds = ["window", "latest", "burn"];
    let given: Vec<_> = kinds.into_iter().filter(|key| table.get(key).is_some()).collect();
    let [kind] = given.as_slice() else {
        match given.get(1) {
            Some(second) => table.refuse_key(second, found, "one of `window`, `latest` and `burn` only"),
            None => {
                table.required("window", found);
            }
        }
        return None;
    };
    if *kind == "window" {
        let secs = window(&table.get("window")?, found)?;
        return Some(Look::Window { secs });
    }
    let has_share = usual.metric.nature() == Nature::Share;
    if !has_share || (*kind == "latest" && !usual.metric.is_of_outcomes()) {
        table.refuse_key(kind, found, format!("`{}` cannot be looked at so", usual.metric));
        return None;
    }
    if *kind == "latest" {
        read_latest(table, found)
    } else {
        read_burn(&table.get("burn")?, usual, found)
    }
}

fn read_latest(table: &Table<'_>, found: &mut Findings) -> Option<Look> {
    let outcomes = table.get("latest")?.number(5..=MAX_LATEST, found);
    let within = table.required("within", found);
    let within_secs = within.and_then(|field| secs(&field, 60..=3_600, found));
    let below = table.required("when_fewer_than", found);
    let quiet_below = below.and_then(|field| field.number(1..=MAX_VOLUME, found));
    let span = table.required("in", found);
    let quiet_secs = span.and_then(|field| window(&field, found));
    Some(Look::Latest {
        outcomes: outcomes?,
        within_secs: within_secs?,
        quiet_below: quiet_below?,
        quiet_secs: quiet_secs?,
    })
}

/// `{times: 4, long: 1h, short: 5m}`.
fn read_burn(field: &Field<'_>, usual: Usual, found: &mut Findings) -> Option<Look> {
    let table = field.table(&["times", "long", "short"], found)?;
    let times = table.required("times", found);
    let hundredths = times.and_then(|field| read_times(&field, found));
    let long = table.required("long", found);
    let long_secs = long.and_then(|field| window(&field, found));
    let short = table.required("short", found);
    let short_secs = short.and_then(|field| window(&field, found));
    let (hundredths, long_secs, short_secs) = (hundredths?, long_secs?, short_secs?);
    let budget = budget(usual.bound);
    if burn_line(budget, hundredths) >= 10_000 {
        let most = 1_000_000_u64.checked_div(budget).unwrap_or(0);
        let message = format!(
            "never fires: the budget can burn at most {}.{:02} times too fast",
            most / 100,
            most % 100
        );
        field.refuse(found, message);
    }
    if short_secs >= long_secs {
        field.refuse(found, "expected `short` to be shorter than `long`");
    }
    Some(Look::Burn {
        hundredths,
        long_secs,
        short_secs,
    })
}

/// A number with at most two decimals, in hundredths.
fn read_times(field: &Field<'_>, found: &mut Findings) -> Option<u32> {
    use crate::document::Value;
    let hundredths = match field.value() {
        Value::Integer(times) => u32::try_from(*times)
            .ok()
            .and_then(|times| times.checked_mul(100)),
        Value::Decimal(times) => hundredths_of(*times),
        _ => None,
    };
    let hundredths = hundredths.filter(|hundredths| (100..=100_000).contains(hundredths));
    if hundredths.is_none() {
        field.mismatch(found, "a number from 1 to 1000");
    }
    hundredths
}

/// `times` in whole hundredths, found by its text: a float is not to be compared.
fn hundredths_of(times: f64) -> Option<u32> {
    let text = format!("{times:.2}");
    let (whole, cents) = text.split_once('.')?;
    let whole: u32 = whole.parse().ok()?;
    whole.checked_mul(100)?.checked_add(cents.parse().ok()?)
}

/// Reads when it is over; what is not said is as usual for the metric.
pub(super) fn read_resolve(
    field: Option<Field<'_>>,
    usual: Usual,
    checks: &[Check],
    found: &mut Findings,
) -> Resolve {
    let mut resolve = usual_resolve(usual.metric, checks);
    let table = field.and_then(|field| field.table(&["margin", "window", "min_volume", "latest"], found));
    let Some(table) = table else { return resolve };
    let nature = usual.metric.nature();
    for key in ["margin", "window", "min_volume", "latest"] {
        let fits = match key {
            "margin" => !matches!(nature, Nature::Absence | Nature::Streak),
            "latest" => usual.metric.is_of_outcomes(),
            _ => nature != Nature::Gauge,
        };
        if table.get(key).is_some() && !fits {
            table.refuse_key(key, found, format!("`{}` has no such condition", usual.metric));
        }
    }
    if let Some(margin) = table.get("margin") {
        let margin = rule::quantity(&margin, usual.metric.unit(), found);
        resolve.margin = margin.unwrap_or(resolve.margin);
    }
    if let Some(field) = table.get("window") {
        resolve.window_secs = window(&field, found).unwrap_or(resolve.window_secs);
    }
    if let Some(field) = table.get("min_volume") {
        let volume = field.number(1..=MAX_VOLUME, found);
        resolve.min_volume = volume.unwrap_or(resolve.min_volume);
    }
    if let Some(field) = table.get("latest") {
        resolve.latest = field.number(0..=MAX_LATEST, found).unwrap_or(resolve.latest);
    }
    resolve
}

/// A point of share above the line over five minutes with 50 outcomes; another metric as fits it.
fn usual_resolve(metric: Metric, checks: &[Check]) -> Resolve {
    let longest = checks.iter().filter_map(|check| match check.look {
        Look::Window { secs } => Some(secs),
        Look::Latest { .. } | Look::Burn { .. } | Look::Now => None,
    });
    let (margin, window_secs, min_volume) = match metric.nature() {
        Nature::Share => (100, 300, 50),
        Nature::Figure if metric == Metric::Volume => (0, longest.max().unwrap_or(300), 0),
        Nature::Figure => (0, 300, 50),
        Nature::Absence => (0, longest.max().unwrap_or(300), 1),
        // Of a channel with few outcomes, too, it must be seen that it works.
        Nature::Streak => (0, 1_800, 1),
        Nature::Gauge => (0, 0, 0),
    };
    Resolve {
        margin,
        window_secs,
        min_volume,
        latest: if metric.is_of_outcomes() { 50 } else { 0 },
    }
}
