//! Reading statistics back from the ledger, at start.

use domain::attempt::State;
use domain::outcome::OutcomeClass;
use jiff::{SignedDuration, Timestamp};
use ledger::attempt::AttemptRecord;
use ledger::{Ledger, LedgerError};

use crate::Monitor;

/// How many outcomes are read at once.
const PAGE: u32 = 5_000;

impl Monitor {
    /// Counts every outcome that arrived at `since` or later, each with its own time, and returns how many. To be
    /// done before anything is served: an outcome that is written meanwhile could be counted twice or not at all.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn rebuild(&mut self, ledger: &dyn Ledger, since: Timestamp) -> Result<u64, LedgerError> {
        let mut after = None;
        let mut counted = 0;
        loop {
            let page = ledger.outcomes_since(since, after, PAGE).await?;
            for record in &page.attempts {
                counted += self.recount(record);
            }
            match page.next {
                Some(cursor) => after = Some(cursor),
                None => break,
            }
        }
        self.settle();
        Ok(counted)
    }

    /// Counts one record as it was reported, then what is known better by now.
    fn recount(&mut self, record: &AttemptRecord) -> u64 {
        let reported = record.outcome();
        if let Some(event) = &reported {
            self.count_one(event, event.received_at);
        }
        let known = State::from_name(&record.verdict.state).and_then(class_of);
        if let Some(class) = known.filter(|class| record.verdict.class != Some(*class)) {
            let settled = record.settled_as(class);
            self.count_one(&settled, settled.received_at);
            return 1;
        }
        u64::from(reported.is_some())
    }

    /// Transitions of the past are history: they were logged when they happened.
    fn settle(&mut self) {
        let now = self.clock.now();
        self.live.with_brain(|brain| {
            brain.advance(now);
            brain.take_transitions();
        });
        self.windows.slide(now);
    }
}

/// What a state says about the channel beyond what the report said: only that the payment went through after all.
const fn class_of(state: State) -> Option<OutcomeClass> {
    if state.was_charged() {
        Some(OutcomeClass::Success)
    } else {
        None
    }
}

/// From when on the ledger is read for statistics that reach `span` back from `now`.
#[must_use]
pub fn since(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}
