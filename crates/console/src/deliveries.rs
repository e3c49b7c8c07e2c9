//! Deliveries and their receivers: what waits, what was given up, and a message to try a receiver with.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use delivery::locale::Locale;
use delivery::message::{Message, Page, Severity, Status};
use jiff::Timestamp;
use ledger::NewDelivery;
use ledger::delivery::{Class, Filter, Record, Replayed};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Desk;
use crate::caller::{Operator, Reader};
use crate::extract::{Asked, Named};
use crate::problem::{Kind, Problem};

/// Deliveries in one answer.
const PAGE: u32 = 100;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(receivers))
        .routes(routes!(test))
        .routes(routes!(list))
        .routes(routes!(replay))
}

/// A receiver, and how it stands.
#[derive(Serialize, ToSchema)]
struct Receiver {
    /// Its name.
    name: String,
    /// Whether it is in the configuration.
    configured: bool,
    /// Messages that it does not have yet.
    waiting: u64,
    /// How long the one that has been due the longest has waited, in seconds.
    oldest_secs: u64,
    /// Dead letters.
    dead: u64,
}

/// A delivery. What it says is not shown: it may name a customer.
#[derive(Serialize, ToSchema)]
struct Delivery {
    /// Its place; a page of the list begins before it.
    seq: i64,
    /// Its id, the same on every try.
    #[schema(value_type = String)]
    id: Uuid,
    /// Where it goes.
    receiver: String,
    /// What it is about; those with the same key are sent one after the other.
    order_key: String,
    /// `page`, `ticket`, `event` or `notice`.
    class: &'static str,
    /// `ready`, `leased`, `done`, `dead` or `superseded`.
    state: &'static str,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it is sent or tried next, or was last.
    #[schema(value_type = String, format = DateTime)]
    due_at: Timestamp,
    /// How often it was tried.
    attempts: u32,
    /// The last answer's HTTP status.
    last_status: Option<u16>,
    /// Why the last try did not deliver it.
    last_error: Option<String>,
    /// The delivery for which it stands in.
    #[schema(value_type = Option<String>)]
    fallback_of: Option<Uuid>,
}

impl From<Record> for Delivery {
    fn from(record: Record) -> Self {
        Self {
            seq: record.seq,
            id: record.id,
            receiver: record.receiver,
            order_key: record.order_key,
            class: record.class.as_str(),
            state: record.state.as_str(),
            created_at: record.created_at,
            due_at: record.due_at,
            attempts: record.attempts,
            last_status: record.last_status,
            last_error: record.last_error,
            fallback_of: record.fallback_of,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those in that state.
    state: Option<String>,
    /// Only those to that receiver.
    receiver: Option<String>,
    /// Only those with that order key.
    order_key: Option<String>,
    /// Only those before that place.
    before: Option<i64>,
}

/// What was begun.
#[derive(Serialize, ToSchema)]
struct Begun {
    /// The delivery.
    #[schema(value_type = String)]
    id: Uuid,
    /// Its order key, to look for it.
    order_key: String,
}

/// The receivers, those of the configuration and those that something is kept for
#[utoipa::path(get, path = "/receivers", tag = "deliveries",
    responses((status = 200, body = Vec<Receiver>), (status = "default", body = Problem)))]
async fn receivers(_: Reader, State(desk): State<Desk>) -> Result<Json<Vec<Receiver>>, Problem> {
    let receiver = |name: &str, configured| Receiver {
        name: name.to_owned(),
        configured,
        waiting: 0,
        oldest_secs: 0,
        dead: 0,
    };
    let known = desk.receivers.iter();
    let mut all: BTreeMap<String, Receiver> =
        known.map(|name| (name.clone(), receiver(name, true))).collect();
    for backlog in desk.deliveries.backlogs().await? {
        let name = backlog.receiver;
        let entry = all.entry(name.clone()).or_insert_with(|| receiver(&name, false));
        entry.waiting = backlog.waiting;
        entry.oldest_secs = backlog.oldest.as_secs();
        entry.dead = backlog.dead;
    }
    Ok(Json(all.into_values().collect()))
}

/// Send a message to a receiver to see whether it arrives
#[utoipa::path(post, path = "/receivers/{name}/test", tag = "deliveries",
    params(("name" = String, Path)),
    responses((status = 200, body = Begun), (status = "default", body = Problem)))]
async fn test(
    operator: Operator,
    State(desk): State<Desk>,
    Named(name): Named<String>,
) -> Result<Json<Begun>, Problem> {
    if !desk.receivers.contains(&name) {
        return Err(Problem::new(
            Kind::NotFound,
            format!("there is no receiver `{name}`"),
        ));
    }
    let (id, now, actor) = (Uuid::now_v7(), desk.clock.now(), operator.0.as_str());
    let order_key = format!("receiver-test:{id}");
    let message = Message::Page(Box::new(Page {
        status: Status::Resolved,
        severity: Severity::Info,
        dedup_key: order_key.clone(),
        alert: "ReceiverTest".to_owned(),
        what: format!("A test of receiver {name}, asked for by {actor}: nothing is wrong"),
        since: now,
        until: Some(now),
        hits: Vec::new(),
        reasons: Vec::new(),
        done: Vec::new(),
        links: Vec::new(),
        labels: BTreeMap::new(),
        members: Vec::new(),
        locale: Locale::En,
    }));
    let delivery = NewDelivery {
        id,
        receiver: name,
        order_key: order_key.clone(),
        dedup_key: order_key.clone(),
        // A ticket would be told to the fallback receiver, which was not asked.
        class: Class::Event,
        ends: false,
        message: serde_json::to_value(&message)
            .map_err(|error| Problem::new(Kind::Internal, error.to_string()))?,
        created_at: now,
        due_at: now,
    };
    desk.deliveries.enqueue(&[delivery]).await?;
    Ok(Json(Begun { id, order_key }))
}

/// Deliveries, the latest first
#[utoipa::path(get, path = "/deliveries", tag = "deliveries", params(Which),
    responses((status = 200, body = Vec<Delivery>), (status = "default", body = Problem)))]
async fn list(
    _: Reader,
    State(desk): State<Desk>,
    Asked(which): Asked<Which>,
) -> Result<Json<Vec<Delivery>>, Problem> {
    let state = which.state.map(|word| word.parse()).transpose();
    let filter = Filter {
        state: state
            .map_err(|error: ledger::delivery::UnknownWord| Problem::field("state", error.to_string()))?,
        receiver: which.receiver,
        order_key: which.order_key,
        before: which.before,
        limit: PAGE,
    };
    let records = desk.deliveries.list(&filter).await?;
    Ok(Json(records.into_iter().map(Delivery::from).collect()))
}

/// Send a dead letter again
#[utoipa::path(post, path = "/deliveries/{id}/replay", tag = "deliveries",
    params(("id" = String, Path)),
    responses((status = 200, body = String), (status = "default", body = Problem)))]
async fn replay(
    operator: Operator,
    State(desk): State<Desk>,
    Named(id): Named<Uuid>,
) -> Result<Json<&'static str>, Problem> {
    match desk.deliveries.replay(id).await? {
        Replayed::Ready => {
            let actor = operator.0.as_str();
            tracing::info!(%id, actor, "{actor} sends dead letter {id} again");
            Ok(Json("ready"))
        }
        Replayed::NotDead(state) => Err(Problem::new(
            Kind::Conflict,
            format!("delivery {id} is no dead letter: it is {state}"),
        )),
        Replayed::Erased => Err(Problem::new(
            Kind::Conflict,
            format!("what delivery {id} said to a customer was erased"),
        )),
        Replayed::Unknown => Err(Problem::new(Kind::NotFound, format!("there is no delivery {id}"))),
    }
}
