//! Partitions of days, and their end.

use domain::attempt::State;
use domain::attempt::payment::{Slot, Submit};

use super::*;
use crate::attempt::Recorded;
use crate::conformance::sample;
use crate::guard::{Guards as _, Registration};
use crate::postgres::partition::{Day, TABLES};

const HOUR: i64 = 3_600_000_000;

/// An attempt that arrived `hours` before `now`.
fn attempt_before(now: Timestamp, hours: i64, name: &str) -> AttemptRecord {
    let mut attempt = sample::attempt(name);
    // One that is open would keep its day.
    "declined".clone_into(&mut attempt.verdict.state);
    attempt.received_at = Timestamp::from_microsecond(now.as_microsecond() - hours * HOUR).unwrap();
    attempt
}

async fn partitions(ledger: &PostgresLedger) -> Vec<String> {
    let mut connection = ledger.pool.acquire().await.unwrap();
    let mut names = partition::attached(&mut connection).await.unwrap();
    names.sort();
    names
}

#[tokio::test]
async fn the_coming_days_are_there_after_opening() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let there = partitions(&ledger).await;
    for table in TABLES {
        for days in 0..=2 {
            let name = Day::of(now).plus(days).partition(table);
            assert!(there.contains(&name), "{name} is not among {there:?}");
        }
    }
}

#[tokio::test]
async fn a_day_without_a_partition_gets_one_when_it_is_needed() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let late = [
        attempt_before(now, 24 * 9, "nine"),
        attempt_before(now, 24 * 2, "two"),
        attempt_before(now, 0, "now"),
    ];
    let answers = ledger.commit(&batch(late.clone())).await.unwrap().attempts;
    assert_eq!(answers, [Recorded::New, Recorded::New, Recorded::New]);
    for expected in late {
        let read = ledger
            .attempt(&expected.merchant, &expected.attempt)
            .await
            .unwrap();
        assert_eq!(read.unwrap().received_at, expected.received_at);
    }
}

#[tokio::test]
async fn a_name_is_unique_over_all_days() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let first = attempt_before(now, 48, "a");
    ledger.commit(&batch([first.clone()])).await.unwrap();
    let answers = ledger
        .commit(&batch([attempt_before(now, 0, "a")]))
        .await
        .unwrap();
    let [Recorded::Duplicate(kept)] = &*answers.attempts else {
        panic!("{answers:?}");
    };
    assert_eq!(
        kept.received_at.as_microsecond(),
        first.received_at.as_microsecond()
    );
}

#[tokio::test]
async fn days_older_than_they_are_kept_go_with_their_names() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let old = (0..50).map(|number| attempt_before(now, 24 * 31 + 1, &format!("old{number}")));
    ledger.commit(&batch(old)).await.unwrap();
    ledger
        .commit(&batch([attempt_before(now, 24 * 29, "kept")]))
        .await
        .unwrap();
    let kept = ledger.housekeep(now).await.unwrap();
    let gone = Day::of(attempt_before(now, 24 * 31 + 1, "a").received_at);
    assert_eq!(kept.dropped, TABLES.map(|table| gone.partition(table)));
    assert_eq!(number(&ledger, "select count(*) from attempt_name").await, 1);
    assert_eq!(number(&ledger, "select count(*) from attempt").await, 1);
    // The day is gone, though this process had seen it: it is made again for an outcome that comes this late.
    let answers = ledger
        .commit(&batch([attempt_before(now, 24 * 31 + 1, "old1")]))
        .await
        .unwrap();
    assert_eq!(answers.attempts, [Recorded::New]);
}

#[tokio::test]
async fn settled_guards_go_with_their_days_and_open_ones_stay() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let registered = attempt_before(now, 24 * 31 + 1, "a").received_at;
    let registration = |payment: &str, at| Registration {
        merchant: sample::merchant(),
        payment: sample::payment(payment),
        expires_at: None,
        money: sample::attempt("a").amount,
        slot: Slot::first(1),
        channel: sample::attempt("a").channel,
        request: None,
        most: 3,
        decision: Vec::new(),
        at,
        due_at: at,
    };
    let registrations = [("settled", registered), ("open", registered), ("young", now)];
    let registered = Batch {
        registrations: registrations
            .map(|(payment, at)| registration(payment, at))
            .into(),
        ..Batch::default()
    };
    ledger.commit(&registered).await.unwrap();
    for payment in ["settled", "young"] {
        let mut attempt = attempt_before(now, 24 * 29, payment);
        attempt.payment = sample::payment(payment);
        attempt.attempt_no = 1;
        attempt.submit = Some(Submit::First);
        attempt.verdict.state = State::Declined.as_str().to_owned();
        ledger.commit(&batch([attempt])).await.unwrap();
    }
    ledger.housekeep(now).await.unwrap();
    for (payment, stays) in [("settled", false), ("open", true), ("young", true)] {
        let kept = ledger
            .guarded(&sample::merchant(), &sample::payment(payment))
            .await;
        assert_eq!(kept.unwrap().is_some(), stays, "{payment}");
    }
}

#[tokio::test]
async fn a_clock_that_is_ahead_drops_nothing() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    ledger
        .commit(&batch([attempt_before(now, 24, "yesterday")]))
        .await
        .unwrap();
    let in_a_year = Timestamp::from_microsecond(now.as_microsecond() + 365 * 24 * HOUR).unwrap();
    assert!(ledger.housekeep(in_a_year).await.unwrap().dropped.is_empty());
}

#[tokio::test]
async fn one_process_keeps_house() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let mut other = ledger.pool.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock($1)")
        .bind(housekeeping::HOUSEKEEPING)
        .execute(&mut *other)
        .await
        .unwrap();
    assert!(ledger.housekeep(now).await.unwrap().elsewhere);
    other.close().await.unwrap();
    assert!(!ledger.housekeep(now).await.unwrap().elsewhere);
}

#[tokio::test]
async fn a_partition_that_was_left_half_way_out_is_dropped() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let old = attempt_before(now, 24 * 40, "old");
    ledger.commit(&batch([old.clone()])).await.unwrap();
    // As a process leaves it that dies between letting go of the partition and dropping it.
    let name = Day::of(old.received_at).partition("attempt");
    let detach = format!("alter table attempt detach partition {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(detach))
        .execute(&ledger.pool)
        .await
        .unwrap();
    assert!(ledger.housekeep(now).await.unwrap().dropped.contains(&name));
    assert_eq!(number(&ledger, "select count(*) from attempt_name").await, 0);
}

#[tokio::test]
async fn what_the_server_cannot_store_does_not_keep_its_batch_from_being_written() {
    let ledger = open(&database().await).await;
    let mut odd = sample::attempt("odd");
    odd.report.message = Some("zero \0 inside".to_owned());
    odd.started_at = Timestamp::MIN;
    let answers = ledger
        .commit(&batch([odd.clone(), sample::attempt("b")]))
        .await
        .unwrap();
    assert_eq!(answers.attempts, [Recorded::New, Recorded::New]);
    let read = ledger
        .attempt(&odd.merchant, &odd.attempt)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.report.message.as_deref(), Some("zero \u{fffd} inside"));
    assert_eq!(read.started_at.to_string(), "0001-01-01T00:00:00Z");
}
