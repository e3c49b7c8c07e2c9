//! Payments: one of them whole, for customer service.

use axum::Json;
use axum::extract::State;
use domain::id::{MerchantId, PaymentId};
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Transition};
use ledger::decision::DecisionRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::Reader;
use crate::extract::Named;
use crate::problem::{Kind, Problem};

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(show))
}

/// A payment with everything that is known of it.
#[derive(Serialize, ToSchema)]
struct Payment {
    /// What was decided, earliest first.
    decisions: Vec<Routed>,
    /// What was attempted, by number, then by arrival.
    attempts: Vec<Submitted>,
    /// How attempts changed afterwards.
    changes: Vec<Changed>,
}

/// A decision.
#[derive(Serialize, ToSchema)]
struct Routed {
    /// Its name.
    decision_id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    decided_at: Timestamp,
    /// Which attempt it was for, from 1.
    attempt_no: u32,
    /// What the caller was told, such as `submit`.
    action: String,
    /// The channel.
    channel_id: Option<String>,
    /// The account there.
    account: Option<String>,
    /// The policy's own version.
    policy_version: String,
    /// The rule that matched.
    matched_rule: Option<String>,
    /// How it chose.
    strategy: String,
    /// Whether health was set aside.
    panic: bool,
    /// The channels that were left out, with the reason of each.
    #[schema(value_type = Object)]
    excluded: Value,
}

/// An attempt.
#[derive(Serialize, ToSchema)]
struct Submitted {
    /// Its name.
    attempt_id: String,
    /// Its number, from 1.
    attempt_no: u32,
    /// The channel.
    channel_id: String,
    /// The state it is in.
    state: String,
    /// The reason of the failure catalogue.
    reason: Option<String>,
    /// How sure it is whether money moved.
    certainty: String,
    /// What was reported.
    result: String,
    /// Whose code it is.
    provider: String,
    /// The provider's code.
    code: Option<String>,
    /// The provider's message.
    message: Option<String>,
    /// The provider's own number for the attempt.
    provider_reference: Option<String>,
    /// Minor units of the currency.
    amount_minor: i64,
    /// ISO 4217.
    currency: String,
    /// When it was submitted.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When its outcome was reported.
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// How long the channel took, in milliseconds.
    latency_ms: u32,
    /// The W3C trace id of the report.
    trace_id: Option<String>,
}

/// A later change of an attempt.
#[derive(Serialize, ToSchema)]
struct Changed {
    /// The attempt.
    attempt_id: String,
    /// The state before.
    from_state: String,
    /// The state after.
    to_state: String,
    /// Where it comes from, such as `query`.
    source: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// One payment, whole
#[utoipa::path(get, path = "/payments/{merchant}/{payment}", tag = "payments",
    params(("merchant" = String, Path), ("payment" = String, Path)),
    responses((status = 200, body = Payment), (status = "default", body = Problem)))]
async fn show(
    _: Reader,
    State(desk): State<Desk>,
    Named((merchant, payment)): Named<(String, String)>,
) -> Result<Json<Payment>, Problem> {
    let merchant =
        MerchantId::new(merchant).map_err(|error| Problem::field("merchant", error.to_string()))?;
    let payment = PaymentId::new(payment).map_err(|error| Problem::field("payment", error.to_string()))?;
    let found = desk.ledger.payment(&merchant, &payment).await?;
    let found = found.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such payment"))?;
    Ok(Json(Payment {
        decisions: found.decisions.into_iter().map(Routed::from).collect(),
        attempts: found.attempts.into_iter().map(Submitted::from).collect(),
        changes: found.transitions.into_iter().map(Changed::from).collect(),
    }))
}

impl From<DecisionRecord> for Routed {
    fn from(record: DecisionRecord) -> Self {
        Self {
            decision_id: record.id.to_string(),
            decided_at: record.decided_at,
            attempt_no: record.attributes.attempt_no,
            action: record.action,
            channel_id: record.channel.map(|channel| channel.to_string()),
            account: record.account.map(|account| account.to_string()),
            policy_version: record.policy_version,
            matched_rule: record.matched_rule,
            strategy: record.strategy,
            panic: record.panic,
            excluded: serde_json::to_value(record.excluded).unwrap_or_default(),
        }
    }
}

impl From<AttemptRecord> for Submitted {
    fn from(record: AttemptRecord) -> Self {
        Self {
            attempt_id: record.attempt.to_string(),
            attempt_no: record.attempt_no,
            channel_id: record.channel.to_string(),
            state: record.verdict.state,
            reason: record.verdict.reason,
            certainty: record.verdict.certainty,
            result: record.report.result,
            provider: record.report.provider,
            code: record.report.code,
            message: record.report.message,
            provider_reference: record.report.provider_reference,
            amount_minor: record.amount.minor(),
            currency: record.amount.currency().to_string(),
            started_at: record.started_at,
            received_at: record.received_at,
            latency_ms: record.latency_ms,
            trace_id: record.trace_id,
        }
    }
}

impl From<Transition> for Changed {
    fn from(transition: Transition) -> Self {
        Self {
            attempt_id: transition.attempt.to_string(),
            from_state: transition.from_state,
            to_state: transition.to_state,
            source: transition.source,
            at: transition.at,
        }
    }
}
