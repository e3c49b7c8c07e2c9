//! How the file is opened: its modes, its identity and its schema.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::Settings;
use super::failure::code;
use crate::error::OpenError;

/// "PYRT", the application id that the first migration writes into the head of the file.
const APPLICATION_ID: i64 = 0x5059_5254;

/// Migrations in their order. Applied files are frozen.
const MIGRATIONS: [(i64, &str, &str); 8] = [
    (
        1,
        "attempts and decisions",
        include_str!("../../../../migrations/sqlite/0001_attempts_and_decisions.sql"),
    ),
    (
        2,
        "control",
        include_str!("../../../../migrations/sqlite/0002_control.sql"),
    ),
    (
        3,
        "deliveries",
        include_str!("../../../../migrations/sqlite/0003_deliveries.sql"),
    ),
    (
        4,
        "guard",
        include_str!("../../../../migrations/sqlite/0004_guard.sql"),
    ),
    (
        5,
        "compensation",
        include_str!("../../../../migrations/sqlite/0005_compensation.sql"),
    ),
    (
        6,
        "alerts",
        include_str!("../../../../migrations/sqlite/0006_alerts.sql"),
    ),
    (
        7,
        "order deadline",
        include_str!("../../../../migrations/sqlite/0007_order_deadline.sql"),
    ),
    (
        10,
        "runbooks",
        include_str!("../../../../migrations/sqlite/0010_runbooks.sql"),
    ),
];

/// Bytes in a page of the file, SQLite's default.
const PAGE_BYTES: u64 = 4_096;

/// Readers beside the writer: look-ups are rare and short.
const READERS: u32 = 4;

/// How long a call waits for a connection. Behind it stands at most one transaction.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The one connection that writes, on a file that has been found to be a ledger of the present schema.
pub(super) async fn writer(settings: &Settings) -> Result<SqlitePool, OpenError> {
    let path = settings.path.as_path();
    let options = options(path).create_if_missing(true);
    let options = match settings.max_bytes {
        None => options,
        Some(bytes) => options.pragma("max_page_count", bytes.div_ceil(PAGE_BYTES).max(1).to_string()),
    };
    let pool = pool(1)
        .connect_with(options)
        .await
        .map_err(|error| refused(path, error))?;
    identify(&pool, path).await?;
    migrate(&pool, path).await?;
    Ok(pool)
}

/// The connections that read, opened when they are first needed.
pub(super) fn readers(settings: &Settings) -> SqlitePool {
    // A connection that is read-only to the operating system could not make the log's index when it comes first.
    pool(READERS).connect_lazy_with(options(&settings.path).pragma("query_only", "on"))
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(None)
        .idle_timeout(None)
        // A file does not hang up: asking it before every use would double the cost of a small call.
        .test_before_acquire(false)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // After a burst the log gives its room back instead of staying at its largest.
        .pragma("journal_size_limit", "67108864")
        .thread_name(|number| format!("ledger-sqlite-{number}"))
}

/// Refuses a file of another application before anything is written into it.
async fn identify(pool: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let ask = |statement: &'static str| sqlx::query_scalar::<_, i64>(statement).fetch_one(pool);
    let application = ask("pragma application_id")
        .await
        .map_err(|error| refused(path, error))?;
    let objects = ask("select count(*) from sqlite_schema")
        .await
        .map_err(|error| refused(path, error))?;
    if application == APPLICATION_ID || (application == 0 && objects == 0) {
        Ok(())
    } else {
        Err(OpenError::NotALedger {
            path: path.to_owned(),
            problem: "it is the SQLite file of another application",
        })
    }
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let migrations = MIGRATIONS.map(|(version, description, statements)| {
        let statements = AssertSqlSafe(statements).into_sql_str();
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            statements,
            false,
        )
    });
    Migrator::with_migrations(migrations.into())
        .run(pool)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(version) => OpenError::NewerSchema {
                ledger: path.display().to_string(),
                version,
                known: MIGRATIONS.last().map_or(0, |(version, ..)| *version),
            },
            error => OpenError::Failed {
                ledger: path.display().to_string(),
                source: Arc::new(error),
            },
        })
}

fn refused(path: &Path, error: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match code(&error) {
        Some(code::NOT_A_DATABASE) => OpenError::NotALedger {
            path,
            problem: "it is not a SQLite file",
        },
        Some(code::READ_ONLY | code::CANNOT_OPEN | code::FULL) => OpenError::Unwritable {
            path,
            source: Arc::new(error),
        },
        _ => OpenError::Failed {
            ledger: path.display().to_string(),
            source: Arc::new(error),
        },
    }
}
