//! Policies: what an operator wants done with which payments.
//!
//! A policy is an ordered list of rules. Each rule has conditions (`when`, all of which must hold) and says what
//! to do (`then`). Rules combine like this:
//!
//! - *Filters* of every rule that matches add up, in the order of the rules: `deny` takes channels out, `only`
//!   leaves no others in, `prefer` moves channels to the front, `offer` names methods for the cashier. A channel
//!   that is denied stays denied, whatever another rule prefers or selects.
//! - *Selections* (`priority`, `split`, `adaptive`) do not add up: the first matching rule that has one decides,
//!   and is the plan's [`matched_rule`](Plan::matched_rule). `default` decides when no rule does.
//!
//! A policy only orders and takes away: it chooses among eligible channels and can make no other one eligible.
//! Channels that a selection does not name come after those it does, in the order of the configuration, because a
//! payment that gets through on an unnamed channel is better than one that fails; `only` is there for the
//! cases where it is not.

mod attribute;
mod breaker_rules;
mod condition;
mod described;
mod explain;
mod load;
mod local_time;
mod plan;
mod read_condition;
mod read_rule;
mod rule;
mod sample;
mod shadow;
#[cfg(test)]
mod tests;
mod trial;

use jiff::tz::TimeZone;

pub use self::breaker_rules::{BreakerRules, CodeRules, ErrorRateRule, TimeoutRule};
pub use self::described::Described;
pub use self::explain::{RuleVerdict, Verdict};
pub use self::plan::{Plan, PolicyExclusion, Strategy};
use self::rule::Rule;
pub use self::rule::{AdaptiveSettings, Offer};
pub use self::trial::Trial;

/// The name under which the default selection appears among the rules.
pub const DEFAULT_RULE: &str = "default";

/// A policy that was loaded, with every name resolved to the channels it was loaded with.
#[derive(Clone, Debug)]
pub struct Policy {
    version: Box<str>,
    name: Box<str>,
    timezone: TimeZone,
    rules: Box<[Rule]>,
    default: Rule,
    breaker_rules: BreakerRules,
}

impl Policy {
    /// The version that the document gives itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The name that the document gives itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time zone in which rules read the time of day and the weekday.
    #[must_use]
    pub fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// The names of the rules in their order, [`DEFAULT_RULE`] last.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().chain(std::iter::once(&self.default));
        rules.map(|rule| &*rule.name)
    }

    /// The breaker rules that stand beside the adaptive breaker.
    #[must_use]
    pub fn breaker_rules(&self) -> BreakerRules {
        self.breaker_rules
    }
}
