//! Claiming deliveries by a lease.

use sqlx::{Connection, SqliteConnection};

use super::{columns, finish, is_first, micros, now};
use crate::delivery::{Claim, Claimed, Due, Leased, Pace, Waiting};
use crate::error::LedgerError;
use crate::row::Columns;
use crate::row::delivery::{TABLE, leased, pace};
use crate::sqlite::SqliteLedger;
use crate::sqlite::failure::Failure;

impl SqliteLedger {
    pub(super) async fn due_deliveries(&self, receivers: &[String]) -> Result<Due, LedgerError> {
        let during = |error| self.failure.during("look for due deliveries", error);
        let mut connection = self.readers.acquire().await.map_err(during)?;
        let now = now(&mut connection, &self.failure).await?;
        let mut waiting = Vec::new();
        for receiver in receivers {
            let row = sqlx::query(concat!(
                "select count(*) as count from (select 1 from delivery as due where due.receiver = ? \
                 and due.state in ('ready', 'leased') and due.due_at_us <= ? and ",
                is_first!(),
                " limit 1000)"
            ))
            .bind(receiver)
            .bind(now.as_microsecond())
            .fetch_one(&mut *connection)
            .await
            .map_err(during)?;
            let count = Columns::of(TABLE, &row).whole("count")?;
            if count > 0 {
                waiting.push(Waiting {
                    receiver: receiver.clone(),
                    count,
                    pace: read(&mut connection, &self.failure, receiver).await?,
                });
            }
        }
        Ok(Due { now, waiting })
    }

    pub(super) async fn claim_deliveries(&self, claim: &Claim) -> Result<Option<Claimed>, LedgerError> {
        const OPERATION: &str = "claim deliveries";
        let failure = &self.failure;
        let during = |error| failure.during(OPERATION, error);
        let mut connection = self.writer(OPERATION).await?;
        let write = async {
            let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
            if !set(&mut transaction, failure, (&claim.receiver, &claim.pace)).await? {
                transaction.rollback().await.map_err(during)?;
                return Ok(None);
            }
            let claimed = lease(&mut transaction, failure, claim).await?;
            transaction.commit().await.map_err(during)?;
            Ok(Some(claimed))
        };
        let outcome = write.await;
        finish(connection, outcome).await
    }

    pub(super) async fn read_pace(&self, receiver: &str) -> Result<Pace, LedgerError> {
        let during = |error| self.failure.during("read the pace of a receiver", error);
        let mut connection = self.readers.acquire().await.map_err(during)?;
        read(&mut connection, &self.failure, receiver).await
    }

    pub(super) async fn write_pace(&self, receiver: &str, pace: &Pace) -> Result<bool, LedgerError> {
        let mut connection = self.writer("write the pace of a receiver").await?;
        let outcome = set(&mut connection, &self.failure, (receiver, pace)).await;
        finish(connection, outcome).await
    }
}

async fn read(
    connection: &mut SqliteConnection,
    failure: &Failure,
    receiver: &str,
) -> Result<Pace, LedgerError> {
    let row = sqlx::query("select version, content from delivery_pace where receiver = ?")
        .bind(receiver)
        .fetch_optional(connection)
        .await
        .map_err(|error| failure.during("read the pace of a receiver", error))?;
    row.map_or_else(|| Ok(Pace::default()), |row| pace(&row))
}

/// Puts `pace` in the place of the one it was made from; `false` when another one is there.
async fn set(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (receiver, pace): (&str, &Pace),
) -> Result<bool, LedgerError> {
    // Versions count changes: they never get near the end of the numbers.
    let version = i64::try_from(pace.version).unwrap_or(i64::MAX);
    let statement = if version == 0 {
        "insert into delivery_pace (receiver, version, content) values (?1, ?2 + 1, ?3) on conflict do nothing"
    } else {
        "update delivery_pace set version = ?2 + 1, content = ?3 where receiver = ?1 and version = ?2"
    };
    sqlx::query(statement)
        .bind(receiver)
        .bind(version)
        .bind(&pace.content)
        .execute(connection)
        .await
        .map(|written| written.rows_affected() > 0)
        .map_err(|error| failure.during("write the pace of a receiver", error))
}

async fn lease(
    connection: &mut SqliteConnection,
    failure: &Failure,
    claim: &Claim,
) -> Result<Claimed, LedgerError> {
    let during = |error| failure.during("claim deliveries", error);
    let now = now(connection, failure).await?;
    let due: Vec<i64> = sqlx::query_scalar(concat!(
        "select due.seq from delivery as due where due.receiver = ? and due.state in ('ready', 'leased') \
         and due.due_at_us <= ? and ",
        is_first!(),
        " order by due.due_at_us, due.seq limit ?"
    ))
    .bind(&claim.receiver)
    .bind(now.as_microsecond())
    .bind(claim.limit)
    .fetch_all(&mut *connection)
    .await
    .map_err(during)?;
    let mut deliveries = Vec::with_capacity(due.len());
    for seq in due {
        // A delivery that is claimed although it was leased may have been sent: its worker was lost.
        let row = sqlx::query(concat!(
            "update delivery set uncertain = max(uncertain, state = 'leased'), state = 'leased', lease_token = ?, \
             due_at_us = ?, attempt_count = attempt_count + 1 where seq = ? returning ",
            columns!()
        ))
        .bind(claim.token.to_string())
        .bind(now.as_microsecond().saturating_add(micros(claim.lease)))
        .bind(seq)
        .fetch_one(&mut *connection)
        .await
        .map_err(during)?;
        let leased = leased(&row)?;
        let credential = credential(connection, failure, (&claim.receiver, &leased)).await?;
        deliveries.push(Leased { credential, ..leased });
    }
    deliveries.sort_by_key(|leased| leased.queued_at);
    Ok(Claimed { now, deliveries })
}

/// By which key an earlier delivery of the same order was accepted.
async fn credential(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (receiver, leased): (&str, &Leased),
) -> Result<Option<String>, LedgerError> {
    sqlx::query_scalar(
        "select credential from delivery where receiver = ? and order_key = ? and credential is not null \
         order by seq desc limit 1",
    )
    .bind(receiver)
    .bind(&leased.order_key)
    .fetch_optional(connection)
    .await
    .map_err(|error| failure.during("claim deliveries", error))
}
