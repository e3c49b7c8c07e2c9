//! Health: every channel as the monitor sees it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::snapshot::HealthSnapshot;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::Reader;
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The health of every channel
///
/// `seq`, `as_of` and `channels`, each with its breaker, its statistics over one minute, five minutes and an hour, its
/// streaks and its last success.
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, body = Object), (status = "default", body = Problem)))]
async fn show(_: Reader, State(desk): State<Desk>) -> Json<Arc<HealthSnapshot>> {
    Json(desk.live.snapshot())
}
