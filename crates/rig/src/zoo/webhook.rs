//! A receiver of Standard Webhooks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::http::{Reply, Visit};
use super::{WEBHOOK_KEYS, signature};

/// How far the timestamp may be off, in seconds.
const TOLERANCE_SECS: i64 = 300;

/// What it has taken.
#[derive(Debug, Default)]
pub(super) struct Webhook {
    taken: BTreeMap<String, usize>,
}

impl Webhook {
    pub(super) fn taken(&self, id: &str) -> usize {
        self.taken.get(id).copied().unwrap_or_default()
    }

    pub(super) fn answer(&mut self, visit: &Visit, now: Timestamp) -> Reply {
        if !is_signed(visit, now) {
            return Reply::text(401, "bad signature");
        }
        let body = visit.json();
        let shaped = body.get("type").is_some_and(Value::is_string)
            && body
                .get("timestamp")
                .is_some_and(|at| at.as_str().is_some_and(|at| at.parse::<Timestamp>().is_ok()))
            && body.get("data").is_some();
        if !shaped || visit.body.len() > 20_000 {
            return Reply::text(400, "not a webhook");
        }
        *self
            .taken
            .entry(visit.header("webhook-id").to_owned())
            .or_default() += 1;
        Reply::text(204, "")
    }
}

/// Whether one of the signatures is by one of the keys, and fresh.
pub(super) fn is_signed(visit: &Visit, now: Timestamp) -> bool {
    let (id, sent) = (visit.header("webhook-id"), visit.header("webhook-timestamp"));
    let fresh = sent
        .parse::<i64>()
        .is_ok_and(|sent| (now.as_second() - sent).abs() <= TOLERANCE_SECS);
    let mut content = format!("{id}.{sent}.").into_bytes();
    content.extend_from_slice(&visit.body);
    let good = |signature: &str| {
        WEBHOOK_KEYS.iter().any(|secret| {
            let expected = signature::hmac_base64(&signature::webhook_key(secret), &content);
            signature == format!("v1,{expected}")
        })
    };
    !id.is_empty() && !id.contains('.') && fresh && visit.header("webhook-signature").split(' ').any(good)
}
