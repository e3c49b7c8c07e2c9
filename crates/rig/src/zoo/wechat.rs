//! A WeChat official account: access tokens and template messages.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::OFFICIAL_ACCOUNT;
use super::http::{Reply, Visit};

/// How long a token is good, in seconds.
const GOOD_SECS: i64 = 7200;

/// What it remembers.
#[derive(Debug, Default)]
pub(super) struct Wechat {
    issued: usize,
    token: Option<(String, Timestamp)>,
    message_ids: BTreeSet<(String, String)>,
}

fn errcode(code: i64, words: &str) -> Reply {
    Reply::json(200, &json!({ "errcode": code, "errmsg": words }))
}

impl Wechat {
    pub(super) fn end_token(&mut self) {
        self.token = None;
    }

    pub(super) fn answer(&mut self, visit: &Visit, now: Timestamp) -> Reply {
        let body = visit.json();
        if visit.path == "/cgi-bin/stable_token" {
            self.issue(&body, now)
        } else {
            self.send(visit, &body, now)
        }
    }

    fn issue(&mut self, body: &Value, now: Timestamp) -> Reply {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("grant_type") != "client_credential" || text("appid") != OFFICIAL_ACCOUNT.0 {
            return errcode(40_013, "invalid appid");
        }
        if text("secret") != OFFICIAL_ACCOUNT.1 {
            return errcode(40_125, "invalid appsecret");
        }
        let (token, until) = match &self.token {
            Some((token, until)) if *until > now => (token.clone(), *until),
            _ => {
                self.issued += 1;
                (
                    format!("zoo-token-{}", self.issued),
                    now + SignedDuration::from_secs(GOOD_SECS),
                )
            }
        };
        self.token = Some((token.clone(), until));
        let left_secs = until.duration_since(now).as_secs();
        Reply::json(200, &json!({ "access_token": token, "expires_in": left_secs }))
    }

    fn send(&mut self, visit: &Visit, body: &Value, now: Timestamp) -> Reply {
        let shown = visit.parameter("access_token").unwrap_or_default();
        match &self.token {
            Some((token, _)) if *token != shown => return errcode(40_001, "invalid credential"),
            Some((_, until)) if *until <= now => return errcode(42_001, "access_token expired"),
            Some(_) => {}
            None => return errcode(42_001, "access_token expired"),
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let to = text("touser");
        if !to.starts_with("oZoo") {
            return errcode(40_003, "invalid openid");
        }
        if text("template_id").is_empty() {
            return errcode(40_037, "invalid template_id");
        }
        let fits = |value: &Value| value.get("value").is_some_and(Value::is_string);
        if !body
            .get("data")
            .and_then(Value::as_object)
            .is_some_and(|data| data.values().all(fits))
        {
            return errcode(47_003, "argument invalid");
        }
        // The same id again is answered as well, and shown once.
        self.message_ids
            .insert((to.to_owned(), text("client_msg_id").to_owned()));
        Reply::json(
            200,
            &json!({ "errcode": 0, "errmsg": "ok", "msgid": self.message_ids.len() }),
        )
    }
}
