//! An outcome on its way from the ledger to the statistics and the brain.

use jiff::Timestamp;

use crate::amount_band::AmountBand;
use crate::brain::{self, Brain, Generation};
use crate::bucket::{Draw, Purpose};
use crate::id::{AttemptId, ChannelId, MerchantId};
use crate::outcome::OutcomeClass;

/// The name of an outcome: 64 bits, which two of some millions share with a chance of one in a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutcomeId(pub u64);

impl OutcomeId {
    /// The name of what was reported of an attempt, or of its correction.
    #[must_use]
    pub fn of(merchant: &MerchantId, attempt: &AttemptId, corrects: Option<OutcomeClass>) -> Self {
        let what = if corrects.is_some() {
            "corrected"
        } else {
            "reported"
        };
        let names = [merchant.as_str(), attempt.as_str(), what];
        Self(Draw::of(Purpose::Outcome, names).bits())
    }
}

/// An outcome that the ledger kept, and that counts once.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeEvent {
    /// Names it: the same for every delivery of the same outcome, another one for its correction.
    pub id: OutcomeId,
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

impl OutcomeEvent {
    /// Tells `brain` what the channel did. A correction tells it nothing: that says what became of the payment, and
    /// what the channel did at the time, the brain has heard. Nor does the outcome of a channel that was never set.
    pub fn teach(&self, brain: &mut Brain) {
        let Some(channel) = brain
            .channel_ix(&self.channel)
            .filter(|_| self.corrects.is_none())
        else {
            return;
        };
        let outcome = brain::Outcome {
            key: self.key,
            channel,
            segment: brain.segment(&self.method, self.issuer.as_deref(), self.band),
            class: self.class,
            latency_ms: f64::from(self.latency_ms),
            dispatched_at: self.started_at,
            attempt_no: self.attempt_no,
            generation: Some(Generation(self.decided_at)),
        };
        brain.outcome(self.received_at, &outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::{Params, Segment};
    use crate::money::Money;

    fn event(corrects: Option<OutcomeClass>) -> OutcomeEvent {
        OutcomeEvent {
            id: OutcomeId(1),
            channel: ChannelId::new("a").unwrap(),
            method: "card".to_owned(),
            issuer: None,
            band: AmountBand::of(Money::new(9_900, "CNY".parse().unwrap()).unwrap()),
            class: OutcomeClass::TechnicalFailure,
            corrects,
            key: 1,
            attempt_no: 1,
            decided_at: Timestamp::UNIX_EPOCH,
            started_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            latency_ms: 200,
        }
    }

    /// How likely success is on the only channel after `event`, and before.
    fn estimates(event: &OutcomeEvent) -> (f64, f64) {
        let mut brain = Brain::new(Params::default());
        brain.set_channels(std::slice::from_ref(&event.channel));
        let channel = brain.channel_ix(&event.channel).unwrap();
        let segment: Segment = brain.segment(&event.method, None, event.band);
        let before = brain.success_estimate(channel, segment).unwrap();
        event.teach(&mut brain);
        (brain.success_estimate(channel, segment).unwrap(), before)
    }

    #[test]
    fn a_failure_lowers_what_the_brain_expects() {
        let (after, before) = estimates(&event(None));
        assert!(after < before, "{after} after {before}");
    }

    #[test]
    fn an_outcome_and_its_correction_have_two_names() {
        let (merchant, attempt) = (MerchantId::new("m").unwrap(), AttemptId::new("a").unwrap());
        let reported = OutcomeId::of(&merchant, &attempt, None);
        assert_eq!(reported, OutcomeId::of(&merchant, &attempt, None));
        assert_ne!(
            reported,
            OutcomeId::of(&merchant, &attempt, Some(OutcomeClass::Timeout))
        );
    }

    #[test]
    fn a_correction_teaches_nothing() {
        let (after, before) = estimates(&event(Some(OutcomeClass::Timeout)));
        assert!((after - before).abs() < f64::EPSILON);
    }
}
