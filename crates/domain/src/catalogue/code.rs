//! One provider's failure code as the catalogue knows it.

use serde::Deserialize;

use super::judgement::{Advice, Certainty, Confidence, HealthScope, HealthSignal, Side};
use super::reason::Reason;

/// A provider's code, what it means, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Whose code it is, such as `wechatpay_v3`.
    pub provider: Box<str>,
    /// The code, exactly as the provider writes it.
    pub code: Box<str>,
    /// What it means, for operators.
    pub meaning: Box<str>,
    /// The canonical reason.
    #[serde(rename = "canonical_reason")]
    pub reason: Reason,
    /// Whether the customer can make this payment succeed with the same card or account.
    pub customer_can_fix: bool,
    /// Whose doing it was.
    pub side: Side,
    /// Whether money can have moved.
    #[serde(rename = "outcome_certainty")]
    pub certainty: Certainty,
    /// What to do next.
    pub advice: Advice,
    /// How sure the entry is.
    pub confidence: Confidence,
    /// Which source it was taken from.
    pub source: Box<str>,
    /// Whose health it speaks about.
    pub health_scope: HealthScope,
    /// What an operator should know besides.
    #[serde(default)]
    pub note: Option<Box<str>>,
    /// Visa's decline category, 1 to 4. In category 1 the network forbids another attempt.
    #[serde(default)]
    pub visa_category: Option<u8>,
    /// Whether the same card or token must never be tried again, on any channel.
    #[serde(default)]
    pub never_same_credential: bool,
    /// How long to wait before the same card or token may be tried again, in seconds.
    #[serde(default, rename = "min_retry_delay_s")]
    pub min_retry_delay_secs: Option<u32>,
    /// Whether another try needs a new order number.
    #[serde(default)]
    pub new_order_no: bool,
    /// The telephone number that helps the customer with this code.
    #[serde(default)]
    pub contact: Option<Box<str>>,
    /// Other spellings of the code.
    #[serde(default)]
    pub aliases: Vec<Box<str>>,
    /// What holds instead when the call only prepared a payment and the customer never got anything to pay.
    #[serde(default)]
    pub if_nothing_payable_was_delivered: Option<Lifted>,
    /// What the code says about the channel beyond its having failed. Listed apart from the codes.
    #[serde(skip)]
    pub signal: Option<HealthSignal>,
}

/// The judgement of a prepare call whose payable thing never reached the customer: nobody can pay it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifted {
    /// Whether money can have moved.
    #[serde(rename = "outcome_certainty")]
    pub certainty: Certainty,
    /// What to do next.
    pub advice: Advice,
}
