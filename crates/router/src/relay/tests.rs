//! The relay against streams and an outbox that fail when they are told to.

use domain::amount_band::AmountBand;
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeId;
use jiff::Timestamp;
use ledger::{Answer, Backlog, LedgerError};
use parking_lot::Mutex;

use super::*;

fn event(number: u64) -> OutcomeEvent {
    OutcomeEvent {
        id: OutcomeId(number),
        channel: ChannelId::new("a").unwrap(),
        method: "card".to_owned(),
        issuer: None,
        band: AmountBand::from_index(1).unwrap(),
        class: OutcomeClass::Success,
        corrects: None,
        key: number,
        attempt_no: 1,
        decided_at: Timestamp::UNIX_EPOCH,
        started_at: Timestamp::UNIX_EPOCH,
        received_at: Timestamp::UNIX_EPOCH,
        latency_ms: 1,
    }
}

/// What a transaction with that many outcomes leaves; their numbers begin with `number`, which names the batch too.
fn committed(number: u64, count: u64) -> Committed {
    Committed {
        outbox: Some(OutboxBatch {
            id: OutboxId::new(i64::try_from(number).unwrap()),
            events: (number..number + count).map(event).collect(),
        }),
        ..Committed::default()
    }
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Works,
    Fails,
    Hangs,
}

/// The streams and the outbox in one, and what they were told.
#[derive(Clone, Debug)]
struct Fake(Arc<Mutex<Told>>);

#[derive(Debug)]
struct Told {
    streams: Mood,
    outbox: Mood,
    appended: Vec<u64>,
    calls: usize,
    marked: Vec<OutboxId>,
}

impl Fake {
    fn new(streams: Mood, outbox: Mood) -> Self {
        Self(Arc::new(Mutex::new(Told {
            streams,
            outbox,
            appended: Vec::new(),
            calls: 0,
            marked: Vec::new(),
        })))
    }

    fn relay(&self) -> (Relay, RelayTask<Self>) {
        Relay::new(self.clone(), Arc::new(self.clone()))
    }
}

impl OutcomeStreams for Fake {
    async fn append(&self, events: &[OutcomeEvent]) -> Result<(), StatsError> {
        let mood = self.0.lock().streams;
        match mood {
            Mood::Works => {
                let mut told = self.0.lock();
                told.calls += 1;
                told.appended.extend(events.iter().map(|event| event.id.0));
                Ok(())
            }
            Mood::Fails => Err(StatsError::Unavailable(None)),
            Mood::Hangs => std::future::pending().await,
        }
    }
}

impl Outbox for Fake {
    fn unrelayed(&self, _: Duration, _: u32) -> Answer<'_, Vec<OutboxBatch>> {
        unreachable!("the relay asks for nothing")
    }

    fn relayed_since(&self, _: Timestamp, _: Option<OutboxId>, _: u32) -> Answer<'_, Vec<OutboxBatch>> {
        unreachable!("the relay asks for nothing")
    }

    fn mark_relayed<'a>(&'a self, batches: &'a [OutboxId]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mood = self.0.lock().outbox;
            match mood {
                Mood::Works => {
                    self.0.lock().marked.extend(batches);
                    Ok(())
                }
                Mood::Fails => Err(LedgerError::Closed),
                Mood::Hangs => std::future::pending().await,
            }
        })
    }

    fn forget_relayed(&self, _: Timestamp) -> Answer<'_, u64> {
        unreachable!("the relay forgets nothing")
    }

    fn time(&self) -> Answer<'_, Timestamp> {
        unreachable!("the relay asks for nothing")
    }

    fn backlog(&self) -> Answer<'_, Backlog> {
        unreachable!("the relay asks for nothing")
    }
}

/// Runs `task` to its end, which is told at once.
async fn finish<S: OutcomeStreams>(task: RelayTask<S>) {
    let stop = CancellationToken::new();
    stop.cancel();
    task.run(stop).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_is_appended_in_order_and_marked() {
    let fake = Fake::new(Mood::Works, Mood::Works);
    let (relay, task) = fake.relay();
    let stop = CancellationToken::new();
    let running = tokio::spawn(task.run(stop.clone()));
    for number in [1, 11, 21] {
        relay.committed(&committed(number, 10));
    }
    relay.committed(&Committed::default());
    while fake.0.lock().marked.len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = fake.0.lock();
    assert_eq!(told.appended, (1..=30).collect::<Vec<_>>());
    assert_eq!(told.marked, [1, 11, 21].map(OutboxId::new));
    assert_eq!(told.calls, 1, "what waits together goes together");
    assert!(!running.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_at_the_end_is_still_relayed() {
    let fake = Fake::new(Mood::Works, Mood::Works);
    let (relay, task) = fake.relay();
    (0..100).for_each(|number| relay.committed(&committed(1_000 * number, 1_000)));
    finish(task).await;
    let told = fake.0.lock();
    assert_eq!(told.appended.len(), 32_000, "what there was room for");
    assert_eq!(told.marked.len(), 32);
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_in_time_whatever_hangs() {
    for (streams, outbox) in [(Mood::Hangs, Mood::Works), (Mood::Works, Mood::Hangs)] {
        let (relay, task) = Fake::new(streams, outbox).relay();
        relay.committed(&committed(1, 1));
        let began = Instant::now();
        finish(task).await;
        assert!(
            began.elapsed() <= FAREWELL + Duration::from_millis(1),
            "{streams:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_writer_is_gone() {
    let fake = Fake::new(Mood::Works, Mood::Works);
    let (relay, task) = fake.relay();
    relay.committed(&committed(1, 1));
    drop(relay);
    task.run(CancellationToken::new()).await;
    assert_eq!(fake.0.lock().marked, [OutboxId::new(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_marks_nothing_and_keeps_nobody_waiting() {
    let fake = Fake::new(Mood::Fails, Mood::Works);
    let (relay, task) = fake.relay();
    let stop = CancellationToken::new();
    tokio::spawn(task.run(stop.clone()));
    relay.committed(&committed(1, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    fake.0.lock().streams = Mood::Works;
    relay.committed(&committed(2, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = fake.0.lock();
    assert_eq!(
        (told.appended.as_slice(), told.marked.as_slice()),
        (&[2][..], &[OutboxId::new(2)][..])
    );
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_takes_no_marks_does_not_stop_the_stream() {
    let fake = Fake::new(Mood::Works, Mood::Hangs);
    let (relay, task) = fake.relay();
    tokio::spawn(task.run(CancellationToken::new()));
    for number in 0..3_000 {
        relay.committed(&committed(number, 1));
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.0.lock().appended.len(), 3_000);
}

#[test]
fn a_full_queue_takes_no_more_and_room_comes_back() {
    let fake = Fake::new(Mood::Works, Mood::Works);
    let (relay, mut task) = fake.relay();
    let most = u64::try_from(ROOM).unwrap();
    relay.committed(&committed(0, most - 1));
    relay.committed(&committed(most, 2));
    assert_eq!(relay.left.load(Ordering::Relaxed), 2);
    drop(task.waiting.try_recv().unwrap());
    relay.committed(&committed(most, 2));
    assert_eq!(task.waiting.len(), 1);
    drop(task);
    assert_eq!(relay.left.load(Ordering::Relaxed), 4, "what nobody relayed");
    relay.committed(&committed(1, 1));
    assert_eq!(relay.left.load(Ordering::Relaxed), 5, "nobody relays any more");
}
