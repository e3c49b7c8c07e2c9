//! What is known about one scope of a rule at one moment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::window::{Counts, Statistics};

/// What somebody who looked has found.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// This.
    Known(Box<Observation>),
    /// Nothing: the source is empty or too old to speak of now.
    NoData,
    /// The source could not be asked, and why.
    Error(Box<str>),
}

/// What is known about one scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// What was seen in the last so many seconds: at least [`Rule::spans`](super::Rule::spans).
    pub spans: BTreeMap<u32, Span>,
    /// The latest outcomes, the latest first, in portions that were received at about the same time: at least
    /// [`Rule::latest`](super::Rule::latest) of them, as far as they lie within an hour.
    pub latest: Vec<(Timestamp, Counts)>,
    /// When the latest outcome was received, however long ago; `None` when it is not known.
    pub latest_at: Option<Timestamp>,
    /// Technical failures and timeouts in a row.
    pub failure_streak: u32,
    /// Timeouts in a row.
    pub timeout_streak: u32,
    /// How a metric of the moment stands, in its unit; `None` for a metric of outcomes.
    pub gauge: Option<u64>,
}

/// What was seen in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Outcomes by class, and how long they took.
    pub outcomes: Statistics,
    /// Those among them that may have charged, which nobody knows by now.
    pub unknown: u32,
    /// Those among them that were not the first attempt at their payment: it was moved, or tried again.
    pub switches: u32,
    /// How many outcomes such a span holds at this time of the day; `None` when nothing is known of that.
    pub expected: Option<u32>,
}

/// What a rule has measured, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The metric's value, in its unit.
    pub value: u64,
    /// Of how many outcomes; 0 for what stands at a moment.
    pub volume: u32,
    /// Over how many seconds; 0 for what stands at a moment.
    pub span_secs: u32,
}

impl Span {
    /// How many outcomes.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.outcomes.counts.total()
    }

    /// Adds what was seen in `other`; what is expected stays.
    pub fn merge(&mut self, other: &Self) {
        self.outcomes.merge(&other.outcomes);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.switches = self.switches.saturating_add(other.switches);
    }
}
