//! The robots in group chats.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::http::{Reply, Visit};
use super::{DINGTALK, FEISHU_SECRET, WECOM_KEY, signature};

/// What the robots remember.
#[derive(Debug, Default)]
pub(super) struct Chats {
    dingtalk_sent: VecDeque<Timestamp>,
    dingtalk_muted_until: Option<Timestamp>,
}

fn text<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn errcode(code: i64, words: &str) -> Reply {
    Reply::json(200, &json!({ "errcode": code, "errmsg": words }))
}

pub(super) fn slack(visit: &Visit) -> Reply {
    let body = visit.json();
    if !body.is_object() {
        return Reply::text(400, "invalid_payload");
    }
    if text(&body, "/text").is_empty() {
        return Reply::text(400, "no_text");
    }
    let sections = body
        .get("attachments")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let sections = sections.flat_map(|attachment| {
        attachment
            .get("blocks")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    });
    for section in sections {
        let chars = text(section, "/text/text").chars().count();
        if chars == 0 || chars > 3000 {
            return Reply::text(400, "invalid_blocks");
        }
    }
    Reply::text(200, "ok")
}

impl Chats {
    pub(super) fn dingtalk(&mut self, visit: &Visit, now: Timestamp) -> Reply {
        if visit.parameter("access_token").as_deref() != Some(DINGTALK.0) {
            return errcode(300_001, "token is not exist");
        }
        let timestamp = visit.parameter("timestamp").unwrap_or_default();
        let message = format!("{timestamp}\n{}", DINGTALK.1);
        let expected = signature::hmac_base64(DINGTALK.1.as_bytes(), message.as_bytes());
        let sent_ms = timestamp.parse::<i64>().unwrap_or_default();
        let stale = (now.as_millisecond() - sent_ms).abs() > 3_600_000;
        if visit.parameter("sign").as_deref() != Some(expected.as_str()) || stale {
            return errcode(310_000, "sign not match");
        }
        if self.is_too_fast(now) {
            return errcode(130_101, "send too fast, exceed 20 times per minute");
        }
        let body = visit.json();
        let shaped = text(&body, "/msgtype") == "markdown"
            && !text(&body, "/markdown/title").is_empty()
            && !text(&body, "/markdown/text").is_empty();
        if !shaped || visit.body.len() > 20_000 {
            return errcode(400_105, "unsupported msgtype");
        }
        errcode(0, "ok")
    }

    /// More than twenty in a minute are answered with ten minutes of silence.
    fn is_too_fast(&mut self, now: Timestamp) -> bool {
        if self.dingtalk_muted_until.is_some_and(|until| now < until) {
            return true;
        }
        let minute = now - SignedDuration::from_secs(60);
        self.dingtalk_sent.retain(|sent| *sent > minute);
        if self.dingtalk_sent.len() >= 20 {
            self.dingtalk_muted_until = Some(now + SignedDuration::from_secs(600));
            return true;
        }
        self.dingtalk_sent.push_back(now);
        false
    }
}

pub(super) fn feishu(visit: &Visit, now: Timestamp) -> Reply {
    let answer =
        |code: i64, words: &str| Reply::json(200, &json!({ "code": code, "msg": words, "data": {} }));
    let body = visit.json();
    let timestamp = text(&body, "/timestamp");
    let expected = signature::hmac_base64(format!("{timestamp}\n{FEISHU_SECRET}").as_bytes(), b"");
    let sent = timestamp.parse::<i64>().unwrap_or_default();
    if text(&body, "/sign") != expected || (now.as_second() - sent).abs() > 3600 {
        return answer(
            19_021,
            "sign match fail or timestamp is not within one hour from current time",
        );
    }
    let shaped = text(&body, "/msg_type") == "interactive"
        && text(&body, "/card/header/title/tag") == "plain_text"
        && !text(&body, "/card/header/title/content").is_empty()
        && text(&body, "/card/elements/0/text/tag") == "lark_md"
        && !text(&body, "/card/elements/0/text/content").is_empty();
    if !shaped || visit.body.len() > 20 * 1024 {
        return Reply::json(400, &json!({ "code": 9499, "msg": "Bad Request", "data": {} }));
    }
    answer(0, "success")
}

pub(super) fn wecom(visit: &Visit) -> Reply {
    if visit.parameter("key").as_deref() != Some(WECOM_KEY) {
        return errcode(93_000, "invalid webhook url");
    }
    let body = visit.json();
    let content = text(&body, "/markdown/content");
    if text(&body, "/msgtype") != "markdown" || content.is_empty() {
        return errcode(40_008, "invalid message type");
    }
    if content.len() > 4096 {
        return errcode(40_058, "markdown.content exceed max length 4096");
    }
    errcode(0, "ok")
}
