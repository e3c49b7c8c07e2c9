//! Alerts and incidents: carries out the statements that the plans consist of.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Connection, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::failure::Failure;
use super::{SqliteLedger, control, delivery};
use crate::alert::plan::{self, Cell, Must, Step};
use crate::alert::{
    Act, Acted, Advance, Advanced, AlertStore, Board, Book, Edition, Entry, Incident, Run, Search, Silence,
    read,
};
use crate::error::LedgerError;
use crate::port::Answer;
use crate::row::{Cells, Columns};

const WRITE: &str = "write alerts";
const READ: &str = "read alerts";

fn question(statement: &'static str, cells: &[Cell]) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    cells
        .iter()
        .fold(sqlx::query(statement), |query, cell| match cell {
            Cell::Whole(number) => query.bind(*number),
            Cell::Text(some) => query.bind(some.clone()),
            Cell::TextSome(some) => query.bind(some.clone()),
        })
}

/// Carries out `steps`; whether each changed what it must.
async fn carry_out(
    connection: &mut SqliteConnection,
    failure: &Failure,
    steps: &[Step],
) -> Result<bool, LedgerError> {
    for step in steps {
        let done = question(step.statement, &step.cells)
            .execute(&mut *connection)
            .await
            .map_err(|error| failure.during(WRITE, error))?;
        if step.must == Must::One && done.rows_affected() == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn revision(connection: &mut SqliteConnection, failure: &Failure) -> Result<u64, LedgerError> {
    let row = question("select revision from alert_state", &[])
        .fetch_one(connection)
        .await
        .map_err(|error| failure.during(READ, error))?;
    Columns::of("alert_state", &row).whole("revision")
}

async fn raise(connection: &mut SqliteConnection, failure: &Failure) -> Result<(), LedgerError> {
    question("update alert_state set revision = revision + 1", &[])
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failure.during(WRITE, error))
}

async fn advance(
    connection: &mut SqliteConnection,
    failure: &Failure,
    advance: &Advance,
) -> Result<Advanced, LedgerError> {
    let during = |error| failure.during(WRITE, error);
    let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
    let steps = plan::advance(advance);
    if revision(&mut transaction, failure).await? != advance.revision
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

async fn act(connection: &mut SqliteConnection, failure: &Failure, act: &Act) -> Result<Acted, LedgerError> {
    let during = |error| failure.during(WRITE, error);
    let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
    let (version, stale) = match act.puts() {
        Some((book, expected)) => {
            let in_force = (read::in_force(book), &[][..]);
            let in_force = rows(&mut transaction, failure, in_force, read::edition).await?;
            let before = in_force.first().map_or(0, |edition| edition.version);
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
    connection: &mut SqliteConnection,
    failure: &Failure,
    (statement, cells): (&'static str, &[Cell]),
    one: impl Fn(&dyn Cells) -> Result<T, LedgerError>,
) -> Result<Vec<T>, LedgerError> {
    let rows: Vec<SqliteRow> = question(statement, cells)
        .fetch_all(connection)
        .await
        .map_err(|error| failure.during(READ, error))?;
    rows.iter().map(|row| one(row)).collect()
}

impl SqliteLedger {
    /// Gives back what was written on `connection`. As for a batch: the driver may have lost count of its transactions.
    async fn settle_alerts<T>(
        connection: PoolConnection<Sqlite>,
        written: Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        if written.is_err() {
            let _already_broken = connection.close().await;
        }
        written
    }

    async fn alert_writer(&self) -> Result<PoolConnection<Sqlite>, LedgerError> {
        let acquired = self.writer.acquire().await;
        acquired.map_err(|error| self.failure.during("begin a transaction", error))
    }

    async fn write_advance(&self, write: &Advance) -> Result<Advanced, LedgerError> {
        let mut connection = self.alert_writer().await?;
        let written = advance(&mut connection, &self.failure, write).await;
        Self::settle_alerts(connection, written).await
    }

    async fn write_act(&self, write: &Act) -> Result<Acted, LedgerError> {
        let mut connection = self.alert_writer().await?;
        let written = act(&mut connection, &self.failure, write).await;
        Self::settle_alerts(connection, written).await
    }

    async fn read_board(&self, known: Option<u64>, now: Timestamp) -> Result<Option<Board>, LedgerError> {
        let failure = &self.failure;
        let during = |error| failure.during(READ, error);
        let mut snapshot = self.readers.begin().await.map_err(during)?;
        let revision = revision(&mut snapshot, failure).await?;
        if known == Some(revision) {
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

    async fn read_alerts<T>(
        &self,
        asked: (&'static str, Vec<Cell>),
        one: fn(&dyn Cells) -> Result<T, LedgerError>,
    ) -> Result<Vec<T>, LedgerError> {
        let during = |error| self.failure.during(READ, error);
        let mut connection = self.readers.acquire().await.map_err(during)?;
        rows(&mut connection, &self.failure, (asked.0, &asked.1), one).await
    }
}

impl AlertStore for SqliteLedger {
    fn board(&self, known: Option<u64>, now: Timestamp) -> Answer<'_, Option<Board>> {
        Box::pin(self.read_board(known, now))
    }

    fn advance<'a>(&'a self, write: &'a Advance) -> Answer<'a, Advanced> {
        Box::pin(self.write_advance(write))
    }

    fn act<'a>(&'a self, write: &'a Act) -> Answer<'a, Acted> {
        Box::pin(self.write_act(write))
    }

    /// The file belongs to this process, and so does every lease.
    fn lease<'a>(&'a self, _name: &'a str, _holder: &'a str, _term: Duration) -> Answer<'a, bool> {
        Box::pin(async { Ok(true) })
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

    use tempfile::TempDir;

    use super::*;
    use crate::conformance::alert_conformance;
    use crate::conformance::alerts::Both;
    use crate::sqlite::Settings;

    async fn open_both() -> (Both, TempDir) {
        let folder = TempDir::new().unwrap();
        let file = Settings {
            path: folder.path().join("ledger.db"),
            max_bytes: None,
        };
        let ledger = Arc::new(SqliteLedger::open(&file).await.unwrap());
        let both = Both {
            alerts: Arc::clone(&ledger) as _,
            control: Arc::clone(&ledger) as _,
            deliveries: ledger,
        };
        (both, folder)
    }

    alert_conformance!(open_both);
}
