//! The ledger on a Postgres server: that of many processes.
//!
//! One transaction for each batch, and in it one statement for each table, however many rows. Many processes write at
//! once: rows are taken in the order of their names, so that two batches with the same attempts wait for each other and
//! never both ways. Every wait has an end: for a connection, for a statement, and for an answer of a server that is
//! there and says nothing.

mod alert;
mod attempt;
mod compensation;
mod connect;
pub(crate) mod control;
mod decision;
mod delivery;
mod failure;
mod guard;
mod housekeeping;
mod migrate;
mod observation;
mod outbox;
mod partition;
mod statistics;
mod transition;
mod value;

use std::fmt;
use std::time::Duration;

use domain::id::{AttemptId, MerchantId, PaymentId};
use domain::network_retry::Fingerprint;
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{Connection, PgConnection, Postgres};
use tokio::time::timeout;

use crate::attempt::AttemptRecord;
use crate::error::{LedgerError, OpenError};
use crate::guard::{GuardedPayment, Guards, Leaf, Unreported};
use crate::payment::{Cursor, Page, PaymentRecord};
use crate::port::{Answer, Batch, Committed, Ledger};
use connect::Server;
use control::PostgresControl;
use failure::{Failure, Setback};
use partition::Days;

pub use housekeeping::Housekept;
pub use migrate::Migrated;

/// How often a transaction is tried that lost against another one, or whose day had no partition yet.
const TRIES: usize = 5;

/// How long a batch may take from begin to commit. The server gives each statement less than that.
const WRITE_LIMIT: Duration = Duration::from_secs(8);

/// How long a look-up may take.
const READ_LIMIT: Duration = Duration::from_secs(8);

/// Where the server is and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `postgres://user:password@host:port/database`, and options such as `?sslmode=verify-full`.
    pub url: String,
    /// Most connections of this process, 1 or more: one writes, the others serve look-ups.
    pub max_connections: u32,
    /// For how many whole days attempts and decisions are kept, today not counted.
    pub retention_days: u16,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &"***")
            .field("max_connections", &self.max_connections)
            .field("retention_days", &self.retention_days)
            .finish()
    }
}

/// A ledger on a Postgres server, shared with other processes.
pub struct PostgresLedger {
    server: Server,
    failure: Failure,
    pool: PgPool,
    days: Days,
    retention_days: u16,
}

impl fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLedger")
            .field("server", &self.server.to_string())
            .field("retention_days", &self.retention_days)
            .finish_non_exhaustive()
    }
}

impl PostgresLedger {
    /// Connects to the server, brings the ledger to the present schema, and makes the partitions of the coming days.
    ///
    /// A ledger that a later release has migrated is accepted as long as that release says that this one may go on with
    /// it: so both run side by side while a new release is rolled out.
    ///
    /// # Errors
    /// Within some seconds when the server does not answer; when it refuses us; when the schema is one that this
    /// release must not touch. Waits up to a minute while another process migrates.
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        let server = Server::at(&settings.url)?;
        migrate::run(&server).await?;
        let pool = server.pool(settings.max_connections.max(1)).await?;
        let ledger = Self::of(server, pool, settings);
        ledger.prepare_days().await.map_err(|error| OpenError::Failed {
            ledger: ledger.server.to_string(),
            source: std::sync::Arc::new(error),
        })?;
        Ok(ledger)
    }

    /// The ledger at a server that is asked nothing yet: for a process that must start while the server is away, and has
    /// a spool. The schema must be there when the server is back.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn unopened(settings: &Settings) -> Result<Self, OpenError> {
        let server = Server::at(&settings.url)?;
        let pool = server.later_pool(settings.max_connections.max(1));
        Ok(Self::of(server, pool, settings))
    }

    fn of(server: Server, pool: PgPool, settings: &Settings) -> Self {
        Self {
            failure: Failure::of(server.to_string()),
            pool,
            days: Days::default(),
            retention_days: settings.retention_days,
            server,
        }
    }

    /// Brings the ledger at `url` to the present schema, and says what that took.
    ///
    /// # Errors
    /// As for [`PostgresLedger::open`].
    pub async fn migrate(url: &str) -> Result<Migrated, OpenError> {
        migrate::run(&Server::at(url)?).await
    }

    /// The control state in the same database, on the same connections.
    #[must_use]
    pub fn control(&self) -> PostgresControl {
        PostgresControl::new(self.pool.clone())
    }

    async fn write(&self, batch: &Batch) -> Result<Committed, LedgerError> {
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        let mut tries = 1;
        loop {
            self.days.ensure(&self.pool, &self.failure, batch).await?;
            match self.try_write(batch).await {
                Ok(committed) => return Ok(committed),
                Err(Setback::Final(error)) => return Err(error),
                Err(Setback::Again(error)) if tries >= TRIES => return Err(error),
                Err(Setback::Again(_)) => {
                    // Somebody may have dropped a day that was there.
                    self.days.forget();
                    tries += 1;
                }
            }
        }
    }

    async fn try_write(&self, batch: &Batch) -> Result<Committed, Setback> {
        const OPERATION: &str = "write a batch";
        let during = |error| self.failure.setback(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let outcome = timeout(WRITE_LIMIT, transact(&mut connection, &self.failure, batch)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Setback::Final(failure::silent(OPERATION))));
        if outcome.is_err() {
            // Whatever state it is in: closing it ends its transaction, and asks nothing of a server that is silent.
            drop(connection.detach());
        }
        outcome
    }

    async fn connection(&self, operation: &'static str) -> Result<PoolConnection<Postgres>, LedgerError> {
        let acquired = self.pool.acquire().await;
        acquired.map_err(|error| self.failure.during(operation, error))
    }

    async fn read_payment(
        &self,
        merchant: &MerchantId,
        payment: &PaymentId,
    ) -> Result<Option<PaymentRecord>, LedgerError> {
        const OPERATION: &str = "read a payment";
        let failure = &self.failure;
        let during = |error| failure.during(OPERATION, error);
        let asked = (merchant, payment);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = async {
            // One view of the data, so that no attempt is newer than its history.
            let mut snapshot = connection
                .begin_with("begin isolation level repeatable read read only")
                .await
                .map_err(during)?;
            let record = PaymentRecord {
                decisions: decision::of_payment(&mut snapshot, failure, asked).await?,
                attempts: attempt::of_payment(&mut snapshot, failure, asked).await?,
                transitions: transition::of_payment(&mut snapshot, failure, asked).await?,
            };
            snapshot.rollback().await.map_err(during)?;
            let known = !(record.decisions.is_empty() && record.attempts.is_empty());
            Ok(known.then_some(record))
        };
        let outcome = timeout(READ_LIMIT, read).await;
        failure::settle(connection, outcome, OPERATION)
    }

    async fn read_attempt(
        &self,
        merchant: &MerchantId,
        attempt: &AttemptId,
    ) -> Result<Option<AttemptRecord>, LedgerError> {
        const OPERATION: &str = "read an attempt";
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let names = [(merchant, attempt)];
        let read = attempt::named(&mut connection, &self.failure, &names);
        let outcome = timeout(READ_LIMIT, read).await;
        let found = failure::settle(connection, outcome, OPERATION)?;
        Ok(found.into_iter().next())
    }

    async fn read_page(&self, after: Cursor, limit: u32) -> Result<Page, LedgerError> {
        const OPERATION: &str = "read outcomes";
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let read = attempt::outcomes_after(&mut connection, &self.failure, after, limit);
        let outcome = timeout(READ_LIMIT, read).await;
        failure::settle(connection, outcome, OPERATION)
    }
}

/// Writes `batch` in one transaction.
async fn transact(
    connection: &mut PgConnection,
    failure: &Failure,
    batch: &Batch,
) -> Result<Committed, Setback> {
    let mut transaction = connection
        .begin()
        .await
        .map_err(|error| failure.setback("begin a transaction", error))?;
    // Names before rows before guarded payments before cases before decisions before notices, each in its order: whoever waits for
    // another holds nothing that comes later.
    let recorded = attempt::record(&mut transaction, failure, &batch.attempts).await?;
    let resolved = transition::resolve(&mut transaction, failure, &batch.resolutions).await?;
    let told = (recorded.as_slice(), resolved.guarded.as_slice());
    let registrations = guard::enter(&mut transaction, failure, batch, told).await?;
    compensation::open(&mut transaction, failure, &batch.attempts, &recorded).await?;
    compensation::follow(&mut transaction, failure, resolved.changes).await?;
    decision::insert(&mut transaction, failure, &batch.decisions).await?;
    let notices = batch.notices(&recorded, &resolved.answers);
    delivery::insert::insert(&mut transaction, failure, &notices).await?;
    let outbox = outbox::append(&mut transaction, failure, batch, &recorded, resolved.news).await?;
    transaction
        .commit()
        .await
        .map_err(|error| failure.setback("commit a transaction", error))?;
    Ok(Committed {
        attempts: recorded,
        resolutions: resolved.answers,
        registrations,
        outbox,
    })
}

impl Ledger for PostgresLedger {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        Box::pin(self.write(batch))
    }

    fn attempt<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<AttemptRecord>> {
        Box::pin(self.read_attempt(merchant, attempt))
    }

    fn payment<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<PaymentRecord>> {
        Box::pin(self.read_payment(merchant, payment))
    }

    fn outcomes_since(&self, since: Timestamp, after: Option<Cursor>, limit: u32) -> Answer<'_, Page> {
        let after = after.unwrap_or(Cursor {
            received_at: since,
            seq: 0,
        });
        Box::pin(self.read_page(after, limit))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            // What is silent is not waited for.
            let _abandoned = timeout(READ_LIMIT, self.pool.close()).await;
            Ok(())
        })
    }
}

impl Guards for PostgresLedger {
    fn guarded<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<GuardedPayment>> {
        const OPERATION: &str = "read a guarded payment";
        Box::pin(async move {
            let name = (merchant.clone(), payment.clone());
            let mut connection = self.connection(OPERATION).await?;
            let read = guard::by_name(&mut connection, &self.failure, &name);
            let outcome = timeout(READ_LIMIT, read).await;
            let leaf = failure::settle(connection, outcome, OPERATION)?;
            Ok(leaf.map(Leaf::into_guarded))
        })
    }

    fn unreported(&self, due: Timestamp, limit: u32) -> Answer<'_, Vec<Unreported>> {
        const OPERATION: &str = "read unreported attempts";
        Box::pin(async move {
            let mut connection = self.connection(OPERATION).await?;
            let read = guard::unreported(&mut connection, &self.failure, due, limit);
            let outcome = timeout(READ_LIMIT, read).await;
            failure::settle(connection, outcome, OPERATION)
        })
    }

    fn tried<'a>(
        &'a self,
        credential: (&'a MerchantId, &'a Fingerprint),
        since: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<AttemptRecord>> {
        const OPERATION: &str = "read the attempts with a credential";
        Box::pin(async move {
            let mut connection = self.connection(OPERATION).await?;
            let read = attempt::of_credential(&mut connection, &self.failure, credential, (since, limit));
            let outcome = timeout(READ_LIMIT, read).await;
            failure::settle(connection, outcome, OPERATION)
        })
    }
}

#[cfg(test)]
mod tests;
