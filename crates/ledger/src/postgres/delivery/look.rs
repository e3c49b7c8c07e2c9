//! Looking after deliveries: lists, dead letters, what is old.

use std::time::Duration;

use sqlx::postgres::PgRow;
use tokio::time::timeout;
use uuid::Uuid;

use super::super::failure::settle;
use super::super::value::text_some;
use super::super::{PostgresLedger, READ_LIMIT};
use super::columns;
use crate::delivery::{Filter, KEPT_DAYS, PAGE_KEPT_DAYS, ReceiverBacklog, Record, Replayed, State};
use crate::error::LedgerError;
use crate::row::Columns;
use crate::row::delivery::{TABLE, record};

/// Deliveries that are removed at once.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

impl PostgresLedger {
    pub(super) async fn list_deliveries(&self, filter: &Filter) -> Result<Vec<Record>, LedgerError> {
        const OPERATION: &str = "list deliveries";
        let query = sqlx::query(concat!(
            "select ",
            columns!(),
            " from delivery where ($1::text is null or state = $1) and ($2::text is null or receiver = $2) \
             and ($3::text is null or order_key = $3) and seq < $4 order by seq desc limit $5"
        ))
        .bind(filter.state.map(State::as_str))
        .bind(text_some(filter.receiver.as_ref()))
        .bind(text_some(filter.order_key.as_ref()))
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(i64::from(filter.limit));
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async { query.fetch_all(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, read).await;
        let rows = settle(connection, outcome, OPERATION)?;
        rows.iter().map(|row| record(row)).collect()
    }

    pub(super) async fn replay_delivery(&self, id: Uuid) -> Result<Replayed, LedgerError> {
        const OPERATION: &str = "replay a delivery";
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async {
            // With a new place: what waits in its order by now is not overtaken.
            let replayed = sqlx::query(
                "update delivery set state = 'ready', seq = default, \
                 attempt_count = 0, queued_at = statement_timestamp(), due_at = statement_timestamp(), \
                 finished_at = null where delivery_id = $1::text::uuid and state = 'dead' and message is not null",
            )
            .bind(id.to_string())
            .execute(&mut *connection)
            .await
            .map_err(during)?;
            if replayed.rows_affected() > 0 {
                return Ok(Replayed::Ready);
            }
            let row = sqlx::query("select state from delivery where delivery_id = $1::text::uuid")
                .bind(id.to_string())
                .fetch_optional(&mut *connection)
                .await
                .map_err(during)?;
            let Some(row) = row else {
                return Ok(Replayed::Unknown);
            };
            Ok(match Columns::of(TABLE, &row).parse("state", str::parse)? {
                State::Dead => Replayed::Erased,
                state => Replayed::NotDead(state),
            })
        };
        let outcome = timeout(READ_LIMIT, write).await;
        settle(connection, outcome, OPERATION)
    }

    pub(super) async fn delivery_backlog(&self) -> Result<Vec<ReceiverBacklog>, LedgerError> {
        const OPERATION: &str = "measure what waits to be delivered";
        let query = sqlx::query(
            "select receiver, count(*) filter (where state <> 'dead') as waiting, \
             count(*) filter (where state = 'dead') as dead, \
             coalesce((extract(epoch from statement_timestamp() - min(queued_at) \
             filter (where state <> 'dead' and queued_at <= statement_timestamp())) * 1000)::bigint, 0) as oldest_ms \
             from delivery where state in ('ready', 'leased', 'dead') group by receiver order by receiver",
        );
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async { query.fetch_all(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, read).await;
        settle(connection, outcome, OPERATION)?
            .iter()
            .map(backlog)
            .collect()
    }

    pub(super) async fn forget_deliveries(&self) -> Result<u64, LedgerError> {
        const OPERATION: &str = "remove finished deliveries";
        let query = sqlx::query(
            "delete from delivery where seq in (select seq from delivery where finished_at is not null \
             and finished_at < statement_timestamp() - make_interval(days => case \
             when class = 'page' and state <> 'dead' then $1 else $2 end::integer) limit $3)",
        )
        .bind(PAGE_KEPT_DAYS)
        .bind(KEPT_DAYS)
        .bind(FORGOTTEN_AT_ONCE);
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async { query.execute(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, write).await;
        Ok(settle(connection, outcome, OPERATION)?.rows_affected())
    }
}

fn backlog(row: &PgRow) -> Result<ReceiverBacklog, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(ReceiverBacklog {
        receiver: columns.text("receiver")?,
        waiting: columns.whole("waiting")?,
        oldest: Duration::from_millis(columns.whole("oldest_ms")?),
        dead: columns.whole("dead")?,
    })
}
