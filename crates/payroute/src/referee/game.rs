//! One game: a brain with the product's defaults, and what it decided about attempts that are still out.

use std::collections::HashMap;

use domain::amount_band::AmountBand;
use domain::brain::{Brain, Candidate, ChannelIx, Generation, Outcome, Params, Segment};
use domain::clock::SharedClock;
use domain::id::ChannelId;
use domain::money::{Currency, Money};
use domain::outcome::OutcomeClass;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::decision::{Question, decide};
use super::pace::{self, Pace};
use super::wire;

/// Why a call cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadCall {
    /// There is no game yet.
    #[error("call /v1/reset first")]
    NotReset,
    /// A channel's name is not a name.
    #[error("channel `{name}` is not a name")]
    ChannelName {
        /// The refused text.
        name: String,
        /// Why.
        #[source]
        source: domain::id::InvalidId,
    },
    /// A channel that the reset did not name.
    #[error("channel `{0}` is not in this game")]
    UnknownChannel(String),
    /// An amount or currency that no payment can have.
    #[error("{amount_minor} {currency} is not an amount")]
    Amount {
        /// The amount in minor units.
        amount_minor: i64,
        /// The currency's code.
        currency: String,
    },
    /// An outcome of an attempt that was never routed.
    #[error("attempt {0} was never routed")]
    UnknownAttempt(u64),
}

/// What a decision token carries in production.
#[derive(Clone, Copy, Debug)]
struct Decided {
    segment: Segment,
    generation: Generation,
}

/// A game between a simulator and the router.
pub(super) struct Game {
    pace: Pace,
    brain: Brain,
    rng: StdRng,
    channels: Vec<(String, ChannelIx)>,
    decided: HashMap<u64, Decided>,
}

impl Game {
    /// A new game with the channels of `reset`.
    pub(super) fn new(reset: &wire::Reset, clock: SharedClock) -> Result<Self, BadCall> {
        let ids = reset
            .channels
            .iter()
            .map(|name| {
                ChannelId::new(name).map_err(|source| BadCall::ChannelName {
                    name: name.clone(),
                    source,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut brain = Brain::new(Params::default());
        brain.set_channels(&ids);
        let channels = ids
            .iter()
            .filter_map(|id| Some((id.as_str().to_owned(), brain.channel_ix(id)?)))
            .collect();
        Ok(Self {
            pace: Pace::new(reset, clock),
            brain,
            rng: StdRng::seed_from_u64(reset.policy_seed),
            channels,
            decided: HashMap::new(),
        })
    }

    /// Chooses a channel for an attempt.
    pub(super) fn route(&mut self, call: &wire::Route) -> Result<wire::Routed, BadCall> {
        let now = self.pace.now(call.now_ms);
        let band = AmountBand::of(amount(call)?);
        let segment = self.brain.segment(&call.method, Some(&call.issuer), band);
        let candidates: Vec<Candidate> = self
            .channels
            .iter()
            .filter(|(name, _)| !call.exclude.contains(name))
            .map(|(_, channel)| Candidate {
                channel: *channel,
                cost_minor: 0,
                timeout_ms: 0,
            })
            .collect();
        let question = Question {
            segment,
            amount_minor: call.amount_minor,
            candidates: &candidates,
            key: call.attempt_id,
            attempt_no: call.attempt_no,
        };
        let Some(choice) = decide(&mut self.brain, now, question, &mut self.rng) else {
            return Ok(wire::Routed { channel: None });
        };
        self.decided.insert(
            call.attempt_id,
            Decided {
                segment,
                generation: choice.generation,
            },
        );
        let chosen = choice.ranking.first().map(|ranked| ranked.channel);
        let named = self.channels.iter().find(|(_, channel)| Some(*channel) == chosen);
        Ok(wire::Routed {
            channel: named.map(|(name, _)| name.clone()),
        })
    }

    /// Tells the router how an attempt ended.
    pub(super) fn outcome(&mut self, call: &wire::Outcome) -> Result<(), BadCall> {
        let now = self.pace.now(call.now_ms);
        let decided = self
            .decided
            .remove(&call.attempt_id)
            .ok_or(BadCall::UnknownAttempt(call.attempt_id))?;
        let channel = self
            .channels
            .iter()
            .find(|(name, _)| *name == call.channel)
            .map(|(_, channel)| *channel)
            .ok_or_else(|| BadCall::UnknownChannel(call.channel.clone()))?;
        let outcome = Outcome {
            key: call.attempt_id,
            channel,
            segment: decided.segment,
            class: class(call.code),
            latency_ms: call.latency_ms,
            dispatched_at: pace::at(call.dispatched_ms),
            attempt_no: call.attempt_no,
            generation: Some(decided.generation),
        };
        self.brain.outcome(now, &outcome);
        Ok(())
    }
}

fn amount(call: &wire::Route) -> Result<Money, BadCall> {
    let bad = || BadCall::Amount {
        amount_minor: call.amount_minor,
        currency: call.currency.clone(),
    };
    let currency: Currency = call.currency.parse().map_err(|_| bad())?;
    Money::new(call.amount_minor, currency).map_err(|_| bad())
}

/// What a simulated channel's code says, as the failure catalogue would.
const fn class(code: wire::Code) -> OutcomeClass {
    match code {
        wire::Code::Ok => OutcomeClass::Success,
        wire::Code::InsufficientFunds => OutcomeClass::Refusal,
        wire::Code::DoNotHonor => OutcomeClass::SoftDecline,
        wire::Code::Timeout => OutcomeClass::Timeout,
        wire::Code::ServerError => OutcomeClass::TechnicalFailure,
        wire::Code::SystemBusy => OutcomeClass::Busy,
        wire::Code::ChannelMaintenance => OutcomeClass::Maintenance,
        wire::Code::IssuerUnavailable => OutcomeClass::IssuerUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::clock::SystemClock;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn game() -> Game {
        let reset = json!({"scenario": "s", "policy_seed": 1, "clock": "simulated", "speed": 0.0,
            "channels": ["A", "B"], "methods": ["card"], "issuers": 1, "bands": ["low"]});
        Game::new(&parsed(reset), Arc::new(SystemClock)).unwrap()
    }

    fn route(attempt_id: u64, exclude: &[&str]) -> wire::Route {
        parsed(
            json!({"attempt_id": attempt_id, "attempt_no": 1, "now_ms": 5.5, "method": "card",
            "issuer": "issuer0", "amount_band": "low", "amount_minor": 2_000, "currency": "USD", "exclude": exclude}),
        )
    }

    fn outcome(attempt_id: u64, code: &str) -> wire::Outcome {
        parsed(
            json!({"attempt_id": attempt_id, "attempt_no": 1, "now_ms": 700.25, "dispatched_ms": 5.5,
            "channel": "A", "method": "card", "issuer": "issuer0", "amount_band": "low",
            "success": code == "OK", "code": code, "latency_ms": 694.75}),
        )
    }

    #[test]
    fn an_excluded_channel_is_never_answered() {
        let mut game = game();
        for attempt in 0..50 {
            let answer = game.route(&route(attempt, &["A"])).unwrap();
            assert_eq!(answer.channel.as_deref(), Some("B"));
        }
    }

    #[test]
    fn with_every_channel_excluded_there_is_no_answer() {
        let answer = game().route(&route(1, &["A", "B"])).unwrap();
        assert_eq!(answer, wire::Routed { channel: None });
    }

    #[test]
    fn every_code_of_the_protocol_is_understood() {
        let codes = [
            "OK",
            "INSUFFICIENT_FUNDS",
            "DO_NOT_HONOR",
            "HTTP_5XX",
            "TIMEOUT",
            "SYSTEM_BUSY",
            "CHANNEL_MAINTENANCE",
            "ISSUER_UNAVAILABLE",
        ];
        let classes = codes.map(|code| class(outcome(0, code).code));
        assert_eq!(classes, OutcomeClass::ALL);
    }

    #[test]
    fn an_outcome_of_an_attempt_that_was_never_routed_is_refused() {
        let error = game().outcome(&outcome(9, "OK")).unwrap_err();
        assert_eq!(error.to_string(), "attempt 9 was never routed");
    }
}
