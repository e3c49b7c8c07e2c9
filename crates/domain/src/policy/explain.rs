//! Saying, for each rule, whether it matched and what kept it from doing so.

use jiff::Timestamp;
use serde::Serialize;

use super::Policy;
use super::condition::Subject;
use super::rule::Rule;
use crate::payment::Attributes;

/// What a rule said to a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleVerdict<'p> {
    /// The rule's name; the last one is `default`.
    pub rule: &'p str,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It matched, and its selection is the one that counts. Its filters count too.
    Selected,
    /// It matched, and its filters and offers count; it selects nothing, or an earlier rule did before it.
    Matched,
    /// A condition does not hold.
    Unmet {
        /// The first such condition, in words.
        condition: String,
        /// What the payment says instead.
        found: String,
    },
}

impl Policy {
    /// What each rule said to `payment` at `now`, in their order. For people: it allocates.
    #[must_use]
    pub fn explain(&self, payment: &Attributes, now: Timestamp) -> Vec<RuleVerdict<'_>> {
        let subject = Subject::new(payment, now, &self.timezone);
        let mut is_selected = false;
        let mut verdict = |rule: &Rule| match rule.when.first_unmet(&subject) {
            Some(condition) => Verdict::Unmet {
                condition: condition.to_string(),
                found: condition.found(&subject),
            },
            None if rule.selection.is_some() && !is_selected => {
                is_selected = true;
                Verdict::Selected
            }
            None => Verdict::Matched,
        };
        self.rules
            .iter()
            .chain(std::iter::once(&self.default))
            .map(|rule| RuleVerdict {
                rule: &rule.name,
                verdict: verdict(rule),
            })
            .collect()
    }
}
