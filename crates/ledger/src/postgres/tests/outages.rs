//! A server that goes away, stands still and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::Instant;

use super::*;
use crate::attempt::Recorded;
use crate::conformance::sample;
use crate::outbox::Outbox;

/// A server of its own, with a ledger on it.
async fn own() -> (rig::Postgres, String) {
    tokio::task::spawn_blocking(|| {
        let server = rig::Postgres::start().unwrap();
        let url = server.database().unwrap();
        (server, url)
    })
    .await
    .unwrap()
}

/// What the writers of a test share.
#[derive(Default)]
struct Load {
    ended: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
}

impl Load {
    /// Waits until `count` says that `more` were counted from now on.
    async fn until_more(&self, count: impl Fn(&Self) -> &AtomicUsize, more: usize) {
        let goal = count(self).load(Ordering::SeqCst) + more;
        let waited = timeout(Duration::from_mins(1), async {
            while count(self).load(Ordering::SeqCst) < goal {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("the load goes on");
    }
}

/// Writes one attempt after the other until told to end, and returns the names that were acknowledged.
async fn write(ledger: Arc<PostgresLedger>, writer: usize, load: Arc<Load>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !load.ended.load(Ordering::SeqCst) {
        number += 1;
        let name = format!("w{writer}-{number}");
        match ledger.commit(&batch([sample::attempt(&name)])).await {
            Ok(committed) => {
                assert!(matches!(*committed.attempts, [Recorded::New]));
                acknowledged.push(name);
                load.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                assert!(error.is_failing_store(), "{error:?}");
                load.refused.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_killed_server_and_is_in_the_outbox() {
    let (mut server, url) = own().await;
    let ledger = Arc::new(open(&url).await);
    let load = Arc::new(Load::default());
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(write(Arc::clone(&ledger), writer, Arc::clone(&load))))
        .collect();
    load.until_more(|load| &load.acknowledged, 100).await;
    server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    })
    .await
    .unwrap();
    load.until_more(|load| &load.refused, 4).await;
    let server = tokio::task::spawn_blocking(move || {
        server.restart().unwrap();
        server
    })
    .await
    .unwrap();
    load.until_more(|load| &load.acknowledged, 100).await;
    load.ended.store(true, Ordering::SeqCst);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let merchant = sample::merchant();
    for name in &acknowledged {
        let name = sample::attempt(name).attempt;
        let kept = ledger.attempt(&merchant, &name).await.unwrap();
        assert!(kept.is_some(), "`{name}` was acknowledged and is gone");
    }
    let waiting = ledger.unrelayed(Duration::ZERO, 100_000).await.unwrap();
    let told: usize = waiting.iter().map(|batch| batch.events.len()).sum();
    let kept = number(&ledger, "select count(*) from attempt").await;
    assert_eq!(
        i64::try_from(told).unwrap(),
        kept,
        "an outcome without word of it"
    );
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_given_up_and_used_again() {
    let (server, url) = own().await;
    let ledger = open(&url).await;
    ledger.commit(&batch([sample::attempt("a")])).await.unwrap();
    let postmaster: i32 = server.server().unwrap().pid().parse().unwrap();
    let ask = "select pid from pg_stat_activity where application_name = 'payroute'";
    let connections: Vec<i32> = sqlx::query_scalar(ask).fetch_all(&ledger.pool).await.unwrap();
    let signal = |name: &'static str, processes: &[i32]| {
        for process in processes {
            let arguments = [name, &process.to_string()];
            let sent = std::process::Command::new("kill").args(arguments).status();
            assert!(sent.unwrap().success());
        }
    };
    // Only the connections are silent: they are replaced, and nobody learns of it.
    signal("-STOP", &connections);
    let answers = ledger.commit(&batch([sample::attempt("b")])).await;
    // New ones are silent, too.
    signal("-STOP", &[postmaster]);
    signal("-CONT", &connections);
    let silent: Vec<i32> = sqlx::query_scalar(ask).fetch_all(&ledger.pool).await.unwrap();
    signal("-STOP", &silent);
    let began = Instant::now();
    let refused = ledger.commit(&batch([sample::attempt("c")])).await;
    let waited = began.elapsed();
    signal("-CONT", &silent);
    signal("-CONT", &[postmaster]);
    let again = ledger.commit(&batch([sample::attempt("c")])).await;
    assert_eq!(answers.unwrap().attempts, [Recorded::New]);
    let refused = refused.unwrap_err();
    assert!(refused.is_failing_store(), "{refused:?}");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    assert_eq!(again.unwrap().attempts, [Recorded::New]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_of_a_change_arrives_also_after_the_server_was_gone() {
    let (mut server, url) = own().await;
    let ledger = open(&url).await;
    let mut changes = ledger.changes();
    let soon = Duration::from_secs(20);
    // The connection itself counts as the first one.
    timeout(soon, changes.changed()).await.unwrap();
    let say = "select pg_notify('payroute_control', '')";
    sqlx::query(say).execute(&ledger.pool).await.unwrap();
    timeout(soon, changes.changed()).await.unwrap();
    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        server.restart().unwrap();
        server
    })
    .await
    .unwrap();
    timeout(soon, changes.changed()).await.unwrap();
    sqlx::query(say).execute(&ledger.pool).await.unwrap();
    timeout(soon, changes.changed()).await.unwrap();
    drop(server);
}
