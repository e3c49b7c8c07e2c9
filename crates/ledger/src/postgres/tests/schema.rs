//! Opening and migrating.

use std::collections::BTreeSet;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_that_migrate_at_once_migrate_once() {
    let url = database().await;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresLedger::migrate(&url).await.unwrap() })
        })
        .collect();
    let mut applied = Vec::new();
    for task in tasks {
        let migrated = task.await.unwrap();
        assert!(migrated.version >= 1);
        applied.extend(migrated.applied);
    }
    let distinct: BTreeSet<_> = applied.iter().cloned().collect();
    assert_eq!(distinct.len(), applied.len(), "{applied:?}");
    assert_eq!(applied[0], (1, "attempts and decisions".to_owned()));
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let url = database().await;
    let first = PostgresLedger::migrate(&url).await.unwrap();
    let again = PostgresLedger::migrate(&url).await.unwrap();
    assert!(!first.applied.is_empty());
    assert_eq!(
        again,
        Migrated {
            applied: Vec::new(),
            version: first.version
        }
    );
}

/// Writes down that a release of the future was here, which asks releases to know `least` migrations.
async fn a_later_release_was_here(ledger: &PostgresLedger, least: i64) {
    for sql in [
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (9001, 'from the future', true, '\\x00', 0)"
            .to_owned(),
        format!("update schema_compatibility set least_known_version = {least}"),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&ledger.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_later_schema_that_suits_us_is_accepted() {
    let url = database().await;
    let running = open(&url).await;
    a_later_release_was_here(&running, 1).await;
    let restarted = open(&url).await;
    restarted
        .commit(&batch([crate::conformance::sample::attempt("a")]))
        .await
        .unwrap();
    let migrated = PostgresLedger::migrate(&url).await.unwrap();
    assert_eq!((migrated.applied, migrated.version), (Vec::new(), 9001));
}

#[tokio::test]
async fn a_later_schema_that_does_not_suit_us_is_refused_with_its_version() {
    let url = database().await;
    a_later_release_was_here(&open(&url).await, 9001).await;
    let refused = PostgresLedger::open(&settings(&url)).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::NewerSchema { version: 9001, .. }),
        "{refused:?}"
    );
}

/// All that an error says, its causes included.
fn words(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(words).unwrap_or_default();
    format!("{error} {error:?} {cause}")
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_at_once_and_without_the_password() {
    // Nobody listens on port 1 of this machine.
    let url = "postgres://shop:hunter2@127.0.0.1:1/ledger";
    let error = PostgresLedger::open(&settings(url)).await.unwrap_err();
    let words = words(&error);
    assert!(matches!(error, OpenError::Unreachable { .. }), "{words}");
    assert!(words.contains("postgres://127.0.0.1:1/ledger"), "{words}");
    assert!(!words.contains("hunter2"), "{words}");
    assert!(!format!("{:?}", settings(url)).contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://shop:hunter2@{}/ledger", silent.local_addr().unwrap());
    let began = tokio::time::Instant::now();
    let error = PostgresLedger::open(&settings(&url)).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_address_of_something_else_is_refused_without_repeating_it() {
    for url in [
        "hunter2",
        "mysql://shop:hunter2@db/ledger",
        "postgres://shop:hunter2@db:port/ledger",
    ] {
        let error = PostgresLedger::open(&settings(url)).await.unwrap_err();
        assert!(!words(&error).contains("hunter2"), "{}", words(&error));
    }
}
