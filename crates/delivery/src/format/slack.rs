//! Slack's incoming webhook.

use serde_json::json;

use super::body::{self, Room};
use super::clip::Bounds;
use super::markup::Markup;
use super::{Prepared, clip, words};
use crate::message::{Page, Severity, Status};
use crate::receiver::{Chat, Receiver};
use crate::wire::Request;

/// Longest text of one block in characters.
const BLOCK_CHARS: usize = 3000;

pub(super) fn prepare(receiver: &Receiver, chat: &Chat, page: &Page) -> Prepared {
    let markup = Markup::Slack;
    let (page, _) = clip::page(page, Bounds::USUAL);
    let body = body::of(&page, receiver, markup);
    let mentions = chat.users.iter();
    let foot: Vec<_> = mentions.filter_map(|user| markup.mention(user)).collect();
    let text = body::fit(&body.lines, &foot, markup, Room::Chars(BLOCK_CHARS), &page);
    let body_json = json!({
        "text": words::headline(&page, |text| markup.value(text)),
        "attachments": [{
            "color": color(&page),
            "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": text } }],
        }],
    });
    Prepared {
        template_failed: body.template_failed,
        ..Prepared::of(Request::json(chat.url.clone(), &body_json))
    }
}

const fn color(page: &Page) -> &'static str {
    match (page.status, page.severity) {
        (Status::Resolved, _) => "#2eb67d",
        (Status::Firing, Severity::Critical) => "#d40e0d",
        (Status::Firing, Severity::Error) => "#e8912d",
        (Status::Firing, Severity::Warning) => "#ecb22e",
        (Status::Firing, Severity::Info) => "#36c5f0",
    }
}
