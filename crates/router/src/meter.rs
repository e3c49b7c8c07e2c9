//! The metrics of decisions, looked up once: on the path of Route a label costs more than the decision's bookkeeping.

use std::time::Duration;

use domain::decision::Action;
use domain::policy::Strategy;
use jiff::SignedDuration;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use telemetry::metric;

/// Handles of the metrics. To be made when metrics have been turned on: before, they count for nobody.
pub(crate) struct Meter {
    decisions: Vec<(Action, &'static str, Counter)>,
    duration: Histogram,
    health_age: Gauge,
    panic: Gauge,
}

impl Meter {
    /// Looks every handle up.
    pub(crate) fn new() -> Self {
        let of_action = |action: Action| {
            Strategy::NAMES.map(|strategy| {
                let counter =
                    counter!(metric::DECISIONS, "action" => action.as_str(), "strategy" => strategy);
                (action, strategy, counter)
            })
        };
        Self {
            decisions: Action::ALL.into_iter().flat_map(of_action).collect(),
            duration: histogram!(metric::DECISION_DURATION),
            health_age: gauge!(metric::SNAPSHOT_AGE),
            panic: gauge!(metric::PANIC),
        }
    }

    /// Counts a decision that took so long.
    pub(crate) fn decided(&self, action: Action, strategy: Strategy<'_>, took: Duration) {
        let same =
            |(counted, name, _): &&(Action, &str, Counter)| *counted == action && *name == strategy.as_str();
        if let Some((.., counter)) = self.decisions.iter().find(same) {
            counter.increment(1);
        }
        self.duration.record(took.as_secs_f64());
    }

    /// Notes how old the health behind a decision was, and whether every candidate looked failed.
    pub(crate) fn decided_with(&self, health_age: SignedDuration, panic: bool) {
        self.health_age.set(health_age.as_secs_f64());
        self.panic.set(f64::from(u8::from(panic)));
    }
}
