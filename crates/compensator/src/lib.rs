//! The compensator: goes on with every attempt whose money is not settled until it is, or until a person has to look.
//!
//! It takes due cases of the ledger in hand, looks at the payment, lets [`domain::compensation`] say what comes next,
//! and writes that in one transaction. What the merchant's integration is to do stands in the case from then on, to be
//! handed to whoever listens. Any number of compensators may run: a case is in one hand at a time, and one that was in
//! hand when its process died is due again when the lease ends.

mod channels;
mod dossier;
mod event;
pub mod metric;
mod round;
mod unreported;

use std::sync::Arc;
use std::time::Duration;

use domain::attempt::State;
use domain::catalogue::Shared as SharedCatalogue;
use domain::clock::SharedClock;
use jiff::{SignedDuration, Timestamp};
use ledger::compensation::Cases;
use ledger::control::ControlStore;
use ledger::{Guards, Ledger, LedgerError, NewDelivery};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use channels::Channels;
use ledger::attempt::AttemptRecord;

pub use event::Papers;

/// How often due cases are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many looks pass between two countings of the cases: ten seconds.
const LOOKS_PER_COUNT: u32 = 20;

/// How many looks pass between two sweeps for attempts that nobody follows: a minute.
const LOOKS_PER_SWEEP: u32 = 120;

/// How old an open attempt without a case is at least: a transaction may be about to commit.
const SWEPT_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// How far back a compensator that starts looks for payments that were charged twice.
const LOOKS_BACK: SignedDuration = SignedDuration::from_hours(1);

/// How many attempts one sweep takes.
const SWEPT_AT_ONCE: u32 = 500;

/// What the compensator works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The queue.
    pub cases: Arc<dyn Cases>,
    /// Where payments are read.
    pub ledger: Arc<dyn Ledger>,
    /// Where submits are found that were never reported.
    pub guards: Arc<dyn Guards>,
    /// Where the channels are read.
    pub control: Arc<dyn ControlStore>,
    /// How each provider wants to be asked.
    pub catalogue: SharedCatalogue,
    /// Makes the papers of requests.
    pub clerk: Arc<dyn Clerk>,
    /// The receiver of the configuration that events are sent to; `None`: requests are handed to listeners only.
    pub receiver: Option<String>,
    /// The time.
    pub clock: SharedClock,
}

/// Who makes what goes with a step besides the attempt: whoever has the keys that receipts are signed with, and the
/// rules for customer notices.
pub trait Clerk: Send + Sync + std::fmt::Debug {
    /// The papers of `attempt`, as it is now.
    fn papers(&self, attempt: &AttemptRecord) -> Papers;

    /// What the customer is told when `attempt` comes to `state` at `at`.
    fn notices(&self, attempt: &AttemptRecord, state: State, at: Timestamp) -> Vec<NewDelivery>;
}

/// The service.
#[derive(Debug)]
pub struct Compensator {
    parts: Parts,
    channels: Channels,
    /// Which charges were looked at, up to when.
    looked_until: Option<Timestamp>,
}

impl Compensator {
    /// The service over `parts`.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let channels = Channels::new(Arc::clone(&parts.control), parts.catalogue.clone());
        Self {
            parts,
            channels,
            looked_until: None,
        }
    }

    /// Works until `stop` is cancelled. What is in hand then is finished first.
    pub async fn run(mut self, stop: CancellationToken) {
        metric::describe();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number: u32 = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            if number.is_multiple_of(LOOKS_PER_SWEEP) {
                tell(self.sweep().await, "look for attempts that nobody follows");
            }
            tell(self.work(&stop).await, "work on due cases");
            if number.is_multiple_of(LOOKS_PER_COUNT) {
                tell(self.count().await, "count the cases");
            }
            number = number.wrapping_add(1);
        }
    }

    /// Takes up attempts that are open and that nobody follows.
    async fn sweep(&mut self) -> Result<(), LedgerError> {
        let now = self.parts.clock.now();
        let before = now.checked_sub(SWEPT_AFTER).unwrap_or(now);
        let found = self.parts.cases.sweep(before, SWEPT_AT_ONCE).await?;
        if found > 0 {
            tracing::warn!(found, "{found} open attempts had no case and have one now");
        }
        self.look_for_charges(now, before).await?;
        unreported::take_up(&self.parts, before, SWEPT_AT_ONCE).await
    }

    /// Takes up payments that were charged twice by submits that nobody registered.
    async fn look_for_charges(&mut self, now: Timestamp, before: Timestamp) -> Result<(), LedgerError> {
        let from = self
            .looked_until
            .unwrap_or_else(|| now.checked_sub(LOOKS_BACK).unwrap_or(now));
        let cases = &self.parts.cases;
        let found = cases.sweep_charged_twice(from, before, SWEPT_AT_ONCE).await?;
        if found > 0 {
            tracing::error!(
                found,
                "{found} attempts charged a payment that another one charged too: one of each is paid back"
            );
        }
        if found < u64::from(SWEPT_AT_ONCE) {
            self.looked_until = Some(before);
        }
        Ok(())
    }

    async fn count(&self) -> Result<(), LedgerError> {
        let standing = self.parts.cases.standing().await?;
        metric::count(&standing, self.parts.clock.now());
        Ok(())
    }
}

/// A store that fails now is asked again at the next look: nothing is lost, for nothing is kept here.
fn tell(outcome: Result<(), LedgerError>, operation: &'static str) {
    if let Err(error) = outcome {
        let cause = std::error::Error::source(&error).map(tracing::field::display);
        tracing::warn!(cause, "the compensator could not {operation}: {error}");
    }
}
