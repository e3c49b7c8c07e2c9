//! The page that says that a receiver does not take what it is sent, and the one that says that it does again.
//!
//! A dead letter that nobody hears of is a lost page. The stand-in is told once, when the first message dies, and once
//! when a message is taken again.

use std::collections::BTreeMap;

use delivery::locale::Locale;
use delivery::message::{Message, Page, Severity, Status};
use jiff::Timestamp;
use ledger::NewDelivery;
use ledger::delivery::{Class, End, Leased};
use uuid::Uuid;

use super::outcome::Context;

/// What the order keys of these pages begin with. A page about a page that could not be delivered is not followed by
/// another one.
const ORDER: &str = "delivery-broken:";

/// Since when the receiver counts as broken after a try that ended so.
pub(super) const fn since(end: End, now: Timestamp, before: Option<Timestamp>) -> Option<Timestamp> {
    match end {
        End::Done => None,
        End::Dead { .. } if before.is_none() => Some(now),
        End::Dead { .. } | End::Retry { .. } | End::Superseded | End::Released => before,
    }
}

/// The pages that a try leads to.
pub(super) fn pages(
    context: &Context<'_>,
    deliveries: &[Leased],
    end: End,
    error: Option<&str>,
) -> Vec<NewDelivery> {
    let about_itself = deliveries
        .iter()
        .all(|leased| leased.order_key.starts_with(ORDER));
    let Some(stand_in) = context.stand_in else {
        return Vec::new();
    };
    match (end, context.broken_since) {
        (End::Dead { .. }, None) if !about_itself => {
            vec![page(context, stand_in, Told::Broken(error.unwrap_or_default()))]
        }
        (End::Done, Some(since)) => vec![page(context, stand_in, Told::Well { since })],
        _ => Vec::new(),
    }
}

/// What the page says.
#[derive(Clone, Copy)]
enum Told<'a> {
    Broken(&'a str),
    Well { since: Timestamp },
}

fn page(context: &Context<'_>, stand_in: &str, told: Told<'_>) -> NewDelivery {
    let (receiver, now) = (context.receiver, context.now);
    let (status, since, what) = match told {
        Told::Broken(error) => (
            Status::Firing,
            now,
            format!("Receiver {receiver} does not take what it is sent: {error}"),
        ),
        Told::Well { since } => (
            Status::Resolved,
            since,
            format!("Receiver {receiver} takes what it is sent again"),
        ),
    };
    let ends = status == Status::Resolved;
    let dedup_key = format!("{ORDER}{receiver}:{}", since.as_second());
    let message = Message::Page(Box::new(Page {
        status,
        severity: Severity::Error,
        dedup_key: dedup_key.clone(),
        alert: "DeliveryBroken".to_owned(),
        what,
        since,
        until: ends.then_some(now),
        hits: Vec::new(),
        reasons: Vec::new(),
        done: Vec::new(),
        links: Vec::new(),
        labels: BTreeMap::from([("receiver".to_owned(), receiver.to_owned())]),
        members: Vec::new(),
        locale: Locale::En,
    }));
    NewDelivery {
        id: Uuid::now_v7(),
        receiver: stand_in.to_owned(),
        order_key: format!("{ORDER}{receiver}"),
        dedup_key: format!("{dedup_key}:{}", status.as_str()),
        class: Class::Page,
        ends,
        // Plain data, which always becomes JSON.
        message: serde_json::to_value(&message).unwrap_or_default(),
        created_at: now,
        due_at: now,
    }
}
