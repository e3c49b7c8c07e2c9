//! The partitions of days, and which days have theirs.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use super::WRITE_LIMIT;
use super::failure::{Failure, settle};
use crate::error::LedgerError;
use crate::port::Batch;

/// The tables that are partitioned by day.
pub(super) const TABLES: [&str; 3] = ["attempt", "attempt_transition", "decision"];

/// Days beyond today that have their partitions before anything is written in them: a long weekend without housekeeping.
const AHEAD: i32 = 3;

/// The lock of whoever makes partitions ("PYRT" and a number), so that two do not make the same one.
const MAKING: i64 = 0x5059_5254_0000_0001;

/// A day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(Date);

impl Day {
    /// The day that `at` is in.
    pub(super) fn of(at: Timestamp) -> Self {
        Self(at.to_zoned(TimeZone::UTC).date())
    }

    /// The day `days` later, or earlier when negative; the same at the end of the calendar.
    pub(super) fn plus(self, days: i32) -> Self {
        Self(self.0.checked_add(Span::new().days(days)).unwrap_or(self.0))
    }

    /// The day of the partition of that name; `None` when it is not one of `table`.
    pub(super) fn of_partition(name: &str, table: &str) -> Option<Self> {
        let digits = name.strip_prefix(table)?.strip_prefix("_p")?;
        Date::strptime("%Y%m%d", digits).ok().map(Self)
    }

    /// The name of its partition of `table`.
    pub(super) fn partition(self, table: &str) -> String {
        format!("{table}_p{}", self.0.strftime("%Y%m%d"))
    }

    /// Today and the days that are made ahead.
    pub(super) fn ahead(now: Timestamp) -> BTreeSet<Self> {
        let today = Self::of(now);
        (0..=AHEAD).map(|days| today.plus(days)).collect()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The days that are known to have their partitions, so that a batch need not ask.
#[derive(Debug, Default)]
pub(super) struct Days(Mutex<BTreeSet<Day>>);

impl Days {
    /// Makes the partitions that `batch` needs and that are not known to be there.
    pub(super) async fn ensure(
        &self,
        pool: &PgPool,
        failure: &Failure,
        batch: &Batch,
    ) -> Result<(), LedgerError> {
        let attempts = batch.attempts.iter().map(|attempt| attempt.received_at);
        let resolutions = batch.resolutions.iter().map(|resolution| resolution.at);
        let decisions = batch.decisions.iter().map(|decision| decision.decided_at);
        let needed: BTreeSet<Day> = attempts
            .chain(resolutions)
            .chain(decisions)
            .map(Day::of)
            .collect();
        self.ensure_days(pool, failure, needed).await
    }

    /// Makes the partitions of `needed` that are not known to be there.
    pub(super) async fn ensure_days(
        &self,
        pool: &PgPool,
        failure: &Failure,
        needed: BTreeSet<Day>,
    ) -> Result<(), LedgerError> {
        const OPERATION: &str = "make the partitions of a day";
        let missing: BTreeSet<Day> = needed.difference(&self.known()).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let during = |error| failure.during(OPERATION, error);
        let mut connection = pool.acquire().await.map_err(during)?;
        let making = async { make(&mut connection, &missing).await.map_err(during) };
        let outcome = timeout(WRITE_LIMIT, making).await;
        settle(connection, outcome, OPERATION)?;
        self.known().extend(missing);
        Ok(())
    }

    /// Takes nothing for granted any more.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<Day>> {
        // What a panicking thread has left is a set of days all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes those partitions of `days` that are not there, and says how many that were.
pub(super) async fn make(connection: &mut PgConnection, days: &BTreeSet<Day>) -> Result<usize, sqlx::Error> {
    if missing(connection, days).await?.is_empty() {
        return Ok(0);
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(MAKING)
        .execute(&mut *transaction)
        .await?;
    // Somebody else may have made them while we waited.
    let missing = missing(&mut transaction, days).await?;
    for (table, day) in &missing {
        let name = day.partition(table);
        let (from, until) = (day, day.plus(1));
        // Made beside the table and then attached, because that lets others read and write meanwhile. What is there
        // under its name and not attached was on its way out.
        let statements = format!(
            "drop table if exists {name}; \
             create table {name} (like {table} including all); \
             alter table {table} attach partition {name} for values from ('{from} 00:00:00+00') to ('{until} 00:00:00+00')"
        );
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(missing.len())
}

async fn missing(
    connection: &mut PgConnection,
    days: &BTreeSet<Day>,
) -> Result<Vec<(&'static str, Day)>, sqlx::Error> {
    let there: BTreeSet<String> = attached(connection).await?.into_iter().collect();
    let all = TABLES
        .iter()
        .flat_map(|table| days.iter().map(|day| (*table, *day)));
    Ok(all
        .filter(|(table, day)| !there.contains(&day.partition(table)))
        .collect())
}

/// The names of the partitions of all tables.
pub(super) async fn attached(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select part.relname::text from pg_inherits join pg_class part on part.oid = inhrelid \
         where inhparent = any ($1::text[]::regclass[]) and not inhdetachpending",
    )
    .bind(TABLES.as_slice())
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_names_its_table_and_day() {
        let day = Day::of("2026-05-01T23:59:59.999999Z".parse().unwrap());
        assert_eq!(day.partition("attempt"), "attempt_p20260501");
        assert_eq!(Day::of_partition("attempt_p20260501", "attempt"), Some(day));
        assert_eq!(Day::of_partition("attempt_transition_p20260501", "attempt"), None);
        assert_eq!(Day::of_partition("attempt_name", "attempt"), None);
    }

    #[test]
    fn the_days_ahead_cross_the_end_of_a_month() {
        let days = Day::ahead("2026-02-27T12:00:00Z".parse().unwrap());
        let names: Vec<String> = days.iter().map(Day::to_string).collect();
        assert_eq!(names, ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
    }
}
