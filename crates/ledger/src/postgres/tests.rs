//! The adapter against the port's rules, and against what happens to servers.

mod compensation;
mod days;
mod failures;
mod outages;
mod outbox;
mod plans;
mod races;
mod schema;
mod statistics;

use std::sync::Arc;

use super::*;
use crate::conformance::guards::Guarding;
use crate::conformance::observing::Watched;
use crate::conformance::{conformance, delivery_conformance, guard_conformance, observing_conformance};
use crate::delivery::Deliveries;

async fn open_empty() -> (Arc<dyn Ledger>, ()) {
    (Arc::new(open(&database().await).await), ())
}

async fn open_deliveries() -> (Arc<dyn Deliveries>, ()) {
    (Arc::new(open(&database().await).await), ())
}

/// An empty database on the server that the tests share.
async fn database() -> String {
    tokio::task::spawn_blocking(|| rig::Postgres::shared().database().unwrap())
        .await
        .unwrap()
}

async fn open(url: &str) -> PostgresLedger {
    PostgresLedger::open(&settings(url)).await.unwrap()
}

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        max_connections: 4,
        retention_days: 30,
    }
}

/// A batch of those attempts and nothing else.
fn batch(attempts: impl IntoIterator<Item = AttemptRecord>) -> Batch {
    Batch {
        attempts: attempts.into_iter().collect(),
        ..Batch::default()
    }
}

/// The server's time.
async fn server_now(ledger: &PostgresLedger) -> Timestamp {
    let value::Micros(now) = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&ledger.pool)
        .await
        .unwrap();
    Timestamp::from_microsecond(now).unwrap()
}

/// The one number that `sql` asks for.
async fn number(ledger: &PostgresLedger, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&ledger.pool).await.unwrap()
}

conformance!(open_empty);

async fn open_watched() -> (Arc<dyn Watched>, ()) {
    (Arc::new(open(&database().await).await), ())
}

observing_conformance!(open_watched);
async fn open_guarding() -> (Arc<dyn Guarding>, ()) {
    (Arc::new(open(&database().await).await), ())
}

guard_conformance!(open_guarding);

mod delivery {
    use super::*;

    delivery_conformance!(open_deliveries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_is_there_once_with_what_it_tells_of() {
    let ledger = open(&database().await).await;
    crate::conformance::notices::a_notice_is_there_once_with_what_it_tells_of(&ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_became_pointless_is_erased() {
    let ledger = open(&database().await).await;
    crate::conformance::notices::a_notice_that_became_pointless_is_erased(&ledger).await;
}
