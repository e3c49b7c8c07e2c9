//! A ledger that fails, freezes and comes back on command.

use std::sync::Arc;
use std::time::Duration;

use domain::id::{AttemptId, MerchantId, PaymentId};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::attempt::{AttemptRecord, Recorded, Resolved};
use crate::error::LedgerError;
use crate::payment::{Cursor, Page, PaymentRecord};
use crate::port::{Answer, Batch, Committed, Ledger};

/// What the store does with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It takes it.
    Up,
    /// It takes it, after so many milliseconds.
    Slow(u64),
    /// It cannot be reached.
    Down,
    /// It does not answer.
    Frozen,
    /// It takes it and does not answer.
    Mute,
}

/// A ledger behind a switch. Attempts whose names begin with `poison` are never taken.
#[derive(Debug)]
pub(super) struct Switch {
    inner: Arc<dyn Ledger>,
    mode: Mutex<Mode>,
    asked: Mutex<Vec<usize>>,
}

impl Switch {
    /// A switch before `inner`, turned to `mode`.
    pub(super) fn before(inner: Arc<dyn Ledger>, mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mode: Mutex::new(mode),
            asked: Mutex::default(),
        })
    }

    /// Turns the switch.
    pub(super) fn turn(&self, mode: Mode) {
        *self.mode.lock() = mode;
    }

    /// How many attempts each transaction so far had, those that failed included.
    pub(super) fn asked(&self) -> Vec<usize> {
        self.asked.lock().clone()
    }

    async fn take(&self, batch: &Batch) -> Result<Committed, LedgerError> {
        self.asked.lock().push(batch.attempts.len());
        let poisonous = |attempt: &AttemptRecord| attempt.attempt.as_str().starts_with("poison");
        let mode = *self.mode.lock();
        match mode {
            Mode::Down => Err(LedgerError::Unavailable {
                operation: "connect",
                source: Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            }),
            Mode::Frozen => std::future::pending().await,
            _ if batch.attempts.iter().any(poisonous) => Err(LedgerError::Unstorable {
                field: "message",
                problem: "poisonous".to_owned(),
            }),
            Mode::Up => self.inner.commit(batch).await,
            Mode::Slow(millis) => {
                sleep(Duration::from_millis(millis)).await;
                self.inner.commit(batch).await
            }
            Mode::Mute => {
                self.inner.commit(batch).await?;
                std::future::pending().await
            }
        }
    }
}

impl Ledger for Switch {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        Box::pin(self.take(batch))
    }

    fn attempt<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<AttemptRecord>> {
        self.inner.attempt(merchant, attempt)
    }

    fn payment<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<PaymentRecord>> {
        self.inner.payment(merchant, payment)
    }

    fn outcomes_since(&self, since: Timestamp, after: Option<Cursor>, limit: u32) -> Answer<'_, Page> {
        self.inner.outcomes_since(since, after, limit)
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}

/// A ledger in memory, as far as the writer needs one: it answers at once, so that the test's clock alone decides.
#[derive(Debug, Default)]
pub(super) struct Memory {
    attempts: Mutex<Vec<AttemptRecord>>,
    given: Mutex<usize>,
}

impl Memory {
    /// The names of the attempts that it has, in the order in which it got them.
    pub(super) fn names(&self) -> Vec<String> {
        let attempts = self.attempts.lock();
        attempts.iter().map(|kept| kept.attempt.to_string()).collect()
    }

    /// How many attempts it was given, those that it had already included.
    pub(super) fn given(&self) -> usize {
        *self.given.lock()
    }

    fn keep(&self, attempt: &AttemptRecord) -> Recorded {
        *self.given.lock() += 1;
        let mut attempts = self.attempts.lock();
        let name =
            |kept: &&AttemptRecord| kept.merchant == attempt.merchant && kept.attempt == attempt.attempt;
        match attempts.iter().find(name) {
            Some(kept) if kept.digest == attempt.digest => Recorded::Duplicate(Box::new(kept.clone())),
            Some(_) => Recorded::Conflict,
            None => {
                attempts.push(attempt.clone());
                Recorded::New
            }
        }
    }
}

impl Ledger for Memory {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        let committed = Committed {
            attempts: batch.attempts.iter().map(|attempt| self.keep(attempt)).collect(),
            resolutions: vec![Resolved::Applied; batch.resolutions.len()],
            registrations: Vec::new(),
            outbox: None,
        };
        Box::pin(async { Ok(committed) })
    }

    fn attempt<'a>(&'a self, _: &'a MerchantId, _: &'a AttemptId) -> Answer<'a, Option<AttemptRecord>> {
        Box::pin(async { Ok(None) })
    }

    fn payment<'a>(&'a self, _: &'a MerchantId, _: &'a PaymentId) -> Answer<'a, Option<PaymentRecord>> {
        Box::pin(async { Ok(None) })
    }

    fn outcomes_since(&self, _: Timestamp, _: Option<Cursor>, _: u32) -> Answer<'_, Page> {
        Box::pin(async { Err(LedgerError::Closed) })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}
