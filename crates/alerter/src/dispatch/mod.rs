//! The worker that sends deliveries. Any number of them may run on one ledger.
//!
//! Each looks a few times a second for what is due, claims as much as a receiver's pace and its own room for that receiver
//! allow, and sends it in tasks of their own: a slow receiver holds up nobody else. What became of a try is written in one
//! transaction, with what follows from it. A worker that dies leaves its leases to run out: what it had claimed is sent
//! again, under the same id.

mod broken;
mod deliver;
mod outcome;
mod pacing;
mod round;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use domain::clock::SharedClock;
use ledger::Deliveries;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::receivers::Receivers;
use round::Round;

/// How often a worker looks for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a claim holds: longer than an exchange, a second one for an access token, and the writing of the result.
const LEASE: Duration = Duration::from_mins(1);

/// How many tries to one receiver a worker has under way at most.
const AT_ONCE: u32 = 8;

/// How many pages become one at most. Beyond that the rest waits for the next one.
const JOINED: u32 = 1_000;

/// How often it measures what waits.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// What a worker works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where deliveries are kept.
    pub store: Arc<dyn Deliveries>,
    /// Whom it sends to.
    pub receivers: Arc<Receivers>,
    /// The time.
    pub clock: SharedClock,
}

/// A worker.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    parts: Parts,
    rng: Arc<Mutex<StdRng>>,
}

impl Dispatcher {
    /// A worker; `rng` spreads its retries.
    #[must_use]
    pub fn new(parts: Parts, rng: StdRng) -> Self {
        Self {
            parts,
            rng: Arc::new(Mutex::new(rng)),
        }
    }

    /// Sends until `stop`. Then nothing is claimed any more, what was claimed and not begun is given back, and what is
    /// under way is waited for: whoever cannot wait drops the future, and it is sent again when the lease has run out.
    pub async fn run(self, stop: CancellationToken) {
        let watching = tokio::spawn(watch::run(self.parts.clone(), stop.clone()));
        let mut round = Round::new(self, stop.clone());
        let mut tries = JoinSet::new();
        let mut look = interval_at(Instant::now(), LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => round.look(&mut tries).await,
                // Its room, and the next of its order, are free at once.
                Some(ended) = tries.join_next() => {
                    round.end(ended);
                    if !stop.is_cancelled() {
                        round.look(&mut tries).await;
                    }
                }
            }
        }
        while tries.join_next().await.is_some() {}
        watching.abort();
    }
}
