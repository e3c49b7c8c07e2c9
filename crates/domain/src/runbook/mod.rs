//! Runbooks: what to do about an alert, decided beforehand, in the calm.
//!
//! [`plan`] says what a runbook would change of the control state now. Every step has an end and a reverse, none takes
//! out the last channel of a method, and what a person has decided is not decided over. A [`Course`] is a runbook at
//! work on one incident: it says what comes next. Making the changes is the part of whoever keeps the control state.

mod course;
mod load;
mod open;
mod plan;
#[cfg(test)]
mod tests;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::alert::{Labels, Matcher, matches};
use crate::brain::Forced;
use crate::named::named;

pub use course::{Course, End, Line, Made, Next, Settled, Stage};
pub use plan::{Deed, NotDone, Plan, Planned, Reverse, Situation, plan};

/// An operator's runbooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runbooks {
    /// The version that the document gives itself.
    pub version: Box<str>,
    /// The runbooks, in the order of the document.
    pub list: Vec<Runbook>,
}

/// What to do about an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runbook {
    /// Its name, unique among runbooks: rules refer to it.
    pub name: Box<str>,
    /// The rules whose alerts it is for, beside those that name it.
    pub on: Vec<Box<str>>,
    /// Which of their alerts: all of these must fit.
    pub when: Vec<Matcher>,
    /// Who says go.
    pub run: Run,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

named! {
    /// Who says go.
    pub enum Run {
        /// Nobody: it runs when the alert fires.
        Automatically = "automatically",
        /// Somebody, by one click.
        OnApproval = "on_approval",
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Suspends what all that is given covers, for a time.
    Suspend {
        /// The channel; all when `None`.
        channel: Option<Word>,
        /// The issuer.
        issuer: Option<Word>,
        /// The region.
        region: Option<Word>,
        /// The method.
        method: Option<Word>,
        /// For how long.
        lasts: SignedDuration,
    },
    /// Decides about a channel's breaker, for a time.
    ForceBreaker {
        /// The channel.
        channel: Word,
        /// What is decided.
        forced: Forced,
        /// For how long.
        lasts: SignedDuration,
    },
    /// Makes another policy the active one, for a time.
    ActivatePolicy {
        /// The name that the policy gives itself; of several versions the latest.
        name: Box<str>,
        /// For how long.
        lasts: SignedDuration,
    },
    /// Lowers a limit, for a time.
    LowerLimit {
        /// The limit's name.
        id: Box<str>,
        /// To what.
        to: Lower,
        /// For how long.
        lasts: SignedDuration,
    },
    /// Tells somebody.
    Notify {
        /// Whom.
        receivers: Vec<Box<str>>,
        /// What.
        text: Box<str>,
    },
}

/// To what a limit is lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lower {
    /// To this.
    To(i64),
    /// To this part of what it allows now, in basis points.
    Part(u16),
}

/// A name, or the alert's own: `{channel}` is the value of its label `channel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Word(Box<str>);

impl Word {
    /// The word as somebody writes it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The label that it stands for; `None` when it is a name.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.0.strip_prefix('{')?.strip_suffix('}')
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Runbooks {
    /// The runbook of this name.
    #[must_use]
    pub fn runbook(&self, name: &str) -> Option<&Runbook> {
        self.list.iter().find(|runbook| &*runbook.name == name)
    }

    /// The runbooks for an alert of `rule` with `labels`: the one that the rule names, `named`, and those that name the
    /// rule.
    #[must_use]
    pub fn about(&self, rule: &str, named: Option<&str>, labels: &Labels) -> Vec<&Runbook> {
        let is_meant = |runbook: &&Runbook| {
            let is_named = named == Some(&*runbook.name);
            let lists_rule = runbook.on.iter().any(|on| &**on == rule);
            (is_named || lists_rule) && matches(&runbook.when, labels)
        };
        self.list.iter().filter(is_meant).collect()
    }
}
