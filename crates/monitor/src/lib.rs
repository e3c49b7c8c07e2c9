//! The channel-health monitor: the only writer of statistics.
//!
//! It takes outcomes from the stream, counts each in its windows, tells the brain of it, and publishes a snapshot
//! several times a second. At start the outcomes of the ledger's last hour go the same way, each with its own time,
//! so that a restart changes nothing that anybody can see.
//!
//! That is the monitor of the embedded mode. Where statistics are in Redis, [`partition`] keeps them: any number of
//! monitors, each owning a share.

mod breaker;
mod count;
pub mod estimator;
pub mod partition;
mod publish;
pub mod rebuild;
pub mod sweep;

use std::sync::Arc;
use std::time::Duration;

use domain::clock::SharedClock;
use domain::outcome_event::OutcomeEvent;
use domain::window::Windows;
use parking_lot::Mutex;
use stats::live::Live;
use stats::redis::reader::Board;
use stats::stream::Consumer;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use partition::rebuild_stats;

/// How many outcomes are counted between two looks at the clock.
const BATCH: usize = 512;

/// Counts outcomes and publishes what they say.
#[derive(Debug)]
pub struct Monitor {
    live: Arc<Live>,
    windows: Windows,
    /// What all processes together have counted, where they share it.
    shared: Option<Arc<Mutex<Board>>>,
    clock: SharedClock,
    seq: u64,
}

impl Monitor {
    /// A monitor that has counted nothing yet. It publishes the channels that the brain of `live` is configured for.
    #[must_use]
    pub fn new(live: Arc<Live>, clock: SharedClock) -> Self {
        Self {
            live,
            windows: Windows::default(),
            shared: None,
            clock,
            seq: 0,
        }
    }

    /// The same, which publishes what `board` knows of a channel as long as that is not too old, and what it has
    /// counted itself otherwise.
    #[must_use]
    pub fn sharing(self, board: Arc<Mutex<Board>>) -> Self {
        Self {
            shared: Some(board),
            ..self
        }
    }

    /// Counts what `outcomes` brings and publishes every `period`, until `stop` is cancelled or every publisher is
    /// gone. What was accepted by then is counted before it returns.
    pub async fn run(mut self, mut outcomes: Consumer, period: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch: Vec<OutcomeEvent> = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                taken = outcomes.next(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    self.count(&batch);
                    batch.clear();
                }
                _ = ticks.tick() => self.publish(),
                () = stop.cancelled() => break,
            }
        }
        while outcomes.waiting() > 0 && outcomes.next(&mut batch, BATCH).await > 0 {
            self.count(&batch);
            batch.clear();
        }
        self.publish();
    }
}

#[cfg(test)]
mod tests;
