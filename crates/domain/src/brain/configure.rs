//! What the configuration tells the brain, and what it may be asked without deciding anything.

use std::sync::Arc;

use jiff::SignedDuration;

use jiff::Timestamp;

use super::ask::Ranked;
use super::journal::Entry;
use super::member::Forced;
use super::node::sigmoid;
use super::rules::Rules;
use super::state::State;
use super::{Brain, ChannelIx, Segment};

impl Brain {
    /// Sets the rules that stand beside the sequential test.
    pub fn set_rules(&mut self, rules: Rules) {
        Arc::make_mut(&mut self.params).rules = rules;
    }

    /// Says that some call comes at least every `period`, as when a timer makes one. Time that passes without any is
    /// then known to be a stall of our own (the process was stopped, the machine was busy), and not the channels'
    /// silence. Without it, every time counts.
    pub fn expect_calls_every(&mut self, period: SignedDuration) {
        self.heartbeat = Some(period.as_secs_f64());
    }

    /// The answer to attempt `key` has arrived here, and its outcome will be told when it is kept: a slow disk is
    /// not the channel's silence.
    pub fn heard(&mut self, key: u64) {
        self.flights.hear(key);
        self.write(Entry::Arrived { key });
    }

    /// Attempt `key` will say nothing about its channel: it waits for the customer.
    pub fn dismiss(&mut self, key: u64) {
        self.forget(key);
        self.write(Entry::Dismissed { key });
    }

    /// What is known of a channel for payments of `segment`, without choosing anything. A channel that was never set
    /// counts as the average one.
    #[must_use]
    pub fn ranked(&self, channel: ChannelIx, segment: Segment) -> Ranked {
        let member = self.members.get(channel.index());
        Ranked {
            channel,
            success: self
                .success_estimate(channel, segment)
                .unwrap_or_else(|| sigmoid(self.base.score(segment))),
            state: member.map_or(State::Healthy, |member| member.state(segment)),
        }
    }
    /// Whether `channel` takes payments of `segment` at `now`, as far as breakers and what was decided by hand go: not
    /// shut, probes aside, unless forced in, and not forced out.
    #[must_use]
    pub fn takes(&self, channel: ChannelIx, segment: Segment, now: Timestamp) -> bool {
        let Some(member) = self.members.get(channel.index()) else {
            return false;
        };
        match member.forced_at(now) {
            Some(Forced::Out) => false,
            Some(Forced::In | Forced::ObserveOnly) => true,
            None => !member.is_shut(segment),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::amount_band::AmountBand;
    use crate::brain::{Ask, Candidate, Mode, Outcome, Params};
    use crate::id::ChannelId;
    use crate::money::Money;
    use crate::outcome::OutcomeClass;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    /// A brain that knows a channel which answers after 200 ms, and has eight attempts out there since 100 s.
    fn waiting() -> Brain {
        let mut brain = Brain::new(Params::default());
        brain.set_channels(&[ChannelId::new("a").unwrap()]);
        let band = AmountBand::of(Money::new(9_900, "CNY".parse().unwrap()).unwrap());
        let segment = brain.segment("card", None, band);
        let channel = brain.channel_ix(&ChannelId::new("a").unwrap()).unwrap();
        for number in 0..400_u16 {
            let sent = i64::from(number) * 200;
            let outcome = Outcome {
                key: u64::from(number),
                channel,
                segment,
                class: OutcomeClass::Success,
                latency_ms: 200.0,
                dispatched_at: at(sent),
                attempt_no: 1,
                generation: None,
            };
            brain.outcome(at(sent + 200), &outcome);
        }
        let candidates = [Candidate {
            channel,
            cost_minor: 0,
            timeout_ms: 5_000,
        }];
        for key in 1_000..1_008 {
            let ask = Ask {
                segment,
                amount_minor: 9_900,
                candidates: &candidates,
                key,
                attempt_no: 1,
                mode: Mode::Ordered,
                may_probe: true,
            };
            let mut rng = StdRng::seed_from_u64(1);
            brain.route(at(100_000), &ask, &mut rng).unwrap();
        }
        brain
    }

    /// Whether the brain holds anything against the channel.
    fn is_suspected(brain: &Brain) -> bool {
        let health = brain.health();
        let channel = health.first().unwrap();
        let breaker = &channel.breaker;
        breaker.state != State::Healthy || !channel.scopes.is_empty() || breaker.evidence > 0.1
    }

    #[test]
    fn silence_is_evidence_where_nothing_excuses_it() {
        let mut brain = waiting();
        brain.advance(at(103_000));
        assert!(is_suspected(&brain));
    }

    #[test]
    fn a_stall_of_our_own_is_not_the_channels_silence() {
        let mut brain = waiting();
        brain.expect_calls_every(SignedDuration::from_millis(100));
        brain.advance(at(103_000));
        assert!(!is_suspected(&brain));
    }

    #[test]
    fn an_answer_that_has_arrived_ends_the_silence() {
        let mut brain = waiting();
        for key in 1_000..1_008 {
            brain.heard(key);
        }
        brain.advance(at(103_000));
        assert!(!is_suspected(&brain));
    }

    #[test]
    fn an_attempt_that_waits_for_the_customer_is_not_watched() {
        let mut brain = waiting();
        for key in 1_000..1_008 {
            brain.dismiss(key);
        }
        assert_eq!(brain.in_flight(), 0);
    }
}
