//! What becomes of one attempt: what the provider does with it, and what the caller gets to see of that.

use std::time::Duration;

use domain::outcome::OutcomeClass;

/// How the answer comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once.
    Once,
    /// Once, and again this much later.
    Twice(Duration),
    /// Never, though the attempt was worked on to the end.
    Lost,
}

/// What the provider makes of an attempt. All times are counted from the submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The request never arrived: the provider knows nothing of it.
    Swallowed,
    /// The request arrived and hung. Nothing is charged, and no answer comes.
    Stuck {
        /// From then on the provider knows that it was not paid.
        given_up_after: Duration,
    },
    /// Worked on to the end.
    Done {
        /// The result.
        class: OutcomeClass,
        /// When the answer leaves.
        answered_after: Duration,
        /// When money moves, if it does: before the answer leaves.
        charged_after: Option<Duration>,
        /// How the answer comes back.
        delivery: Delivery,
    },
}

/// What becomes of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate(pub Work);

impl Fate {
    /// When the caller gets an answer, and which; `None` when none ever comes.
    #[must_use]
    pub fn answer(&self) -> Option<(Duration, OutcomeClass)> {
        match self.0 {
            Work::Swallowed
            | Work::Stuck { .. }
            | Work::Done {
                delivery: Delivery::Lost,
                ..
            } => None,
            Work::Done {
                class,
                answered_after,
                ..
            } => Some((answered_after, class)),
        }
    }

    /// What a caller sees who waits for `timeout`, and when: the answer, or the timeout.
    #[must_use]
    pub fn seen_within(&self, timeout: Duration) -> (Duration, OutcomeClass) {
        self.answer()
            .filter(|(after, _)| *after <= timeout)
            .unwrap_or((timeout, OutcomeClass::Timeout))
    }

    /// When money moves; `None` when it never does.
    #[must_use]
    pub fn charged_after(&self) -> Option<Duration> {
        match self.0 {
            Work::Swallowed | Work::Stuck { .. } => None,
            Work::Done { charged_after, .. } => charged_after,
        }
    }

    /// From when on the provider knows the result; `None` when it never hears of the attempt.
    #[must_use]
    pub fn settled_after(&self) -> Option<Duration> {
        match self.0 {
            Work::Swallowed => None,
            Work::Stuck { given_up_after } => Some(given_up_after),
            Work::Done {
                answered_after,
                charged_after,
                ..
            } => Some(charged_after.unwrap_or(answered_after)),
        }
    }
}
