//! Alerts and incidents: carries out the statements that the plans consist of.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Connection, PgConnection, Postgres, Row};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use uuid::Uuid;

use super::failure::{self, Failure, Setback, settle};
use super::value::text;
use super::{PostgresLedger, READ_LIMIT, TRIES, WRITE_LIMIT, control, delivery};
use crate::alert::plan::{self, Cell, Must, Step};
use crate::alert::{
    Act, Acted, Advance, Advanced, AlertStore, Board, Book, Edition, Entry, Incident, Run, Search, Silence,
    read,
};
use crate::error::LedgerError;
use crate::port::Answer;
use crate::row::Cells;

const WRITE: &str = "write alerts";
const READ: &str = "read alerts";

fn question(statement: &'static str, cells: &[Cell]) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    cells
        .iter()
        .fold(sqlx::query(statement), |query, cell| match cell {
            Cell::Whole(number) => query.bind(*number),
            Cell::Text(some) => query.bind(text(some).into_owned()),
            Cell::TextSome(some) => query.bind(some.as_deref().map(|some| text(some).into_owned())),
        })
}

/// Carries out `steps`; whether each changed what it must.
async fn carry_out(
    connection: &mut PgConnection,
    failure: &Failure,
    steps: &[Step],
) -> Result<bool, Setback> {
    for step in steps {
        let done = question(step.statement, &step.cells)
            .execute(&mut *connection)
            .await
            .map_err(|error| failure.setback(WRITE, error))?;
        if step.must == Must::One && done.rows_affected() == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Locks the alerts and says their revision.
async fn lock(connection: &mut PgConnection, failure: &Failure) -> Result<u64, Setback> {
    let row = question(
        "select revision from alert_state where (select set_config('lock_timeout', '5s', true)) <> '' \
         and (select set_config('idle_in_transaction_session_timeout', '10s', true)) <> '' for update",
        &[],
    )
    .fetch_one(connection)
    .await
    .map_err(|error| failure.setback(WRITE, error))?;
    let revision: i64 = row
        .try_get("revision")
        .map_err(|error| failure.setback(WRITE, error))?;
    Ok(u64::try_from(revision).unwrap_or(0))
}

async fn raise(connection: &mut PgConnection, failure: &Failure) -> Result<(), Setback> {
    question("update alert_state set revision = revision + 1", &[])
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failure.setback(WRITE, error))
}

async fn advance(
    connection: &mut PgConnection,
    failure: &Failure,
    advance: &Advance,
) -> Result<Advanced, Setback> {
    let during = |error| failure.setback(WRITE, error);
    let mut transaction = connection.begin().await.map_err(during)?;
    let steps = plan::advance(advance);
    if lock(&mut transaction, failure).await? != advance.revision
        || !carry_out(&mut transaction, failure, &steps).await?
    {
        transaction.rollback().await.map_err(during)?;
        return Ok(Advanced::Stale);
    }
    delivery::insert::insert(&mut transaction, failure, &advance.deliveries).await?;
    raise(&mut transaction, failure).await?;
    transaction.commit().await.map_err(during)?;
    Ok(Advanced::Done {
        revision: advance.revision.saturating_add(1),
    })
}

/// The version of the document in force; 0 when there is none.
async fn version_of(connection: &mut PgConnection, failure: &Failure, book: Book) -> Result<u64, Setback> {
    let row = question(read::in_force(book), &[])
        .fetch_optional(connection)
        .await
        .map_err(|error| failure.setback(READ, error))?;
    let edition = row.map(|row| read::edition(&row)).transpose()?;
    Ok(edition.map_or(0, |edition| edition.version))
}

async fn act(connection: &mut PgConnection, failure: &Failure, act: &Act) -> Result<Acted, Setback> {
    let during = |error| failure.setback(WRITE, error);
    let mut transaction = connection.begin().await.map_err(during)?;
    lock(&mut transaction, failure).await?;
    let (version, stale) = match act.puts() {
        Some((book, expected)) => {
            let before = version_of(&mut transaction, failure, book).await?;
            let stale = expected.is_some_and(|expected| expected != before);
            (before.saturating_add(1), stale)
        }
        None => (0, false),
    };
    if stale || !carry_out(&mut transaction, failure, &plan::act(act, version)).await? {
        let known = match plan::named(act) {
            Some(step) => question(step.statement, &step.cells)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(during)?
                .is_some(),
            None => true,
        };
        transaction.rollback().await.map_err(during)?;
        return Ok(if known { Acted::TooLate } else { Acted::Unknown });
    }
    control::audit_at_present(&mut transaction, failure, |revision| act.draft(version, revision)).await?;
    raise(&mut transaction, failure).await?;
    transaction.commit().await.map_err(during)?;
    Ok(Acted::Done { version })
}

/// Reads all rows of a statement.
async fn rows<T>(
    connection: &mut PgConnection,
    failure: &Failure,
    (statement, cells): (&'static str, &[Cell]),
    one: impl Fn(&dyn Cells) -> Result<T, LedgerError>,
) -> Result<Vec<T>, LedgerError> {
    let rows: Vec<PgRow> = question(statement, cells)
        .fetch_all(connection)
        .await
        .map_err(|error| failure.during(READ, error))?;
    rows.iter().map(|row| one(row)).collect()
}

async fn board(
    connection: &mut PgConnection,
    failure: &Failure,
    (known, now): (Option<u64>, Timestamp),
) -> Result<Option<Board>, LedgerError> {
    let during = |error| failure.during(READ, error);
    let mut snapshot = connection
        .begin_with("begin isolation level repeatable read read only")
        .await
        .map_err(during)?;
    let row = question("select revision from alert_state", &[])
        .fetch_one(&mut *snapshot)
        .await
        .map_err(during)?;
    let revision: i64 = row.try_get("revision").map_err(during)?;
    let revision = u64::try_from(revision).unwrap_or(0);
    if known == Some(revision) {
        snapshot.rollback().await.map_err(during)?;
        return Ok(None);
    }
    let silences = (read::ACTIVE_SILENCES, [Cell::from(now)]);
    let board = Board {
        revision,
        rules: rows(
            &mut snapshot,
            failure,
            (read::in_force(Book::Rules), &[]),
            read::edition,
        )
        .await?
        .pop(),
        runbooks: rows(
            &mut snapshot,
            failure,
            (read::in_force(Book::Runbooks), &[]),
            read::edition,
        )
        .await?
        .pop(),
        instances: rows(&mut snapshot, failure, (read::INSTANCES, &[]), read::instance).await?,
        groups: rows(&mut snapshot, failure, (read::GROUPS, &[]), read::group).await?,
        silences: rows(&mut snapshot, failure, (silences.0, &silences.1), read::silence).await?,
        open: rows(&mut snapshot, failure, (read::OPEN, &[]), read::incident).await?,
        runs: rows(&mut snapshot, failure, (read::RUNS_UNDER_WAY, &[]), read::run).await?,
    };
    snapshot.rollback().await.map_err(during)?;
    Ok(Some(board))
}

/// The end of a try to write; `None` when it should be made again. A connection on which it failed is closed and not
/// used again.
fn settled<T>(
    connection: PoolConnection<Postgres>,
    outcome: Result<Result<T, Setback>, Elapsed>,
    tries: &mut usize,
) -> Option<Result<T, LedgerError>> {
    let outcome = outcome.unwrap_or_else(|_| Err(Setback::Final(failure::silent(WRITE))));
    if outcome.is_err() {
        drop(connection.detach());
    }
    *tries = tries.saturating_add(1);
    match outcome {
        Ok(written) => Some(Ok(written)),
        Err(Setback::Again(_)) if *tries < TRIES => None,
        Err(Setback::Again(error) | Setback::Final(error)) => Some(Err(error)),
    }
}

impl PostgresLedger {
    async fn alert_connection(&self) -> Result<PoolConnection<Postgres>, LedgerError> {
        let acquired = self.pool.acquire().await;
        acquired.map_err(|error| self.failure.during("reach the alerts", error))
    }

    async fn write_advance(&self, write: &Advance) -> Result<Advanced, LedgerError> {
        let mut tries = 0;
        loop {
            let mut connection = self.alert_connection().await?;
            let written = advance(&mut connection, &self.failure, write);
            let outcome = timeout(WRITE_LIMIT, written).await;
            if let Some(settled) = settled(connection, outcome, &mut tries) {
                return settled;
            }
        }
    }

    async fn write_act(&self, write: &Act) -> Result<Acted, LedgerError> {
        let mut tries = 0;
        loop {
            let mut connection = self.alert_connection().await?;
            let outcome = timeout(WRITE_LIMIT, act(&mut connection, &self.failure, write)).await;
            if let Some(settled) = settled(connection, outcome, &mut tries) {
                return settled;
            }
        }
    }

    async fn take_lease(&self, name: &str, holder: &str, term: Duration) -> Result<bool, LedgerError> {
        const OPERATION: &str = "take a lease";
        let micros = i64::try_from(term.as_micros()).unwrap_or(i64::MAX);
        let cells = [Cell::from(name), Cell::from(holder), Cell::Whole(micros)];
        let statement = question(
            "with clock as (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now) \
             insert into alert_lease (name, holder, until_us) select $1, $2, now + $3 from clock \
             on conflict (name) do update set holder = excluded.holder, until_us = excluded.until_us \
             where alert_lease.holder = excluded.holder or alert_lease.until_us < excluded.until_us - $3",
            &cells,
        );
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.alert_connection().await?;
        let taken = async { statement.execute(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, taken).await;
        Ok(settle(connection, outcome, OPERATION)?.rows_affected() > 0)
    }

    async fn read_board(&self, known: Option<u64>, now: Timestamp) -> Result<Option<Board>, LedgerError> {
        let mut connection = self.alert_connection().await?;
        let read = board(&mut connection, &self.failure, (known, now));
        let outcome = timeout(READ_LIMIT, read).await;
        settle(connection, outcome, READ)
    }

    async fn read_alerts<T>(
        &self,
        asked: (&'static str, Vec<Cell>),
        one: fn(&dyn Cells) -> Result<T, LedgerError>,
    ) -> Result<Vec<T>, LedgerError> {
        let mut connection = self.alert_connection().await?;
        let read = rows(&mut connection, &self.failure, (asked.0, &asked.1), one);
        let outcome = timeout(READ_LIMIT, read).await;
        settle(connection, outcome, READ)
    }
}

impl AlertStore for PostgresLedger {
    fn board(&self, known: Option<u64>, now: Timestamp) -> Answer<'_, Option<Board>> {
        Box::pin(self.read_board(known, now))
    }

    fn advance<'a>(&'a self, write: &'a Advance) -> Answer<'a, Advanced> {
        Box::pin(self.write_advance(write))
    }

    fn act<'a>(&'a self, write: &'a Act) -> Answer<'a, Acted> {
        Box::pin(self.write_act(write))
    }

    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, term: Duration) -> Answer<'a, bool> {
        Box::pin(self.take_lease(name, holder, term))
    }

    fn incidents<'a>(&'a self, search: &'a Search) -> Answer<'a, Vec<Incident>> {
        Box::pin(self.read_alerts((read::FOUND, read::found(search)), read::incident))
    }

    fn incident(&self, id: Uuid) -> Answer<'_, Option<(Incident, Vec<Entry>)>> {
        let name = move || vec![Cell::Text(id.to_string())];
        Box::pin(async move {
            let found = self.read_alerts((read::INCIDENT, name()), read::incident).await?;
            let entries = self.read_alerts((read::ENTRIES, name()), read::entry).await?;
            Ok(found.into_iter().next().map(|incident| (incident, entries)))
        })
    }

    fn silences(&self, limit: u32) -> Answer<'_, Vec<Silence>> {
        let cells = vec![Cell::Whole(i64::from(limit))];
        Box::pin(self.read_alerts((read::SILENCES, cells), read::silence))
    }

    fn runs(&self, incident: Uuid) -> Answer<'_, Vec<Run>> {
        let asked = (read::RUNS, vec![Cell::Text(incident.to_string())]);
        Box::pin(self.read_alerts(asked, read::run))
    }

    fn edition(&self, book: Book, version: Option<u64>) -> Answer<'_, Option<Edition>> {
        let asked = read::edition_of(book, version);
        Box::pin(async move { Ok(self.read_alerts(asked, read::edition).await?.into_iter().next()) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::PostgresSettings;
    use crate::conformance::alert_conformance;
    use crate::conformance::alerts::Both;

    async fn open_both() -> (Both, ()) {
        let url = tokio::task::spawn_blocking(|| rig::Postgres::shared().database().unwrap());
        let settings = PostgresSettings {
            url: url.await.unwrap(),
            max_connections: 8,
            retention_days: 30,
        };
        let ledger = Arc::new(PostgresLedger::open(&settings).await.unwrap());
        let control = Arc::new(ledger.control());
        let both = Both {
            alerts: Arc::clone(&ledger) as _,
            control,
            deliveries: ledger,
        };
        (both, ())
    }

    alert_conformance!(open_both);

    #[tokio::test]
    async fn a_lease_goes_to_another_when_its_time_is_up() {
        let (store, ()) = open_both().await;
        let take = async |holder, millis| {
            let term = Duration::from_millis(millis);
            store.alerts.lease("evaluator", holder, term).await.unwrap()
        };
        assert!(take("a", 60_000).await);
        assert!(!take("b", 60_000).await);
        assert!(take("a", 0).await, "its holder may shorten it");
        assert!(take("b", 60_000).await);
        assert!(!take("a", 60_000).await);
    }
}
