//! What an operator can change.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Control, LimitSetting};
use crate::brain::Forced;
use crate::channel::AccountState;
use crate::id::{AccountId, ChannelId};
use crate::suspension::Scope;

/// One change. What it leads to is decided by [`apply`](super::apply); who made it is told beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Replaces the channel document.
    PutChannels {
        /// The YAML.
        text: String,
    },
    /// Stores a policy as a new version, without activating it.
    AddPolicy {
        /// The YAML.
        text: String,
        /// Why.
        note: String,
    },
    /// Makes a stored policy the active one.
    ActivatePolicy {
        /// The version of the document.
        version: u64,
    },
    /// Makes the policy active that was before the present one. Again, the one before that.
    RollBackPolicy,
    /// Suspends what `scope` covers.
    Suspend {
        /// What is suspended; not everything.
        scope: Scope,
        /// Why.
        reason: String,
        /// The first moment; at once when `None`.
        from: Option<Timestamp>,
        /// The end; until somebody lifts it when `None`.
        until: Option<Timestamp>,
    },
    /// Ends a suspension before its time.
    LiftSuspension {
        /// Its number.
        id: u64,
    },
    /// Decides about a channel's breaker by hand, in place of what was decided before.
    ForceBreaker {
        /// The channel.
        channel: ChannelId,
        /// What is decided.
        forced: Forced,
        /// The end, within 24 hours.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// Leaves a channel's breaker to itself again.
    ReleaseBreaker {
        /// The channel.
        channel: ChannelId,
    },
    /// Sets an account's state, or leaves it to the channel document again.
    SetAccount {
        /// The channel.
        channel: ChannelId,
        /// The account there.
        account: AccountId,
        /// The state; what the document says when `None`.
        state: Option<AccountState>,
    },
    /// Sets a limit, in place of what was set before under its name.
    SetLimit {
        /// The limit.
        limit: LimitSetting,
    },
    /// Leaves a limit to the channel document again; one that only was set by hand is gone.
    ClearLimit {
        /// The limit's name.
        id: String,
    },
    /// Replaces the channel document and the active policy by what is in files. What is set beside them stays.
    Import {
        /// The channels, YAML.
        channels: String,
        /// The policy, YAML.
        policy: String,
        /// The digest by which the same files are known again.
        digest: String,
    },
}

impl Change {
    /// Its stable name, as in its JSON: `suspend`, `activate_policy` and so on.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::PutChannels { .. } => "put_channels",
            Self::AddPolicy { .. } => "add_policy",
            Self::ActivatePolicy { .. } => "activate_policy",
            Self::RollBackPolicy => "roll_back_policy",
            Self::Suspend { .. } => "suspend",
            Self::LiftSuspension { .. } => "lift_suspension",
            Self::ForceBreaker { .. } => "force_breaker",
            Self::ReleaseBreaker { .. } => "release_breaker",
            Self::SetAccount { .. } => "set_account",
            Self::SetLimit { .. } => "set_limit",
            Self::ClearLimit { .. } => "clear_limit",
            Self::Import { .. } => "import",
        }
    }

    /// The version of the stored policy that it needs to be applied to `control`; `None` when it needs none.
    #[must_use]
    pub fn needs_policy(&self, control: Option<&Control>) -> Option<u64> {
        match self {
            Self::ActivatePolicy { version } => Some(*version),
            Self::RollBackPolicy => control?.policies_before.last().copied(),
            _ => None,
        }
    }
}
