//! A process that aborts at every point between two durable effects of an outcome's way: from the ledger's transaction
//! over the stream and the script to the watermark. Whoever is left brings it to its end, once.
//!
//! The process that aborts is this test, started again with the point as its last word.

use std::process::Command;
use std::sync::Arc;

use ledger::{Backlog, Batch, Ledger as _, Outbox as _, PostgresLedger, PostgresSettings};
use payroute_monitor::partition::Partition;
use rig::{Postgres, Redis};
use stats::redis::Store;

use crate::ledgers::{ask, attempt};
use crate::ownership::monitor;
use crate::support::{begin, channels, known, now, overall, partition, patiently, settle, store, until};
use crate::sweeping::sweep;

/// What tells the started test where to abort, and where its servers are.
const WHERE: &str = "PAYROUTE_TEST_CRASH";

/// Outcomes on their way.
const OUTCOMES: usize = 20;

/// The durable effects, in their order.
const EFFECTS: [&str; 6] = [
    "nothing",
    "committed to the ledger, with its outbox",
    "appended to the stream",
    "marked as relayed",
    "counted by the script",
    "watermark set",
];

async fn open(url: &str) -> Arc<PostgresLedger> {
    let settings = PostgresSettings {
        url: url.to_owned(),
        max_connections: 4,
        retention_days: 30,
    };
    Arc::new(PostgresLedger::open(&settings).await.unwrap())
}

/// Does the first `effects` of the way, then dies as a power cut would have it.
async fn die_after(effects: usize, ledger: &PostgresLedger, store: &Store) -> ! {
    let attempts = (0..OUTCOMES).map(|number| ledger::attempt::AttemptRecord {
        channel: channels()[0].clone(),
        ..attempt(number)
    });
    let batch = Batch {
        attempts: attempts.collect(),
        ..Batch::default()
    };
    let at_point = |point: usize| {
        if effects == point {
            std::process::abort();
        }
    };
    at_point(0);
    let relayed = ledger.commit(&batch).await.unwrap().outbox.unwrap();
    at_point(1);
    store.append(&relayed.events).await.unwrap();
    at_point(2);
    ledger.mark_relayed(&[relayed.id]).await.unwrap();
    at_point(3);
    let mut partition = Partition::new(partition());
    partition.turn(store, &known()).await.unwrap();
    partition.turn(store, &known()).await.unwrap();
    at_point(4);
    let found = store.watermark(crate::support::partition()).await.unwrap();
    store
        .advance_watermark(crate::support::partition(), &found, now())
        .await
        .unwrap();
    std::process::abort();
}

/// The process that aborts; nothing at all when the tests are run as usual.
#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_aborts() {
    let Some(told) = std::env::var_os(WHERE) else {
        return;
    };
    let told = told.into_string().unwrap();
    let mut words = told.split(' ');
    let mut next = || words.next().unwrap();
    let (effects, postgres, redis) = (next().parse().unwrap(), next(), next());
    die_after(effects, &*open(postgres).await, &store(redis)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_an_abort_between_any_two_durable_effects_loses_nothing_and_doubles_nothing() {
    for (effects, name) in EFFECTS.iter().enumerate() {
        let redis = Redis::start().unwrap();
        let url = tokio::task::spawn_blocking(|| Postgres::shared().database().unwrap());
        let url = url.await.unwrap();
        let (ledger, store) = (open(&url).await, store(&redis.url()));
        begin(&store, partition()).await;
        let aborted = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash_points::the_process_that_aborts"])
            .env(WHERE, format!("{effects} {url} {}", redis.url()))
            .output()
            .unwrap();
        assert!(
            aborted.status.code().is_none(),
            "{name}: it must die of its abort: {aborted:?}"
        );

        let (_owner, _stop_owner) = monitor(&store, &ledger, "left");
        let (_sweep, _stop_sweep) = sweep(&store, &ledger, "left");
        until("the outbox to be empty", async || {
            ledger.backlog().await.unwrap() == Backlog::default()
        })
        .await;
        patiently(async || store.ping().await).await;
        settle(&store, partition()).await;
        let expected = if effects == 0 { 0 } else { OUTCOMES };
        let database = url.rsplit('/').next().unwrap();
        assert_eq!(
            ask(database, "select count(*) from attempt"),
            expected.to_string(),
            "{name}"
        );
        let counted = overall(&store).await.total().timeout;
        assert_eq!(usize::try_from(counted).unwrap(), expected, "{name}");
    }
}
