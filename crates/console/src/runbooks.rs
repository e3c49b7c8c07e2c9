//! Runbooks: what to do about alerts, decided beforehand.

use axum::Json;
use axum::extract::State;
use domain::runbook::Runbooks;
use ledger::alert::{Book, Deed};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::act::Done;
use crate::alerts::{InForce, Which, Why};
use crate::caller::{Known, Operator, Reader};
use crate::extract::{Asked, Document};
use crate::incidents::bounded;
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(runbooks, activate))
        .routes(routes!(validate))
}

/// Runbooks of a version, or those in force
///
/// Version 0 has no text: the file of each process holds.
#[utoipa::path(get, path = "/runbooks", tag = "runbooks", params(Which),
    responses((status = 200, body = InForce), (status = "default", body = Problem)))]
async fn runbooks(
    _: Reader,
    State(desk): State<Desk>,
    Asked(which): Asked<Which>,
) -> Result<Json<InForce>, Problem> {
    desk.edition(Book::Runbooks, &which, "").await
}

/// Put runbooks into force
///
/// The body is the document, in YAML. What is wrong with it is told line by line, and those before stay in force.
#[utoipa::path(put, path = "/runbooks", tag = "runbooks", params(Why,
        ("If-Match" = Option<String>, Header, description = "The version of the runbooks that these replace")),
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
    desk.check_runbooks(&text)?;
    let deed = Deed::Put {
        book: Book::Runbooks,
        text,
        note: why.note,
        expected,
    };
    desk.act(deed, operator).await
}

/// Check runbooks; nothing is changed
#[utoipa::path(post, path = "/runbooks/validate", tag = "runbooks",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Done), (status = "default", body = Problem)))]
async fn validate(
    _: Operator,
    State(desk): State<Desk>,
    Document(text): Document,
) -> Result<Json<Done>, Problem> {
    desk.check_runbooks(&text)?;
    desk.version_in_force(Book::Runbooks).await
}

impl Desk {
    fn check_runbooks(&self, text: &str) -> Result<(), Problem> {
        let receivers: Vec<&str> = self.receivers.iter().map(String::as_str).collect();
        let checked = Runbooks::load(text, "runbooks.yaml", Some(&receivers));
        checked
            .map(drop)
            .map_err(|wrong| domain::control::Refused::Invalid(wrong).into())
    }
}
