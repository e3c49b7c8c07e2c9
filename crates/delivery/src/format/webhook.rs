//! Standard Webhooks with our own body: `{"type", "timestamp", "data"}`.

use serde_json::{Value, json};

use super::{Parcel, Prepared, clip, sign_webhook};
use crate::message::{Message, Status};
use crate::receiver::Hook;
use crate::wire::Request;

pub(super) fn prepare(hook: &Hook, parcel: Parcel<'_>, message: &Message) -> Prepared {
    let body = match message {
        Message::Page(page) => {
            let (page, left_out) = clip::page(page);
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
        Message::Event(event) => json!({ "type": event.topic, "timestamp": event.at, "data": event.data }),
        Message::Notice(notice) => {
            json!({ "type": "customer.notice", "timestamp": parcel.now, "data": notice })
        }
    };
    let mut request = Request::json(hook.url.clone(), &body);
    sign_webhook(&mut request, parcel, &hook.keys);
    Prepared::of(request)
}
