//! Brings a ledger to the present schema.
//!
//! Processes of two releases share a ledger while a new one is rolled out, so a migration only adds: what an older
//! release writes and reads stays as it is. When something is to go, one release stops using it and the next one
//! removes it, and says so in the table `schema_compatibility`: a release that knows less than it asks for is refused.

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqlSafeStr};
use tokio::time::timeout;

use super::connect::Server;
use super::failure::silent;
use crate::error::OpenError;

/// Migrations in their order. Applied files are frozen.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (
        1,
        "attempts and decisions",
        include_str!("../../../../migrations/postgres/0001_attempts_and_decisions.sql"),
    ),
    (
        2,
        "control",
        include_str!("../../../../migrations/postgres/0002_control.sql"),
    ),
];

/// How long all of it may take. An index on a large table takes minutes.
const LIMIT: Duration = Duration::from_mins(15);

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were made, as number and description, in their order; empty when there was nothing to do.
    pub applied: Vec<(i64, String)>,
    /// The number that the schema has now. Higher than any this release knows after a later one has been here.
    pub version: i64,
}

/// The latest version that this release knows.
fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Migrates the ledger on `server`.
pub(super) async fn run(server: &Server) -> Result<Migrated, OpenError> {
    // The lock of the migrations lives as long as the connection: closing it frees the next one, whatever happened.
    let mut connection = server.worker().await?;
    let failed = |source: crate::error::Cause| OpenError::Failed {
        ledger: server.to_string(),
        source,
    };
    let migrated = timeout(LIMIT, migrate(&mut connection)).await;
    let (applied, version, required) = migrated
        .map_err(|_| failed(Arc::new(silent("migrate"))))?
        .map_err(|error| failed(Arc::new(error)))?;
    // A server that does not take the farewell has gone.
    let _gone = connection.close().await;
    if required > known() {
        return Err(OpenError::NewerSchema {
            ledger: server.to_string(),
            version: required,
            known: known(),
        });
    }
    Ok(Migrated { applied, version })
}

/// What was applied, the version that the schema has then, and the version that it asks of a release.
async fn migrate(
    connection: &mut PgConnection,
) -> Result<(Vec<(i64, String)>, i64, i64), sqlx::migrate::MigrateError> {
    connection.lock().await?;
    let before = versions(connection).await?;
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
    let mut migrator = Migrator::with_migrations(migrations.into());
    // Whether a later release's schema is good for us is asked below.
    migrator.set_ignore_missing(true).set_locking(false);
    // `run` takes whatever a connection comes from, which the compiler cannot follow into a task.
    migrator.run_direct(None, &mut *connection, false).await?;
    let required = sqlx::query_scalar("select least_known_version from schema_compatibility")
        .fetch_one(&mut *connection)
        .await?;
    let after = versions(connection).await?;
    let applied = MIGRATIONS
        .iter()
        .filter(|(version, ..)| !before.contains(version))
        .map(|(version, description, _)| (*version, (*description).to_owned()))
        .collect();
    Ok((applied, after.into_iter().max().unwrap_or(0), required))
}

/// The numbers of the migrations that were made.
async fn versions(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let table: Option<String> = sqlx::query_scalar("select to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("select version from _sqlx_migrations where success")
        .fetch_all(connection)
        .await
}
