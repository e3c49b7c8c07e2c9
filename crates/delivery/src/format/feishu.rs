//! The custom bot of Feishu and Lark: a card, signed in the body.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::{self, Room};
use super::clip::Bounds;
use super::markup::Markup;
use super::{Prepared, clip, words};
use crate::message::{Page, Severity, Status};
use crate::receiver::{Chat, Receiver};
use crate::sign;
use crate::wire::Request;

/// Longest text in bytes of JSON; the vendor takes 20 kB for the whole body.
const TEXT_BYTES: usize = 16_000;
/// Longest title in characters.
const TITLE_CHARS: usize = 150;

pub(super) fn prepare(receiver: &Receiver, chat: &Chat, now: Timestamp, page: &Page) -> Prepared {
    let markup = Markup::Feishu;
    let (page, _) = clip::page(page, Bounds::USUAL);
    let body = body::of(&page, receiver, markup);
    let mut foot: Vec<_> = chat.keyword.iter().cloned().collect();
    foot.extend(chat.users.iter().filter_map(|user| markup.mention(user)));
    let text = body::fit(&body.lines, &foot, markup, Room::JsonBytes(TEXT_BYTES), &page);
    let mut body_json = json!({
        "msg_type": "interactive",
        "card": {
            "header": {
                "template": color(&page),
                // Plain text: nothing in it is markup.
                "title": { "tag": "plain_text", "content": clip::one_line(&words::plain_headline(&page), TITLE_CHARS) },
            },
            "elements": [{ "tag": "div", "text": { "tag": "lark_md", "content": text } }],
        },
    });
    if let (Some(secret), Value::Object(fields)) = (&chat.secret, &mut body_json) {
        let now = now.as_second();
        fields.insert("timestamp".to_owned(), now.to_string().into());
        fields.insert("sign".to_owned(), sign::feishu::sign(now, secret).into());
    }
    Prepared {
        template_failed: body.template_failed,
        ..Prepared::of(Request::json(chat.url.clone(), &body_json))
    }
}

const fn color(page: &Page) -> &'static str {
    match (page.status, page.severity) {
        (Status::Resolved, _) => "green",
        (Status::Firing, Severity::Critical) => "red",
        (Status::Firing, Severity::Error) => "orange",
        (Status::Firing, Severity::Warning) => "yellow",
        (Status::Firing, Severity::Info) => "blue",
    }
}
