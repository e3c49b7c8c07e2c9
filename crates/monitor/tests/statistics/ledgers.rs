//! Ledgers, and what is in them.

use std::sync::Arc;

use domain::attempt::State;
use domain::id::{AttemptId, MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Report, Segment, Verdict};
use ledger::{Batch, Committed, Ledger, Outbox as _, PostgresLedger, PostgresSettings};
use rig::Postgres;
use stats::redis::Store;
use uuid::Uuid;

use crate::support::{channels, now};

/// An empty ledger on a real server.
pub(crate) async fn ledger() -> Arc<PostgresLedger> {
    ledger_in().await.0
}

/// The same, with the name of its database.
pub(crate) async fn ledger_in() -> (Arc<PostgresLedger>, String) {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().database())
        .await
        .unwrap()
        .unwrap();
    let name = url.rsplit('/').next().unwrap_or_default().to_owned();
    let settings = PostgresSettings {
        url,
        max_connections: 4,
        retention_days: 30,
    };
    (Arc::new(PostgresLedger::open(&settings).await.unwrap()), name)
}

/// What `sql` answers in a database of that server.
pub(crate) fn ask(database: &str, sql: &str) -> String {
    Postgres::shared().ask(database, sql).unwrap()
}

/// Writes attempts, and does with their outcomes what a router's relay does.
pub(crate) async fn report(ledger: &PostgresLedger, store: &Store, attempts: &[AttemptRecord]) {
    let batch = write(ledger, attempts).await.outbox.unwrap();
    if store.append(&batch.events).await.is_ok() {
        ledger.mark_relayed(&[batch.id]).await.unwrap();
    }
}

/// An attempt of that number that timed out just now.
pub(crate) fn attempt(number: usize) -> AttemptRecord {
    let name = format!("a_{number}");
    let at = Timestamp::from_microsecond(now().as_microsecond()).unwrap();
    AttemptRecord {
        merchant: MerchantId::new("shop").unwrap(),
        attempt: AttemptId::new(&name).unwrap(),
        payment: PaymentId::new(&name).unwrap(),
        attempt_no: 1,
        decision: Uuid::from_u128(1),
        channel: channels()[number % 3].clone(),
        account: None,
        amount: Money::new(12_345, "CNY".parse().unwrap()).unwrap(),
        segment: Segment {
            method: "card".to_owned(),
            issuer: number.is_multiple_of(2).then(|| "icbc".to_owned()),
            region: None,
        },
        report: Report {
            result: "timed_out".to_owned(),
            provider: "payroute".to_owned(),
            code: None,
            sub_code: None,
            http_status: None,
            transport_event: None,
            message: None,
            provider_reference: None,
            network_advice_code: None,
        },
        verdict: Verdict {
            reason: None,
            certainty: String::new(),
            class: Some(OutcomeClass::Timeout),
            state: State::Unknown.as_str().to_owned(),
        },
        decided_at: at,
        trace_id: None,
        started_at: at,
        received_at: at,
        latency_ms: 100,
        digest: [0; 32],
        submit: None,
        credential: None,
        case: None,
        notices: Vec::new(),
    }
}

pub(crate) async fn write(ledger: &dyn Ledger, attempts: &[AttemptRecord]) -> Committed {
    let batch = Batch {
        attempts: attempts.to_vec(),
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap()
}
