//! What happened to an alert, for its history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::instance::Fingerprint;
use super::observation::Measured;
use crate::named::named;

/// Something that happened to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// To which.
    pub fingerprint: Fingerprint,
    /// The how many-th time that it fires, or fired last.
    pub generation: u32,
    /// When.
    pub at: Timestamp,
    /// What.
    pub change: Change,
    /// What was measured then; `None` without data.
    pub measured: Option<Measured>,
}

/// What can happen to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The line is crossed, not yet for long enough.
    Pending,
    /// It was not for long enough.
    Cancelled,
    /// It fires: an incident begins.
    Fired,
    /// It seems over.
    Recovering,
    /// It was not over.
    Relapsed,
    /// It is over: the incident ends.
    Resolved {
        /// How.
        by: Resolution,
    },
    /// It goes to and fro: it is told once, and then takes longer to be believed.
    Flapping,
    /// It stands still again.
    Steady,
    /// Nothing is known any more.
    DataLost,
    /// Something is known again.
    DataBack,
    /// The source cannot be asked any more.
    ReadFailed,
    /// The source can be asked again.
    ReadBack,
}

named! {
    /// How an alert came to its end.
    pub enum Resolution {
        /// What was wrong is right again.
        Recovered = "recovered",
        /// Its rule is gone.
        RuleDeleted = "rule_deleted",
        /// Its rule is about something else now.
        RuleChanged = "rule_changed",
        /// What it was about is gone from the configuration.
        SubjectGone = "subject_gone",
        /// Somebody closed it.
        ByHand = "by_hand",
    }
}
