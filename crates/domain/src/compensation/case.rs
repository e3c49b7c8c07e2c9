//! The case of an attempt: what is kept of it while its money is not settled.

use jiff::Timestamp;

use crate::attempt::State;
use crate::named::named;

named! {
    /// Why there is a case.
    pub enum Cause {
        /// The money of the attempt is not settled.
        Unsettled = "unsettled",
        /// An order was created, or may have been, that nobody holds the code of: it is closed for tidiness, and the
        /// payment went on long ago.
        Orphan = "orphan",
    }
}

named! {
    /// What the merchant's integration is asked to do.
    pub enum Ask {
        /// Ask the provider what became of the attempt.
        Query = "query",
        /// Close the order, so that it can no longer be paid.
        Close = "close",
        /// Take the attempt back: cancel, void, reverse.
        Reverse = "reverse",
        /// Pay the customer back.
        Refund = "refund",
    }
}

/// What is kept of an attempt whose money is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Why there is a case.
    pub cause: Cause,
    /// The state of the attempt.
    pub state: State,
    /// When the attempt became open.
    pub opened_at: Timestamp,
    /// Since when it has been in its state.
    pub since: Timestamp,
    /// What was asked for last while it was in its state, and how often.
    pub asked: Option<Asked>,
    /// Whether somebody was told of its state: that it needs review, or that it is settled.
    pub told: bool,
}

/// What was asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub what: Ask,
    /// How often, from 1.
    pub times: u32,
    /// When last.
    pub at: Timestamp,
}

impl Case {
    /// The case of an attempt that is in `state` since `at`.
    #[must_use]
    pub const fn open(cause: Cause, state: State, at: Timestamp) -> Self {
        Self {
            cause,
            state,
            opened_at: at,
            since: at,
            asked: None,
            told: false,
        }
    }

    /// The case after the attempt came into `state`: what was asked before counts no more.
    #[must_use]
    pub const fn moved(self, state: State, at: Timestamp) -> Self {
        Self {
            state,
            since: at,
            asked: None,
            told: false,
            ..self
        }
    }

    /// The case after the merchant's integration was asked to do `what`.
    #[must_use]
    pub fn after_asking(self, what: Ask, at: Timestamp) -> Self {
        let times = self.times(what).saturating_add(1);
        Self {
            asked: Some(Asked { what, times, at }),
            ..self
        }
    }

    /// The case after somebody was told.
    #[must_use]
    pub const fn after_telling(self) -> Self {
        Self { told: true, ..self }
    }

    /// How often it was asked for `what`, when that was what was asked for last.
    #[must_use]
    pub fn times(&self, what: Ask) -> u32 {
        let asked = self.asked.filter(|asked| asked.what == what);
        asked.map_or(0, |asked| asked.times)
    }
}
