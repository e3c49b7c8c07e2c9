//! What counting, publishing and rebuilding keep to.

use std::sync::Arc;
use std::time::Duration;

use domain::attempt::State;
use domain::brain::{Brain, Params};
use domain::clock::{Clock, ManualClock};
use domain::id::{AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeEvent;
use domain::snapshot::{ChannelHealth, HealthSnapshot};
use domain::window::{View, Windows};
use jiff::{SignedDuration, Timestamp};
use ledger::attempt::{AttemptRecord, Report, Resolution, Segment, Verdict};
use ledger::{Batch, Ledger, SqliteLedger, SqliteSettings};
use proptest::prelude::*;
use stats::live::Live;
use stats::stream::stream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Monitor, rebuild};

const CHANNELS: [&str; 3] = ["a", "b", "c"];

fn beginning() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// A monitor, its clock, and what it publishes to.
struct Room {
    monitor: Monitor,
    clock: Arc<ManualClock>,
    live: Arc<Live>,
}

impl Room {
    fn at(now: Timestamp) -> Self {
        let channels: Vec<_> = CHANNELS
            .iter()
            .map(|name| ChannelId::new(*name).unwrap())
            .collect();
        let mut brain = Brain::new(Params::default());
        brain.set_channels(&channels);
        let nothing = HealthSnapshot::take(0, now, &Windows::default(), []);
        let live = Arc::new(Live::new(brain, nothing));
        let clock = Arc::new(ManualClock::at(now));
        Self {
            monitor: Monitor::new(Arc::clone(&live), Arc::clone(&clock) as _),
            clock,
            live,
        }
    }

    fn health(&mut self) -> Vec<ChannelHealth> {
        self.monitor.publish();
        self.live.snapshot().channels.clone()
    }
}

/// An attempt that was reported at `at`.
fn attempt(number: usize, channel: &str, class: Option<OutcomeClass>, at: Timestamp) -> AttemptRecord {
    let name = format!("a_{number}");
    AttemptRecord {
        merchant: MerchantId::new("shop").unwrap(),
        attempt: AttemptId::new(&name).unwrap(),
        payment: PaymentId::new(&name).unwrap(),
        attempt_no: 1,
        decision: Uuid::from_u128(1),
        channel: ChannelId::new(channel).unwrap(),
        account: None,
        amount: Money::new(12_345, "CNY".parse().unwrap()).unwrap(),
        segment: Segment {
            method: "pay".to_owned(),
            issuer: number.is_multiple_of(2).then(|| "icbc".to_owned()),
            region: None,
        },
        report: Report {
            result: "failed".to_owned(),
            provider: "payroute".to_owned(),
            code: None,
            sub_code: None,
            http_status: None,
            transport_event: None,
            message: None,
            provider_reference: None,
            network_advice_code: None,
        },
        verdict: Verdict {
            reason: None,
            certainty: String::new(),
            class,
            state: first_state(class).as_str().to_owned(),
        },
        decided_at: at,
        trace_id: None,
        started_at: at,
        received_at: at,
        latency_ms: 100 + u32::try_from(number).unwrap(),
        digest: [0; 32],
        submit: None,
        credential: None,
        case: None,
        notices: Vec::new(),
    }
}

fn first_state(class: Option<OutcomeClass>) -> State {
    match class {
        None => State::AwaitingCustomer,
        Some(OutcomeClass::Success) => State::Succeeded,
        Some(OutcomeClass::Timeout) => State::Unknown,
        Some(_) => State::Declined,
    }
}

/// The state after a late success.
fn paid(state: State) -> State {
    if state == State::Declined {
        State::LateSuccess
    } else {
        State::Succeeded
    }
}

fn resolution(record: &AttemptRecord, at: Timestamp) -> Resolution {
    let from = State::from_name(&record.verdict.state).unwrap();
    Resolution {
        merchant: record.merchant.clone(),
        attempt: record.attempt.clone(),
        from_state: from.as_str().to_owned(),
        to_state: paid(from).as_str().to_owned(),
        class: Some(OutcomeClass::Success),
        source: "query".to_owned(),
        content: serde_json::Value::Null,
        at,
        notices: Vec::new(),
    }
}

async fn open(folder: &std::path::Path) -> SqliteLedger {
    let settings = SqliteSettings {
        path: folder.join("payroute.db"),
        max_bytes: None,
    };
    SqliteLedger::open(&settings).await.unwrap()
}

/// One report: seconds since the one before, its channel, what it counts as, and whether a query finds it paid.
type Step = (i64, usize, Option<OutcomeClass>, bool);

fn step() -> impl Strategy<Value = Step> {
    let class = prop::option::weighted(0.8, prop::sample::select(&OutcomeClass::ALL[..]));
    (0..90_i64, 0..CHANNELS.len(), class, any::<bool>())
}

/// Counts the reports as they come, and what queries find after all of them, and writes everything to the ledger.
async fn live_through(steps: &[Step], room: &mut Room, ledger: &SqliteLedger) {
    let mut batch = Batch::default();
    for (number, (secs, channel, class, _)) in steps.iter().enumerate() {
        let now = room.clock.now() + SignedDuration::from_secs(*secs);
        room.clock.set(now);
        let record = attempt(number, CHANNELS[*channel], *class, now);
        room.monitor.count(record.outcome().as_slice());
        batch.attempts.push(record);
    }
    let now = room.clock.now();
    for (record, (.., class, found_paid)) in batch.attempts.iter().zip(steps) {
        if *found_paid && *class != Some(OutcomeClass::Success) {
            room.monitor.count(&[record.settled_as(OutcomeClass::Success)]);
            batch.resolutions.push(resolution(record, now));
        }
    }
    ledger.commit(&batch).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_restart_shows_what_was_shown_before(steps in prop::collection::vec(step(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (before, after) = runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let ledger = open(folder.path()).await;
            let mut room = Room::at(beginning());
            live_through(&steps, &mut room, &ledger).await;
            let mut restarted = Room::at(room.clock.now());
            let since = rebuild::since(room.clock.now(), SignedDuration::from_hours(1));
            restarted.monitor.rebuild(&ledger, since).await.unwrap();
            (room.health(), restarted.health())
        });
        for (before, after) in before.iter().zip(&after) {
            prop_assert_eq!(&before.channel, &after.channel);
            prop_assert_eq!(&before.views, &after.views);
            prop_assert_eq!(before.last_success_at, after.last_success_at);
        }
    }
}

fn event(class: OutcomeClass, at: Timestamp) -> OutcomeEvent {
    attempt(1, "a", Some(class), at).outcome().unwrap()
}

fn counted(live: &Live) -> u32 {
    let snapshot = live.snapshot();
    let channels = snapshot.channels.iter();
    channels
        .map(|health| health.view(View::OneHour).counts.total())
        .sum()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_published_every_period() {
    let room = Room::at(beginning());
    let mut seen = room.live.watch();
    let (_publisher, consumer) = stream(8);
    let stop = CancellationToken::new();
    let began = tokio::time::Instant::now();
    let period = Duration::from_millis(250);
    let run = tokio::spawn(room.monitor.run(consumer, period, stop.clone()));
    for (seq, after_ms) in [(1, 0), (2, 250), (3, 500)] {
        seen.changed().await.unwrap();
        assert_eq!(seen.borrow_and_update().seq, seq);
        assert_eq!(began.elapsed(), Duration::from_millis(after_ms));
    }
    stop.cancel();
    run.await.unwrap();
}

#[tokio::test]
async fn what_was_accepted_before_a_stop_is_counted_and_published() {
    let room = Room::at(beginning());
    let (publisher, consumer) = stream(8_192);
    for _ in 0..5_000 {
        publisher
            .publish(event(OutcomeClass::Success, beginning()))
            .unwrap();
    }
    let stop = CancellationToken::new();
    stop.cancel();
    room.monitor.run(consumer, Duration::from_mins(1), stop).await;
    assert_eq!(counted(&room.live), 5_000);
}

#[tokio::test]
async fn the_monitor_ends_when_every_publisher_is_gone() {
    let room = Room::at(beginning());
    let (publisher, consumer) = stream(8);
    publisher
        .publish(event(OutcomeClass::Timeout, beginning()))
        .unwrap();
    drop(publisher);
    let stop = CancellationToken::new();
    room.monitor.run(consumer, Duration::from_mins(1), stop).await;
    assert_eq!(counted(&room.live), 1);
}

#[test]
fn an_outcome_of_two_hours_ago_is_counted_as_late_and_nowhere_else() {
    let mut room = Room::at(beginning());
    let long_ago = beginning() - SignedDuration::from_hours(2);
    room.monitor.count(&[event(OutcomeClass::Success, long_ago)]);
    let health = room.health().remove(0);
    assert_eq!((health.late, health.view(View::OneHour).counts.total()), (1, 0));
}

#[test]
fn an_outcome_of_half_an_hour_ago_is_counted_in_its_own_time() {
    let mut room = Room::at(beginning());
    let earlier = beginning() - SignedDuration::from_mins(30);
    room.monitor.count(&[event(OutcomeClass::Success, earlier)]);
    let health = room.health().remove(0);
    let totals = [View::FiveMinutes, View::OneHour].map(|view| health.view(view).counts.total());
    assert_eq!(totals, [0, 1]);
}

#[test]
fn a_channel_that_trips_is_shown_tripped_with_its_reason() {
    let mut room = Room::at(beginning());
    room.monitor
        .count(&[event(OutcomeClass::Maintenance, beginning())]);
    let health = room.health().remove(0);
    assert_eq!(health.breaker.state.as_str(), "tripped");
    assert_eq!(
        (health.breaker.allowance_bp, health.breaker.reason.as_deref()),
        (0, Some("it said that it is closed for maintenance"))
    );
}
