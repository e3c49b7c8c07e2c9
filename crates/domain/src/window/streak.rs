//! How often in a row a channel failed.

use jiff::Timestamp;

use crate::outcome::OutcomeClass;

/// Failures in a row, up to the last outcome that was recorded.
///
/// The one part of a window that depends on the order of outcomes: that in which they were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streaks {
    /// Timeouts in a row.
    pub timeouts: u32,
    /// Technical failures and timeouts in a row.
    pub technical_failures: u32,
    /// When the latest outcome was received.
    pub last_at: Option<Timestamp>,
}

impl Streaks {
    /// Goes on with an outcome of `class`, received `at`.
    pub(super) fn record(&mut self, class: OutcomeClass, at: Timestamp) {
        self.last_at = self.last_at.max(Some(at));
        self.timeouts = match class {
            OutcomeClass::Timeout => self.timeouts.saturating_add(1),
            _ => 0,
        };
        self.technical_failures = match class {
            OutcomeClass::Timeout | OutcomeClass::TechnicalFailure | OutcomeClass::Maintenance => {
                self.technical_failures.saturating_add(1)
            }
            // "Too many calls" is no proof of a fault, and none of its absence.
            OutcomeClass::Busy => self.technical_failures,
            OutcomeClass::Success
            | OutcomeClass::Refusal
            | OutcomeClass::SoftDecline
            | OutcomeClass::IssuerUnavailable => 0,
        };
    }

    /// The streaks of the sequence whose last outcome is the later one.
    pub(super) fn later(self, other: Self) -> Self {
        if other.last_at > self.last_at { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(classes: &[OutcomeClass]) -> (u32, u32) {
        let mut streaks = Streaks::default();
        for &class in classes {
            streaks.record(class, Timestamp::UNIX_EPOCH);
        }
        (streaks.timeouts, streaks.technical_failures)
    }

    #[test]
    fn a_success_ends_both_streaks() {
        use OutcomeClass::{Success, TechnicalFailure, Timeout};
        assert_eq!(after(&[Timeout, TechnicalFailure, Timeout, Timeout]), (2, 4));
        assert_eq!(after(&[Timeout, Timeout, Success]), (0, 0));
    }

    #[test]
    fn a_refusal_ends_both_streaks_because_the_channel_worked() {
        assert_eq!(after(&[OutcomeClass::Timeout, OutcomeClass::Refusal]), (0, 0));
    }

    #[test]
    fn a_busy_channel_neither_goes_on_with_a_streak_of_failures_nor_ends_it() {
        use OutcomeClass::{Busy, TechnicalFailure};
        assert_eq!(after(&[TechnicalFailure, Busy, TechnicalFailure]), (0, 2));
        assert_eq!(after(&[Busy, Busy]), (0, 0));
    }
}
