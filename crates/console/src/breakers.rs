//! Breakers: their states, and decisions about them by hand.

use axum::Json;
use axum::extract::State;
use domain::brain::Forced;
use domain::control::{Change, Override};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::{Known, Operator, Reader};
use crate::change::{At, Receipt};
use crate::channels::channel_id;
use crate::extract::{Body, Named};
use crate::problem::Problem;
use crate::suspensions::ends;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(force, release))
}

/// A channel's breaker.
#[derive(Serialize, ToSchema)]
struct Breaker {
    /// The channel.
    channel: String,
    /// `healthy`, `tripped`, `probing` or `ramping`, or what was decided by hand.
    state: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The part of its share that the channel may take, in basis points, 0 to 10 000.
    allowance_bp: u16,
    /// What brought it there, in words.
    reason: Option<String>,
    /// What was decided by hand, if anything was.
    forced: Option<ForcedBreaker>,
}

/// What was decided about a breaker by hand.
#[derive(Serialize, ToSchema)]
struct ForcedBreaker {
    /// `out`, `in` or `observe_only`.
    #[schema(value_type = String)]
    forced: Forced,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Why.
    reason: String,
    /// Who decided.
    author: String,
}

/// A decision about a breaker.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewForce {
    /// `out` (never selected, in panic either), `in` (selected as if it were healthy) or `observe_only` (its breaker
    /// goes on and keeps no payment away).
    #[schema(value_type = String, example = "out")]
    forced: Forced,
    /// Why, on one line.
    reason: String,
    /// The moment it ends, within 24 hours.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How long it lasts, in seconds, in place of `until`.
    for_secs: Option<u32>,
}

/// The breaker of every channel
#[utoipa::path(get, path = "/breakers", tag = "breakers",
    responses((status = 200, body = Vec<Breaker>), (status = "default", body = Problem)))]
async fn list(_: Reader, State(desk): State<Desk>) -> Result<At<Json<Vec<Breaker>>>, Problem> {
    let control = desk.control().await?;
    let snapshot = desk.live.snapshot();
    let forced = |channel: &str| {
        let set = control
            .breakers
            .iter()
            .find(|set| set.channel.as_str() == channel)?;
        Some(ForcedBreaker::of(set))
    };
    let breakers = snapshot.channels.iter().map(|health| Breaker {
        channel: health.channel.to_string(),
        state: health.breaker.state.as_str().to_owned(),
        since: health.breaker.since,
        allowance_bp: health.breaker.allowance_bp,
        reason: health.breaker.reason.as_deref().map(ToOwned::to_owned),
        forced: forced(health.channel.as_str()),
    });
    Ok(At(control.revision, Json(breakers.collect())))
}

impl ForcedBreaker {
    fn of(set: &Override) -> Self {
        Self {
            forced: set.forced,
            until: set.until,
            reason: set.reason.clone(),
            author: set.author.as_str().to_owned(),
        }
    }
}

/// Decide about a channel's breaker, for a time
#[utoipa::path(put, path = "/breakers/{channel}", tag = "breakers",
    params(("channel" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    request_body = NewForce,
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn force(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named(channel): Named<String>,
    Body(body): Body<NewForce>,
) -> Result<At<Json<Receipt>>, Problem> {
    let until = match (body.until, body.for_secs) {
        (Some(until), None) => until,
        (None, Some(secs)) => ends(desk.clock.now(), secs)?,
        _ => return Err(Problem::field("until", "expected one of `until` and `for_secs`")),
    };
    let change = Change::ForceBreaker {
        channel: channel_id(&channel)?,
        forced: body.forced,
        until,
        reason: body.reason,
    };
    desk.change(change, &operator, &known).await
}

/// Leave a channel's breaker to itself again
#[utoipa::path(delete, path = "/breakers/{channel}", tag = "breakers",
    params(("channel" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn release(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named(channel): Named<String>,
) -> Result<At<Json<Receipt>>, Problem> {
    let channel = channel_id(&channel)?;
    desk.change(Change::ReleaseBreaker { channel }, &operator, &known)
        .await
}
