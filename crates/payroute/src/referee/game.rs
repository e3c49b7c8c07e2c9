//! One game: the production decision with the product's defaults, and what it decided about attempts that are out.

use std::collections::HashMap;
use std::sync::Arc;

use domain::brain::{Brain, Params};
use domain::catalogue::{Catalogue, FailureKind, FailureReport};
use domain::channel::{Account, AccountState, Capabilities, Channel, Cost};
use domain::channels::{Channels, Configuration, InvalidChannels};
use domain::clock::SharedClock;
use domain::decision::{Desk, Query, Shop, attempt_key, decide};
use domain::diagnostic::Diagnostic;
use domain::id::{AccountId, ChannelId, InvalidId, MerchantId, PaymentId};
use domain::limit::Limits;
use domain::money::Money;
use domain::outcome::OutcomeClass;
use domain::outcome_event::{OutcomeEvent, OutcomeId};
use domain::payment::{Attributes, Customer, Device, Operation, Stage};
use domain::policy::Policy;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use simulator::fleet::Minds;

use super::pace::Pace;
use super::wire;

/// The policy of every game: what the product does by default, with no rule of anybody's.
const POLICY: &str = "version: 1\nname: referee\ntimezone: UTC\ndefault:\n  adaptive: {}\n";

/// The provider whose codes need no mapping.
const PROVIDER: &str = "payroute";

/// The answer to an attempt that went through.
const OK: &str = "OK";

/// How long a simulated channel may take, in milliseconds: the simulator has time limits of its own.
const TIMEOUT_MS: u32 = 120_000;

/// Why a call cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadCall {
    /// There is no game yet.
    #[error("call /v1/reset first")]
    NotReset,
    /// A text that is to be a name is none.
    #[error("`{text}` is not a name: it {source}")]
    Name {
        /// The refused text.
        text: String,
        /// Why.
        #[source]
        source: InvalidId,
    },
    /// The channels cannot be used together.
    #[error(transparent)]
    Channels(#[from] InvalidChannels),
    /// The policy of the games is not one.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Diagnostic>),
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

/// An attempt that is out: what a decision token carries in production.
#[derive(Debug)]
struct Out {
    payment: Attributes,
    decided_at: Timestamp,
}

/// A game between a simulator and the router.
pub(super) struct Game {
    pace: Pace,
    catalogue: Arc<Catalogue>,
    merchant: MerchantId,
    shop: Shop,
    minds: Minds,
    limits: Limits,
    rng: StdRng,
    out: HashMap<u64, Out>,
}

impl Game {
    /// A new game with the channels of `reset`, each of which takes every payment. Calls come to one of `replicas`.
    pub(super) fn new(
        reset: &wire::Reset,
        catalogue: Arc<Catalogue>,
        clock: SharedClock,
        replicas: usize,
    ) -> Result<Self, BadCall> {
        let channels = reset.channels.iter().map(|id| channel(id, &reset.methods));
        let channels = Channels::new(channels.collect::<Result<_, _>>()?)?;
        let policy = Policy::load(POLICY, "referee", &channels).map_err(BadCall::Policy)?;
        let mut brain = Brain::new(Params::default());
        let configuration = Configuration {
            channels,
            suspensions: Vec::new(),
            limits: Vec::new(),
        };
        let pace = Pace::new(reset, clock);
        let shop = Shop::open(configuration, policy, &mut brain);
        Ok(Self {
            minds: Minds::of(replicas, brain, reset.policy_seed, pace.now(0.0)),
            pace,
            catalogue,
            merchant: name("referee")?,
            shop,
            limits: Limits::default(),
            rng: StdRng::seed_from_u64(reset.policy_seed),
            out: HashMap::new(),
        })
    }

    /// Chooses a channel for an attempt.
    pub(super) fn route(&mut self, call: &wire::Route) -> Result<wire::Routed, BadCall> {
        let now = self.pace.now(call.now_ms);
        let payment = self.payment(call)?;
        let exclude: Vec<ChannelId> = call.exclude.iter().map(|id| name(id)).collect::<Result<_, _>>()?;
        let query = Query {
            attributes: &payment,
            candidates: &[],
            exclude: &exclude,
            portable_to: &[],
            previous: &[],
            order_expires_at: None,
        };
        let mut desk = Desk {
            brain: self.minds.any(now),
            limits: &mut self.limits,
        };
        let decision = decide(&self.shop, &mut desk, &query, now, &mut self.rng);
        let target = decision.targets.first();
        let chosen = target.and_then(|target| self.shop.channels.get(target.channel));
        if chosen.is_some() {
            let decided_at = now;
            self.out.insert(call.attempt_id, Out { payment, decided_at });
        }
        Ok(wire::Routed {
            channel: chosen.map(|channel| channel.id.to_string()),
        })
    }

    /// Tells the router how an attempt ended.
    pub(super) fn outcome(&mut self, call: &wire::Outcome) -> Result<(), BadCall> {
        let Out { payment, decided_at } = self
            .out
            .remove(&call.attempt_id)
            .ok_or(BadCall::UnknownAttempt(call.attempt_id))?;
        let key = attempt_key(&payment.merchant, &payment.payment, payment.attempt_no);
        let now = self.pace.now(call.now_ms);
        let event = OutcomeEvent {
            // Every outcome is told once, so that any name of its own will do.
            id: OutcomeId(key),
            channel: name(&call.channel)?,
            band: payment.band(),
            class: self.class(&call.code),
            corrects: None,
            key,
            attempt_no: payment.attempt_no,
            method: payment.method,
            issuer: payment.issuer,
            decided_at,
            started_at: decided_at,
            received_at: now,
            latency_ms: whole_ms(call.latency_ms),
        };
        event.teach(self.minds.any(now));
        Ok(())
    }

    fn payment(&self, call: &wire::Route) -> Result<Attributes, BadCall> {
        let bad = || BadCall::Amount {
            amount_minor: call.amount_minor,
            currency: call.currency.clone(),
        };
        let currency = call.currency.parse().map_err(|_| bad())?;
        Ok(Attributes {
            merchant: self.merchant.clone(),
            // The simulator names attempts, not payments; it does the failing over itself.
            payment: name::<PaymentId>(&call.attempt_id.to_string())?,
            attempt_no: call.attempt_no,
            amount: Money::new(call.amount_minor, currency).map_err(|_| bad())?,
            operation: Operation::Sale,
            stage: Stage::Debit,
            method: call.method.clone(),
            presentment: None,
            issuer: Some(call.issuer.clone()),
            issuer_country: None,
            card: None,
            country: None,
            region: None,
            customer: Customer::default(),
            device: Device::default(),
            risk_score: None,
            metadata: std::collections::BTreeMap::new(),
            locale: None,
        })
    }

    /// What a code says about the channel, as the failure catalogue has it.
    fn class(&self, code: &str) -> OutcomeClass {
        if code == OK {
            return OutcomeClass::Success;
        }
        let report = FailureReport {
            code: Some(code),
            ..FailureReport::new(PROVIDER, FailureKind::Failed)
        };
        self.catalogue.classify(&report).class
    }
}

fn name<T: std::str::FromStr<Err = InvalidId>>(text: &str) -> Result<T, BadCall> {
    text.parse().map_err(|source| BadCall::Name {
        text: text.to_owned(),
        source,
    })
}

/// A channel that takes every payment by `methods`.
fn channel(id: &str, methods: &[String]) -> Result<Channel, BadCall> {
    Ok(Channel {
        id: name(id)?,
        provider: PROVIDER.to_owned(),
        methods: methods.to_vec(),
        presentments: Vec::new(),
        currencies: Vec::new(),
        min_amount_minor: None,
        max_amount_minor: None,
        countries: Vec::new(),
        issuers: Vec::new(),
        card_brands: Vec::new(),
        timeout_ms: TIMEOUT_MS,
        cost: Cost::default(),
        capabilities: Capabilities::default(),
        accounts: vec![Account {
            id: name::<AccountId>("main")?,
            state: AccountState::Active,
            weight: 1,
        }],
        tags: Vec::new(),
        enabled: true,
    })
}

/// Whole milliseconds, as reports carry them; what is no latency counts as none.
fn whole_ms(ms: f64) -> u32 {
    std::time::Duration::try_from_secs_f64(ms / 1_000.0)
        .ok()
        .and_then(|latency| u32::try_from(latency.as_millis()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::clock::SystemClock;
    use serde_json::{Value, json};

    fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn game() -> Game {
        let reset = json!({"scenario": "s", "policy_seed": 1, "clock": "simulated", "speed": 0.0,
            "channels": ["A", "B"], "methods": ["card"], "issuers": 1, "bands": ["low"]});
        let catalogue = Arc::new(Catalogue::built_in().unwrap());
        Game::new(&parsed(reset), catalogue, Arc::new(SystemClock), 1).unwrap()
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
        let game = game();
        assert_eq!(codes.map(|code| game.class(code)), OutcomeClass::ALL);
    }

    #[test]
    fn an_outcome_of_an_attempt_that_was_never_routed_is_refused() {
        let error = game().outcome(&outcome(9, "OK")).unwrap_err();
        assert_eq!(error.to_string(), "attempt 9 was never routed");
    }

    #[test]
    fn a_channel_that_fails_is_left() {
        let mut game = game();
        let leader = game.route(&route(0, &[])).unwrap().channel.unwrap();
        let told = |attempt, code| wire::Outcome {
            channel: leader.clone(),
            ..outcome(attempt, code)
        };
        game.outcome(&told(0, "CHANNEL_MAINTENANCE")).unwrap();
        let answer = game.route(&route(1, &[])).unwrap();
        assert_ne!(answer.channel, Some(leader));
    }
}
