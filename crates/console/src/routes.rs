//! The whole API: every route under `/api/v1`, and its description.

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::get;
use domain::control::MAX_DOCUMENT_BYTES;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

use crate::problem::{Kind, Problem};
use crate::{
    Desk, Parts, alerts, audit, breakers, card_numbers, channels, codes, compensation, deliveries, health,
    incidents, limits, payments, plans, policies, runbooks, suspensions,
};

/// Room around a document of the largest size.
pub(crate) const BODY_BYTES: usize = MAX_DOCUMENT_BYTES + 1_024;

fn api() -> OpenApiRouter<Desk> {
    let resources = OpenApiRouter::new()
        .merge(channels::routes())
        .merge(codes::routes())
        .merge(policies::routes())
        .merge(suspensions::routes())
        .merge(breakers::routes())
        .merge(limits::routes())
        .merge(health::routes())
        .merge(payments::routes())
        .merge(compensation::routes())
        .merge(alerts::routes())
        .merge(incidents::routes())
        .merge(runbooks::routes())
        .merge(plans::routes())
        .merge(deliveries::routes())
        .merge(audit::routes());
    OpenApiRouter::new().nest("/api/v1", resources)
}

/// The description of the API, `OpenAPI` 3.1.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut description = api().to_openapi();
    description.info = InfoBuilder::new()
        .title("Payroute control plane")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Channels, policies, suspensions, breakers, limits, health and payments. Every change is kept with its \
             audit entry in one transaction, carries the revision it led to as its ETag, and is live on every process \
             within two seconds. `If-Match` makes a change only when nobody made another one meanwhile.",
        ))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    description.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    description
}

/// The API, to be served.
pub fn routes(parts: Parts) -> Router {
    let (router, _) = api().split_for_parts();
    router
        .route("/api/v1/openapi.json", get(describe))
        .fallback(nothing)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(card_numbers::refuse))
        .with_state(Desk::of(parts))
}

async fn describe(State(_): State<Desk>) -> impl IntoResponse {
    axum::Json(openapi())
}

async fn nothing() -> Problem {
    Problem::new(
        Kind::NotFound,
        "there is nothing at this path; see /api/v1/openapi.json",
    )
}

async fn no_method() -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        "this path does not take the method; see /api/v1/openapi.json",
    )
}
