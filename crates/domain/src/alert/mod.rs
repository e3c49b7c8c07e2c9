//! Alerts: when something is wrong enough to tell somebody, and whom, and how often.
//!
//! Everything here is a function over plain data. [`Rules`] is an operator's document. For each rule and each scope
//! that it is looked at apart, [`evaluate`] makes of a [`Reading`] and the [`Instance`] of before the instance of now,
//! with the [`Transition`]s between them; [`notify`] makes of the instances and the [`Group`]s of before what is to be
//! told to whom. Instances and groups are plain values that a store keeps: clocks survive whoever looks at them.
//!
//! Silence is not health. Without data, or with an error in its place, nothing is ever resolved.

mod builtin;
mod check;
mod dimension;
mod evaluate;
mod flaps;
mod group;
mod inhibition;
mod instance;
mod judge;
mod load;
mod matcher;
mod metric;
mod notify;
mod observation;
pub mod page;
mod quantity;
mod route;
mod rule;
mod series;
mod severity;
mod significance;
mod silence;
mod step;
#[cfg(test)]
mod tests;
mod transition;
mod trial;

pub use builtin::BUILT_IN;
pub use check::{Check, Look, Statistic};
pub use dimension::{Dimension, Scope};
pub use evaluate::{Evaluated, evaluate, retire};
pub use flaps::Flaps;
pub use group::{Group, Kind, Notification};
pub use inhibition::Inhibition;
pub use instance::{Acknowledgement, Clock, Fingerprint, Instance, ReadError, State};
pub use judge::{Judgement, judge};
pub(crate) use load::{read_matchers, secs as read_secs};
pub use matcher::{Matcher, Pattern, matches};
pub use metric::{Metric, Unit};
pub use notify::{Circumstances, Notified, notify};
pub use observation::{Measured, Observation, Reading, Span};
pub use quantity::Quantity;
pub(crate) use quantity::basis_points as read_basis_points;
pub use route::Route;
pub use rule::{Bound, Grouping, Labels, Link, Resolve, Rule};
pub use series::{Beside, Series, failed};
pub use severity::Severity;
pub use silence::Silence;
pub use transition::{Change, Resolution, Transition};
pub use trial::{Trial, Trials};

/// An operator's alert rules, and what happens to what they find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The version that the document gives itself.
    pub version: Box<str>,
    /// The rules, in the order of the document.
    pub list: Vec<Rule>,
    /// Who is told; the first that matches decides, unless it says to go on.
    pub routes: Vec<Route>,
    /// What keeps quiet while something worse is said.
    pub inhibitions: Vec<Inhibition>,
    /// Silences that stand in the document; those that people make while Payroute runs are kept elsewhere.
    pub silences: Vec<Silence>,
}

impl Rules {
    /// The rule of this name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.list.iter().find(|rule| &*rule.name == name)
    }

    /// Who is told of an alert of `rule` with `labels`, each once; nobody named when it is empty, and then
    /// everybody who is told of alerts at all.
    #[must_use]
    pub fn receivers(&self, rule: &Rule, labels: &Labels) -> Vec<Box<str>> {
        if !rule.receivers.is_empty() {
            return rule.receivers.clone();
        }
        let mut receivers: Vec<Box<str>> = Vec::new();
        for route in self.routes.iter().filter(|route| matches(&route.when, labels)) {
            for receiver in &route.receivers {
                if !receivers.contains(receiver) {
                    receivers.push(receiver.clone());
                }
            }
            if !route.goes_on {
                break;
            }
        }
        receivers
    }
}
