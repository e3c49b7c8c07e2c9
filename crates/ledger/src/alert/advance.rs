//! What an evaluation leads to.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Entry, Group, Incident, Instance, Run};
use crate::delivery::NewDelivery;

/// What an evaluation has led to, to be written as a whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Advance {
    /// The revision that it began with.
    pub revision: u64,
    /// Alerts as they are now.
    pub instances: Vec<Instance>,
    /// Fingerprints of alerts that are at rest: nothing is kept of them.
    pub at_rest: Vec<String>,
    /// What has been told of groups now.
    pub groups: Vec<Group>,
    /// Groups without an alert, of which nothing is kept.
    pub empty_groups: Vec<String>,
    /// Incidents that begin.
    pub opened: Vec<Incident>,
    /// Incidents that are over.
    pub resolved: Vec<Resolution>,
    /// What incidents have cost by now.
    pub impacts: Vec<(Uuid, Value)>,
    /// Runbooks that begin, and what those at work have come to.
    pub runs: Vec<Run>,
    /// Lines of timelines.
    pub entries: Vec<Entry>,
    /// What is to be told.
    pub deliveries: Vec<NewDelivery>,
}

/// An incident that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The incident.
    pub incident: Uuid,
    /// When it was over.
    pub at: Timestamp,
    /// How: `recovered`, `rule_deleted` and so on.
    pub how: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advanced {
    /// It is durable, and this is the revision now.
    Done {
        /// The revision.
        revision: u64,
    },
    /// Somebody else changed something since. Nothing is written: look again.
    Stale,
}
