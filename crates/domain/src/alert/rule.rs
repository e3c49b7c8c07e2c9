//! A rule: what is wrong enough to tell somebody.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::check::{Check, Look};
use super::dimension::{Dimension, Scope};
use super::matcher::Matcher;
use super::metric::Metric;
use super::severity::Severity;

/// What an alert is known by: its dimensions, `alertname`, `severity`, and what its rule adds.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique among the rules: `SuccessRateLow`.
    pub name: Box<str>,
    /// What it looks at.
    pub metric: Metric,
    /// What it tells apart: each combination of values is an alert of its own. Empty for everything together.
    /// A channel is told apart with its provider.
    pub by: Vec<Dimension>,
    /// Which outcomes it counts: those whose dimensions fit all of these.
    pub only: Vec<Matcher>,
    /// The line that must not be crossed; `None` for a metric that has none.
    pub bound: Option<Bound>,
    /// When the line counts as crossed: when any of these says so, for its own time.
    pub checks: Vec<Check>,
    /// When it counts as over.
    pub resolve: Resolve,
    /// How long it must have been over.
    pub keep_firing_for: SignedDuration,
    /// How bad it is.
    pub severity: Severity,
    /// What it adds to the labels.
    pub labels: Labels,
    /// What to say, by name or by language: `summary`, `summary.zh-CN`, `description`.
    pub annotations: Labels,
    /// Who is told; empty to leave it to the routes.
    pub receivers: Vec<Box<str>>,
    /// The plan to follow, by name.
    pub runbook: Option<Box<str>>,
    /// Where else to look.
    pub links: Vec<Link>,
    /// Which of its alerts are told together.
    pub grouping: Grouping,
    /// How often it is told again until somebody acknowledges it.
    pub repeat_every: SignedDuration,
}

/// The line that must not be crossed, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Less is wrong.
    Below(u64),
    /// More is wrong.
    Above(u64),
    /// As many, or more, is wrong.
    AtLeast(u64),
}

/// When an alert counts as over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// How far on the right side of the line, in the metric's unit: what stands at the line would go to and fro.
    pub margin: u64,
    /// The span it is looked at over, in seconds.
    pub window_secs: u32,
    /// How many outcomes the span must hold: too few never resolve.
    pub min_volume: u32,
    /// Where the span holds too few: so many of the latest outcomes of the last hour instead; 0 for never.
    pub latest: u32,
}

/// A place to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What is found there.
    pub text: Box<str>,
    /// Its address.
    pub url: Box<str>,
}

/// Which alerts of a rule are told together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Those with the same value in each of these.
    pub by: Vec<Dimension>,
    /// How long the first waits for others.
    pub wait: SignedDuration,
    /// How long others that come later wait, counted from the last message.
    pub interval: SignedDuration,
}

/// Outcomes that are older say nothing about now: after so long without any, an alert is told to be without data.
pub(super) const NO_TRAFFIC: SignedDuration = SignedDuration::from_mins(30);

/// How far back the latest outcomes may lie, in seconds, where a span holds too few to resolve.
pub(super) const LATEST_WITHIN_SECS: u32 = 3_600;

impl Rule {
    /// The labels of its alert about `scope`.
    #[must_use]
    pub fn labels_of(&self, scope: &Scope) -> Labels {
        let mut labels = self.labels.clone();
        for (dimension, value) in scope.iter() {
            labels.insert(dimension.as_str().into(), value.into());
        }
        labels.insert("alertname".into(), self.name.clone());
        labels.insert("severity".into(), self.severity.as_str().into());
        labels
    }

    /// The spans of time that it must be told of, in seconds; none for what stands at a moment.
    #[must_use]
    pub fn spans(&self) -> BTreeSet<u32> {
        if self.metric.is_gauge() {
            return BTreeSet::new();
        }
        let mut spans = BTreeSet::from([self.resolve.window_secs]);
        for check in &self.checks {
            match check.look {
                Look::Window { secs } => {
                    spans.insert(secs);
                }
                Look::Latest { quiet_secs, .. } => {
                    spans.insert(quiet_secs);
                }
                Look::Burn {
                    long_secs,
                    short_secs,
                    ..
                } => spans.extend([long_secs, short_secs]),
                Look::Now => {}
            }
        }
        spans
    }

    /// How many of the latest outcomes it must be told of, at most; 0 for none.
    #[must_use]
    pub fn latest(&self) -> u32 {
        let latest = |check: &Check| match check.look {
            Look::Latest { outcomes, .. } => outcomes,
            Look::Window { .. } | Look::Burn { .. } | Look::Now => 0,
        };
        let wanted = self.checks.iter().map(latest).max().unwrap_or(0);
        wanted.max(self.resolve.latest)
    }
}
