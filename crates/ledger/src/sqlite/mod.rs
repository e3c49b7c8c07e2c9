//! The ledger in one SQLite file: the embedded mode's.
//!
//! One connection writes, a few read. The write-ahead log lets them do so side by side, and `synchronous = full` flushes
//! it at every commit, so that an acknowledged outcome survives the loss of power and not only of the process.

mod alert;
mod attempt;
mod compensation;
mod control;
mod decision;
mod delivery;
mod failure;
mod guard;
mod observation;
mod open;
mod owner;
mod statement;
mod transition;

use std::path::PathBuf;

use domain::id::{AttemptId, MerchantId, PaymentId};
use domain::network_retry::Fingerprint;
use jiff::Timestamp;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::watch;

use crate::attempt::AttemptRecord;
use crate::error::{LedgerError, OpenError};
use crate::guard::{GuardedPayment, Guards, Leaf, Unreported};
use crate::payment::{Cursor, Page, PaymentRecord};
use crate::port::{Answer, Batch, Committed, Ledger};
use failure::Failure;
use owner::Owner;

/// Where the file is and how large it may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file; its directory must exist. Beside it stand `-wal`, `-shm` and `.lock`.
    pub path: PathBuf,
    /// Largest size of the file in bytes; when it is reached, outcomes are refused instead of filling the disk
    /// for everyone. `None` leaves it to the disk.
    pub max_bytes: Option<u64>,
}

/// A ledger in a SQLite file, owned by this process until it is closed or dropped.
#[derive(Debug)]
pub struct SqliteLedger {
    failure: Failure,
    writer: SqlitePool,
    readers: SqlitePool,
    /// The revision of the control state that was written last; 0 before the first change by this process.
    revisions: watch::Sender<u64>,
    _owner: Owner,
}

impl SqliteLedger {
    /// Opens the file, creating it when it is not there, and brings it to the present schema.
    ///
    /// # Errors
    /// When another process has it, when it cannot be written, or when it is not a ledger that this release can
    /// read.
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        let owner = Owner::claim(&settings.path)?;
        let writer = open::writer(settings).await?;
        let readers = open::readers(settings);
        Ok(Self {
            failure: Failure::of(&settings.path),
            writer,
            readers,
            revisions: watch::Sender::new(0),
            _owner: owner,
        })
    }

    async fn write(&self, batch: &Batch) -> Result<Committed, LedgerError> {
        let during = |error| self.failure.during("begin a transaction", error);
        let mut connection = self.writer.acquire().await.map_err(during)?;
        let committed = self.transact(&mut connection, batch).await;
        if committed.is_err() {
            // SQLite ends a transaction by itself when the disk is full, and the driver then counts one too many.
            // A fresh connection begins from nothing.
            let _already_broken = connection.close().await;
        }
        committed
    }

    async fn transact(
        &self,
        connection: &mut SqliteConnection,
        batch: &Batch,
    ) -> Result<Committed, LedgerError> {
        let failure = &self.failure;
        let mut transaction = connection
            .begin_with("begin immediate")
            .await
            .map_err(|error| failure.during("begin a transaction", error))?;
        let recorded = attempt::record(&mut transaction, failure, &batch.attempts).await?;
        let resolved = transition::resolve(&mut transaction, failure, &batch.resolutions).await?;
        let told = (recorded.as_slice(), resolved.guarded.as_slice());
        let registrations = guard::enter(&mut transaction, failure, batch, told).await?;
        compensation::open(&mut transaction, failure, &batch.attempts, &recorded).await?;
        compensation::follow(&mut transaction, failure, resolved.changes).await?;
        decision::insert(&mut transaction, failure, &batch.decisions).await?;
        let notices = batch.notices(&recorded, &resolved.answers);
        delivery::insert(&mut transaction, failure, &notices).await?;
        transaction
            .commit()
            .await
            .map_err(|error| failure.during("commit a transaction", error))?;
        Ok(Committed {
            attempts: recorded,
            resolutions: resolved.answers,
            registrations,
            outbox: None,
        })
    }

    async fn read_payment(
        &self,
        merchant: &MerchantId,
        payment: &PaymentId,
    ) -> Result<Option<PaymentRecord>, LedgerError> {
        let failure = &self.failure;
        let during = |error| failure.during("read a payment", error);
        // One transaction, so that no attempt is newer than its history.
        let mut snapshot = self.readers.begin().await.map_err(during)?;
        let record = PaymentRecord {
            decisions: decision::of_payment(&mut snapshot, failure, (merchant, payment)).await?,
            attempts: attempt::of_payment(&mut snapshot, failure, (merchant, payment)).await?,
            transitions: transition::of_payment(&mut snapshot, failure, (merchant, payment)).await?,
        };
        snapshot.rollback().await.map_err(during)?;
        let known = !(record.decisions.is_empty() && record.attempts.is_empty());
        Ok(known.then_some(record))
    }

    async fn rest(&self) -> Result<(), LedgerError> {
        self.readers.close().await;
        let checkpoint = sqlx::query("pragma wal_checkpoint(truncate)")
            .execute(&self.writer)
            .await
            .map_err(|error| self.failure.during("empty its write-ahead log", error));
        self.writer.close().await;
        checkpoint.map(drop)
    }
}

impl Ledger for SqliteLedger {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        Box::pin(self.write(batch))
    }

    fn attempt<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<AttemptRecord>> {
        Box::pin(attempt::by_name(
            &self.readers,
            &self.failure,
            (merchant, attempt),
        ))
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
        Box::pin(attempt::outcomes_after(
            &self.readers,
            &self.failure,
            after,
            limit,
        ))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(self.rest())
    }
}

impl Guards for SqliteLedger {
    fn guarded<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<GuardedPayment>> {
        Box::pin(async move {
            let name = (merchant.clone(), payment.clone());
            let leaf = guard::by_name(&self.readers, &self.failure, name).await?;
            Ok(leaf.map(Leaf::into_guarded))
        })
    }

    fn unreported(&self, due: Timestamp, limit: u32) -> Answer<'_, Vec<Unreported>> {
        Box::pin(guard::unreported(&self.readers, &self.failure, due, limit))
    }

    fn tried<'a>(
        &'a self,
        credential: (&'a MerchantId, &'a Fingerprint),
        since: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<AttemptRecord>> {
        Box::pin(attempt::of_credential(
            &self.readers,
            &self.failure,
            credential,
            (since, limit),
        ))
    }
}

#[cfg(test)]
mod tests;
