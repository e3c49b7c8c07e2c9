//! Standard Webhooks with our own body: `{"type", "timestamp", "data"}`.

use serde_json::{Value, json};

use super::clip::Bounds;
use super::{Parcel, Prepared, clip, sign_webhook};
use crate::message::{Message, Page, Status};
use crate::receiver::Hook;
use crate::wire::Request;

/// Largest body in bytes, as the specification advises.
const BODY_BYTES: usize = 20_000;

pub(super) fn prepare(hook: &Hook, parcel: Parcel<'_>, message: &Message) -> Prepared {
    let body = match message {
        Message::Page(page) => page_body(page),
        // Neither is ours to cut: half an event is a wrong one.
        Message::Event(event) => json!({ "type": event.topic, "timestamp": event.at, "data": event.data }),
        Message::Notice(notice) => {
            json!({ "type": "customer.notice", "timestamp": parcel.now, "data": notice })
        }
    };
    let mut request = Request::json(hook.url.clone(), &body);
    sign_webhook(&mut request, parcel, &hook.keys);
    Prepared::of(request)
}

/// As much of `page` as there is room for.
fn page_body(page: &Page) -> Value {
    let mut body = Value::Null;
    for bounds in Bounds::NARROWING {
        body = body_within(page, bounds);
        if body.to_string().len() <= BODY_BYTES {
            break;
        }
    }
    body
}

fn body_within(page: &Page, bounds: Bounds) -> Value {
    let (page, left_out) = clip::page(page, bounds);
    let (topic, at) = match page.status {
        Status::Firing => ("alert.firing", page.since),
        Status::Resolved => ("alert.resolved", page.until.unwrap_or(page.since)),
    };
    let mut data = serde_json::to_value(&page).unwrap_or_default();
    if let Value::Object(fields) = &mut data {
        fields.insert("members_left_out".to_owned(), left_out.into());
    }
    json!({ "type": topic, "timestamp": at, "data": data })
}
