//! Calls while the ledger does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use domain::id::{AttemptId, MerchantId, PaymentId};
use domain::network_retry::Fingerprint;
use jiff::Timestamp;
use ledger::attempt::AttemptRecord;
use ledger::guard::{GuardedPayment, Unreported};
use ledger::payment::{Cursor, Page, PaymentRecord};
use ledger::{Answer, Batch, Committed, Guards, Ledger, LedgerError, SqliteLedger};
use proto::v1;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::shop::{Desk, failure, refusal, report};

pub(crate) const UP: u8 = 0;
pub(crate) const DOWN: u8 = 1;
const FROZEN: u8 = 2;
/// It can be read, and takes nothing.
const READ_ONLY: u8 = 3;

fn refused() -> LedgerError {
    LedgerError::Unavailable {
        operation: "connect",
        source: Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
    }
}

/// A ledger behind a switch.
#[derive(Debug)]
pub(crate) struct Outage {
    inner: Arc<SqliteLedger>,
    mode: AtomicU8,
}

impl Outage {
    /// A switch before `inner`, which lets everything through until it is turned.
    pub(crate) fn before(inner: Arc<SqliteLedger>) -> Self {
        Self {
            inner,
            mode: AtomicU8::new(UP),
        }
    }

    pub(crate) fn turn(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    fn through<'a, T: 'a>(&self, answer: Answer<'a, T>) -> Answer<'a, T> {
        match self.mode.load(Ordering::SeqCst) {
            UP | READ_ONLY => answer,
            DOWN => Box::pin(async { Err(refused()) }),
            _ => Box::pin(std::future::pending()),
        }
    }
}

impl Ledger for Outage {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        if self.mode.load(Ordering::SeqCst) == READ_ONLY {
            return Box::pin(std::future::ready(Err(refused())));
        }
        self.through(self.inner.commit(batch))
    }

    fn attempt<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<AttemptRecord>> {
        self.through(self.inner.attempt(merchant, attempt))
    }

    fn payment<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<PaymentRecord>> {
        self.through(self.inner.payment(merchant, payment))
    }

    fn outcomes_since(&self, since: Timestamp, after: Option<Cursor>, limit: u32) -> Answer<'_, Page> {
        self.through(self.inner.outcomes_since(since, after, limit))
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}

impl Guards for Outage {
    fn guarded<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<GuardedPayment>> {
        self.through(self.inner.guarded(merchant, payment))
    }

    fn unreported(&self, due: Timestamp, limit: u32) -> Answer<'_, Vec<Unreported>> {
        self.through(self.inner.unreported(due, limit))
    }

    fn tried<'a>(
        &'a self,
        credential: (&'a MerchantId, &'a Fingerprint),
        since: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<AttemptRecord>> {
        self.through(self.inner.tried(credential, since, limit))
    }
}

/// Room for all outcomes of a test.
const ROOMY: u64 = 1024 * 1024;

#[tokio::test]
async fn an_outcome_is_answered_as_always_while_the_ledger_is_down() {
    let (mut desk, outage) = Desk::with_spool(ROOMY).await;
    let healthy = failure(&desk.route("ord_1"), "ord_1-1", "SYSTEM_BUSY");
    let healthy = desk.report(healthy).await.unwrap();
    outage.turn(DOWN);
    let said = failure(&desk.route("ord_2"), "ord_2-1", "SYSTEM_BUSY");
    let spooled = desk.report(said.clone()).await.unwrap();
    assert!(!spooled.duplicate);
    let told = |answer: &v1::ReportOutcomeResponse| {
        let step = answer.next.clone().map(|next| (next.action(), next.channel));
        (answer.state.clone(), answer.failure.clone(), step)
    };
    assert_eq!(told(&spooled), told(&healthy));
    assert!(desk.report(said).await.unwrap().duplicate);
    assert_eq!(desk.counted().await.len(), 2, "one each");
    outage.turn(UP);
    let paid = loop {
        match desk.look_up("ord_2").await {
            Ok(paid) => break paid,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(paid.attempts.len(), 1);
}

#[tokio::test]
async fn what_was_spooled_is_never_called_unknown() {
    let (desk, outage) = Desk::with_spool(ROOMY).await;
    outage.turn(READ_ONLY);
    let decision = desk.route("ord_1");
    let waiting = report(&decision, "ord_1-1", v1::Result::TimedOut);
    let receipt = desk.report(waiting).await.unwrap().receipt;
    let unavailable = (Code::Unavailable, "LEDGER_UNAVAILABLE".to_owned());
    assert_eq!(refusal(desk.look_up("ord_1").await), unavailable);
    let resolved = desk.resolve(&receipt, v1::Resolution::Succeeded, v1::ResolutionSource::Query);
    assert_eq!(refusal(resolved.await), unavailable);
}

#[tokio::test]
async fn no_call_hangs_when_the_ledger_freezes() {
    let (desk, outage) = Desk::with_spool(ROOMY).await;
    let decision = desk.route("ord_1");
    let waiting = report(&decision, "ord_1-1", v1::Result::TimedOut);
    let receipt = desk.report(waiting).await.unwrap().receipt;
    tokio::time::pause();
    outage.turn(FROZEN);
    let unavailable = (Code::Unavailable, "LEDGER_UNAVAILABLE".to_owned());
    let began = Instant::now();
    assert_eq!(refusal(desk.look_up("ord_1").await), unavailable);
    assert_eq!(began.elapsed().as_secs(), 2);
    let began = Instant::now();
    let resolved = desk.resolve(&receipt, v1::Resolution::Succeeded, v1::ResolutionSource::Query);
    assert_eq!(refusal(resolved.await), unavailable);
    assert_eq!(began.elapsed().as_secs(), 2);
    let began = Instant::now();
    let said = report(&desk.route("ord_2"), "ord_2-1", v1::Result::Succeeded);
    desk.report(said).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn past_the_bound_of_the_spool_the_caller_is_told_when_to_come_again() {
    let (desk, outage) = Desk::with_spool(4_096).await;
    outage.turn(DOWN);
    let mut refused = None;
    for number in 0..8 {
        let payment = format!("ord_{number}");
        let said = report(&desk.route(&payment), &payment, v1::Result::Succeeded);
        refused = refused.or(desk.report(said).await.err());
    }
    let status = Status::from(refused.unwrap());
    let details = status.get_error_details();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(details.error_info().unwrap().reason, "SPOOL_FULL");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
}
