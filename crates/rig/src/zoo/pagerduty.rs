//! `PagerDuty`, with its rules of what it silently drops.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ROUTING_KEYS;
use super::http::{Reply, Visit};

/// An incident as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The service it is at.
    pub routing_key: String,
    /// What its events are joined by.
    pub dedup_key: String,
    /// Whether it is open.
    pub open: bool,
    /// Triggers that it has swallowed after the first.
    pub repeats: usize,
}

/// The incidents, by service and key, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Pagerduty {
    incidents: BTreeMap<(String, String), Incident>,
}

impl Pagerduty {
    pub(super) fn incidents(&self) -> Vec<Incident> {
        self.incidents.values().cloned().collect()
    }

    pub(super) fn answer(&mut self, visit: &Visit) -> Reply {
        if visit.body.len() > 512 * 1024 {
            return Reply::text(413, "");
        }
        let event = visit.json();
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let (routing_key, dedup_key) = (text("routing_key"), text("dedup_key"));
        if let Some(wrong) = wrong(&event, routing_key, dedup_key) {
            let errors =
                json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [wrong] });
            return Reply::json(400, &errors);
        }
        let key = (routing_key.to_owned(), dedup_key.to_owned());
        match text("event_action") {
            "trigger" => match self.incidents.get_mut(&key) {
                Some(incident) if incident.open => incident.repeats += 1,
                _ => {
                    let incident = Incident {
                        routing_key: routing_key.to_owned(),
                        dedup_key: dedup_key.to_owned(),
                        open: true,
                        repeats: 0,
                    };
                    self.incidents.insert(key, incident);
                }
            },
            // Of an incident that is not open: accepted, and dropped.
            "resolve" => {
                if let Some(incident) = self.incidents.get_mut(&key) {
                    incident.open = false;
                }
            }
            _ => {}
        }
        let done = json!({ "status": "success", "message": "Event processed", "dedup_key": dedup_key });
        Reply::json(202, &done)
    }
}

fn wrong(event: &Value, routing_key: &str, dedup_key: &str) -> Option<&'static str> {
    if !ROUTING_KEYS.contains(&routing_key) {
        return Some("'routing_key' is unknown");
    }
    if dedup_key.is_empty() || dedup_key.len() > 255 {
        return Some("'dedup_key' must have 1 to 255 characters");
    }
    match event.get("event_action").and_then(Value::as_str) {
        Some("resolve" | "acknowledge") => return None,
        Some("trigger") => {}
        _ => return Some("'event_action' is invalid"),
    }
    let payload = |name: &str| event.pointer(&format!("/payload/{name}")).and_then(Value::as_str);
    let summary = payload("summary").unwrap_or_default();
    if summary.is_empty() || summary.chars().count() > 1024 {
        return Some("'payload.summary' must have 1 to 1024 characters");
    }
    if payload("source").is_none_or(str::is_empty) {
        return Some("'payload.source' is missing");
    }
    let severities = ["critical", "error", "warning", "info"];
    if !payload("severity").is_some_and(|severity| severities.contains(&severity)) {
        return Some("'payload.severity' is invalid");
    }
    None
}
