//! Who counts, who goes on when one is gone, and where the counts come from when Redis was empty.

use std::sync::Arc;
use std::time::Duration;

use domain::attempt::State;
use domain::id::{AttemptId, MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use domain::snapshot::Breaker;
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Report, Resolution, Segment, Verdict};
use ledger::{Batch, Ledger, SqliteLedger, SqliteSettings};
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
use uuid::Uuid;

use crate::support::{channel, channels, key, known, now, outcome, overall, partition, store, stored, until};

async fn ledger(folder: &TempDir) -> Arc<dyn Ledger> {
    let settings = SqliteSettings {
        path: folder.path().join("payroute.db"),
        max_bytes: None,
    };
    Arc::new(SqliteLedger::open(&settings).await.unwrap())
}

/// An attempt of that number that timed out just now.
fn attempt(number: usize) -> AttemptRecord {
    let name = format!("a_{number}");
    let at = Timestamp::from_microsecond(now().as_microsecond()).unwrap();
    AttemptRecord {
        merchant: MerchantId::new("shop").unwrap(),
        attempt: AttemptId::new(&name).unwrap(),
        payment: PaymentId::new(&name).unwrap(),
        attempt_no: 1,
        decision: Uuid::from_u128(1),
        channel: channels()[number % 3].clone(),
        account: None,
        amount: Money::new(12_345, "CNY".parse().unwrap()).unwrap(),
        segment: Segment {
            method: "card".to_owned(),
            issuer: number.is_multiple_of(2).then(|| "icbc".to_owned()),
            region: None,
        },
        report: Report {
            result: "timed_out".to_owned(),
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
            class: Some(OutcomeClass::Timeout),
            state: State::Unknown.as_str().to_owned(),
        },
        decided_at: at,
        trace_id: None,
        started_at: at,
        received_at: at,
        latency_ms: 100,
        digest: [0; 32],
    }
}

async fn write(ledger: &Arc<dyn Ledger>, attempts: &[AttemptRecord]) {
    let batch = Batch {
        attempts: attempts.to_vec(),
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
}

fn monitor(store: &Store, ledger: &Arc<dyn Ledger>, name: &str) -> (JoinHandle<()>, CancellationToken) {
    let (_configured, channels) = watch::channel(Arc::new(known()));
    let owners = Owners {
        store: store.clone(),
        ledger: Arc::clone(ledger),
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
    let folder = TempDir::new().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger(&folder).await);
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
    let folder = TempDir::new().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger(&folder).await);
    let attempts: Vec<AttemptRecord> = (0..300).map(attempt).collect();
    write(&ledger, &attempts).await;
    let settled = Resolution {
        merchant: attempts[0].merchant.clone(),
        attempt: attempts[0].attempt.clone(),
        from_state: State::Unknown.as_str().to_owned(),
        to_state: State::Succeeded.as_str().to_owned(),
        class: Some(OutcomeClass::Success),
        source: "query".to_owned(),
        content: serde_json::Value::Null,
        at: now(),
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
    let (store, ledger) = (store(&redis.url()), ledger(&folder).await);
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
    let at = Timestamp::from_second(1_790_000_000).unwrap();
    assert_eq!(store.watermark(partition()).await.unwrap(), None);
    store.set_watermark(partition(), at).await.unwrap();
    assert_eq!(store.watermark(partition()).await.unwrap(), Some(at));
}
