//! The table of deliveries.

mod claim;
pub(in crate::sqlite) mod insert;
mod look;
mod settle;

use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

pub(super) use insert::insert;

use super::SqliteLedger;
use super::failure::Failure;
use crate::delivery::{
    Claim, Claimed, Deliveries, Due, Filter, NewDelivery, Pace, ReceiverBacklog, Record, Replayed, Settlement,
};
use crate::error::LedgerError;
use crate::port::Answer;
use crate::row::Columns;

/// What is read of a row.
macro_rules! columns {
    () => {
        "seq, delivery_id, receiver, order_key, dedup_key, class, ends, message, state, created_at_us, queued_at_us, \
         due_at_us, attempt_count, uncertain, last_status, last_error, credential, fallback_of, finished_at_us"
    };
}

/// The condition that row `due` is the first of its order that is not finished.
macro_rules! is_first {
    () => {
        "not exists (select 1 from delivery as earlier where earlier.receiver = due.receiver \
         and earlier.order_key = due.order_key and earlier.state in ('ready', 'leased') and earlier.seq < due.seq)"
    };
}

use {columns, is_first};

/// The store's time: SQLite's, which is this machine's.
async fn now(connection: &mut SqliteConnection, failure: &Failure) -> Result<Timestamp, LedgerError> {
    let row = sqlx::query("select cast(unixepoch('subsec') * 1000000 as integer) as now_us")
        .fetch_one(connection)
        .await
        .map_err(|error| failure.during("read its clock", error))?;
    time(&row)
}

fn time(row: &SqliteRow) -> Result<Timestamp, LedgerError> {
    Columns::of("delivery", row).time("now_us")
}

/// A length of time in microseconds.
fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

/// Ends `transaction` of `connection`: by closing the connection when it failed, because the driver may have lost count.
async fn finish<T>(
    connection: sqlx::pool::PoolConnection<sqlx::Sqlite>,
    outcome: Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    if outcome.is_err() {
        let _already_broken = connection.close().await;
    }
    outcome
}

impl SqliteLedger {
    async fn writer(
        &self,
        operation: &'static str,
    ) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, LedgerError> {
        self.writer
            .acquire()
            .await
            .map_err(|error| self.failure.during(operation, error))
    }

    async fn insert_deliveries(&self, deliveries: &[NewDelivery]) -> Result<usize, LedgerError> {
        const OPERATION: &str = "write deliveries";
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.writer(OPERATION).await?;
        let write = async {
            let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
            let new = insert(&mut transaction, &self.failure, deliveries).await?;
            transaction.commit().await.map_err(during)?;
            Ok(new)
        };
        let outcome = write.await;
        finish(connection, outcome).await
    }
}

impl Deliveries for SqliteLedger {
    fn enqueue<'a>(&'a self, deliveries: &'a [NewDelivery]) -> Answer<'a, usize> {
        Box::pin(self.insert_deliveries(deliveries))
    }

    fn due<'a>(&'a self, receivers: &'a [String]) -> Answer<'a, Due> {
        Box::pin(self.due_deliveries(receivers))
    }

    fn claim<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Option<Claimed>> {
        Box::pin(self.claim_deliveries(claim))
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> Answer<'a, usize> {
        Box::pin(self.settle_deliveries(settlement))
    }

    fn pace<'a>(&'a self, receiver: &'a str) -> Answer<'a, Pace> {
        Box::pin(self.read_pace(receiver))
    }

    fn set_pace<'a>(&'a self, receiver: &'a str, pace: &'a Pace) -> Answer<'a, bool> {
        Box::pin(self.write_pace(receiver, pace))
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<Record>> {
        Box::pin(self.list_deliveries(filter))
    }

    fn replay(&self, id: Uuid) -> Answer<'_, Replayed> {
        Box::pin(self.replay_delivery(id))
    }

    fn backlogs(&self) -> Answer<'_, Vec<ReceiverBacklog>> {
        Box::pin(self.delivery_backlog())
    }

    fn forget_finished(&self) -> Answer<'_, u64> {
        Box::pin(self.forget_deliveries())
    }

    fn clock(&self) -> Answer<'_, Timestamp> {
        Box::pin(async {
            let acquired = self.readers.acquire().await;
            let mut connection = acquired.map_err(|error| self.failure.during("read its clock", error))?;
            now(&mut connection, &self.failure).await
        })
    }
}
