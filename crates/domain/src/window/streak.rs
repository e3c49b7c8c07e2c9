//! How often in a row a channel failed.

use jiff::Timestamp;

use super::counts::Counts;
use crate::outcome::OutcomeClass;

/// Clocks of two machines may differ by this much, in seconds. What was received longer before the latest outcome comes
/// from the past, and does not say how often in a row the channel fails now.
const BEHIND_SECS: i64 = 120;

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
    /// Goes on with an outcome of `class`, received `at`. One that comes long after it was received is left out.
    pub(super) fn record(&mut self, class: OutcomeClass, at: Timestamp) {
        let is_old = |last: Timestamp| last.as_second().saturating_sub(at.as_second()) > BEHIND_SECS;
        if self.last_at.is_some_and(is_old) {
            return;
        }
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

/// A stretch of outcomes, of which only their streaks are remembered; an earlier stretch can be put before it. For who
/// reads outcomes from the latest on, until it knows enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    streaks: Streaks,
    outcomes: u32,
    /// Those among them that are no sign of failure, and of none.
    busy: u32,
}

impl Stretch {
    /// Goes on with an outcome, as windows do.
    pub fn record(&mut self, class: OutcomeClass, at: Timestamp) {
        self.streaks.record(class, at);
        self.outcomes = self.outcomes.saturating_add(1);
        self.busy = self.busy.saturating_add(u32::from(class == OutcomeClass::Busy));
    }

    /// The stretch of `counts` right before this one, when their order does not matter; `None` when it does.
    #[must_use]
    pub fn before(&self, counts: &Counts) -> Option<Self> {
        let outcomes = counts.total();
        let failures = counts
            .timeout
            .saturating_add(counts.technical_failure)
            .saturating_add(counts.maintenance);
        let ends_streaks = outcomes > failures.saturating_add(counts.busy);
        let only_timeouts = counts.timeout == outcomes;
        let plain = only_timeouts || counts.timeout == 0 || self.has_all_timeouts();
        (self.outcomes > 0 && !ends_streaks && plain).then_some(Self {
            streaks: Streaks {
                timeouts: if only_timeouts { outcomes } else { 0 },
                technical_failures: failures,
                last_at: None,
            },
            outcomes,
            busy: counts.busy,
        })
    }

    /// Both in a row.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        let joined =
            |own: u32, before: u32, whole: bool| if whole { own } else { own.saturating_add(before) };
        let (own, before) = (self.streaks, earlier.streaks);
        Self {
            streaks: Streaks {
                timeouts: joined(own.timeouts, before.timeouts, self.has_all_timeouts()),
                technical_failures: joined(
                    own.technical_failures,
                    before.technical_failures,
                    self.has_all_failures(),
                ),
                last_at: own.last_at.max(before.last_at),
            },
            outcomes: self.outcomes.saturating_add(earlier.outcomes),
            busy: self.busy.saturating_add(earlier.busy),
        }
    }

    /// Whether nothing earlier changes its streaks.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.has_all_timeouts() && self.has_all_failures()
    }

    /// The streaks at its end.
    #[must_use]
    pub const fn streaks(&self) -> Streaks {
        self.streaks
    }

    /// Whether the timeouts in a row began within.
    const fn has_all_timeouts(&self) -> bool {
        self.streaks.timeouts < self.outcomes
    }

    /// Whether the failures in a row began within.
    const fn has_all_failures(&self) -> bool {
        self.streaks.technical_failures < self.outcomes.saturating_sub(self.busy)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn an_outcome_from_the_past_neither_goes_on_with_a_streak_nor_ends_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut streaks = Streaks::default();
        streaks.record(OutcomeClass::Timeout, at(1_000));
        streaks.record(OutcomeClass::Success, at(879));
        assert_eq!(streaks.timeouts, 1);
        streaks.record(OutcomeClass::Success, at(880));
        assert_eq!((streaks.timeouts, streaks.last_at), (0, Some(at(1_000))));
    }

    #[test]
    fn a_busy_channel_neither_goes_on_with_a_streak_of_failures_nor_ends_it() {
        use OutcomeClass::{Busy, TechnicalFailure};
        assert_eq!(after(&[TechnicalFailure, Busy, TechnicalFailure]), (0, 2));
        assert_eq!(after(&[Busy, Busy]), (0, 0));
    }

    fn stretch(classes: &[OutcomeClass]) -> Stretch {
        let mut stretch = Stretch::default();
        for &class in classes {
            stretch.record(class, Timestamp::UNIX_EPOCH);
        }
        stretch
    }

    fn classes() -> impl Strategy<Value = Vec<OutcomeClass>> {
        use OutcomeClass::{Busy, Maintenance, Success, TechnicalFailure, Timeout};
        let failing = proptest::sample::select(vec![Timeout, Timeout, TechnicalFailure, Busy, Maintenance]);
        let any = prop_oneof![9 => failing, 1 => Just(Success)];
        proptest::collection::vec(any, 0..6)
    }

    proptest! {
        #[test]
        fn two_stretches_in_a_row_are_one(earlier in classes(), later in classes()) {
            let whole = stretch(&[earlier.clone(), later.clone()].concat());
            let joined = stretch(&later).after(stretch(&earlier));
            prop_assert_eq!(joined, whole);
            if stretch(&later).is_complete() {
                prop_assert_eq!(whole.streaks(), stretch(&later).streaks());
            }
        }

        #[test]
        fn counts_are_enough_where_their_order_does_not_matter(earlier in classes(), later in classes()) {
            let later = stretch(&later);
            let mut counts = Counts::default();
            for class in &earlier {
                counts.add(*class);
            }
            if let Some(before) = later.before(&counts) {
                prop_assert_eq!(later.after(before).streaks(), later.after(stretch(&earlier)).streaks());
            }
        }
    }
}
