//! Codes that providers answered with and nobody has mapped yet.

use axum::Json;
use axum::extract::State;
use domain::catalogue::{FailureKind, FailureReport};
use jiff::{SignedDuration, Timestamp};
use ledger::{ReportedCode, Span};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::Reader;
use crate::extract::Asked;
use crate::problem::Problem;

/// How many kinds of codes are looked at, the most frequent ones. A provider has fewer.
const KINDS: u32 = 2_000;

/// The longest time that is looked back over, in hours: every attempt of it is read.
const MAX_HOURS: u32 = 168;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(unmapped))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Back {
    /// How many hours to look back, 1 to 168; not given: 24.
    hours: Option<u32>,
}

/// A code that is not in the catalogue: its outcome is taken for unknown until somebody says what it means.
#[derive(Serialize, ToSchema)]
struct Unmapped {
    /// Whose code it is.
    provider: String,
    /// The finest code that was reported.
    code: String,
    /// How often it was reported.
    count: u64,
    /// When it was reported first, within the time that is looked at.
    #[schema(value_type = String, format = DateTime)]
    first_at: Timestamp,
    /// When it was reported last.
    #[schema(value_type = String, format = DateTime)]
    last_at: Timestamp,
    /// A message of the provider that came with it.
    message: Option<String>,
}

/// Codes that are not in the failure catalogue, the most frequent first
#[utoipa::path(get, path = "/codes/unmapped", tag = "codes", params(Back),
    responses((status = 200, body = Vec<Unmapped>), (status = "default", body = Problem)))]
async fn unmapped(
    _: Reader,
    State(desk): State<Desk>,
    Asked(back): Asked<Back>,
) -> Result<Json<Vec<Unmapped>>, Problem> {
    let hours = back.hours.unwrap_or(24);
    if !(1..=MAX_HOURS).contains(&hours) {
        let range = format!("is {hours}, must be 1 to {MAX_HOURS}");
        return Err(Problem::field("hours", range));
    }
    let now = desk.clock.now();
    let span = Span {
        from: now
            .checked_sub(SignedDuration::from_hours(i64::from(hours)))
            .unwrap_or(Timestamp::MIN),
        until: Timestamp::MAX,
    };
    let reported = desk.observations.reported_codes(span, KINDS).await?;
    let catalogue = desk.editor.catalogue();
    let unmapped = reported.into_iter().filter_map(|reported| {
        let report = FailureReport {
            code: reported.code.as_deref(),
            sub_code: reported.sub_code.as_deref(),
            ..FailureReport::new(&reported.provider, FailureKind::Failed)
        };
        let code = catalogue.unmapped(&report)?.code.to_owned();
        Some(Unmapped::of(reported, code))
    });
    Ok(Json(unmapped.collect()))
}

impl Unmapped {
    fn of(reported: ReportedCode, code: String) -> Self {
        Self {
            provider: reported.provider,
            code,
            count: reported.count,
            first_at: reported.first_at,
            last_at: reported.last_at,
            message: reported.message,
        }
    }
}
