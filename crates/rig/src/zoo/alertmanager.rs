//! A reader of Alertmanager's webhook that insists on every field.

use jiff::Timestamp;
use serde_json::Value;

use super::http::{Reply, Visit};
use super::webhook::is_signed;

/// A field, and what it must be.
type Field = (&'static str, fn(&Value) -> bool);

/// Fields of the body.
const BODY: [Field; 11] = [
    ("version", |value| value == "4"),
    ("groupKey", Value::is_string),
    ("truncatedAlerts", Value::is_u64),
    ("status", is_status),
    ("receiver", Value::is_string),
    ("groupLabels", is_labels),
    ("commonLabels", is_labels),
    ("commonAnnotations", is_labels),
    ("externalURL", Value::is_string),
    ("alerts", Value::is_array),
    ("alerts", |value| {
        value.as_array().is_some_and(|alerts| !alerts.is_empty())
    }),
];
/// Fields of each alert.
const ALERT: [Field; 7] = [
    ("status", is_status),
    ("labels", |labels| {
        is_labels(labels) && labels.get("alertname").is_some()
    }),
    ("annotations", is_labels),
    ("startsAt", is_time),
    ("endsAt", is_time),
    ("generatorURL", Value::is_string),
    ("fingerprint", |value| {
        value.as_str().is_some_and(|text| text.len() == 16)
    }),
];

pub(super) fn answer(visit: &Visit, now: Timestamp) -> Reply {
    // Signed or, as Alertmanager's own, not at all; but not badly.
    if !visit.header("webhook-signature").is_empty() && !is_signed(visit, now) {
        return Reply::text(401, "bad signature");
    }
    let body = visit.json();
    let alerts = body.get("alerts").and_then(Value::as_array);
    let wrong =
        first_wrong(&body, &BODY).or_else(|| alerts?.iter().find_map(|alert| first_wrong(alert, &ALERT)));
    wrong.map_or_else(
        || Reply::text(200, ""),
        |field| Reply::text(400, &format!("field `{field}` is missing or wrong")),
    )
}

fn first_wrong(object: &Value, fields: &[Field]) -> Option<&'static str> {
    let wrong = |(name, is): &&Field| !object.get(*name).is_some_and(is);
    fields.iter().find(wrong).map(|(name, _)| *name)
}

fn is_status(value: &Value) -> bool {
    value == "firing" || value == "resolved"
}

fn is_labels(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|labels| labels.values().all(Value::is_string))
}

fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.parse::<Timestamp>().is_ok())
}
