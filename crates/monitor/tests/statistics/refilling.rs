//! Statistics that are refilled from the ledger against those that were counted live.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::attempt::State;
use domain::outcome::OutcomeClass;
use domain::window::Segment;
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Resolution};
use ledger::{Batch, Ledger as _, PostgresLedger, StatisticsSource};
use payroute_monitor::partition::{Which, rebuild_stats};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rig::Redis;
use stats::redis::{PartitionId, Store};

use crate::ledgers::{attempt, ledger, write};
use crate::support::{
    Seen, begin, channel, channels, key, now, partition, patiently, seconds, settle, store, stored, total,
};

/// What becomes of one attempt: its segment, its class, how long it took, and what is found out later.
type Fate = (usize, u8, Option<u8>, OutcomeClass, u32, bool);

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let class = prop_oneof![
        Just(OutcomeClass::Timeout),
        proptest::sample::select(OutcomeClass::ALL.as_slice())
    ];
    let fate = (
        0..3_usize,
        0..20_u8,
        proptest::option::of(0..6_u8),
        class,
        0..20_000_u32,
        proptest::bool::weighted(0.2),
    );
    proptest::collection::vec(fate, 400)
}

/// Attempts over the last 58 minutes, in the order of their arrival, and the findings that correct some of them.
fn attempts() -> (Vec<AttemptRecord>, Vec<Resolution>) {
    let fates = fates()
        .new_tree(&mut TestRunner::deterministic())
        .unwrap()
        .current();
    let begin = now() - seconds(3_480);
    let mut attempts = Vec::new();
    let mut findings = Vec::new();
    for (number, (place, method, issuer, class, latency_ms, found)) in fates.into_iter().enumerate() {
        let mut record = attempt(number);
        record.channel = channels()[place].clone();
        record.segment.method = format!("m{method}");
        record.segment.issuer = issuer.map(|issuer| format!("bank {issuer}"));
        record.latency_ms = latency_ms;
        record.verdict.class = Some(class);
        record.received_at = begin + seconds(i64::try_from(number * 87 / 10).unwrap());
        if found && class == OutcomeClass::Timeout {
            findings.push(success(&record));
        }
        attempts.push(record);
    }
    (attempts, findings)
}

/// The finding that `record` went through after all.
fn success(record: &AttemptRecord) -> Resolution {
    Resolution {
        merchant: record.merchant.clone(),
        attempt: record.attempt.clone(),
        from_state: State::Unknown.as_str().to_owned(),
        to_state: State::Succeeded.as_str().to_owned(),
        class: Some(OutcomeClass::Success),
        source: "query".to_owned(),
        content: serde_json::Value::Null,
        at: now(),
        notices: Vec::new(),
    }
}

/// Writes everything to the ledger, and brings it to the streams as a router would.
async fn live(store: &Store, ledger: &PostgresLedger, attempts: &[AttemptRecord], findings: &[Resolution]) {
    let partitions: Vec<PartitionId> = channels().iter().map(PartitionId::of).collect();
    for partition in &partitions[1..] {
        begin(store, *partition).await;
    }
    let told = write(ledger, attempts).await.outbox.unwrap();
    let batch = Batch {
        resolutions: findings.to_vec(),
        ..Batch::default()
    };
    let corrected = ledger.commit(&batch).await.unwrap().outbox.unwrap();
    assert_eq!(corrected.events.len(), findings.len());
    for events in [told.events, corrected.events] {
        patiently(async || store.append(&events).await).await;
    }
    for partition in &partitions[1..] {
        settle(store, *partition).await;
    }
}

async fn everything(store: &Store) -> BTreeMap<String, Seen> {
    let mut all = stored(store, partition()).await;
    all.extend(stored(store, PartitionId::of(&channel("wechat_pay"))).await);
    all
}

/// The minutes of every segment that `seen` names: outcomes and latencies.
async fn minutes(store: &Store, seen: &BTreeMap<String, Seen>) -> BTreeMap<(String, Timestamp), (u32, u64)> {
    let mut all = BTreeMap::new();
    for channel in channels() {
        for method in [None, Some("m1"), Some("m7"), Some("other")] {
            let segment = method.map_or(Segment::Overall, Segment::Method);
            let name = format!("{channel} {segment:?}");
            if !seen.contains_key(&name) {
                continue;
            }
            let span = now() - seconds(90_000)..now() + seconds(120);
            for (at, minute) in store.minutes(&channel, segment, span).await.unwrap() {
                all.insert(
                    (name.clone(), at),
                    (minute.counts.total(), minute.latencies.count()),
                );
            }
        }
    }
    all
}

#[tokio::test]
async fn what_is_refilled_is_what_live_counting_came_to() {
    let redis = Redis::start().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger().await);
    let (attempts, findings) = attempts();
    assert!(findings.len() > 10);
    live(&store, &ledger, &attempts, &findings).await;
    let counted = everything(&store).await;
    let by_minute = minutes(&store, &counted).await;
    assert_eq!(counted["bank_a Overall"].late, 0);
    assert!(counted.len() > 60 && by_minute.len() > 100, "{}", counted.len());

    let source = Arc::clone(&ledger) as Arc<dyn StatisticsSource>;
    let refill = rebuild_stats(&store, &source, Which::All).await.unwrap();
    assert_eq!((refill.partitions, refill.outcomes), (64, 400));
    let refilled = everything(&store).await;
    assert_eq!(refilled, counted);
    assert_eq!(minutes(&store, &refilled).await, by_minute);
    let none = rebuild_stats(&store, &source, Which::Missing).await.unwrap();
    assert_eq!(none.partitions, 0);

    // What a router brings late is known, its correction too.
    let events: Vec<_> = attempts.iter().filter_map(AttemptRecord::outcome).collect();
    store.append(&events).await.unwrap();
    settle(&store, partition()).await;
    settle(&store, PartitionId::of(&channel("wechat_pay"))).await;
    assert_eq!(everything(&store).await, counted);

    redis.ask(&["DEL", &key("st")]).unwrap();
    let missing = rebuild_stats(&store, &source, Which::Missing).await.unwrap();
    assert_eq!(missing.partitions, 1);
    assert_eq!(everything(&store).await, counted);
    assert_eq!(total(&redis, "duplicates"), 0);
}

#[tokio::test]
async fn streaks_that_began_hours_ago_are_found() {
    let redis = Redis::start().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger().await);
    // A success among timeouts five hours ago, then failures now and then, one of them in the last hour.
    let told = [
        (18_000, OutcomeClass::Success, 0),
        (18_000, OutcomeClass::Timeout, 0),
        (17_999, OutcomeClass::Timeout, 0),
        (12_000, OutcomeClass::TechnicalFailure, 0),
        (9_000, OutcomeClass::Timeout, 0),
        (8_990, OutcomeClass::Busy, 0),
        (6_000, OutcomeClass::Timeout, 0),
        (1_000, OutcomeClass::Timeout, 0),
        (30, OutcomeClass::Success, 2),
        (20, OutcomeClass::Timeout, 2),
        (10, OutcomeClass::Maintenance, 2),
    ];
    let present = now();
    let attempts: Vec<AttemptRecord> = told
        .into_iter()
        .enumerate()
        .map(|(number, (ago, class, place))| {
            let mut record = attempt(number);
            record.channel = channels()[place].clone();
            record.verdict.class = Some(class);
            record.received_at =
                Timestamp::from_microsecond(present.as_microsecond()).unwrap() - seconds(ago);
            record
        })
        .collect();
    write(&*ledger, &attempts).await;
    let source = ledger as Arc<dyn StatisticsSource>;
    rebuild_stats(&store, &source, Which::All).await.unwrap();
    let all = everything(&store).await;
    let marks = |name: &str| {
        let seen = &all[&format!("{name} Overall")];
        (
            seen.streaks.timeouts,
            seen.streaks.technical_failures,
            seen.streaks.last_at,
            seen.last_success_at,
        )
    };
    let at = |place: usize| Some(attempts[place].received_at);
    assert_eq!(marks("bank_a"), (2, 6, at(7), at(0)));
    assert_eq!(marks("wechat_pay"), (0, 2, at(10), at(8)));
}
