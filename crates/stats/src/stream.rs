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

#[cfg(test)]
mod tests {
    use domain::amount_band::AmountBand;
    use domain::id::ChannelId;
    use domain::outcome::OutcomeClass;
    use domain::outcome_event::OutcomeId;
    use jiff::Timestamp;

    use super::*;

    fn event(key: u64) -> OutcomeEvent {
        OutcomeEvent {
            id: OutcomeId(key),
            channel: ChannelId::new("a").unwrap(),
            method: "pay".to_owned(),
            issuer: None,
            band: AmountBand::of(domain::money::Money::new(1, "CNY".parse().unwrap()).unwrap()),
            class: OutcomeClass::Success,
            corrects: None,
            key,
            attempt_no: 1,
            decided_at: Timestamp::UNIX_EPOCH,
            started_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            latency_ms: 100,
        }
    }

    #[tokio::test]
    async fn outcomes_come_out_in_their_order_and_no_more_than_asked_for() {
        let (publisher, mut consumer) = stream(10);
        (0..10).for_each(|key| publisher.publish(event(key)).unwrap());
        let mut events = Vec::new();
        assert_eq!(consumer.next(&mut events, 7).await, 7);
        assert_eq!(consumer.next(&mut events, 7).await, 3);
        assert!(events.iter().map(|event| event.key).eq(0..10));
    }

    #[tokio::test]
    async fn a_full_stream_refuses_and_has_room_again_when_it_is_read() {
        let (publisher, mut consumer) = stream(2);
        assert!(publisher.has_room(2) && !publisher.has_room(3));
        publisher.publish(event(1)).unwrap();
        publisher.publish(event(2)).unwrap();
        assert_eq!(publisher.publish(event(3)), Err(PublishError::Full));
        assert_eq!((consumer.waiting(), publisher.has_room(1)), (2, false));
        consumer.next(&mut Vec::new(), 1).await;
        assert_eq!(publisher.publish(event(3)), Ok(()));
    }

    #[tokio::test]
    async fn what_waits_is_read_after_the_last_publisher_is_gone() {
        let (publisher, mut consumer) = stream(2);
        publisher.publish(event(1)).unwrap();
        drop(publisher);
        let mut events = Vec::new();
        assert_eq!(consumer.next(&mut events, 9).await, 1);
        assert_eq!(consumer.next(&mut events, 9).await, 0);
    }

    #[test]
    fn without_a_consumer_nothing_is_taken() {
        let (publisher, consumer) = stream(2);
        drop(consumer);
        assert_eq!(publisher.publish(event(1)), Err(PublishError::Closed));
    }

    #[test]
    fn a_stream_has_room_for_one_at_least() {
        let (publisher, _consumer) = stream(0);
        assert_eq!(publisher.publish(event(1)), Ok(()));
    }
}
