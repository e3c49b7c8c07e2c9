//! Claiming deliveries by a lease.

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use tokio::time::timeout;

use super::super::failure::{Failure, settle};
use super::super::housekeeping::timestamp;
use super::super::value::{Micros, text};
use super::super::{PostgresLedger, READ_LIMIT};
use super::{columns, is_first};
use crate::delivery::{Claim, Claimed, Due, Pace, Waiting};
use crate::error::LedgerError;
use crate::row::Columns;
use crate::row::delivery::{TABLE, leased, pace};

impl PostgresLedger {
    pub(super) async fn due_deliveries(&self, receivers: &[String]) -> Result<Due, LedgerError> {
        const OPERATION: &str = "look for due deliveries";
        let query = sqlx::query(concat!(
            "select statement_timestamp() as now_us, wanted.receiver, waiting.count, pace.version, pace.content \
             from unnest($1::text[]) as wanted (receiver) \
             cross join lateral (select count(*) as count from (select 1 from delivery due \
             where due.receiver = wanted.receiver and due.state in ('ready', 'leased') \
             and due.due_at <= statement_timestamp() and ",
            is_first!("due"),
            " limit 1000) as found) as waiting \
             left join delivery_pace pace on pace.receiver = wanted.receiver \
             where waiting.count > 0"
        ))
        .bind(receivers.to_vec());
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async { query.fetch_all(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, read).await;
        let rows = settle(connection, outcome, OPERATION)?;
        let now = match rows.first() {
            Some(row) => Columns::of(TABLE, row).time("now_us")?,
            // Nothing waits, so nobody reckons with it.
            None => jiff::Timestamp::UNIX_EPOCH,
        };
        let waiting = rows.iter().map(waiting).collect::<Result<_, _>>()?;
        Ok(Due { now, waiting })
    }

    pub(super) async fn claim_deliveries(&self, claim: &Claim) -> Result<Option<Claimed>, LedgerError> {
        const OPERATION: &str = "claim deliveries";
        let failure = &self.failure;
        let during = |error| failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async {
            let mut transaction = connection.begin().await.map_err(during)?;
            if !set_pace(&mut transaction, failure, (&claim.receiver, &claim.pace)).await? {
                transaction.rollback().await.map_err(during)?;
                return Ok(None);
            }
            let claimed = lease(&mut transaction, failure, claim).await?;
            transaction.commit().await.map_err(during)?;
            Ok(Some(claimed))
        };
        let outcome = timeout(READ_LIMIT, write).await;
        settle(connection, outcome, OPERATION)
    }

    pub(super) async fn read_pace(&self, receiver: &str) -> Result<Pace, LedgerError> {
        const OPERATION: &str = "read the pace of a receiver";
        let query = sqlx::query("select version, content from delivery_pace where receiver = $1")
            .bind(text(receiver));
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async { query.fetch_optional(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, read).await;
        let row = settle(connection, outcome, OPERATION)?;
        row.map_or_else(|| Ok(Pace::default()), |row| pace(&row))
    }

    pub(super) async fn write_pace(&self, receiver: &str, pace: &Pace) -> Result<bool, LedgerError> {
        const OPERATION: &str = "write the pace of a receiver";
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = set_pace(&mut connection, &self.failure, (receiver, pace));
        let outcome = timeout(READ_LIMIT, write).await;
        settle(connection, outcome, OPERATION)
    }
}

fn waiting(row: &PgRow) -> Result<Waiting, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Waiting {
        receiver: columns.text("receiver")?,
        count: columns.whole("count")?,
        pace: pace(row)?,
    })
}

/// Puts `pace` in the place of the one it was made from; `false` when another one is there.
async fn set_pace(
    connection: &mut PgConnection,
    failure: &Failure,
    (receiver, pace): (&str, &Pace),
) -> Result<bool, LedgerError> {
    // Versions count changes: they never get near the end of the numbers.
    let version = i64::try_from(pace.version).unwrap_or(i64::MAX);
    let statement = if version == 0 {
        "insert into delivery_pace (receiver, version, content) values ($1, $2 + 1, $3) on conflict do nothing"
    } else {
        "update delivery_pace set version = $2 + 1, content = $3 where receiver = $1 and version = $2"
    };
    sqlx::query(statement)
        .bind(text(receiver))
        .bind(version)
        .bind(text(&pace.content))
        .execute(connection)
        .await
        .map(|written| written.rows_affected() > 0)
        .map_err(|error| failure.during("write the pace of a receiver", error))
}

async fn lease(
    connection: &mut PgConnection,
    failure: &Failure,
    claim: &Claim,
) -> Result<Claimed, LedgerError> {
    let during = |error| failure.during("claim deliveries", error);
    // A delivery that is claimed although it was leased may have been sent: its worker was lost.
    let rows = sqlx::query(concat!(
        "with due as (select due.seq as number from delivery due where due.receiver = $1 \
         and due.state in ('ready', 'leased') and due.due_at <= statement_timestamp() and ",
        is_first!("due"),
        " order by due.due_at, due.seq limit $2 for update of due skip locked), \
         claimed as (update delivery set state = 'leased', lease_token = $3::text::uuid, \
         due_at = statement_timestamp() + make_interval(secs => $4), attempt_count = attempt_count + 1, \
         uncertain = uncertain or state = 'leased' from due where delivery.seq = due.number returning delivery.*), \
         found as (select claimed.*, (select known.credential from delivery known \
         where known.receiver = claimed.receiver and known.order_key = claimed.order_key \
         and known.credential is not null order by known.seq desc limit 1) as known_credential from claimed) \
         select ",
        columns!("known_credential", "message"),
        " from found order by queued_at, seq"
    ))
    .bind(text(&claim.receiver))
    .bind(i64::from(claim.limit))
    .bind(claim.token.to_string())
    .bind(claim.lease.as_secs_f64())
    .fetch_all(&mut *connection)
    .await
    .map_err(during)?;
    let row = sqlx::query("select statement_timestamp() as now_us")
        .fetch_one(connection)
        .await
        .map_err(during)?;
    let now: Micros = row.try_get("now_us").map_err(during)?;
    Ok(Claimed {
        now: timestamp(now),
        deliveries: rows.iter().map(|row| leased(row)).collect::<Result<_, _>>()?,
    })
}
