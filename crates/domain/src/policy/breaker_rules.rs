//! Breaker rules that a policy configures beside the adaptive breaker.

use serde::Serialize;

use crate::document::field::{Field, Findings};

/// When a channel is left at once, as practice has it. What is `None` or `false` is off; all are off by default,
/// because the adaptive breaker's sequential test needs none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BreakerRules {
    /// So many of its last outcomes were timeouts.
    pub timeouts: Option<TimeoutRule>,
    /// Its technical error rate is too high.
    pub error_rate: Option<ErrorRateRule>,
    /// It said so itself.
    pub codes: CodeRules,
}

/// At least so many timeouts among the last outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeoutRule {
    /// How many outcomes are looked at, 1 to 64.
    pub of_last: u8,
    /// How many of them must be timeouts, 1 to `of_last`.
    pub at_least: u8,
}

/// A technical error rate above a bound, with enough outcomes to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorRateRule {
    /// The rate that must be exceeded, in basis points, 1 to 10 000.
    pub above_bp: u16,
    /// The window it is taken over, in seconds, 10 to 3 600.
    pub window_s: u32,
    /// How many outcomes the window must hold, 1 to 1 000 000.
    pub min_volume: u32,
}

/// Which of a channel's own answers count as its leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodeRules {
    /// "Too much to do."
    pub busy: bool,
    /// "Closed for maintenance."
    pub maintenance: bool,
}

pub(super) fn read(field: &Field<'_>, found: &mut Findings) -> BreakerRules {
    let Some(table) = field.table(&["timeouts", "error_rate", "codes"], found) else {
        return BreakerRules::default();
    };
    BreakerRules {
        timeouts: table
            .get("timeouts")
            .and_then(|field| read_timeouts(&field, found)),
        error_rate: table
            .get("error_rate")
            .and_then(|field| read_error_rate(&field, found)),
        codes: table
            .get("codes")
            .and_then(|field| read_codes(&field, found))
            .unwrap_or_default(),
    }
}

fn read_timeouts(field: &Field<'_>, found: &mut Findings) -> Option<TimeoutRule> {
    let table = field.table(&["of_last", "at_least"], found)?;
    let of_last = table
        .required("of_last", found)
        .and_then(|field| field.number(1..=64, found));
    let at_least = table.required("at_least", found);
    let most = of_last.map_or(64, i64::from);
    Some(TimeoutRule {
        at_least: at_least.and_then(|field| field.number(1..=most, found))?,
        of_last: of_last?,
    })
}

fn read_error_rate(field: &Field<'_>, found: &mut Findings) -> Option<ErrorRateRule> {
    let table = field.table(&["above_bp", "window_s", "min_volume"], found)?;
    let above = table
        .required("above_bp", found)
        .and_then(|field| field.number(1..=10_000, found));
    let window = table
        .required("window_s", found)
        .and_then(|field| field.number(10..=3_600, found));
    let volume = table.required("min_volume", found);
    Some(ErrorRateRule {
        min_volume: volume.and_then(|field| field.number(1..=1_000_000, found))?,
        above_bp: above?,
        window_s: window?,
    })
}

fn read_codes(field: &Field<'_>, found: &mut Findings) -> Option<CodeRules> {
    let table = field.table(&["busy", "maintenance"], found)?;
    let mut flag = |key: &str| {
        table
            .get(key)
            .and_then(|field| field.flag(found))
            .unwrap_or(false)
    };
    Some(CodeRules {
        busy: flag("busy"),
        maintenance: flag("maintenance"),
    })
}
