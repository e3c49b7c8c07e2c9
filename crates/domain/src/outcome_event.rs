//! An outcome on its way from the ledger to the statistics and the brain.

use jiff::Timestamp;

use crate::amount_band::AmountBand;
use crate::id::ChannelId;
use crate::outcome::OutcomeClass;

/// An outcome that the ledger kept, and that counts once.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeEvent {
    /// The channel it happened on.
    pub channel: ChannelId,
    /// The payment method.
    pub method: String,
    /// The customer's bank.
    pub issuer: Option<String>,
    /// How large the payment was.
    pub band: AmountBand,
    /// What it says about the channel.
    pub class: OutcomeClass,
    /// What it was taken for before, when it corrects an earlier event: a timeout that proved a success.
    pub corrects: Option<OutcomeClass>,
    /// Names the attempt to the brain: the same number that Route registered it under.
    pub key: u64,
    /// Which attempt at its payment it was, from 1.
    pub attempt_no: u32,
    /// When it was decided: tells a breaker the stragglers from the answers to its present state.
    pub decided_at: Timestamp,
    /// When it was submitted.
    pub started_at: Timestamp,
    /// When its outcome was received. Statistics go by this time.
    pub received_at: Timestamp,
    /// How long the channel took, in milliseconds.
    pub latency_ms: u32,
}
