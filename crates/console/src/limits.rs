//! Limits: those in force, and those that are set by hand.

use axum::Json;
use axum::extract::State;
use domain::control::{Change, LimitSetting, Refused, assemble};
use domain::limit::Rule;
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
        .routes(routes!(list))
        .routes(routes!(set, clear))
}

/// A limit in force.
#[derive(Serialize, ToSchema)]
struct Limit {
    /// The limit, as it counts: `id`, `scope`, `per`, `measure`, `most`, `window_secs`, `hard`.
    #[schema(value_type = Object)]
    rule: Rule,
    /// Whether it, or its bound, was set by hand over the channel document.
    by_hand: bool,
}

/// How a limit is set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLimit {
    /// Another bound for a limit of the channel document.
    most: Option<i64>,
    /// A whole limit, one more or in place of the document's: `scope`, `per`, `measure`, `most`, `window_secs`, `hard`.
    #[schema(value_type = Option<Object>)]
    rule: Option<serde_json::Map<String, serde_json::Value>>,
}

/// All limits in force
#[utoipa::path(get, path = "/limits", tag = "limits",
    responses((status = 200, body = Vec<Limit>), (status = "default", body = Problem)))]
async fn list(_: Reader, State(desk): State<Desk>) -> Result<At<Json<Vec<Limit>>>, Problem> {
    let control = desk.control().await?;
    let assembled = assemble(&control, &desk.editor.catalogue().providers()).map_err(Refused::Invalid)?;
    let by_hand = |id: &str| control.limits.iter().any(|set| set.id() == id);
    let limits = assembled.configuration.limits.into_iter().map(|rule| Limit {
        by_hand: by_hand(&rule.id),
        rule,
    });
    let limits = limits.collect();
    Ok(At(control.revision, Json(limits)))
}

/// Set a limit by hand
#[utoipa::path(put, path = "/limits/{id}", tag = "limits",
    params(("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    request_body = NewLimit,
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn set(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named(id): Named<String>,
    Body(body): Body<NewLimit>,
) -> Result<At<Json<Receipt>>, Problem> {
    let limit = match (body.most, body.rule) {
        (Some(most), None) => LimitSetting::Most { id, most },
        (None, Some(rule)) => LimitSetting::Rule(named(rule, id)?),
        _ => return Err(Problem::field("most", "expected one of `most` and `rule`")),
    };
    desk.change(Change::SetLimit { limit }, &operator, &known).await
}

/// Leave a limit to the channel document again
#[utoipa::path(delete, path = "/limits/{id}", tag = "limits",
    params(("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn clear(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named(id): Named<String>,
) -> Result<At<Json<Receipt>>, Problem> {
    desk.change(Change::ClearLimit { id }, &operator, &known).await
}

/// The limit that a body describes, under the name that the path gives it.
fn named(mut rule: serde_json::Map<String, serde_json::Value>, id: String) -> Result<Rule, Problem> {
    if rule.insert("id".to_owned(), id.into()).is_some() {
        return Err(Problem::field("rule.id", "is given by the path"));
    }
    serde_json::from_value(rule.into()).map_err(|error| Problem::field("rule", error.to_string()))
}
