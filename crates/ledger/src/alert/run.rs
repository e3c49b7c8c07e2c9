//! Runbooks at work.

use serde_json::Value;
use uuid::Uuid;

/// A runbook at work on an incident. There is one of each pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The incident.
    pub incident: Uuid,
    /// The runbook's name.
    pub runbook: String,
    /// Whether nothing of it is left to be done or to be ended.
    pub is_over: bool,
    /// All that the domain keeps of it.
    pub content: Value,
}
