//! The adapter against the port's rules, and against what happens to files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::attempt::Recorded;
use crate::compensation::Cases as _;
use crate::conformance::compensation::{Both, case_conformance};
use crate::conformance::guards::Guarding;
use crate::conformance::observing::Watched;
use crate::conformance::{
    conformance, delivery_conformance, guard_conformance, observing_conformance, sample,
};
use crate::delivery::Deliveries;
use crate::writer::{Limits, Writer};

fn at(path: &Path) -> Settings {
    Settings {
        path: path.to_owned(),
        max_bytes: None,
    }
}

async fn open_empty() -> (Arc<dyn Ledger>, TempDir) {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db"))).await;
    (Arc::new(ledger.unwrap()), folder)
}

conformance!(open_empty);

async fn open_watched() -> (Arc<dyn Watched>, TempDir) {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db"))).await;
    (Arc::new(ledger.unwrap()), folder)
}

async fn open_guarding() -> (Arc<dyn Guarding>, TempDir) {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db"))).await;
    (Arc::new(ledger.unwrap()), folder)
}

async fn open_deliveries() -> (Arc<dyn Deliveries>, TempDir) {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db"))).await;
    (Arc::new(ledger.unwrap()), folder)
}

mod delivery {
    use super::*;

    delivery_conformance!(open_deliveries);
}

observing_conformance!(open_watched);
guard_conformance!(open_guarding);

async fn open_both() -> (Both, TempDir) {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db"))).await;
    let ledger = Arc::new(ledger.unwrap());
    let both = Both {
        ledger: Arc::clone(&ledger) as _,
        control: Arc::clone(&ledger) as _,
        deliveries: Arc::clone(&ledger) as _,
        cases: ledger,
    };
    (both, folder)
}

case_conformance!(open_both);

#[tokio::test]
async fn cases_are_there_after_a_restart_and_for_what_an_earlier_release_left() {
    let folder = TempDir::new().unwrap();
    let settings = at(&folder.path().join("ledger.db"));
    let ledger = SqliteLedger::open(&settings).await.unwrap();
    ledger.commit(&one("a")).await.unwrap();
    ledger.commit(&one("b")).await.unwrap();
    sqlx::query("delete from compensation_case where attempt_id = 'b'")
        .execute(&ledger.writer)
        .await
        .unwrap();
    ledger.close().await.unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(&settings).await.unwrap();
    let count = async || {
        ledger
            .standing()
            .await
            .unwrap()
            .iter()
            .map(|it| it.count)
            .sum::<u64>()
    };
    assert_eq!(count().await, 1);
    assert_eq!(ledger.sweep(sample::at(1), 10).await.unwrap(), 1);
    assert_eq!(count().await, 2);
}

fn one(name: &str) -> Batch {
    Batch {
        attempts: vec![sample::attempt(name)],
        ..Batch::default()
    }
}

async fn refusal(path: &Path) -> String {
    let error = SqliteLedger::open(&at(path)).await.unwrap_err().to_string();
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
    error
}

#[tokio::test]
async fn what_was_acknowledged_is_on_the_disk_before_the_ledger_is_closed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = Arc::new(SqliteLedger::open(&at(&path)).await.unwrap());
    let writer = Writer::spawn(Arc::clone(&ledger) as Arc<dyn Ledger>, Limits::default(), |_| {});
    for number in 0..20 {
        let answer = writer.record(sample::attempt(&format!("a{number}"))).await;
        assert_eq!(answer.unwrap(), Recorded::New);
    }
    // What a power cut leaves: the file and its log, as they are at this moment, without the process.
    let left = TempDir::new().unwrap();
    for name in ["ledger.db", "ledger.db-wal"] {
        fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    let reopened = SqliteLedger::open(&at(&left.path().join("ledger.db")))
        .await
        .unwrap();
    let page = reopened.outcomes_since(sample::at(0), None, 100).await.unwrap();
    assert_eq!(page.attempts.len(), 20);
}

#[tokio::test]
async fn every_commit_is_flushed_to_the_disk() {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db")))
        .await
        .unwrap();
    let ask = |statement: &'static str| sqlx::query_scalar::<_, i64>(statement).fetch_one(&ledger.writer);
    // 2 is `full`.
    assert_eq!(ask("pragma synchronous").await.unwrap(), 2);
    let mode: String = sqlx::query_scalar("pragma journal_mode")
        .fetch_one(&ledger.writer)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_closed_ledger_leaves_an_empty_log_and_opens_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&at(&path)).await.unwrap();
    ledger.commit(&one("a")).await.unwrap();
    ledger.close().await.unwrap();
    drop(ledger);
    let log = fs::metadata(folder.path().join("ledger.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0);
    let again = SqliteLedger::open(&at(&path)).await.unwrap();
    let answer = again.commit(&one("a")).await.unwrap().attempts;
    assert_eq!(answer, [Recorded::Duplicate(Box::new(sample::attempt("a")))]);
}

#[tokio::test]
async fn a_full_disk_refuses_whole_batches_and_the_ledger_goes_on() {
    let folder = TempDir::new().unwrap();
    let settings = Settings {
        path: folder.path().join("ledger.db"),
        max_bytes: Some(500_000),
    };
    let ledger = SqliteLedger::open(&settings).await.unwrap();
    let mut kept = 0;
    let refused = loop {
        let attempts = (kept..kept + 50).map(|number| sample::attempt(&format!("a{number}")));
        let batch = Batch {
            attempts: attempts.collect(),
            ..Batch::default()
        };
        match ledger.commit(&batch).await {
            Ok(_) => kept += 50,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LedgerError::Full { .. }), "{refused:?}");
    assert!(kept > 0);
    let page = ledger.outcomes_since(sample::at(0), None, 10_000).await.unwrap();
    assert_eq!(page.attempts.len(), kept);
    // It can still answer what needs no room, through a transaction of its own.
    let repeated = ledger.commit(&one("a0")).await.unwrap().attempts;
    assert_eq!(repeated, [Recorded::Duplicate(Box::new(sample::attempt("a0")))]);
}

#[tokio::test]
async fn a_second_owner_is_refused_until_the_first_is_gone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let first = SqliteLedger::open(&at(&path)).await.unwrap();
    assert!(refusal(&path).await.contains("in use by another process"));
    drop(first);
    assert!(SqliteLedger::open(&at(&path)).await.is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_name_of_the_file_is_the_same_ledger() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let _first = SqliteLedger::open(&at(&path)).await.unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(refusal(&link).await.contains("in use by another process"));
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("missing").join("ledger.db");
    assert!(refusal(&path).await.contains("does not exist"));
}

#[tokio::test]
async fn a_file_marked_read_only_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    fs::write(&path, []).unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    assert!(refusal(&path).await.contains("cannot be written"));
}

#[tokio::test]
async fn a_directory_is_not_a_ledger() {
    let folder = TempDir::new().unwrap();
    assert!(refusal(folder.path()).await.contains("not a regular file"));
}

#[tokio::test]
async fn another_kind_of_file_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "milk, bread, and enough text to be longer than a header\n".repeat(40);
    fs::write(&path, &notes).unwrap();
    assert!(refusal(&path).await.contains("not a SQLite file"));
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn the_sqlite_file_of_another_application_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.db");
    let other = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let other = SqlitePool::connect_with(other).await.unwrap();
    sqlx::query("create table attempt (id integer)")
        .execute(&other)
        .await
        .unwrap();
    other.close().await;
    assert!(refusal(&path).await.contains("another application"));
}

#[tokio::test]
async fn a_later_schema_is_refused_with_its_version() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&at(&path)).await.unwrap();
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (9001, 'from the future', 1, x'00', 0)",
    )
    .execute(&ledger.writer)
    .await
    .unwrap();
    ledger.close().await.unwrap();
    drop(ledger);
    assert!(refusal(&path).await.contains("schema version 9001"));
}

#[tokio::test]
async fn a_value_that_nobody_wrote_is_named_by_table_and_column() {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db")))
        .await
        .unwrap();
    ledger.commit(&one("a")).await.unwrap();
    sqlx::query("update attempt set currency = 'RMB'")
        .execute(&ledger.writer)
        .await
        .unwrap();
    let attempt = sample::attempt("a");
    let error = ledger
        .attempt(&attempt.merchant, &attempt.attempt)
        .await
        .unwrap_err();
    let LedgerError::Corrupt { table, field, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((table, field), ("attempt", "currency"));
}

#[tokio::test]
async fn looking_for_earlier_reports_uses_the_index() {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db")))
        .await
        .unwrap();
    for statement in [
        "explain query plan with asked (merchant_id, attempt_id) as (values ('m', 'a'), ('m', 'b')) \
         select seq from asked cross join attempt using (merchant_id, attempt_id)",
        "explain query plan select seq from attempt where class is not null \
         and (received_at_us, seq) > (1, 1) order by received_at_us, seq limit 10",
    ] {
        let rows = sqlx::query(statement).fetch_all(&ledger.writer).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, "detail")).collect();
        assert!(
            steps.iter().any(|step| step.starts_with("SEARCH attempt USING")),
            "{steps:?}"
        );
        assert!(
            !steps.iter().any(|step| step.contains("TEMP B-TREE")),
            "{steps:?}"
        );
    }
}

#[tokio::test]
async fn a_notice_is_there_once_with_what_it_tells_of() {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db"))).await;
    crate::conformance::notices::a_notice_is_there_once_with_what_it_tells_of(&ledger.unwrap()).await;
}

#[tokio::test]
async fn a_notice_that_became_pointless_is_erased() {
    let folder = TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&at(&folder.path().join("ledger.db"))).await;
    crate::conformance::notices::a_notice_that_became_pointless_is_erased(&ledger.unwrap()).await;
}
