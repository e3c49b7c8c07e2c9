//! What is left behind, and what Redis loses: the sweep brings it, and every outcome counts once.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::SystemClock;
use domain::snapshot::Breaker;
use jiff::Timestamp;
use ledger::attempt::AttemptRecord;
use ledger::{Backlog, Outbox as _, PostgresLedger};
use parking_lot::Mutex;
use payroute_monitor::sweep::Sweep;
use rig::{Proxy, Redis};
use stats::redis::Store;
use stats::redis::reader::{Board, Poller};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ledgers::{ask, attempt, ledger, ledger_in, report, write};
use crate::ownership::monitor;
use crate::support::{
    begin, channel, channels, key, now, overall, partition, patiently, seconds, settle, store, total, until,
};

/// A monitor that does nothing but sweep.
pub(crate) fn sweep(
    store: &Store,
    ledger: &Arc<PostgresLedger>,
    name: &str,
) -> (JoinHandle<()>, CancellationToken) {
    let sweep = Sweep {
        store: store.clone(),
        ledger: Arc::clone(ledger),
        name: name.to_owned(),
        clock: Arc::new(SystemClock),
    };
    let stop = CancellationToken::new();
    (tokio::spawn(sweep.run(stop.clone())), stop)
}

/// Attempts on the first channel.
fn attempts(numbers: std::ops::Range<usize>) -> Vec<AttemptRecord> {
    numbers
        .map(|number| AttemptRecord {
            channel: channels()[0].clone(),
            ..attempt(number)
        })
        .collect()
}

async fn timeouts(store: &Store) -> u32 {
    patiently(async || store.load(partition(), domain::window::Caps::default()).await)
        .await
        .map_or(0, |loaded| {
            let overall = loaded
                .windows
                .window(&channel("bank_a"), domain::window::Segment::Overall);
            overall.map_or(0, |window| {
                window.buckets().map(|(_, bucket)| bucket.counts.timeout).sum()
            })
        })
}

/// Waits until the watermark of the first channel's partition was moved after `since`.
async fn watermark_after(store: &Store, since: Timestamp) {
    until("the watermark to move", async || {
        let mark = patiently(async || store.watermark(partition()).await).await;
        mark.at > Some(since)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_router_left_is_relayed_by_one_of_the_monitors() {
    let redis = Redis::start().unwrap();
    let (store, (ledger, database)) = (store(&redis.url()), ledger_in().await);
    begin(&store, partition()).await;
    write(&*ledger, &attempts(0..20)).await;
    ask(
        &database,
        "update outbox set relayed_at = clock_timestamp() - interval '16 minutes' where id = 1",
    );
    for number in 20..90 {
        write(&*ledger, &attempts(number..number + 1)).await;
    }
    let waiting = ledger.backlog().await.unwrap();
    assert_eq!(waiting.rows, 70);
    let (one, _stop) = sweep(&store, &ledger, "one");
    let (_other, stop_other) = sweep(&store, &ledger, "other");
    until("all to be relayed", async || {
        ledger.backlog().await.unwrap() == Backlog::default()
    })
    .await;
    settle(&store, partition()).await;
    assert_eq!(overall(&store).await.total().timeout, 70);
    assert_eq!(total(&redis, "duplicates"), 0, "one of them sweeps");
    until("the old to be forgotten", async || {
        ask(&database, "select count(*) from outbox") == "70"
    })
    .await;

    // Whoever swept goes, by dying or by leaving: the other goes on.
    if redis.ask(&["GET", "payroute:1:lease:sweep"]).unwrap() == "one" {
        one.abort();
    } else {
        stop_other.cancel();
    }
    write(&*ledger, &attempts(90..100)).await;
    until("the rest to be relayed", async || {
        ledger.backlog().await.unwrap() == Backlog::default()
    })
    .await;
    settle(&store, partition()).await;
    assert_eq!(overall(&store).await.total().timeout, 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_what_a_lagging_replica_lost_is_brought_again_and_health_never_goes_back() {
    let mut primary = Redis::start_with(&["--save", "", "--repl-diskless-sync-delay", "0"]).unwrap();
    let port = primary.port().to_string();
    let replica = Redis::start_with(&["--save", "", "--replicaof", "127.0.0.1", &port]).unwrap();
    until("the replica to follow", async || {
        replica
            .ask(&["INFO", "replication"])
            .unwrap()
            .contains("master_link_status:up")
    })
    .await;
    let proxy = Proxy::start(primary.port()).unwrap();
    let store = store(&format!("redis://127.0.0.1:{}", proxy.port()));
    let ledger = ledger().await;
    let (_owner, _stop_owner) = monitor(&store, &ledger, "one");
    let (_sweep, _stop_sweep) = sweep(&store, &ledger, "one");
    let board = Arc::new(Mutex::new(Board::default()));
    let poller = Poller {
        store: store.clone(),
        board: Arc::clone(&board),
        file: None,
    };
    let seen = async || {
        poller.poll().await;
        let row = board.lock().row(&channel("bank_a"), Instant::now());
        row.map_or(0, |row| row.views[2].counts.timeout)
    };
    until("a known partition", async || {
        primary.ask(&["EXISTS", &key("st")]).unwrap() == "1"
    })
    .await;
    report(&ledger, &store, &attempts(0..100)).await;
    until("the first to be seen", async || seen().await == 100).await;
    watermark_after(&store, now()).await;
    until("the replica to have all", async || {
        let offset = |redis: &Redis, field: &str| {
            let said = redis.ask(&["INFO", "replication"]).unwrap();
            said.lines()
                .find_map(|line| line.strip_prefix(field).map(str::to_owned))
        };
        offset(&primary, "master_repl_offset:") == offset(&replica, "slave_repl_offset:")
    })
    .await;

    // From here on the replica gets nothing any more.
    replica.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    report(&ledger, &store, &attempts(100..150)).await;
    until("the lost ones to be seen", async || seen().await == 150).await;
    primary.kill();
    replica.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    proxy.retarget(replica.port());
    // Routers go on meanwhile.
    report(&ledger, &store, &attempts(150..160)).await;

    let failed_over = Instant::now();
    let described_at = Mutex::new(Timestamp::MIN);
    until("all to be there", async || {
        poller.poll().await;
        let breaker = Breaker::healthy(Timestamp::UNIX_EPOCH);
        let merged = board
            .lock()
            .merge(1, Instant::now(), [(channel("bank_a"), breaker)]);
        let before = std::mem::replace(&mut *described_at.lock(), merged.as_of);
        assert!(before <= merged.as_of, "health went back");
        timeouts(&store).await == 160
    })
    .await;
    println!("whole again {:?} after the failover", failed_over.elapsed());
    until("all to be seen", async || seen().await == 160).await;
    watermark_after(&store, now() - seconds(60)).await;
    assert_eq!(timeouts(&store).await, 160);
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_an_emptied_redis_is_exact_again_while_routers_go_on() {
    let redis = Redis::start().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger().await);
    let (_owner, _stop_owner) = monitor(&store, &ledger, "one");
    let (_sweep, _stop_sweep) = sweep(&store, &ledger, "one");
    for number in 0..40 {
        report(&ledger, &store, &attempts(10 * number..10 * (number + 1))).await;
        if number == 20 {
            until("something to be lost", async || timeouts(&store).await > 0).await;
            redis.ask(&["FLUSHALL"]).unwrap();
        }
    }
    until("all to be counted", async || timeouts(&store).await == 400).await;
    watermark_after(&store, now()).await;
    assert_eq!(timeouts(&store).await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_not_swept_for_too_long_is_refilled() {
    let redis = Redis::start().unwrap();
    let (store, (ledger, database)) = (store(&redis.url()), ledger_in().await);
    begin(&store, partition()).await;
    // Redis comes back from half an hour ago, and the outbox has forgotten what was relayed since.
    let mut old = attempts(0..30);
    for record in &mut old {
        record.received_at -= seconds(1_200);
    }
    write(&*ledger, &old).await;
    ask(&database, "delete from outbox");
    let server = redis.ask(&["INFO", "server"]).unwrap();
    let server = server
        .lines()
        .find_map(|line| line.strip_prefix("run_id:"))
        .unwrap()
        .trim();
    let then = (now() - seconds(1_800)).as_microsecond();
    redis
        .ask(&["SET", &key("wm"), &format!("{then} {server}")])
        .unwrap();
    let (_sweep, _stop) = sweep(&store, &ledger, "one");
    until("the refill", async || timeouts(&store).await == 30).await;
    watermark_after(&store, now() - seconds(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_long_backlog_is_caught_up_with_while_other_partitions_go_on() {
    const BACKLOG: u32 = 60_000;
    let redis = Redis::start().unwrap();
    let (store, ledger) = (store(&redis.url()), ledger().await);
    let lively = stats::redis::PartitionId::of(&channel("wechat_pay"));
    begin(&store, partition()).await;
    begin(&store, lively).await;
    let outcomes: Vec<_> = (0..BACKLOG).map(|_| crate::support::outcome()).collect();
    for portion in outcomes.chunks(500) {
        patiently(async || store.append(portion).await).await;
    }
    let (_owner, _stop) = monitor(&store, &ledger, "one");
    let began = Instant::now();
    let mut worst = Duration::ZERO;
    let mut live = 0;
    // How many entries were counted, and whether that is all.
    let counted = async |of| {
        let page = patiently(async || store.read(of, stats::redis::StreamId::START, 0).await).await;
        let read = page.state.map_or(0, |state| state.read);
        (read, read == page.tail.added)
    };
    while !counted(partition()).await.1 {
        let outcome = domain::outcome_event::OutcomeEvent {
            channel: channel("wechat_pay"),
            ..crate::support::outcome()
        };
        let sent = Instant::now();
        patiently(async || store.append(std::slice::from_ref(&outcome)).await).await;
        live += 1;
        until("the live one to be counted", async || {
            counted(lively).await.0 >= live
        })
        .await;
        worst = worst.max(sent.elapsed());
    }
    let took = began.elapsed();
    println!("{BACKLOG} outcomes caught up with in {took:?}; {live} live ones took {worst:?} at most");
    assert!(live > 3 && worst < Duration::from_secs(5), "{live} {worst:?}");
    let all = crate::support::stored(&store, partition()).await;
    assert_eq!(all["bank_a Overall"].total().success, BACKLOG);
}
