//! What nobody wants to hear of for a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::matcher::{Matcher, matches};
use super::rule::Labels;

/// Keeps alerts from being told. They are evaluated and recorded all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// Its name, unique among silences.
    pub id: Box<str>,
    /// Which alerts: all of these must fit. One at least, or it would silence everything.
    pub matchers: Vec<Matcher>,
    /// The first moment.
    pub starts_at: Timestamp,
    /// The moment it ends: an alert that still fires is told then.
    pub ends_at: Timestamp,
    /// Who decided.
    pub author: Box<str>,
    /// Why.
    pub reason: Box<str>,
}

impl Silence {
    /// Whether it holds at `now` for an alert with `labels`.
    #[must_use]
    pub fn covers(&self, labels: &Labels, now: Timestamp) -> bool {
        let holds = self.starts_at <= now && now < self.ends_at;
        holds && !self.matchers.is_empty() && matches(&self.matchers, labels)
    }
}
