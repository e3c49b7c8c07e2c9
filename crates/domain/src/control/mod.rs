//! What operators change while Payroute runs: channels, policy, suspensions, breaker overrides, accounts, limits.
//!
//! [`Control`] is all of it at one revision. It is changed by [`apply`], which refuses whatever would leave a state that
//! does not [`assemble`], and a process replaces what it routes by only as a whole. Documents stay the texts that
//! people wrote, comments included; what is set beside them is laid over them when a process assembles them.
//!
//! A setting about something that a later document no longer has stays where it is and does nothing: when the channel
//! comes back, its suspension is still there.

mod actor;
mod apply;
mod assemble;
mod change;
mod check;
mod outline;
mod refused;
mod set;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use actor::{Actor, InvalidActor};
pub use apply::{Applied, Circumstances, apply};
pub use assemble::{Assembled, CHANNELS_FILE, POLICY_FILE, assemble};
pub use change::Change;
pub use outline::{Difference, difference};
pub use refused::Refused;

use crate::brain::Forced;
use crate::channel::AccountState;
use crate::id::{AccountId, ChannelId};
use crate::limit;
use crate::named::named;
use crate::suspension::Suspension;

/// Largest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Longest reason or note, in bytes: it is shown on one line.
pub const MAX_NOTE_BYTES: usize = 500;
/// Most suspensions, those that are over included.
pub const MAX_SUSPENSIONS: usize = 1_000;
/// Most accounts whose state is set by hand.
pub const MAX_ACCOUNT_SETTINGS: usize = 1_000;
/// Most earlier policies that can be rolled back to, one after the other.
pub const MAX_POLICIES_BEFORE: usize = 100;
/// Longest time for which a breaker can be overridden: whoever forgets it is reminded by the next day's traffic.
pub const MAX_OVERRIDE: SignedDuration = SignedDuration::from_hours(24);

/// Everything that operators set, at one revision. Read whole, changed by [`apply`], replaced whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Counts the changes, from 1.
    pub revision: u64,
    /// The channels, with the suspensions and limits that hold from the start.
    pub channels: Document,
    /// The policy that is active.
    pub policy: Document,
    /// The highest version of any policy that was ever stored.
    pub latest_policy: u64,
    /// The versions that were active before, the last one latest; at most [`MAX_POLICIES_BEFORE`].
    pub policies_before: Vec<u64>,
    /// Suspensions, earliest decided first; also those that are lifted or over, for a while.
    pub suspensions: Vec<Standing>,
    /// What was decided about breakers by hand; at most one for each channel.
    pub breakers: Vec<Override>,
    /// Accounts whose state is set by hand; at most one for each account.
    pub accounts: Vec<AccountSetting>,
    /// Limits that are set by hand; at most one for each name.
    pub limits: Vec<LimitSetting>,
    /// The digest of the files that were last imported, as whoever imported them computed it.
    pub imported: Option<String>,
}

/// A text that somebody wrote, in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Counts the versions of its kind, from 1. Not the version that a policy gives itself.
    pub version: u64,
    /// The YAML, of at most [`MAX_DOCUMENT_BYTES`].
    pub text: Arc<str>,
    /// Who stored it.
    pub author: Actor,
    /// Why; may be empty.
    pub note: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

named! {
    /// What a document is about.
    pub enum Kind {
        /// Channels, with the suspensions and limits that hold from the start.
        Channels = "channels",
        /// A routing policy.
        Policy = "policy",
    }
}

/// A suspension that was decided while running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Its number: the revision that brought it.
    pub id: u64,
    /// What is suspended, why and how long.
    pub suspension: Suspension,
    /// Who ended it before its time; `None` while nobody has.
    pub lifted: Option<Lifted>,
}

/// The end of a suspension before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifted {
    /// Who ended it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

impl Standing {
    /// The time from which it holds no more; `None` when it has no end.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        let lifted_at = self.lifted.as_ref().map(|lifted| lifted.at);
        let ends = [lifted_at, self.suspension.until];
        ends.into_iter().flatten().min()
    }

    /// Whether it holds no more at `now`, and will not again.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| end <= now)
    }
}

/// What was decided about a channel's breaker by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The channel.
    pub channel: ChannelId,
    /// What was decided.
    pub forced: Forced,
    /// When it ends by itself, at most [`MAX_OVERRIDE`] after it began.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Who decided.
    pub author: Actor,
}

/// An account's state, set by hand over what the channel document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSetting {
    /// The channel.
    pub channel: ChannelId,
    /// The account there.
    pub account: AccountId,
    /// Whether new payments go there.
    pub state: AccountState,
    /// Who decided.
    pub author: Actor,
}

/// A limit, set by hand over what the channel document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LimitSetting {
    /// The document's limit of this name, with another bound.
    Most {
        /// The limit's name.
        id: String,
        /// The most that may lie in its window, inclusive.
        most: i64,
    },
    /// A whole limit: one more, or in place of the document's of the same name.
    Rule(limit::Rule),
}

impl LimitSetting {
    /// The limit's name.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Most { id, .. } => id,
            Self::Rule(rule) => &rule.id,
        }
    }
}
