//! Two processes that write the same things at the same time.

use std::sync::Arc;

use super::*;
use crate::attempt::{Recorded, Resolved};
use crate::conformance::sample;
use crate::outbox::Outbox;

/// Writes `count` batches that hold the same names in the opposite order of those of `backwards`.
async fn write_all(ledger: Arc<PostgresLedger>, backwards: bool) -> (usize, usize) {
    let (mut new, mut events) = (0, 0);
    for round in 0..40 {
        let mut names: Vec<String> = (0..20)
            .map(|number| format!("a{}", round * 10 + number))
            .collect();
        if backwards {
            names.reverse();
        }
        let attempts = names.iter().map(|name| sample::attempt(name));
        let committed = ledger.commit(&batch(attempts)).await.unwrap();
        assert!(!committed.attempts.contains(&Recorded::Conflict));
        new += committed
            .attempts
            .iter()
            .filter(|answer| **answer == Recorded::New)
            .count();
        events += committed.outbox.map_or(0, |outbox| outbox.events.len());
    }
    (new, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_the_same_attempts_count_each_once() {
    let url = database().await;
    let (one, other) = (Arc::new(open(&url).await), Arc::new(open(&url).await));
    let (one, other) = (
        tokio::spawn(write_all(one, false)),
        tokio::spawn(write_all(other, true)),
    );
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    // 40 rounds of 20 names, each of which overlaps the next by half.
    assert_eq!(one.0 + other.0, 410);
    assert_eq!(one.1 + other.1, 410);
    let ledger = open(&url).await;
    assert_eq!(number(&ledger, "select count(*) from attempt").await, 410);
    assert_eq!(number(&ledger, "select count(*) from attempt_name").await, 410);
    let waiting = ledger.unrelayed(Duration::ZERO, 1_000).await.unwrap();
    let events: usize = waiting.iter().map(|batch| batch.events.len()).sum();
    assert_eq!(events, 410);
}

/// Moves each of a hundred attempts on, in the given order, and counts what was applied.
async fn resolve_all(ledger: Arc<PostgresLedger>, backwards: bool) -> usize {
    let mut names: Vec<String> = (0..100).map(|number| format!("a{number}")).collect();
    if backwards {
        names.reverse();
    }
    let mut applied = 0;
    for names in names.chunks(25) {
        let batch = Batch {
            resolutions: names
                .iter()
                .map(|name| sample::resolution(name, "unknown", "succeeded"))
                .collect(),
            ..Batch::default()
        };
        let answers = ledger.commit(&batch).await.unwrap().resolutions;
        let current = "succeeded".to_owned();
        for answer in answers {
            match answer {
                Resolved::Applied => applied += 1,
                stale => assert_eq!(
                    stale,
                    Resolved::Stale {
                        current: current.clone()
                    }
                ),
            }
        }
    }
    applied
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_that_find_the_same_one_is_applied() {
    let url = database().await;
    let (one, other) = (Arc::new(open(&url).await), Arc::new(open(&url).await));
    let attempts = (0..100).map(|number| sample::attempt(&format!("a{number}")));
    one.commit(&batch(attempts)).await.unwrap();
    let both = (
        tokio::spawn(resolve_all(one, false)),
        tokio::spawn(resolve_all(other, true)),
    );
    assert_eq!(both.0.await.unwrap() + both.1.await.unwrap(), 100);
    let ledger = open(&url).await;
    assert_eq!(
        number(&ledger, "select count(*) from attempt_transition").await,
        100
    );
    let charged = "select count(*) from attempt where state = 'succeeded' and class = 'timeout'";
    assert_eq!(number(&ledger, charged).await, 100);
}
