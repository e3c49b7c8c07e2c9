//! The rules that practice configures beside the sequential test: simple, nervous, and easy to explain.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::state::Reason;
use crate::outcome::OutcomeClass;

/// Which rules are on. All are off by default: the sequential test hears the same things sooner and errs less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Trip a channel when too many of its last outcomes were timeouts; practice takes 2 of the last 3.
    pub timeouts: Option<Timeouts>,
    /// Trip a channel when its technical error rate is too high.
    pub error_rate: Option<ErrorRate>,
    /// Trip a channel at the first busy answer, instead of lowering its allowance.
    pub trip_on_busy: bool,
}

/// A bound on the timeouts among the last outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// How many outcomes are looked at, 1 to 64.
    pub of_last: u8,
    /// Trips at this many timeouts among them.
    pub at_least: u8,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            of_last: 3,
            at_least: 2,
        }
    }
}

/// A bound on the technical error rate of a short window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorRate {
    /// Trips above this share, between 0 and 1.
    pub above: f64,
    /// Length of the window, in seconds.
    pub window_s: f64,
    /// Least number of outcomes in the window.
    pub min_outcomes: u32,
}

impl Default for ErrorRate {
    fn default() -> Self {
        Self {
            above: 0.05,
            window_s: 60.0,
            min_outcomes: 20,
        }
    }
}

/// How many parts a window is counted in.
const PARTS: f64 = 12.0;

/// One part of the window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Part {
    from: f64,
    outcomes: u32,
    failures: u32,
}

/// What the rules remember of one channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The latest outcomes, the newest in the lowest bit: whether each was a timeout.
    timeouts: u64,
    parts: VecDeque<Part>,
}

impl Memory {
    /// Notes an outcome. Returns the reason to trip, if a rule that is on says so.
    pub(super) fn note(&mut self, now: f64, class: OutcomeClass, rules: &Rules) -> Option<Reason> {
        let timed_out = class == OutcomeClass::Timeout;
        self.timeouts = self.timeouts << 1 | u64::from(timed_out);
        if rules.trip_on_busy && class == OutcomeClass::Busy {
            return Some(Reason::Busy);
        }
        if timed_out && rules.timeouts.is_some_and(|rule| self.has_too_many(rule)) {
            return Some(Reason::Timeouts);
        }
        let rule = rules.error_rate?;
        self.count(now, class.is_technical_failure(), rule);
        let (outcomes, failures) = self
            .parts
            .iter()
            .fold((0_u32, 0_u32), |(outcomes, failures), part| {
                (
                    outcomes.saturating_add(part.outcomes),
                    failures.saturating_add(part.failures),
                )
            });
        let too_many = f64::from(failures) > rule.above * f64::from(outcomes);
        (outcomes >= rule.min_outcomes && too_many).then_some(Reason::ErrorRate)
    }

    fn has_too_many(&self, rule: Timeouts) -> bool {
        let unseen = 64_u32.saturating_sub(u32::from(rule.of_last));
        let looked_at = self.timeouts.checked_shl(unseen).unwrap_or(0);
        looked_at.count_ones() >= u32::from(rule.at_least)
    }

    fn count(&mut self, now: f64, failed: bool, rule: ErrorRate) {
        while self
            .parts
            .front()
            .is_some_and(|part| part.from <= now - rule.window_s)
        {
            self.parts.pop_front();
        }
        let width = rule.window_s / PARTS;
        if self.parts.back().is_none_or(|part| now - part.from >= width) {
            self.parts.push_back(Part {
                from: now,
                outcomes: 0,
                failures: 0,
            });
        }
        if let Some(part) = self.parts.back_mut() {
            part.outcomes = part.outcomes.saturating_add(1);
            part.failures = part.failures.saturating_add(u32::from(failed));
        }
    }

    /// Forgets everything: after a trip the count starts anew.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_timeouts_of_the_last_three_trip() {
        let rules = Rules {
            timeouts: Some(Timeouts::default()),
            ..Rules::default()
        };
        let mut memory = Memory::default();
        assert_eq!(memory.note(0.0, OutcomeClass::Timeout, &rules), None);
        assert_eq!(memory.note(1.0, OutcomeClass::Success, &rules), None);
        assert_eq!(
            memory.note(2.0, OutcomeClass::Timeout, &rules),
            Some(Reason::Timeouts)
        );
    }

    #[test]
    fn two_timeouts_further_apart_do_not_trip() {
        let rules = Rules {
            timeouts: Some(Timeouts::default()),
            ..Rules::default()
        };
        let mut memory = Memory::default();
        memory.note(0.0, OutcomeClass::Timeout, &rules);
        memory.note(1.0, OutcomeClass::Success, &rules);
        memory.note(1.0, OutcomeClass::Success, &rules);
        assert_eq!(memory.note(2.0, OutcomeClass::Timeout, &rules), None);
    }

    #[test]
    fn an_error_rate_needs_its_minimum_volume() {
        let rules = Rules {
            error_rate: Some(ErrorRate::default()),
            ..Rules::default()
        };
        let mut memory = Memory::default();
        for second in 0..18_u32 {
            assert_eq!(
                memory.note(f64::from(second), OutcomeClass::Success, &rules),
                None
            );
        }
        assert_eq!(memory.note(18.0, OutcomeClass::TechnicalFailure, &rules), None);
        assert_eq!(
            memory.note(19.0, OutcomeClass::TechnicalFailure, &rules),
            Some(Reason::ErrorRate)
        );
    }

    #[test]
    fn errors_outside_the_window_are_forgotten() {
        let rules = Rules {
            error_rate: Some(ErrorRate::default()),
            ..Rules::default()
        };
        let mut memory = Memory::default();
        for _ in 0..19 {
            memory.note(0.0, OutcomeClass::TechnicalFailure, &rules);
        }
        for second in 70..100_u32 {
            assert_eq!(
                memory.note(f64::from(second), OutcomeClass::Success, &rules),
                None
            );
        }
    }

    #[test]
    fn every_rule_is_off_by_default() {
        let mut memory = Memory::default();
        for _ in 0..50 {
            assert_eq!(memory.note(0.0, OutcomeClass::Timeout, &Rules::default()), None);
        }
    }
}
