//! One routing decision as the ledger keeps it.

use std::sync::Arc;

use domain::id::{AccountId, ChannelId, MerchantId, PaymentId};
use domain::payment::Attributes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A decision with everything that is needed to explain it, and to replay it under another policy.
///
/// Its serialised form is that of the spool: a field that is added needs `#[serde(default)]`, so that what an earlier
/// release left there can be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Its name.
    pub id: Uuid,
    /// What was asked for: shared, so that recording a decision copies nothing on the path of a Route call.
    pub attributes: Arc<Attributes>,
    /// What the caller was told to do, in the wire's word, such as `submit`.
    pub action: String,
    /// The channel that was chosen; `None` when there was none to choose.
    pub channel: Option<ChannelId>,
    /// The account there.
    pub account: Option<AccountId>,
    /// The version of the policy.
    pub policy_version: String,
    /// The policy rule that matched; `None` when none did.
    pub matched_rule: Option<String>,
    /// How the rule chose, such as `split`.
    pub strategy: String,
    /// What, other than being the best, made the channel the choice, such as `probe`; empty when nothing did.
    pub exploration: String,
    /// The probability with which the channel was chosen, above 0 to 1; `None` when no channel was.
    pub propensity: Option<f64>,
    /// Whether health was set aside because too few channels were healthy.
    pub panic: bool,
    /// The channels that were left out.
    pub excluded: Vec<Exclusion>,
    /// When it was decided; kept to the microsecond.
    pub decided_at: Timestamp,
}

impl DecisionRecord {
    /// Whose payment it is about.
    #[must_use]
    pub fn merchant(&self) -> &MerchantId {
        &self.attributes.merchant
    }

    /// The payment it is about.
    #[must_use]
    pub fn payment(&self) -> &PaymentId {
        &self.attributes.payment
    }
}

/// A channel that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The channel.
    pub channel: ChannelId,
    /// The reason in the wire's word.
    pub reason: String,
}
