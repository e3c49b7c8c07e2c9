//! The group robot of `WeCom`: markdown; the key in its address is all its secret.

use serde_json::json;

use super::body::{self, Room};
use super::clip::Bounds;
use super::markup::Markup;
use super::{Prepared, clip, words};
use crate::message::{Page, Status};
use crate::receiver::{Chat, Receiver};
use crate::wire::Request;

/// Longest text in bytes.
const TEXT_BYTES: usize = 4096;

pub(super) fn prepare(receiver: &Receiver, chat: &Chat, page: &Page) -> Prepared {
    let markup = Markup::Wecom;
    let (page, _) = clip::page(page, Bounds::USUAL);
    let body = body::of(&page, receiver, markup);
    let color = match page.status {
        Status::Firing => "warning",
        Status::Resolved => "info",
    };
    let headline = words::headline(&page, |text| markup.value(text));
    let mut lines = vec![format!("<font color=\"{color}\">{headline}</font>")];
    lines.extend(body.lines);
    let mentions = chat.users.iter();
    let foot: Vec<_> = mentions.filter_map(|user| markup.mention(user)).collect();
    let text = body::fit(&lines, &foot, markup, Room::Bytes(TEXT_BYTES), &page);
    let body_json = json!({ "msgtype": "markdown", "markdown": { "content": text } });
    Prepared {
        template_failed: body.template_failed,
        ..Prepared::of(Request::json(chat.url.clone(), &body_json))
    }
}
