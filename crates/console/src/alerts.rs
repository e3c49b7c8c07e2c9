//! Alerts as they stand, the rules they are found by, and silences.

use axum::Json;
use axum::extract::State;
use domain::alert::{BUILT_IN, Matcher, Rules};
use jiff::{SignedDuration, Timestamp};
use ledger::alert::{Book, Deed, Silence};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Desk;
use crate::act::Done;
use crate::caller::{Known, Operator, Reader};
use crate::extract::{Asked, Body, Document, Named};
use crate::incidents::bounded;
use crate::problem::{Kind, Problem};

/// The longest silence: whoever forgets it is reminded after that.
const MAX_SILENCE: SignedDuration = SignedDuration::from_hours(24 * 31);

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(rules, activate))
        .routes(routes!(validate))
        .routes(routes!(silences, silence))
        .routes(routes!(end))
}

/// An alert that is not at rest.
#[derive(Serialize, ToSchema)]
struct Standing {
    /// What it is known by.
    fingerprint: String,
    /// The rule.
    rule: String,
    /// Its state: `pending`, `firing`, `recovering`, `resolved` or `inactive`.
    state: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// How often it has fired.
    generation: u64,
    /// All that is kept of it: labels, what was measured, silences, clocks.
    #[schema(value_type = Object)]
    detail: Value,
}

/// Alert rules or runbooks.
#[derive(Serialize, ToSchema)]
pub(crate) struct InForce {
    /// Their version; 0 for those that hold until others are put into force.
    version: u64,
    /// The document.
    text: String,
    /// Who put them into force.
    author: Option<String>,
    /// Why.
    note: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The version; those in force when it is not given.
    pub(crate) version: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Why {
    /// Why, on one line.
    #[serde(default)]
    pub(crate) note: String,
}

/// A silence to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSilence {
    /// Which alerts: all of these must fit; one at least. Each has a `label` and its `patterns`, and may be `negated`.
    #[schema(value_type = Vec<Object>)]
    matchers: Vec<Matcher>,
    /// Why, on one line.
    reason: String,
    /// The first moment; at once when not given.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// How long, in seconds; 31 days at most.
    for_secs: u32,
}

/// A silence.
#[derive(Serialize, ToSchema)]
struct Silenced {
    /// Its name.
    #[schema(value_type = String)]
    id: Uuid,
    /// Which alerts.
    #[schema(value_type = Vec<Object>)]
    matchers: Vec<Matcher>,
    /// Why.
    reason: String,
    /// Who.
    author: String,
    /// The first moment.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// The moment it ends.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Who ended it before its time.
    ended_by: Option<String>,
}

/// Alerts that are not at rest
#[utoipa::path(get, path = "/alerts", tag = "alerts",
    responses((status = 200, body = Vec<Standing>), (status = "default", body = Problem)))]
async fn list(_: Reader, State(desk): State<Desk>) -> Result<Json<Vec<Standing>>, Problem> {
    let board = desk.alerts.board(None, desk.clock.now()).await?;
    let instances = board.unwrap_or_default().instances;
    let standing = instances.into_iter().map(|instance| Standing {
        fingerprint: instance.fingerprint,
        rule: instance.rule,
        state: instance.state,
        since: instance.since,
        generation: instance.generation,
        detail: instance.content,
    });
    Ok(Json(standing.collect()))
}

/// Alert rules of a version, or those in force
#[utoipa::path(get, path = "/alert-rules", tag = "alerts", params(Which),
    responses((status = 200, body = InForce), (status = "default", body = Problem)))]
async fn rules(
    _: Reader,
    State(desk): State<Desk>,
    Asked(which): Asked<Which>,
) -> Result<Json<InForce>, Problem> {
    desk.edition(Book::Rules, &which, BUILT_IN).await
}

/// Put alert rules into force
///
/// The body is the document, in YAML. What is wrong with it is told line by line, and those before stay in force.
#[utoipa::path(put, path = "/alert-rules", tag = "alerts", params(Why,
        ("If-Match" = Option<String>, Header, description = "The version of the rules that these replace")),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Done), (status = "default", body = Problem)))]
async fn activate(
    operator: Operator,
    Known(expected): Known,
    State(desk): State<Desk>,
    Asked(why): Asked<Why>,
    Document(text): Document,
) -> Result<Json<Done>, Problem> {
    bounded("note", &why.note, 0..=domain::control::MAX_NOTE_BYTES)?;
    check(&text)?;
    let deed = Deed::Put {
        book: Book::Rules,
        text,
        note: why.note,
        expected,
    };
    desk.act(deed, operator).await
}

/// Check alert rules; nothing is changed
#[utoipa::path(post, path = "/alert-rules/validate", tag = "alerts",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Done), (status = "default", body = Problem)))]
async fn validate(
    _: Operator,
    State(desk): State<Desk>,
    Document(text): Document,
) -> Result<Json<Done>, Problem> {
    check(&text)?;
    desk.version_in_force(Book::Rules).await
}

impl Desk {
    /// The document of that version, or the one in force; `otherwise` where none was ever put into force.
    pub(crate) async fn edition(
        &self,
        book: Book,
        which: &Which,
        otherwise: &str,
    ) -> Result<Json<InForce>, Problem> {
        match (self.alerts.edition(book, which.version).await?, which.version) {
            (Some(edition), _) => Ok(Json(InForce {
                version: edition.version,
                text: edition.text,
                author: Some(edition.author.to_string()),
                note: Some(edition.note),
            })),
            (None, Some(version)) => {
                let detail = format!("there is no version {version} of them");
                Err(Problem::new(Kind::NotFound, detail))
            }
            (None, None) => Ok(Json(InForce {
                version: 0,
                text: otherwise.to_owned(),
                author: None,
                note: None,
            })),
        }
    }

    /// The version that is in force.
    pub(crate) async fn version_in_force(&self, book: Book) -> Result<Json<Done>, Problem> {
        let edition = self.alerts.edition(book, None).await?;
        Ok(Json(Done {
            version: edition.map_or(0, |edition| edition.version),
        }))
    }
}

fn check(text: &str) -> Result<(), Problem> {
    let checked = Rules::load(text, "alerts.yaml", None);
    checked
        .map(drop)
        .map_err(|wrong| domain::control::Refused::Invalid(wrong).into())
}

/// Silences, the latest first
#[utoipa::path(get, path = "/silences", tag = "alerts",
    responses((status = 200, body = Vec<Silenced>), (status = "default", body = Problem)))]
async fn silences(_: Reader, State(desk): State<Desk>) -> Result<Json<Vec<Silenced>>, Problem> {
    let latest = desk.alerts.silences(100).await?;
    let silenced = latest.into_iter().map(|silence| Silenced {
        id: silence.id,
        matchers: silence.matchers,
        reason: silence.reason,
        author: silence.author.to_string(),
        from: silence.from,
        until: silence.until,
        ended_by: silence.ended.map(|(_, by)| by.to_string()),
    });
    Ok(Json(silenced.collect()))
}

/// Ask not to be told of some alerts for a time
///
/// They are evaluated and kept all the same, and what still fires at the end is told then.
#[utoipa::path(post, path = "/silences", tag = "alerts", request_body = NewSilence,
    responses((status = 200, body = Silenced), (status = "default", body = Problem)))]
async fn silence(
    operator: Operator,
    State(desk): State<Desk>,
    Body(body): Body<NewSilence>,
) -> Result<Json<Silenced>, Problem> {
    bounded("reason", &body.reason, 1..=domain::control::MAX_NOTE_BYTES)?;
    if body.matchers.is_empty() {
        return Err(Problem::field(
            "matchers",
            "are none: that would silence everything",
        ));
    }
    let now = desk.clock.now();
    let from = body.from.unwrap_or(now);
    let until = crate::suspensions::ends(from, body.for_secs)?;
    if until <= now || until.duration_since(from) > MAX_SILENCE {
        return Err(Problem::field(
            "for_secs",
            "must end later than now and within 31 days",
        ));
    }
    let silence = Silence {
        id: Uuid::now_v7(),
        matchers: body.matchers,
        reason: body.reason,
        author: operator.0.clone(),
        created_at: now,
        from,
        until,
        ended: None,
    };
    let answer = Silenced {
        id: silence.id,
        matchers: silence.matchers.clone(),
        reason: silence.reason.clone(),
        author: silence.author.to_string(),
        from,
        until,
        ended_by: None,
    };
    let Json(_) = desk.act(Deed::Silence(silence), operator).await?;
    Ok(Json(answer))
}

/// End a silence before its time
#[utoipa::path(delete, path = "/silences/{id}", tag = "alerts", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = "default", body = Problem)))]
async fn end(
    operator: Operator,
    State(desk): State<Desk>,
    Named(silence): Named<Uuid>,
) -> Result<Json<Done>, Problem> {
    desk.act(Deed::EndSilence { silence }, operator).await
}
