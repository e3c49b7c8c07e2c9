//! The table of the outbox.

use std::time::Duration;

use domain::outcome_event::OutcomeEvent;
use jiff::Timestamp;
use metrics::counter;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokio::time::timeout;

use super::failure::{Failure, Setback, settle};
use super::value::Micros;
use super::{PostgresLedger, READ_LIMIT};
use crate::attempt::Recorded;
use crate::error::LedgerError;
use crate::metric;
use crate::outbox::{Backlog, Outbox, OutboxBatch, OutboxId};
use crate::port::{Answer, Batch};

/// Leaves the outcomes of the attempts of `batch` that are new, and `corrections`, in the outbox.
pub(super) async fn append(
    connection: &mut PgConnection,
    failure: &Failure,
    batch: &Batch,
    recorded: &[Recorded],
    corrections: Vec<OutcomeEvent>,
) -> Result<Option<OutboxBatch>, Setback> {
    let mut events: Vec<OutcomeEvent> = batch
        .attempts
        .iter()
        .zip(recorded)
        .filter(|(_, recorded)| matches!(recorded, Recorded::New))
        .filter_map(|(attempt, _)| attempt.outcome())
        .collect();
    events.extend(corrections);
    if events.is_empty() {
        return Ok(None);
    }
    let id = sqlx::query_scalar("insert into outbox (events) values ($1) returning id")
        .bind(proto::outcome_event::encode_batch(&events))
        .fetch_one(connection)
        .await
        .map_err(|error| failure.setback("write to the outbox", error))?;
    let id = OutboxId(id);
    Ok(Some(OutboxBatch { id, events }))
}

impl PostgresLedger {
    async fn read_unrelayed(&self, min_age: Duration, limit: u32) -> Result<Vec<OutboxBatch>, LedgerError> {
        const OPERATION: &str = "look for batches that nobody relayed";
        let query = sqlx::query(
            "select id, events from outbox where relayed_at is null \
             and created_at <= clock_timestamp() - make_interval(secs => $1) order by id limit $2",
        )
        .bind(min_age.as_secs_f64())
        .bind(i64::from(limit));
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async { query.fetch_all(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, read).await;
        Ok(readable(&settle(connection, outcome, OPERATION)?))
    }

    async fn read_relayed(
        &self,
        since: Timestamp,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Result<Vec<OutboxBatch>, LedgerError> {
        const OPERATION: &str = "look for batches that were relayed";
        let query = sqlx::query(
            "select id, events from outbox where id > $1 and (relayed_at is null or relayed_at >= $2) \
             order by id limit $3",
        )
        .bind(after.map_or(0, |after| after.0))
        .bind(Micros::from(since))
        .bind(i64::from(limit));
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async { query.fetch_all(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, read).await;
        Ok(readable(&settle(connection, outcome, OPERATION)?))
    }

    async fn mark(&self, batches: &[OutboxId]) -> Result<(), LedgerError> {
        const OPERATION: &str = "mark batches as relayed";
        if batches.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<i64> = batches.iter().map(|batch| batch.0).collect();
        ids.sort_unstable();
        // Locked in the order of their numbers: two who mark the same ones do not wait for each other both ways.
        let query = sqlx::query(
            "with due as (select id from outbox where id = any ($1) and relayed_at is null order by id for update) \
             update outbox set relayed_at = clock_timestamp() from due where outbox.id = due.id",
        )
        .bind(ids);
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async { query.execute(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, write).await;
        settle(connection, outcome, OPERATION).map(drop)
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, LedgerError> {
        const OPERATION: &str = "remove relayed batches";
        let query = sqlx::query("delete from outbox where relayed_at < $1").bind(Micros::from(before));
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async { query.execute(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, write).await;
        Ok(settle(connection, outcome, OPERATION)?.rows_affected())
    }

    async fn measure(&self) -> Result<Backlog, LedgerError> {
        const OPERATION: &str = "measure the outbox";
        let query = sqlx::query_as::<_, (i64, f64)>(
            "select count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::double precision \
             from outbox where relayed_at is null",
        );
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async { query.fetch_one(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, read).await;
        let (rows, oldest_secs) = settle(connection, outcome, OPERATION)?;
        Ok(Backlog {
            rows: u64::try_from(rows).unwrap_or(0),
            oldest: Duration::try_from_secs_f64(oldest_secs).unwrap_or_default(),
        })
    }
}

/// The batches in `rows` that this release can read.
fn readable(rows: &[PgRow]) -> Vec<OutboxBatch> {
    let read = |row: &PgRow| -> Result<OutboxBatch, Box<dyn std::error::Error>> {
        let id = OutboxId(row.try_get("id")?);
        let events = proto::outcome_event::decode_batch(row.try_get("events")?)?;
        Ok(OutboxBatch { id, events })
    };
    rows.iter()
        .filter_map(|row| {
            read(row)
                .inspect_err(|error| {
                    counter!(metric::OUTBOX_UNREADABLE).increment(1);
                    tracing::warn!(
                        "a batch of the outbox cannot be read and is left for another process: {error}"
                    );
                })
                .ok()
        })
        .collect()
}

impl Outbox for PostgresLedger {
    fn unrelayed(&self, min_age: Duration, limit: u32) -> Answer<'_, Vec<OutboxBatch>> {
        Box::pin(self.read_unrelayed(min_age, limit))
    }

    fn relayed_since(
        &self,
        since: Timestamp,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Answer<'_, Vec<OutboxBatch>> {
        Box::pin(self.read_relayed(since, after, limit))
    }

    fn mark_relayed<'a>(&'a self, batches: &'a [OutboxId]) -> Answer<'a, ()> {
        Box::pin(self.mark(batches))
    }

    fn forget_relayed(&self, before: Timestamp) -> Answer<'_, u64> {
        Box::pin(self.forget(before))
    }

    fn backlog(&self) -> Answer<'_, Backlog> {
        Box::pin(self.measure())
    }
}
