//! Suspensions: what is taken out by somebody's decision, for how long, and its end.

use axum::Json;
use axum::extract::State;
use domain::control::{Change, Standing};
use domain::suspension::Scope;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::{Known, Operator, Reader};
use crate::change::{At, Receipt};
use crate::extract::{Body, Named};
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list, suspend))
        .routes(routes!(lift))
}

/// A suspension to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSuspension {
    /// What it covers: the payments that fit all that is given; at least one of `channel`, `issuer`, `region` and
    /// `method`.
    #[schema(value_type = ScopeBody)]
    scope: Scope,
    /// Why, on one line.
    reason: String,
    /// The first moment; at once when not given.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// The moment it ends; until it is lifted when neither this nor `for_secs` is given.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How long it lasts from its start, in seconds, in place of `until`.
    for_secs: Option<u32>,
}

/// What a suspension covers.
#[derive(Serialize, ToSchema)]
struct ScopeBody {
    /// Only on this channel.
    channel: Option<String>,
    /// Only payments of this issuer.
    issuer: Option<String>,
    /// Only payments of this region.
    region: Option<String>,
    /// Only payments by this method.
    method: Option<String>,
}

/// A suspension.
#[derive(Serialize, ToSchema)]
struct Suspended {
    /// Its number, to lift it by.
    id: u64,
    /// What it covers.
    #[schema(value_type = ScopeBody)]
    scope: Scope,
    /// Why.
    reason: String,
    /// Who decided.
    author: String,
    /// The first moment.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// The moment it ends; `null`: until it is lifted.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Who lifted it before its time.
    lifted_by: Option<String>,
    /// When it was lifted.
    #[schema(value_type = Option<String>, format = DateTime)]
    lifted_at: Option<Timestamp>,
    /// Whether it holds now.
    holds: bool,
}

impl Suspended {
    fn of(standing: Standing, now: Timestamp) -> Self {
        let holds = standing.suspension.holds(now) && !standing.is_over(now);
        let Standing {
            id,
            suspension,
            lifted,
        } = standing;
        let (lifted_by, lifted_at) = lifted
            .map(|lifted| (lifted.by.as_str().to_owned(), lifted.at))
            .unzip();
        Self {
            id,
            scope: suspension.scope,
            reason: suspension.reason,
            author: suspension.author,
            from: suspension.from,
            until: suspension.until,
            lifted_by,
            lifted_at,
            holds,
        }
    }
}

/// All suspensions that were decided while running, the latest first
///
/// Those of the channel document are in the document. Those that are over are kept for a while.
#[utoipa::path(get, path = "/suspensions", tag = "suspensions",
    responses((status = 200, body = Vec<Suspended>), (status = "default", body = Problem)))]
async fn list(_: Reader, State(desk): State<Desk>) -> Result<At<Json<Vec<Suspended>>>, Problem> {
    let control = desk.control().await?;
    let now = desk.clock.now();
    let standing = control.suspensions.into_iter().rev();
    Ok(At(
        control.revision,
        Json(standing.map(|it| Suspended::of(it, now)).collect()),
    ))
}

/// Suspend a channel, issuer, region or method, or what they have in common
#[utoipa::path(post, path = "/suspensions", tag = "suspensions",
    request_body = NewSuspension,
    params(("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Suspended), (status = "default", body = Problem)))]
async fn suspend(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Body(body): Body<NewSuspension>,
) -> Result<At<Json<Suspended>>, Problem> {
    let now = desk.clock.now();
    let until = body.until(now)?;
    let change = Change::Suspend {
        scope: body.scope,
        reason: body.reason,
        from: body.from,
        until,
    };
    let control = desk.make(change, &operator, &known).await?.control;
    // A suspension is named by the revision that brought it.
    let standing = control
        .suspensions
        .into_iter()
        .find(|it| it.id == control.revision);
    let standing =
        standing.ok_or_else(|| Problem::new(crate::Kind::Internal, "the suspension is not there"))?;
    Ok(At(control.revision, Json(Suspended::of(standing, now))))
}

/// End a suspension before its time
#[utoipa::path(delete, path = "/suspensions/{id}", tag = "suspensions",
    params(("id" = u64, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn lift(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named(id): Named<u64>,
) -> Result<At<Json<Receipt>>, Problem> {
    desk.change(Change::LiftSuspension { id }, &operator, &known)
        .await
}

impl NewSuspension {
    fn until(&self, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        match (self.until, self.for_secs) {
            (Some(_), Some(_)) => Err(Problem::field(
                "for_secs",
                "stands beside `until`, expected one of them",
            )),
            (until, None) => Ok(until),
            (None, Some(secs)) => ends(self.from.unwrap_or(now), secs).map(Some),
        }
    }
}

/// The moment `secs` after `from`.
pub(crate) fn ends(from: Timestamp, secs: u32) -> Result<Timestamp, Problem> {
    from.checked_add(SignedDuration::from_secs(i64::from(secs)))
        .map_err(|_| Problem::field("for_secs", "is further away than time goes"))
}
