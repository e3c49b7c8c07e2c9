//! `DingTalk`'s custom robot: markdown, signed in the address.

use jiff::Timestamp;
use serde_json::json;

use super::body::{self, Room};
use super::clip::Bounds;
use super::markup::Markup;
use super::{Prepared, clip, words};
use crate::message::Page;
use crate::receiver::{Chat, Receiver};
use crate::sign;
use crate::wire::Request;

/// Longest text in bytes; the vendor takes 20 000 for the whole body.
const TEXT_BYTES: usize = 16_000;
/// Longest title in characters, as shown in the list of chats.
const TITLE_CHARS: usize = 60;

pub(super) fn prepare(receiver: &Receiver, chat: &Chat, now: Timestamp, page: &Page) -> Prepared {
    let markup = Markup::Dingtalk;
    let (page, _) = clip::page(page, Bounds::USUAL);
    let body = body::of(&page, receiver, markup);
    let headline = words::headline(&page, |text| markup.value(text));
    let mut lines = vec![format!("### {headline}")];
    lines.extend(body.lines);
    // A number is called when it stands in the text and in the list beside it.
    let mobiles = chat.mobiles.iter();
    let called: Vec<_> = mobiles.filter_map(|mobile| markup.mention(mobile)).collect();
    let mut foot: Vec<_> = chat.keyword.iter().cloned().collect();
    if !called.is_empty() {
        foot.push(called.join(" "));
    }
    let text = body::fit(&lines, &foot, markup, Room::JsonBytes(TEXT_BYTES), &page);
    let body_json = json!({
        "msgtype": "markdown",
        "markdown": { "title": clip::one_line(&headline, TITLE_CHARS), "text": text },
        "at": { "atMobiles": chat.mobiles, "isAtAll": false },
    });
    let mut url = chat.url.clone();
    if let Some(secret) = &chat.secret {
        let now_ms = now.as_millisecond();
        url.query_pairs_mut()
            .append_pair("timestamp", &now_ms.to_string())
            .append_pair("sign", &sign::dingtalk::sign(now_ms, secret));
    }
    Prepared {
        template_failed: body.template_failed,
        ..Prepared::of(Request::json(url, &body_json))
    }
}
