//! The JSON of the three calls.

use serde::{Deserialize, Serialize};

/// `POST /v1/reset`: a new game. Channels stand in their configured order.
#[derive(Debug, Deserialize)]
pub(super) struct Reset {
    /// Seeds the router's own randomness.
    #[serde(default)]
    pub(super) policy_seed: u64,
    /// Whose clock counts.
    #[serde(default)]
    pub(super) clock: Clock,
    /// How many simulated seconds pass in a real one, in real-time play.
    #[serde(default)]
    pub(super) speed: f64,
    pub(super) channels: Vec<String>,
    #[serde(default)]
    pub(super) methods: Vec<String>,
}

/// Whose clock counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clock {
    /// The times in the calls.
    #[default]
    Simulated,
    /// The router's own, accelerated.
    Realtime,
}

/// `POST /v1/route`: where should this attempt go?
#[derive(Debug, Deserialize)]
pub(super) struct Route {
    pub(super) attempt_id: u64,
    pub(super) attempt_no: u32,
    pub(super) now_ms: f64,
    pub(super) method: String,
    pub(super) issuer: String,
    pub(super) amount_minor: i64,
    pub(super) currency: String,
    #[serde(default)]
    pub(super) exclude: Vec<String>,
}

/// Its answer; no channel means: do not try again.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Routed {
    pub(super) channel: Option<String>,
}

/// `POST /v1/outcome`: how an attempt ended.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) attempt_id: u64,
    pub(super) now_ms: f64,
    pub(super) channel: String,
    /// A canonical code of the failure catalogue, or `OK`.
    pub(super) code: String,
    pub(super) latency_ms: f64,
}
