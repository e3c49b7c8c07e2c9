//! The compensation queue on a server.

use super::*;
use crate::compensation::Cases;
use crate::conformance::compensation::{Both, case_conformance};
use crate::conformance::sample;

async fn open_both() -> (Both, ()) {
    let ledger = Arc::new(open(&database().await).await);
    let both = Both {
        control: Arc::new(ledger.control()),
        ledger: Arc::clone(&ledger) as _,
        deliveries: Arc::clone(&ledger) as _,
        cases: ledger,
    };
    (both, ())
}

case_conformance!(open_both);

#[tokio::test]
async fn an_open_attempt_that_an_earlier_release_left_gets_its_case() {
    let ledger = open(&database().await).await;
    ledger
        .commit(&batch([sample::attempt("a"), sample::attempt("b")]))
        .await
        .unwrap();
    sqlx::raw_sql("delete from compensation_case")
        .execute(&ledger.pool)
        .await
        .unwrap();
    assert_eq!(ledger.sweep(sample::at(0), 10).await.unwrap(), 0, "too young");
    assert_eq!(ledger.sweep(sample::at(1), 1).await.unwrap(), 1);
    assert_eq!(ledger.sweep(sample::at(1), 10).await.unwrap(), 1);
    assert_eq!(ledger.sweep(sample::at(1), 10).await.unwrap(), 0);
    assert_eq!(number(&ledger, "select count(*) from compensation_case").await, 2);
}

#[tokio::test]
async fn a_day_with_an_open_case_is_not_dropped() {
    let ledger = open(&database().await).await;
    let now = server_now(&ledger).await;
    let long_ago = now - jiff::SignedDuration::from_hours(24 * 60);
    let mut old = sample::attempt("a");
    old.received_at = long_ago;
    let mut settled = sample::attempt("b");
    settled.received_at = long_ago - jiff::SignedDuration::from_hours(24);
    "declined".clone_into(&mut settled.verdict.state);
    ledger
        .commit(&batch([old.clone(), settled.clone()]))
        .await
        .unwrap();
    let dropped = ledger.housekeep(now).await.unwrap().dropped;
    assert!(
        dropped.iter().any(|name| name.starts_with("attempt_p")),
        "{dropped:?}"
    );
    assert!(
        ledger
            .attempt(&old.merchant, &old.attempt)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        ledger.attempt(&settled.merchant, &settled.attempt).await.unwrap(),
        None
    );
}
