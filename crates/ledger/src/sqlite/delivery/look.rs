//! Looking after deliveries: lists, dead letters, what is old.

use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{columns, finish, now};
use crate::delivery::{Filter, KEPT_DAYS, PAGE_KEPT_DAYS, ReceiverBacklog, Record, Replayed, State};
use crate::error::LedgerError;
use crate::row::Columns;
use crate::row::delivery::{TABLE, record};
use crate::sqlite::SqliteLedger;

/// Deliveries that are removed at once.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

impl SqliteLedger {
    pub(super) async fn list_deliveries(&self, filter: &Filter) -> Result<Vec<Record>, LedgerError> {
        sqlx::query(concat!(
            "select ",
            columns!(),
            " from delivery where (?1 is null or state = ?1) and (?2 is null or receiver = ?2) \
             and (?3 is null or order_key = ?3) and seq < ?4 order by seq desc limit ?5"
        ))
        .bind(filter.state.map(State::as_str))
        .bind(filter.receiver.as_deref())
        .bind(filter.order_key.as_deref())
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(filter.limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.failure.during("list deliveries", error))?
        .iter()
        .map(|row| record(row))
        .collect()
    }

    pub(super) async fn replay_delivery(&self, id: Uuid) -> Result<Replayed, LedgerError> {
        const OPERATION: &str = "replay a delivery";
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.writer(OPERATION).await?;
        let write = async {
            let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
            let now = now(&mut transaction, &self.failure).await?.as_microsecond();
            // With a new place: what waits in its order by now is not overtaken.
            let replayed = sqlx::query(
                "update delivery set state = 'ready', seq = (select max(seq) + 1 from delivery), attempt_count = 0, \
                 queued_at_us = ?1, due_at_us = ?1, finished_at_us = null \
                 where delivery_id = ?2 and state = 'dead' and message is not null",
            )
            .bind(now)
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(during)?;
            if replayed.rows_affected() > 0 {
                transaction.commit().await.map_err(during)?;
                return Ok(Replayed::Ready);
            }
            let row = sqlx::query("select state from delivery where delivery_id = ?")
                .bind(id.to_string())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(during)?;
            transaction.rollback().await.map_err(during)?;
            let Some(row) = row else {
                return Ok(Replayed::Unknown);
            };
            Ok(match Columns::of(TABLE, &row).parse("state", str::parse)? {
                State::Dead => Replayed::Erased,
                state => Replayed::NotDead(state),
            })
        };
        let outcome = write.await;
        finish(connection, outcome).await
    }

    pub(super) async fn delivery_backlog(&self) -> Result<Vec<ReceiverBacklog>, LedgerError> {
        let during = |error| self.failure.during("measure what waits to be delivered", error);
        let mut connection = self.readers.acquire().await.map_err(during)?;
        let now = now(&mut connection, &self.failure).await?;
        sqlx::query(
            "select receiver, count(*) filter (where state <> 'dead') as waiting, \
             count(*) filter (where state = 'dead') as dead, \
             coalesce((?1 - min(queued_at_us) filter (where state <> 'dead' and queued_at_us <= ?1)) / 1000, 0) \
             as oldest_ms from delivery where state in ('ready', 'leased', 'dead') group by receiver order by receiver",
        )
        .bind(now.as_microsecond())
        .fetch_all(&mut *connection)
        .await
        .map_err(during)?
        .iter()
        .map(backlog)
        .collect()
    }

    pub(super) async fn forget_deliveries(&self) -> Result<u64, LedgerError> {
        const OPERATION: &str = "remove finished deliveries";
        let mut connection = self.writer(OPERATION).await?;
        let write = async {
            let now = now(&mut connection, &self.failure).await?.as_microsecond();
            sqlx::query(
                "delete from delivery where seq in (select seq from delivery where finished_at_us is not null \
                 and finished_at_us < ?1 - iif(class = 'page' and state <> 'dead', ?2, ?3) limit ?4)",
            )
            .bind(now)
            .bind(PAGE_KEPT_DAYS.saturating_mul(DAY))
            .bind(KEPT_DAYS.saturating_mul(DAY))
            .bind(FORGOTTEN_AT_ONCE)
            .execute(&mut *connection)
            .await
            .map(|removed| removed.rows_affected())
            .map_err(|error| self.failure.during(OPERATION, error))
        };
        let outcome = write.await;
        finish(connection, outcome).await
    }
}

fn backlog(row: &SqliteRow) -> Result<ReceiverBacklog, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(ReceiverBacklog {
        receiver: columns.text("receiver")?,
        waiting: columns.whole("waiting")?,
        oldest: Duration::from_millis(columns.whole("oldest_ms")?),
        dead: columns.whole("dead")?,
    })
}
