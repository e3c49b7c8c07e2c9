//! Reading statistics back from the ledger, at start.

use domain::attempt::State;
use domain::brain::Brain;
use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeEvent;
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
                let mut told = 0;
                for event in events(record) {
                    self.count_one(&event, event.received_at);
                    told = 1;
                }
                counted += told;
            }
            match page.next {
                Some(cursor) => after = Some(cursor),
                None => break,
            }
        }
        self.settle();
        Ok(counted)
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

/// Tells `brain` of every outcome that arrived at `since` or later, each with its own time.
///
/// # Errors
/// When the ledger cannot be read; the brain knows what was read by then.
pub async fn teach(ledger: &dyn Ledger, since: Timestamp, brain: &mut Brain) -> Result<(), LedgerError> {
    let mut after = None;
    loop {
        let page = ledger.outcomes_since(since, after, PAGE).await?;
        page.attempts
            .iter()
            .filter_map(AttemptRecord::outcome)
            .for_each(|event| event.teach(brain));
        match page.next {
            Some(cursor) => after = Some(cursor),
            None => return Ok(()),
        }
    }
}

/// What an attempt's record tells: the outcome as it was reported, then what is known better by now.
fn events(record: &AttemptRecord) -> impl Iterator<Item = OutcomeEvent> + use<> {
    let known = State::from_name(&record.verdict.state).and_then(class_of);
    let better = known.filter(|class| record.verdict.class != Some(*class));
    let settled = better.map(|class| record.settled_as(class));
    record.outcome().into_iter().chain(settled)
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
