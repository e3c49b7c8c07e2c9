//! Incidents: what broke, what was done, what it cost, and what was learned.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use domain::control::MAX_NOTE_BYTES;
use jiff::Timestamp;
use ledger::alert::{Deed, Entry, Incident, Search};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Desk;
use crate::act::Done;
use crate::caller::{Operator, Reader};
use crate::extract::{Asked, Body, Named};
use crate::markdown;
use crate::problem::{Kind, Problem};

/// Most incidents of one answer.
const MOST: u32 = 100;

/// Longest cause or lesson, in bytes.
const MAX_TEXT: usize = 10_000;

/// Most tags, and the longest.
const MAX_TAGS: usize = 20;
const MAX_TAG: usize = 64;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(similar))
        .routes(routes!(export))
        .routes(routes!(acknowledge))
        .routes(routes!(note))
        .routes(routes!(close))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Words that must all be in its title, labels, notes, cause, lesson or tags.
    q: Option<String>,
    /// Only those that this rule found.
    rule: Option<String>,
    /// Only those that are not over.
    #[serde(default)]
    open: bool,
    /// Only those that began before this one: the last of the page before.
    #[param(value_type = Option<String>)]
    before: Option<Uuid>,
    /// How many at most, 1 to 100; not given: 50.
    limit: Option<u32>,
}

/// An incident.
#[derive(Serialize, ToSchema)]
pub(crate) struct Kept {
    /// Its name.
    #[schema(value_type = String)]
    id: Uuid,
    /// The rule that found it.
    rule: String,
    /// How bad it is.
    severity: String,
    /// What it is about.
    labels: BTreeMap<String, String>,
    /// What broke.
    title: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// When it was over; `null` while it goes on.
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
    /// How it came to its end.
    resolution: Option<String>,
    /// Who took it on.
    acknowledged_by: Option<String>,
    /// Who closed it with its cause.
    closed_by: Option<String>,
    /// What it cost: attempts, losses, reasons, parts, some of the payments.
    #[schema(value_type = Object)]
    impact: Value,
    /// Why it happened.
    cause: String,
    /// What was learned.
    lesson: String,
    /// Words to find it by.
    tags: Vec<String>,
}

/// A line of a timeline.
#[derive(Serialize, ToSchema)]
struct Line {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What kind of thing.
    kind: String,
    /// Who; `null` when Payroute did or saw it by itself.
    actor: Option<String>,
    /// What happened.
    text: String,
}

/// An incident with its timeline.
#[derive(Serialize, ToSchema)]
struct Whole {
    /// The incident.
    incident: Kept,
    /// What happened, the earliest first.
    timeline: Vec<Line>,
}

/// A note for a timeline.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    /// What to remember.
    text: String,
}

/// What an incident came from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Closing {
    /// Why it happened.
    cause: String,
    /// What was learned.
    #[serde(default)]
    lesson: String,
    /// Words to find it by.
    #[serde(default)]
    tags: Vec<String>,
}

impl From<Incident> for Kept {
    fn from(incident: Incident) -> Self {
        let (resolved_at, resolution) = incident.resolved.unzip();
        Self {
            id: incident.id,
            rule: incident.rule,
            severity: incident.severity,
            labels: incident.labels,
            title: incident.title,
            opened_at: incident.opened_at,
            resolved_at,
            resolution,
            acknowledged_by: incident.acknowledged.map(|(_, by)| by.to_string()),
            closed_by: incident.closed.map(|(_, by)| by.to_string()),
            impact: incident.impact,
            cause: incident.cause,
            lesson: incident.lesson,
            tags: incident.tags,
        }
    }
}

impl From<Entry> for Line {
    fn from(entry: Entry) -> Self {
        Self {
            at: entry.at,
            kind: entry.kind,
            actor: entry.actor.map(|actor| actor.to_string()),
            text: entry.text,
        }
    }
}

/// Incidents, the latest first
#[utoipa::path(get, path = "/incidents", tag = "incidents", params(Wanted),
    responses((status = 200, body = Vec<Kept>), (status = "default", body = Problem)))]
async fn list(
    _: Reader,
    State(desk): State<Desk>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Vec<Kept>>, Problem> {
    let limit = wanted.limit.unwrap_or(50);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::field(
            "limit",
            format!("is {limit}, must be 1 to {MOST}"),
        ));
    }
    let before = match wanted.before {
        Some(id) => Some((found(&desk, id).await?.0.opened_at, id)),
        None => None,
    };
    let words = wanted.q.unwrap_or_default();
    let search = Search {
        words: words.split_whitespace().map(ToOwned::to_owned).collect(),
        rule: wanted.rule,
        open: wanted.open,
        before,
        limit,
    };
    let incidents = desk.alerts.incidents(&search).await?;
    Ok(Json(incidents.into_iter().map(Kept::from).collect()))
}

/// An incident with its timeline
#[utoipa::path(get, path = "/incidents/{id}", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = Whole), (status = "default", body = Problem)))]
async fn show(_: Reader, State(desk): State<Desk>, Named(id): Named<Uuid>) -> Result<Json<Whole>, Problem> {
    let (incident, timeline) = found(&desk, id).await?;
    Ok(Json(Whole {
        incident: incident.into(),
        timeline: timeline.into_iter().map(Line::from).collect(),
    }))
}

/// Past incidents like it, the most similar first
///
/// Of the same rule; those about the same channel, bank, method, region or merchant come first.
#[utoipa::path(get, path = "/incidents/{id}/similar", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = Vec<Kept>), (status = "default", body = Problem)))]
async fn similar(
    _: Reader,
    State(desk): State<Desk>,
    Named(id): Named<Uuid>,
) -> Result<Json<Vec<Kept>>, Problem> {
    let (incident, _) = found(&desk, id).await?;
    let search = Search {
        words: Vec::new(),
        rule: Some(incident.rule.clone()),
        open: false,
        before: Some((incident.opened_at, incident.id)),
        limit: 500,
    };
    let mut past = desk.alerts.incidents(&search).await?;
    let shared = |other: &Incident| {
        let same = |(name, value): (&String, &String)| other.labels.get(name) == Some(value);
        incident.labels.iter().filter(|label| same(*label)).count()
    };
    // A stable sort: of equals the latest comes first. A cause that is known is worth more than one that is not.
    past.sort_by_key(|other| std::cmp::Reverse((shared(other), !other.cause.is_empty())));
    past.truncate(10);
    Ok(Json(past.into_iter().map(Kept::from).collect()))
}

/// An incident as a Markdown page
#[utoipa::path(get, path = "/incidents/{id}/export", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/markdown"),
        (status = "default", body = Problem)))]
async fn export(
    _: Reader,
    State(desk): State<Desk>,
    Named(id): Named<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let (incident, timeline) = found(&desk, id).await?;
    let page = markdown::page(&incident, &timeline);
    Ok(([(CONTENT_TYPE, "text/markdown; charset=utf-8")], page))
}

/// Take an incident on: its pages are not repeated
#[utoipa::path(post, path = "/incidents/{id}/acknowledge", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = "default", body = Problem)))]
async fn acknowledge(
    operator: Operator,
    State(desk): State<Desk>,
    Named(incident): Named<Uuid>,
) -> Result<Json<Done>, Problem> {
    desk.act(Deed::Acknowledge { incident }, operator).await
}

/// Write something into an incident's timeline
#[utoipa::path(post, path = "/incidents/{id}/notes", tag = "incidents", params(("id" = String, Path)),
    request_body = Note, responses((status = 200, body = Done), (status = "default", body = Problem)))]
async fn note(
    operator: Operator,
    State(desk): State<Desk>,
    Named(incident): Named<Uuid>,
    Body(body): Body<Note>,
) -> Result<Json<Done>, Problem> {
    bounded("text", &body.text, 1..=MAX_NOTE_BYTES)?;
    let text = body.text;
    desk.act(Deed::Note { incident, text }, operator).await
}

/// Close an incident that is over with its cause and lesson
///
/// Can be done again, to write them better.
#[utoipa::path(post, path = "/incidents/{id}/close", tag = "incidents", params(("id" = String, Path)),
    request_body = Closing, responses((status = 200, body = Done), (status = "default", body = Problem)))]
async fn close(
    operator: Operator,
    State(desk): State<Desk>,
    Named(incident): Named<Uuid>,
    Body(body): Body<Closing>,
) -> Result<Json<Done>, Problem> {
    bounded("cause", &body.cause, 1..=MAX_TEXT)?;
    bounded("lesson", &body.lesson, 0..=MAX_TEXT)?;
    if body.tags.len() > MAX_TAGS {
        return Err(Problem::field(
            "tags",
            format!("are {}, at most {MAX_TAGS} are allowed", body.tags.len()),
        ));
    }
    for tag in &body.tags {
        bounded("tags", tag, 1..=MAX_TAG)?;
    }
    let deed = Deed::Close {
        incident,
        cause: body.cause,
        lesson: body.lesson,
        tags: body.tags,
    };
    desk.act(deed, operator).await
}

async fn found(desk: &Desk, id: Uuid) -> Result<(Incident, Vec<Entry>), Problem> {
    let found = desk.alerts.incident(id).await?;
    found.ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no incident `{id}`")))
}

/// Refuses a text of another length.
pub(crate) fn bounded(
    field: &str,
    text: &str,
    bytes: std::ops::RangeInclusive<usize>,
) -> Result<(), Problem> {
    if bytes.contains(&text.len()) {
        return Ok(());
    }
    let (least, most) = (bytes.start(), bytes.end());
    let problem = format!("is {} bytes long, expected {least} to {most}", text.len());
    Err(Problem::field(field, problem))
}
