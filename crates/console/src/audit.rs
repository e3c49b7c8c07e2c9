//! The audit log: who changed what, and whether the log is whole.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use ledger::control::{AuditEntry, Audited, verify};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::Reader;
use crate::extract::Asked;
use crate::problem::Problem;

/// Entries in one answer.
const PAGE: u32 = 100;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(check))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Only entries before this number.
    before: Option<u64>,
}

/// One change.
#[derive(Serialize, ToSchema)]
struct Entry {
    /// Its number, from 1, without gaps.
    seq: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    actor: String,
    /// What was done, such as `suspend`.
    action: String,
    /// The revision that it led to.
    revision: u64,
    /// The parts that it changed, as they were.
    #[schema(value_type = Object)]
    before: Value,
    /// The same parts, as they became.
    #[schema(value_type = Object)]
    after: Value,
    /// SHA-256 over this entry and the digest of the one before, in hexadecimal digits.
    digest: String,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        let parts = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Self {
            seq: entry.seq,
            at: entry.at,
            actor: entry.actor.as_str().to_owned(),
            action: entry.action,
            revision: entry.revision,
            before: parts(&entry.before),
            after: parts(&entry.after),
            digest: entry.digest.to_string(),
        }
    }
}

/// What looking through the whole log has shown.
#[derive(Serialize, ToSchema)]
struct Verified {
    /// Whether nothing was changed or left out.
    whole: bool,
    /// How many entries there are, when it is whole.
    entries: Option<u64>,
    /// The digest of the latest; kept elsewhere, it tells later whether the whole log was replaced.
    head: Option<String>,
    /// The entry where tampering shows.
    tampered_at: Option<u64>,
    /// What is wrong there.
    problem: Option<&'static str>,
}

/// The changes, the latest first
#[utoipa::path(get, path = "/audit", tag = "audit", params(Page),
    responses((status = 200, body = Vec<Entry>), (status = "default", body = Problem)))]
async fn list(
    _: Reader,
    State(desk): State<Desk>,
    Asked(page): Asked<Page>,
) -> Result<Json<Vec<Entry>>, Problem> {
    let entries = desk.store().audit(page.before, PAGE).await?;
    Ok(Json(entries.into_iter().map(Entry::from).collect()))
}

/// Look through the whole log for tampering
#[utoipa::path(get, path = "/audit/verify", tag = "audit",
    responses((status = 200, body = Verified), (status = "default", body = Problem)))]
async fn check(_: Reader, State(desk): State<Desk>) -> Result<Json<Verified>, Problem> {
    let verified = match verify(desk.store()).await? {
        Audited::Whole { entries, head } => Verified {
            whole: true,
            entries: Some(entries),
            head: Some(head.to_string()),
            tampered_at: None,
            problem: None,
        },
        Audited::Tampered { seq, problem } => Verified {
            whole: false,
            entries: None,
            head: None,
            tampered_at: Some(seq),
            problem: Some(problem),
        },
    };
    Ok(Json(verified))
}
