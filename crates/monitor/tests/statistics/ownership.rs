//! Who counts, who goes on when one is gone, and where the counts come from when Redis was empty.

use std::sync::Arc;
use std::time::Duration;

use domain::attempt::State;
use domain::outcome::OutcomeClass;
use domain::snapshot::Breaker;
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Resolution};
use ledger::{Batch, Ledger as _, PostgresLedger};
use parking_lot::Mutex;
use payroute_monitor::partition::owners::Owners;
use rig::Redis;
use stats::redis::Store;
use stats::redis::reader::{Board, Freshness, Poller};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ledgers::{attempt, ledger, write};
use crate::support::{
    channel, channels, key, known, now, outcome, overall, partition, patiently, store, stored, until,
};

pub(crate) fn monitor(
    store: &Store,
    ledger: &Arc<PostgresLedger>,
    name: &str,
) -> (JoinHandle<()>, CancellationToken) {
    let (_configured, channels) = watch::channel(Arc::new(known()));
    let owners = Owners {
        store: store.clone(),
        source: Arc::clone(ledger) as _,
        name: name.to_owned(),
        channels,
    };
    let stop = CancellationToken::new();
    (tokio::spawn(owners.run(stop.clone())), stop)
}

/// How many partitions each monitor owns.
fn owned(redis: &Redis, name: &str) -> usize {
    (0..64)
        .filter(|number| {
            let key = format!("payroute:1:own:{{p{number:02}}}");
            redis.ask(&["GET", &key]).unwrap() == name
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn monitors_share_the_partitions_hand_them_over_and_take_them_over() {
    let redis = Redis::start().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger().await);
    let (_one, stop_one) = monitor(&store, &ledger, "one");
    until("one to own all", async || owned(&redis, "one") == 64).await;
    let (other, _stop_other) = monitor(&store, &ledger, "other");
    until("a fair share", async || {
        (owned(&redis, "one"), owned(&redis, "other")) == (32, 32)
    })
    .await;
    store.append(&[outcome(), outcome()]).await.unwrap();
    until("both to be counted", async || {
        overall(&store).await.total().success == 2
    })
    .await;

    other.abort();
    let killed = Instant::now();
    until("the dead one's to be taken over", async || {
        owned(&redis, "one") == 64
    })
    .await;
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    let (_third, _stop) = monitor(&store, &ledger, "third");
    until("a share again", async || owned(&redis, "third") == 32).await;
    stop_one.cancel();
    let left = Instant::now();
    until("a hand-over", async || owned(&redis, "third") == 64).await;
    assert!(
        left.elapsed() < Duration::from_secs(4),
        "leases need not end: {:?}",
        left.elapsed()
    );
    store.append(&[outcome()]).await.unwrap();
    until("the third to be counted", async || {
        overall(&store).await.total().success == 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_an_emptied_redis_is_refilled_from_the_ledger_and_says_nothing_before() {
    let redis = Redis::start().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger().await);
    let attempts: Vec<AttemptRecord> = (0..300).map(attempt).collect();
    write(&*ledger, &attempts).await;
    let settled = Resolution {
        merchant: attempts[0].merchant.clone(),
        attempt: attempts[0].attempt.clone(),
        from_state: State::Unknown.as_str().to_owned(),
        to_state: State::Succeeded.as_str().to_owned(),
        class: Some(OutcomeClass::Success),
        source: "query".to_owned(),
        content: serde_json::Value::Null,
        at: now(),
        notices: Vec::new(),
    };
    let batch = Batch {
        resolutions: vec![settled],
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    let (_running, _stop) = monitor(&store, &ledger, "one");
    let is_full = async || {
        let of = partition();
        if !redis.ask(&["EXISTS", &key("st")]).unwrap().starts_with('1') {
            return false;
        }
        let all = stored(&store, of).await;
        let totals = all
            .get("bank_a Overall")
            .map(|seen| (seen.total().timeout, seen.total().success));
        totals == Some((99, 1))
    };
    until("the ledger's outcomes", is_full).await;
    // What a router brings again, late, is known.
    let again: Vec<_> = attempts.iter().filter_map(AttemptRecord::outcome).collect();
    store.append(&again).await.unwrap();
    until("the repeated ones to be read", async || {
        redis.ask(&["HGET", &key("st"), "duplicates"]).unwrap() == again_in_partition(&again).to_string()
    })
    .await;
    assert!(is_full().await);

    redis.ask(&["FLUSHALL"]).unwrap();
    assert!(
        store.snapshots().await.unwrap().len() < 64,
        "nothing is published of what is unknown"
    );
    until("the ledger's outcomes again", is_full).await;
}

fn again_in_partition(events: &[domain::outcome_event::OutcomeEvent]) -> usize {
    events
        .iter()
        .filter(|event| stats::redis::PartitionId::of(&event.channel) == partition())
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn f26_readers_see_what_is_published_and_nothing_else() {
    let redis = Redis::start().unwrap();
    let folder = TempDir::new().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger().await);
    let board = Arc::new(Mutex::new(Board::default()));
    let file = folder.path().join("health");
    let poller = Poller {
        store: store.clone(),
        board: Arc::clone(&board),
        file: Some(file.clone()),
    };
    let (running, stop) = monitor(&store, &ledger, "one");
    // What came before the partition was known would have to be in the ledger.
    until("a known partition", async || {
        redis.ask(&["EXISTS", &key("st")]).unwrap() == "1"
    })
    .await;
    store.append(&[outcome()]).await.unwrap();
    let successes = || {
        let row = board.lock().row(&channel("bank_a"), Instant::now());
        row.map(|row| row.views[0].counts.success)
    };
    until("the outcome to be seen", async || {
        poller.poll().await;
        successes() == Some(1)
    })
    .await;
    let at = Instant::now();
    assert_eq!(board.lock().freshness(&channel("bank_a"), at), Freshness::Fresh);
    let breakers = channels().into_iter().map(|id| (id, Breaker::healthy(now())));
    let merged = board.lock().merge(1, at, breakers);
    assert_eq!(merged.channels.len(), 3);

    stop.cancel();
    running.await.unwrap();
    redis.ask(&["SET", &key("snap"), "nonsense"]).unwrap();
    assert!(poller.poll().await);
    assert_eq!(successes(), Some(1), "the last good one is kept");

    let stopped = CancellationToken::new();
    stopped.cancel();
    poller.run(stopped).await;
    let restored = Board::restore(&file, now()).await;
    assert_eq!(
        restored.freshness(&channel("bank_a"), Instant::now()),
        Freshness::LastKnown
    );
}

#[tokio::test]
async fn a_lease_has_one_owner_until_it_ends_or_is_given_back() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    let long = Duration::from_mins(1);
    assert!(store.lease("estimator", "one", long).await.unwrap());
    assert!(
        store.lease("estimator", "one", long).await.unwrap(),
        "it is renewed"
    );
    assert!(!store.lease("estimator", "other", long).await.unwrap());
    assert!(!store.release("estimator", "other").await.unwrap());
    assert!(store.release("estimator", "one").await.unwrap());
    assert!(
        store
            .lease("estimator", "other", Duration::from_millis(30))
            .await
            .unwrap()
    );
    until("the lease to end", async || {
        store.lease("estimator", "one", long).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_that_was_overtaken_or_broken_off_changes_nothing() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    let first = store.begin_rebuild(partition()).await.unwrap().unwrap();
    assert!(
        store
            .load(partition(), domain::window::Caps::default())
            .await
            .unwrap()
            .is_none()
    );
    let second = loop {
        // A rebuild in the same millisecond is left to the first.
        if let Some(second) = store.begin_rebuild(partition()).await.unwrap() {
            break second;
        }
    };
    assert!(store.finish_rebuild(second).await.unwrap());
    assert!(
        !store.finish_rebuild(first).await.unwrap(),
        "the later one is there"
    );
}

#[tokio::test]
async fn a_watermark_moves_only_on_the_server_and_from_the_place_where_it_was_found() {
    let mut redis =
        Redis::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    let store = store(&redis.url());
    let at = |second| Timestamp::from_second(second).unwrap();
    let none = store.watermark(partition()).await.unwrap();
    assert_eq!((none.at, none.same_server, none.known), (None, true, false));
    assert!(store.advance_watermark(partition(), &none, at(1)).await.unwrap());
    assert!(!store.advance_watermark(partition(), &none, at(2)).await.unwrap());
    let first = store.watermark(partition()).await.unwrap();
    assert_eq!((first.at, first.same_server), (Some(at(1)), true));

    redis.restart().unwrap();
    let moved = patiently(async || store.advance_watermark(partition(), &first, at(2)).await).await;
    assert!(!moved, "another process");
    let found = store.watermark(partition()).await.unwrap();
    assert_eq!((found.at, found.same_server), (Some(at(1)), false));
    assert!(store.advance_watermark(partition(), &found, at(2)).await.unwrap());
    assert!(store.watermark(partition()).await.unwrap().same_server);
}
