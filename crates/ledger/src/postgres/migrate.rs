//! Brings a ledger to the present schema.
//!
//! Processes of two releases share a ledger while a new one is rolled out, so a migration only adds: what an older
//! release writes and reads stays as it is. When something is to go, one release stops using it and the next one
//! removes it, and says so in the table `schema_compatibility`: a release that knows less than it asks for is refused.

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqlSafeStr};
use tokio::time::timeout;

use super::connect::Server;
use super::failure::silent;
use crate::error::{Cause, OpenError};

/// Migrations in their order. Applied files are frozen.
const MIGRATIONS: [(i64, &str, &str); 8] = [
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
    (
        3,
        "deliveries",
        include_str!("../../../../migrations/postgres/0003_deliveries.sql"),
    ),
    (
        4,
        "guard",
        include_str!("../../../../migrations/postgres/0004_guard.sql"),
    ),
    (
        5,
        "compensation",
        include_str!("../../../../migrations/postgres/0005_compensation.sql"),
    ),
    (
        6,
        "alerts",
        include_str!("../../../../migrations/postgres/0006_alerts.sql"),
    ),
    (
        7,
        "order deadline",
        include_str!("../../../../migrations/postgres/0007_order_deadline.sql"),
    ),
    (
        10,
        "runbooks",
        include_str!("../../../../migrations/postgres/0010_runbooks.sql"),
    ),
];

/// How long migrating may take. An index on a large table takes minutes.
const LIMIT: Duration = Duration::from_mins(15);

/// How long it may take to find out that there is nothing to migrate, which is how nearly every start ends.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

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
    let failed = |source: Cause| OpenError::Failed {
        ledger: server.to_string(),
        source,
    };
    // The lock of the migrations lives as long as the connection: closing it frees the next one, whatever happened.
    let mut connection = server.worker().await?;
    let migrator = migrator();
    let present = timeout(LOOK_LIMIT, is_present(&mut connection, &migrator))
        .await
        .map_err(|_| failed(Arc::new(silent("look at its schema"))))?
        .map_err(|error| failed(Arc::new(error)))?;
    let mut applied = Vec::new();
    if !present {
        applied = timeout(LIMIT, migrate(&mut connection, &migrator))
            .await
            .map_err(|_| failed(Arc::new(silent("migrate"))))?
            .map_err(|error| failed(Arc::new(error)))?;
    }
    let (version, required) = timeout(LOOK_LIMIT, compatibility(&mut connection))
        .await
        .map_err(|_| failed(Arc::new(silent("look at its schema"))))?
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

fn migrator() -> Migrator {
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
    // Whether a later release's schema is good for us is asked of that schema. The lock is taken before, so that what
    // was there already is told from what is made now.
    migrator.set_ignore_missing(true).set_locking(false);
    migrator
}

/// Whether all of our migrations were made, as we know them.
async fn is_present(connection: &mut PgConnection, migrator: &Migrator) -> Result<bool, sqlx::Error> {
    let made = made(connection).await?;
    let is_made = |migration: &Migration| {
        let mut made = made.iter();
        made.any(|(version, checksum)| *version == migration.version && *checksum == *migration.checksum)
    };
    Ok(migrator.iter().all(is_made))
}

/// Makes what is missing, and says what that was.
async fn migrate(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<Vec<(i64, String)>, MigrateError> {
    connection.lock().await?;
    let before = made(connection).await?;
    // `run` takes whatever a connection comes from, which the compiler cannot follow into a task.
    migrator.run_direct(None, &mut *connection, false).await?;
    let is_new = |version: i64| before.iter().all(|(made, _)| *made != version);
    Ok(MIGRATIONS
        .iter()
        .filter(|(version, ..)| is_new(*version))
        .map(|(version, description, _)| (*version, (*description).to_owned()))
        .collect())
}

/// The version that the schema has, and the version that it asks a release to know.
async fn compatibility(connection: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "select (select max(version) from _sqlx_migrations), least_known_version from schema_compatibility",
    )
    .fetch_one(connection)
    .await
}

/// The migrations that were made, as number and checksum.
async fn made(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let table: Option<String> = sqlx::query_scalar("select to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query_as("select version, checksum from _sqlx_migrations where success")
        .fetch_all(connection)
        .await
}
