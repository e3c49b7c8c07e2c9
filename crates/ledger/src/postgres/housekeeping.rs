//! What must be done now and then: partitions ahead of time, and old days out of the way.
//!
//! Any process may call for it, at any time; one does it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use super::PostgresLedger;
use super::failure::silent;
use super::partition::{self, Day, TABLES};
use super::statistics::unsettled;
use super::value::Micros;
use crate::error::{LedgerError, OpenError};

/// The lock of whoever keeps house ("PYRT" and a number).
pub(super) const HOUSEKEEPING: i64 = 0x5059_5254_0000_0002;

/// Pages of an attempts' partition whose names are removed in one statement: about 30 000 attempts, a second or two.
const PAGES_AT_ONCE: i64 = 2_048;

/// Guarded payments that are removed in one statement.
const PAYMENTS_AT_ONCE: i64 = 5_000;

/// How long it may take. Removing the names of a day with ten million attempts takes some minutes.
const LIMIT: Duration = Duration::from_mins(30);

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Housekept {
    /// Whether another process is at it, and nothing was done here.
    pub elsewhere: bool,
    /// Partitions that were made.
    pub made: usize,
    /// Partitions that were dropped, by name.
    pub dropped: Vec<String>,
}

impl PostgresLedger {
    /// Makes the partitions of the coming days, and drops those of days that are older than they are to be kept.
    ///
    /// Goes by `now` or by the server's clock, whichever is earlier: a clock that is ahead must not drop what is to be
    /// kept. Once an hour is often enough. It does not hold up those who write.
    ///
    /// # Errors
    /// When the server does not do it; what was done until then stays.
    pub async fn housekeep(&self, now: Timestamp) -> Result<Housekept, LedgerError> {
        const OPERATION: &str = "keep house";
        // A connection of its own: closing it gives the lock back, whatever happened.
        let mut connection = self.server.worker().await.map_err(|error| match error {
            OpenError::Unreachable { source, .. } => LedgerError::Unavailable {
                operation: OPERATION,
                source,
            },
            error => LedgerError::Unavailable {
                operation: OPERATION,
                source: Arc::new(error),
            },
        })?;
        let kept = timeout(LIMIT, keep(&mut connection, now, self.retention_days)).await;
        let kept = kept
            .map_err(|_| silent(OPERATION))?
            .map_err(|error| self.failure.during(OPERATION, error))?;
        // A server that does not take the farewell has gone.
        let _gone = connection.close().await;
        Ok(kept)
    }

    /// Makes the partitions of today and the coming days, by the server's clock.
    pub(super) async fn prepare_days(&self) -> Result<(), LedgerError> {
        let days = Day::ahead(self.read_clock().await?);
        self.days.ensure_days(&self.pool, &self.failure, days).await
    }
}

async fn keep(
    connection: &mut PgConnection,
    now: Timestamp,
    retention_days: u16,
) -> Result<Housekept, sqlx::Error> {
    let (mine, server_now): (bool, Micros) =
        sqlx::query_as("select pg_try_advisory_lock($1), clock_timestamp()")
            .bind(HOUSEKEEPING)
            .fetch_one(&mut *connection)
            .await?;
    if !mine {
        return Ok(Housekept {
            elsewhere: true,
            ..Housekept::default()
        });
    }
    let now = now.min(timestamp(server_now));
    let made = partition::make(connection, &Day::ahead(now)).await?;
    let oldest_kept = Day::of(now).plus(-i32::from(retention_days));
    let mut dropped = Vec::new();
    // What somebody has yet to find out about is kept until that is done, however long it takes.
    let open = open_days(connection).await?;
    for table in TABLES {
        let mut names = old(connection, table, oldest_kept).await?;
        if table == "attempt" {
            names.retain(|name| Day::of_partition(name, table).is_none_or(|day| !open.contains(&day)));
        }
        for name in names {
            drop_partition(connection, table, &name).await?;
            dropped.push(name);
        }
    }
    forget_guarded(connection, oldest_kept).await?;
    Ok(Housekept {
        elsewhere: false,
        made,
        dropped,
    })
}

/// Removes the guarded payments of the days before `oldest_kept`, some at a time: their attempts are gone by now. One
/// that may still charge stays, and so does what blocks it.
async fn forget_guarded(connection: &mut PgConnection, oldest_kept: Day) -> Result<(), sqlx::Error> {
    loop {
        let removed = sqlx::query(
            "with old as (select merchant_id, payment_id from guarded_payment as payment \
             where registered_at < ($1::text::date::timestamp at time zone 'UTC') \
             and not exists (select from guarded_attempt as attempt where attempt.merchant_id = payment.merchant_id and attempt.payment_id = payment.payment_id \
             and attempt.state = any ($2)) order by registered_at limit $3 for update skip locked), \
             gone as (delete from guarded_attempt as attempt using old \
             where attempt.merchant_id = old.merchant_id and attempt.payment_id = old.payment_id) \
             delete from guarded_payment as payment using old \
             where payment.merchant_id = old.merchant_id and payment.payment_id = old.payment_id",
        )
        .bind(oldest_kept.to_string())
        .bind(unsettled())
        .bind(PAYMENTS_AT_ONCE)
        .execute(&mut *connection)
        .await?
        .rows_affected();
        if removed == 0 {
            return Ok(());
        }
    }
}

/// The days of attempts whose money is not settled.
async fn open_days(connection: &mut PgConnection) -> Result<BTreeSet<Day>, sqlx::Error> {
    let days: Vec<Micros> =
        sqlx::query_scalar("select distinct date_trunc('day', received_at, 'UTC') from compensation_case")
            .fetch_all(connection)
            .await?;
    Ok(days.into_iter().map(|day| Day::of(timestamp(day))).collect())
}

/// The partitions of `table` before `oldest_kept`, attached or on their way out.
async fn old(
    connection: &mut PgConnection,
    table: &'static str,
    oldest_kept: Day,
) -> Result<BTreeSet<String>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relkind = 'r' and relnamespace = \
         (select relnamespace from pg_class where oid = $1::text::regclass) and starts_with(relname::text, $1 || '_p')",
    )
    .bind(table)
    .fetch_all(connection)
    .await?;
    let is_old = |name: &String| Day::of_partition(name, table).is_some_and(|day| day < oldest_kept);
    Ok(names.into_iter().filter(is_old).collect())
}

/// Lets go of the partition `name`. Every step can be done again after a crash.
async fn drop_partition(
    connection: &mut PgConnection,
    table: &'static str,
    name: &str,
) -> Result<(), sqlx::Error> {
    if table == "attempt" {
        forget_names(connection, name).await?;
    }
    let pending: Option<bool> =
        sqlx::query_scalar("select inhdetachpending from pg_inherits where inhrelid = $1::text::regclass")
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?;
    // Concurrently: the table can be read and written while those who still look at the partition are waited for.
    let detach = match pending {
        Some(false) => Some(format!(
            "alter table {table} detach partition {name} concurrently"
        )),
        Some(true) => Some(format!("alter table {table} detach partition {name} finalize")),
        None => None,
    };
    if let Some(detach) = detach {
        sqlx::raw_sql(AssertSqlSafe(detach))
            .execute(&mut *connection)
            .await?;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("drop table {name}")))
        .execute(connection)
        .await
        .map(drop)
}

/// Removes the names of the attempts in the partition `name`, a stretch of pages at a time: reading along the partition
/// needs no index over the names' days, which every insert would pay for.
async fn forget_names(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let pages: i64 = sqlx::query_scalar(
        "select pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint",
    )
    .bind(name)
    .fetch_one(&mut *connection)
    .await?;
    let mut from = 0;
    while from < pages {
        let until = from.saturating_add(PAGES_AT_ONCE);
        let statement = format!(
            "delete from attempt_name using {name} as old \
             where old.ctid >= '({from},0)'::tid and old.ctid < '({until},0)'::tid \
             and attempt_name.merchant_id = old.merchant_id and attempt_name.attempt_id = old.attempt_id \
             and attempt_name.seq = old.seq"
        );
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
        from = until;
    }
    Ok(())
}

/// A time of the server, whose calendar is longer than ours.
pub(super) fn timestamp(micros: Micros) -> Timestamp {
    Timestamp::from_microsecond(micros.0).unwrap_or(Timestamp::MAX)
}
