//! Outcomes on their way out.

use domain::outcome::OutcomeClass;

use super::*;
use crate::attempt::Recorded;
use crate::conformance::sample;
use crate::outbox::{Backlog, Outbox, OutboxBatch, OutboxId};

async fn waiting(ledger: &PostgresLedger) -> Vec<OutboxBatch> {
    ledger.unrelayed(Duration::ZERO, 100).await.unwrap()
}

fn ids(batches: &[OutboxBatch]) -> Vec<OutboxId> {
    batches.iter().map(|batch| batch.id).collect()
}

#[tokio::test]
async fn the_new_outcomes_of_a_batch_are_in_the_outbox_as_they_are_answered() {
    let ledger = open(&database().await).await;
    let mut waits = sample::attempt("waits");
    waits.verdict.class = None;
    let committed = ledger
        .commit(&batch([sample::attempt("a"), waits, sample::attempt("a")]))
        .await
        .unwrap();
    let outbox = committed.outbox.unwrap();
    assert_eq!(outbox.events, [sample::attempt("a").outcome().unwrap()]);
    assert_eq!(waiting(&ledger).await, [outbox]);
    // A repeated report brings nothing.
    let again = ledger.commit(&batch([sample::attempt("a")])).await.unwrap();
    assert!(matches!(*again.attempts, [Recorded::Duplicate(_)]));
    assert_eq!(again.outbox, None);
}

#[tokio::test]
async fn a_timeout_that_proves_a_success_is_a_correction_once() {
    let ledger = open(&database().await).await;
    ledger.commit(&batch([sample::attempt("a")])).await.unwrap();
    let batch = Batch {
        resolutions: vec![
            sample::resolution("a", "unknown", "late_success"),
            sample::resolution("a", "late_success", "refund_pending"),
            sample::resolution("a", "unknown", "succeeded"),
        ],
        ..Batch::default()
    };
    let events = ledger.commit(&batch).await.unwrap().outbox.unwrap().events;
    assert_eq!(events, [sample::attempt("a").settled_as(OutcomeClass::Success)]);
    assert_eq!(events[0].corrects, Some(OutcomeClass::Timeout));
}

#[tokio::test]
async fn an_outcome_that_comes_later_is_no_correction() {
    let ledger = open(&database().await).await;
    let mut waits = sample::attempt("a");
    waits.verdict.class = None;
    waits.verdict.state = "awaiting_customer".to_owned();
    let batch = Batch {
        attempts: vec![waits],
        resolutions: vec![sample::resolution("a", "awaiting_customer", "succeeded")],
        ..Batch::default()
    };
    let events = ledger.commit(&batch).await.unwrap().outbox.unwrap().events;
    let seen: Vec<_> = events.iter().map(|event| (event.class, event.corrects)).collect();
    assert_eq!(seen, [(OutcomeClass::Success, None)]);
}

#[tokio::test]
async fn of_two_transactions_the_one_that_commits_last_is_found_though_its_number_is_lower() {
    let ledger = open(&database().await).await;
    let failure = Failure::of("test".to_owned());
    let held = batch([sample::attempt("first")]);
    ledger.days.ensure(&ledger.pool, &failure, &held).await.unwrap();
    let mut slow = ledger.pool.begin().await.unwrap();
    let recorded = attempt::record(&mut slow, &failure, &held.attempts)
        .await
        .unwrap();
    let first = super::super::outbox::append(&mut slow, &failure, &held, &recorded, Vec::new())
        .await
        .unwrap()
        .unwrap();
    let quick = ledger.commit(&batch([sample::attempt("second")])).await.unwrap();
    let quick = quick.outbox.unwrap();
    assert!(first.id < quick.id);
    assert_eq!(waiting(&ledger).await, std::slice::from_ref(&quick));
    ledger.mark_relayed(&[quick.id]).await.unwrap();
    slow.commit().await.unwrap();
    assert_eq!(waiting(&ledger).await, [first]);
}

#[tokio::test]
async fn a_batch_that_was_relayed_waits_no_more_and_can_be_found_again() {
    let ledger = open(&database().await).await;
    let before = server_now(&ledger).await;
    for name in ["a", "b", "c"] {
        ledger.commit(&batch([sample::attempt(name)])).await.unwrap();
    }
    let all = waiting(&ledger).await;
    let [a, b, c] = ids(&all)[..] else {
        panic!("{all:?}")
    };
    ledger.mark_relayed(&[b, a]).await.unwrap();
    assert_eq!(ids(&waiting(&ledger).await), [c]);
    // What is not marked may have been relayed, too.
    let again = ledger.relayed_since(before, None, 2).await.unwrap();
    assert_eq!(ids(&again), [a, b]);
    let again = ledger.relayed_since(before, Some(b), 2).await.unwrap();
    assert_eq!(ids(&again), [c]);
    let after = server_now(&ledger).await;
    assert_eq!(ids(&ledger.relayed_since(after, None, 10).await.unwrap()), [c]);
}

#[tokio::test]
async fn only_what_was_relayed_is_forgotten() {
    let ledger = open(&database().await).await;
    for name in ["a", "b"] {
        ledger.commit(&batch([sample::attempt(name)])).await.unwrap();
    }
    let [a, b] = ids(&waiting(&ledger).await)[..] else {
        panic!("two are waiting");
    };
    let before = server_now(&ledger).await;
    ledger.mark_relayed(&[a]).await.unwrap();
    assert_eq!(ledger.forget_relayed(before).await.unwrap(), 0);
    let after = server_now(&ledger).await;
    assert_eq!(ledger.forget_relayed(after).await.unwrap(), 1);
    assert_eq!(ids(&waiting(&ledger).await), [b]);
}

#[tokio::test]
async fn the_backlog_is_what_nobody_relayed_and_as_old_as_the_oldest() {
    let ledger = open(&database().await).await;
    assert_eq!(ledger.backlog().await.unwrap(), Backlog::default());
    for name in ["a", "b"] {
        ledger.commit(&batch([sample::attempt(name)])).await.unwrap();
    }
    sqlx::query("update outbox set created_at = created_at - interval '1 minute' where id = (select min(id) from outbox)")
        .execute(&ledger.pool)
        .await
        .unwrap();
    let backlog = ledger.backlog().await.unwrap();
    assert_eq!(backlog.rows, 2);
    assert!((60..120).contains(&backlog.oldest.as_secs()), "{backlog:?}");
    let overdue = ledger.unrelayed(Duration::from_secs(30), 10).await.unwrap();
    assert_eq!(overdue.len(), 1);
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_does_not_hold_up_the_others() {
    let ledger = open(&database().await).await;
    sqlx::query("insert into outbox (events) values ('\\xffff')")
        .execute(&ledger.pool)
        .await
        .unwrap();
    ledger.commit(&batch([sample::attempt("a")])).await.unwrap();
    assert_eq!(waiting(&ledger).await.len(), 1);
    assert_eq!(ledger.backlog().await.unwrap().rows, 2);
}
