//! Submits that were registered with the guard and never reported: their caller has died, or its report was lost.
//!
//! Each becomes an attempt of its own, unknown, under a name that follows from the submit, so that whoever finds it
//! first writes it down once. Should its caller report it after all, that is another record of the same submit, and
//! this one follows it.

use domain::attempt::State;
use domain::compensation::Cause;
use domain::decision::attempt_key;
use domain::id::{AccountId, AttemptId};
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Report, Segment, Verdict};
use ledger::compensation::Opening;
use ledger::guard::Unreported;
use ledger::{Batch, LedgerError};
use prost::Message as _;
use proto::claims::DecisionClaims;
use uuid::Uuid;

use crate::Parts;

/// How the name of such an attempt begins.
const PREFIX: &str = "unreported-";

/// Whether the attempt is one of those that nobody reported.
pub(crate) fn is_stand_in(attempt: &AttemptId) -> bool {
    attempt.as_str().starts_with(PREFIX)
}

/// Writes down up to `limit` submits that should have been reported by `due`.
pub(crate) async fn take_up(parts: &Parts, due: Timestamp, limit: u32) -> Result<(), LedgerError> {
    let found = parts.guards.unreported(due, limit).await?;
    if found.is_empty() {
        return Ok(());
    }
    let now = parts.clock.now();
    let attempts: Vec<AttemptRecord> = found.iter().filter_map(|it| record(it, now)).collect();
    let (found, readable) = (found.len(), attempts.len());
    if readable < found {
        tracing::error!(found, readable, "a decision that the guard keeps cannot be read");
    }
    tracing::warn!(
        readable,
        "{readable} registered submits were never reported and are unknown now"
    );
    let batch = Batch {
        attempts,
        ..Batch::default()
    };
    parts.ledger.commit(&batch).await.map(drop)
}

/// The attempt that stands for a submit nobody reported; `None` when its decision cannot be read.
fn record(unreported: &Unreported, now: Timestamp) -> Option<AttemptRecord> {
    let Unreported {
        merchant,
        payment,
        attempt,
    } = unreported;
    let claims = DecisionClaims::decode(attempt.decision.as_slice()).ok()?;
    let slot = attempt.slot;
    let key = attempt_key(merchant, payment, slot.attempt_no);
    let name = format!("{PREFIX}{key:016x}-{}", slot.submit);
    let account = claims
        .targets
        .iter()
        .find(|it| it.channel_id == attempt.channel.as_str());
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    Some(AttemptRecord {
        merchant: merchant.clone(),
        attempt: AttemptId::new(name).ok()?,
        payment: payment.clone(),
        attempt_no: slot.attempt_no,
        decision: Uuid::from_slice(&claims.decision_id).ok()?,
        channel: attempt.channel.clone(),
        account: account.and_then(|it| AccountId::new(it.account.clone()).ok()),
        amount: domain::money::Money::new(claims.amount_minor, claims.currency.parse().ok()?).ok()?,
        segment: Segment {
            method: claims.method.clone(),
            issuer: given(&claims.issuer),
            region: given(&claims.region),
        },
        report: Report {
            result: domain::report::Reported::TimedOut.as_str().to_owned(),
            provider: String::new(),
            code: None,
            sub_code: None,
            http_status: None,
            transport_event: None,
            message: Some("registered, and never reported".to_owned()),
            provider_reference: None,
            network_advice_code: None,
        },
        verdict: Verdict {
            reason: Some(domain::catalogue::Reason::ProviderTimeout.as_str().to_owned()),
            certainty: domain::catalogue::Certainty::Unknown.as_str().to_owned(),
            // That a report is missing says nothing of the channel.
            class: None,
            state: State::Unknown.as_str().to_owned(),
        },
        decided_at: attempt.registered_at,
        trace_id: None,
        started_at: attempt.registered_at,
        received_at: now,
        latency_ms: 0,
        // The name says which submit it is, and there is nothing else to say.
        digest: [0; 32],
        submit: Some(slot.submit),
        credential: None,
        case: Some(Opening {
            cause: Cause::Unsettled,
            due_at: now,
        }),
        notices: Vec::new(),
    })
}
