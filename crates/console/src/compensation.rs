//! Attempts whose money is not settled: what is done about each, and what a person decides of one.

use axum::Json;
use axum::extract::State;
use domain::attempt::{self, Claim, Event, Source, State as AttemptState};
use domain::id::{AttemptId, MerchantId};
use domain::outcome::OutcomeClass;
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Resolution};
use ledger::compensation::{self, CaseRecord, Filter, Finished};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::{Operator, Reader};
use crate::extract::{Asked, Body, Named};
use crate::problem::{Kind, Problem};

/// How many cases one answer holds.
const PAGE: u32 = 500;

/// Longest reason, in bytes.
const MAX_REASON: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(resolve))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only this merchant's.
    merchant: Option<String>,
    /// Only attempts in this state, such as `needs_review`.
    state: Option<String>,
}

/// A case.
#[derive(Serialize, ToSchema)]
struct Open {
    /// Whose attempt it is.
    merchant_id: String,
    /// Which attempt.
    attempt_id: String,
    /// The payment it belongs to.
    payment_id: String,
    /// The channel it went to.
    channel_id: String,
    /// `unsettled`, or `orphan` for an order that nobody can pay.
    cause: &'static str,
    /// The state of the attempt.
    state: &'static str,
    /// When the case was opened.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// Since when the attempt has been in its state.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// What was asked for last, such as `query`.
    asked: Option<&'static str>,
    /// How often that was asked for while it was in its state.
    times: u32,
    /// How often anything was asked for.
    ask_count: u32,
    /// When it is looked at again; `null` while it waits for a person.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
}

/// What a person has found out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decided {
    /// What became of the attempt.
    resolution: Decision,
    /// How that is known, on one line.
    reason: String,
}

/// What can have become of an attempt.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Decision {
    /// The customer was charged.
    Succeeded,
    /// It was refused.
    Declined,
    /// It was never acted on.
    NotProcessed,
    /// It was taken back.
    Reversed,
    /// Its order was closed unpaid.
    Closed,
    /// The customer has the money back.
    Refunded,
}

/// The attempt after a decision.
#[derive(Serialize, ToSchema)]
struct Settled {
    /// The state it is in.
    state: &'static str,
}

/// Attempts whose money is not settled, the oldest first; at most 500
#[utoipa::path(get, path = "/compensation", tag = "compensation", params(Which),
    responses((status = 200, body = Vec<Open>), (status = "default", body = Problem)))]
async fn list(
    _: Reader,
    State(desk): State<Desk>,
    Asked(which): Asked<Which>,
) -> Result<Json<Vec<Open>>, Problem> {
    let merchant = which.merchant.map(MerchantId::new).transpose();
    let state = which.state.map(|name| {
        AttemptState::from_name(&name)
            .ok_or_else(|| Problem::field("state", format!("`{name}` is not a state of an attempt")))
    });
    let filter = Filter {
        merchant: merchant.map_err(|error| Problem::field("merchant", error.to_string()))?,
        state: state.transpose()?,
        after: None,
        limit: PAGE,
    };
    let cases = desk.cases.list(&filter).await?;
    Ok(Json(cases.iter().map(Open::of).collect()))
}

/// The case of one attempt
#[utoipa::path(get, path = "/compensation/{merchant}/{attempt}", tag = "compensation",
    params(("merchant" = String, Path), ("attempt" = String, Path)),
    responses((status = 200, body = Open), (status = "default", body = Problem)))]
async fn show(
    _: Reader,
    State(desk): State<Desk>,
    Named(name): Named<(String, String)>,
) -> Result<Json<Open>, Problem> {
    let (merchant, attempt) = parse(name)?;
    let case = desk.cases.case(&merchant, &attempt).await?;
    let case = case.ok_or_else(|| Problem::new(Kind::NotFound, "the attempt has no case"))?;
    Ok(Json(Open::of(&case)))
}

/// Settle an attempt by hand
///
/// Who decided and why is in the history of the payment, and in the audit log. What follows, such as a refund, follows by itself.
#[utoipa::path(post, path = "/compensation/{merchant}/{attempt}/resolve", tag = "compensation",
    request_body = Decided,
    params(("merchant" = String, Path), ("attempt" = String, Path)),
    responses((status = 200, body = Settled), (status = "default", body = Problem)))]
async fn resolve(
    Operator(by): Operator,
    State(desk): State<Desk>,
    Named(name): Named<(String, String)>,
    Body(decided): Body<Decided>,
) -> Result<Json<Settled>, Problem> {
    let (merchant, attempt) = parse(name)?;
    let reason = decided.reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON {
        let message = format!("has {} bytes, expected 1 to {MAX_REASON}", reason.len());
        return Err(Problem::field("reason", message));
    }
    let record = desk.ledger.attempt(&merchant, &attempt).await?;
    let record = record.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such attempt"))?;
    let (from, to) = moved(&record, decided.resolution)?;
    if from == to {
        return Ok(Json(Settled { state: to.as_str() }));
    }
    let at = desk.clock.now();
    let resolution = Resolution {
        merchant,
        attempt,
        from_state: from.as_str().to_owned(),
        to_state: to.as_str().to_owned(),
        class: to.was_charged().then_some(OutcomeClass::Success),
        source: Source::Operator.as_str().to_owned(),
        content: serde_json::json!({ "by": by.as_str(), "because": reason }),
        at,
        notices: desk.herald.notices(&record, to, at),
    };
    tracing::info!(by = by.as_str(), %to, "an attempt is settled by hand");
    let decision = compensation::Decision {
        resolution,
        by,
        reason: reason.to_owned(),
    };
    if desk.cases.decide(&decision).await? == Finished::Lost {
        return Err(Problem::new(
            Kind::Conflict,
            "the attempt changed meanwhile; look at it again",
        ));
    }
    Ok(Json(Settled { state: to.as_str() }))
}

/// The state of the attempt, and the one that the decision leads to.
fn moved(record: &AttemptRecord, decision: Decision) -> Result<(AttemptState, AttemptState), Problem> {
    let name = &record.verdict.state;
    let from = AttemptState::from_name(name).ok_or_else(|| {
        Problem::new(
            Kind::Conflict,
            format!("the attempt is {name}, which is not known here"),
        )
    })?;
    let said = |claim| Event::Said(claim, Source::Operator);
    let event = match decision {
        Decision::Succeeded => said(Claim::Paid),
        Decision::Declined => said(Claim::Declined),
        Decision::NotProcessed => said(Claim::NotProcessed),
        Decision::Closed => said(Claim::Closed),
        Decision::Reversed => Event::ReversalAccepted,
        Decision::Refunded => Event::RefundDone,
    };
    let to =
        attempt::next(from, event).map_err(|refused| Problem::new(Kind::Conflict, refused.to_string()))?;
    Ok((from, to))
}

fn parse((merchant, attempt): (String, String)) -> Result<(MerchantId, AttemptId), Problem> {
    let merchant =
        MerchantId::new(merchant).map_err(|error| Problem::field("merchant", error.to_string()))?;
    let attempt = AttemptId::new(attempt).map_err(|error| Problem::field("attempt", error.to_string()))?;
    Ok((merchant, attempt))
}

impl Open {
    fn of(record: &CaseRecord) -> Self {
        let case = &record.case;
        Self {
            merchant_id: record.merchant.to_string(),
            attempt_id: record.attempt.to_string(),
            payment_id: record.payment.to_string(),
            channel_id: record.channel.to_string(),
            cause: case.cause.as_str(),
            state: case.state.as_str(),
            opened_at: case.opened_at,
            since: case.since,
            asked: case.asked.map(|asked| asked.what.as_str()),
            times: case.asked.map_or(0, |asked| asked.times),
            ask_count: record.ask_count,
            due_at: record.due_at,
        }
    }
}
