//! The outcome stream of the embedded mode: a bounded queue inside the process.
//!
//! Nothing is lost at its bound because the bound is never reached: who accepts outcomes asks [`Publisher::has_room`]
//! first and refuses when what is already on its way could fill the queue. The refusal is the caller's signal to slow
//! down; an outcome that was accepted always finds room.

use domain::outcome_event::OutcomeEvent;
use tokio::sync::mpsc;

/// How many outcomes may wait to be counted: about a tenth of a second of counting.
pub const CAPACITY: usize = 65_536;

/// The end that outcomes enter by.
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: mpsc::Sender<OutcomeEvent>,
}

/// The end that outcomes are counted at.
#[derive(Debug)]
pub struct Consumer {
    queue: mpsc::Receiver<OutcomeEvent>,
}

/// The outcome could not be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue is full: somebody did not ask whether there is room.
    #[error("the outcome stream is full")]
    Full,
    /// The counting end is gone.
    #[error("the outcome stream is closed")]
    Closed,
}

/// A stream for at most `capacity` waiting outcomes; zero counts as one.
#[must_use]
pub fn stream(capacity: usize) -> (Publisher, Consumer) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (Publisher { queue: sender }, Consumer { queue: receiver })
}

impl Publisher {
    /// Whether `more` outcomes would still find room.
    #[must_use]
    pub fn has_room(&self, more: usize) -> bool {
        self.queue.capacity() >= more
    }

    /// Hands an outcome over, without waiting.
    ///
    /// # Errors
    /// When the queue is full or its other end is gone.
    pub fn publish(&self, event: OutcomeEvent) -> Result<(), PublishError> {
        self.queue.try_send(event).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => PublishError::Full,
            mpsc::error::TrySendError::Closed(_) => PublishError::Closed,
        })
    }
}

impl Consumer {
    /// How many outcomes are waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Waits for outcomes and moves up to `limit` of them to the end of `events`; returns how many, 0 when all
    /// publishers are gone and nothing is left. Safe to give up while it waits.
    pub async fn next(&mut self, events: &mut Vec<OutcomeEvent>, limit: usize) -> usize {
        self.queue.recv_many(events, limit).await
    }
}
