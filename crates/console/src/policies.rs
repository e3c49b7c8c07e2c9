//! Policies: stored versions, what is wrong with one, what it changes, and which is active.

use axum::Json;
use axum::extract::State;
use domain::control::{Change, Document as PolicyText, Kind as Of, Refused};
use jiff::Timestamp;
use ledger::control::{ChangeError, Heading};
use serde::{Deserialize, Serialize};
use similar::TextDiff;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::{Known, Operator, Reader};
use crate::change::{At, Receipt};
use crate::extract::{Asked, Document, Named};
use crate::problem::Problem;

/// Most versions in one answer.
const MOST: u32 = 200;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(validate))
        .routes(routes!(roll_back))
        .routes(routes!(show))
        .routes(routes!(diff))
        .routes(routes!(activate))
}

/// A stored document with its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct Written {
    /// Its version.
    version: u64,
    /// Who stored it.
    author: String,
    /// Why.
    note: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The YAML.
    text: String,
}

impl Written {
    pub(crate) fn of(stored: &PolicyText) -> Self {
        Self {
            version: stored.version,
            author: stored.author.as_str().to_owned(),
            note: stored.note.clone(),
            created_at: stored.created_at,
            text: stored.text.to_string(),
        }
    }
}

/// The versions of the policy.
#[derive(Serialize, ToSchema)]
struct Policies {
    /// The version that is active.
    active: u64,
    /// Those that were active before, the latest last.
    active_before: Vec<u64>,
    /// The latest first.
    versions: Vec<Stored>,
}

/// A stored policy without its text.
#[derive(Serialize, ToSchema)]
struct Stored {
    /// Its version.
    version: u64,
    /// Who stored it.
    author: String,
    /// Why.
    note: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Heading> for Stored {
    fn from(heading: Heading) -> Self {
        Self {
            version: heading.version,
            author: heading.author.as_str().to_owned(),
            note: heading.note,
            created_at: heading.created_at,
        }
    }
}

/// Which part of a long list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Only those before this one.
    before: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Why, on one line.
    #[serde(default)]
    note: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Against {
    /// The version to compare with; the active one when not given.
    against: Option<u64>,
}

/// A policy that was stored.
#[derive(Serialize, ToSchema)]
struct Added {
    /// Its version, to activate it by.
    version: u64,
    /// The revision that storing it led to.
    revision: u64,
}

/// What a check has shown.
#[derive(Serialize, ToSchema)]
struct Checked {
    /// Whether the policy could be activated as it is; what is wrong comes as a problem instead.
    valid: bool,
}

/// What differs between two versions.
#[derive(Serialize, ToSchema)]
struct Diff {
    /// The version that is compared with.
    from: u64,
    /// The version that is asked for.
    to: u64,
    /// The difference in unified format; empty when there is none.
    unified: String,
}

/// All policies
#[utoipa::path(get, path = "/policies", tag = "policies", params(Page),
    responses((status = 200, body = Policies), (status = "default", body = Problem)))]
async fn list(
    _: Reader,
    State(desk): State<Desk>,
    Asked(page): Asked<Page>,
) -> Result<At<Json<Policies>>, Problem> {
    let control = desk.control().await?;
    let headings = desk.store().documents(Of::Policy, page.before, MOST).await?;
    let policies = Policies {
        active: control.policy.version,
        active_before: control.policies_before,
        versions: headings.into_iter().map(Stored::from).collect(),
    };
    Ok(At(control.revision, Json(policies)))
}

/// Store a policy
///
/// The body is YAML, as in `policy.yaml`. It is checked with the present channels, its tests included, and refused whole
/// when anything in it is wrong. It is not active until it is activated.
#[utoipa::path(post, path = "/policies", tag = "policies", params(Note),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Added), (status = "default", body = Problem)))]
async fn add(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Asked(Note { note }): Asked<Note>,
    Document(text): Document,
) -> Result<At<Json<Added>>, Problem> {
    let applied = desk
        .make(Change::AddPolicy { text, note }, &operator, &known)
        .await?;
    let (version, revision) = (applied.control.latest_policy, applied.control.revision);
    Ok(At(revision, Json(Added { version, revision })))
}

/// Check a policy without storing it
#[utoipa::path(post, path = "/policies/validate", tag = "policies",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Checked), (status = "default", body = Problem)))]
async fn validate(
    Operator(by): Operator,
    State(desk): State<Desk>,
    Document(text): Document,
) -> Result<Json<Checked>, Problem> {
    let note = String::new();
    desk.editor
        .preview(Change::AddPolicy { text, note }, &by, None)
        .await?;
    Ok(Json(Checked { valid: true }))
}

/// One policy
#[utoipa::path(get, path = "/policies/{version}", tag = "policies", params(("version" = u64, Path)),
    responses((status = 200, body = Written), (status = "default", body = Problem)))]
async fn show(
    _: Reader,
    State(desk): State<Desk>,
    Named(version): Named<u64>,
) -> Result<Json<Written>, Problem> {
    Ok(Json(Written::of(&desk.policy(version).await?)))
}

/// What a policy changes
#[utoipa::path(get, path = "/policies/{version}/diff", tag = "policies",
    params(("version" = u64, Path), Against),
    responses((status = 200, body = Diff), (status = "default", body = Problem)))]
async fn diff(
    _: Reader,
    State(desk): State<Desk>,
    Named(version): Named<u64>,
    Asked(Against { against }): Asked<Against>,
) -> Result<Json<Diff>, Problem> {
    let after = desk.policy(version).await?;
    let before = match against {
        Some(version) => desk.policy(version).await?,
        None => desk.control().await?.policy,
    };
    let names = [before.version, after.version].map(|version| format!("policy {version}"));
    let unified = TextDiff::from_lines(&*before.text, &*after.text)
        .unified_diff()
        .header(&names[0], &names[1])
        .to_string();
    Ok(Json(Diff {
        from: before.version,
        to: after.version,
        unified: if before.text == after.text {
            String::new()
        } else {
            unified
        },
    }))
}

/// Make a policy the active one
#[utoipa::path(post, path = "/policies/{version}/activate", tag = "policies",
    params(("version" = u64, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn activate(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named(version): Named<u64>,
) -> Result<At<Json<Receipt>>, Problem> {
    desk.change(Change::ActivatePolicy { version }, &operator, &known)
        .await
}

/// Make the policy active that was before the present one
#[utoipa::path(post, path = "/policies/rollback", tag = "policies",
    params(("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn roll_back(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
) -> Result<At<Json<Receipt>>, Problem> {
    desk.change(Change::RollBackPolicy, &operator, &known).await
}

impl Desk {
    async fn policy(&self, version: u64) -> Result<PolicyText, Problem> {
        let stored = self.store().document(Of::Policy, version).await?;
        stored.ok_or_else(|| ChangeError::from(Refused::UnknownPolicy(version)).into())
    }
}
