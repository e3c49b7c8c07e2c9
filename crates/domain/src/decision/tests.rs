//! What every decision keeps to, whatever the policy, the health and the chance.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::attempt::State;
use crate::brain::{Forced, Generation, Outcome, Params};
use crate::catalogue::Side;
use crate::channel::{Account, AccountState};
use crate::channels::tests::channel;
use crate::channels::{Channels, Configuration};
use crate::id::AccountId;
use crate::limit;
use crate::outcome::OutcomeClass;
use crate::payment::tests::payment;
use crate::policy::Policy;
use crate::suspension::{self, Suspension};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

const PRIORITY: &str = "default: {priority: [a, b, c, d]}";
const SPLIT: &str = "default: {split: {a: 70, b: 20, rest: 10}}";
const ADAPTIVE: &str = "default: {adaptive: {explore_bp: 500}}";
const PREFER: &str = "rules: [{name: ours, when: {method: pay}, then: {prefer: [d, c]}}]\n\
                      default: {adaptive: {explore_bp: 500}}";

fn id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

/// A shop with what its decisions change.
#[derive(Clone)]
struct World {
    shop: Shop,
    brain: Brain,
    limits: Limits,
}

impl World {
    fn new(policy: &str) -> Self {
        Self::with(policy, |_| {})
    }

    /// A shop of channels a to d, which `change` may change.
    fn with(policy: &str, change: impl FnOnce(&mut Configuration)) -> Self {
        let mut configuration = Configuration {
            channels: Channels::new(NAMES.map(channel).to_vec()).unwrap(),
            suspensions: Vec::new(),
            limits: Vec::new(),
        };
        change(&mut configuration);
        let text = format!("version: 1\nname: test\ntimezone: UTC\n{policy}\n");
        let policy = Policy::load(&text, "p.yaml", &configuration.channels).unwrap();
        let mut brain = Brain::new(Params::default());
        let limits = Limits::new(configuration.limits.clone()).unwrap();
        let shop = Shop::open(configuration, policy, &mut brain);
        Self { shop, brain, limits }
    }

    fn outcomes(&mut self, name: &str, class: OutcomeClass, times: u64) {
        let attributes = payment("earlier");
        let segment = self.brain.segment(&attributes.method, None, attributes.band());
        for key in 0..times {
            let outcome = Outcome {
                key,
                channel: self.brain.channel_ix(&id(name)).unwrap(),
                segment,
                class,
                latency_ms: 100.0,
                dispatched_at: NOW,
                attempt_no: 1,
                generation: Some(Generation(NOW)),
            };
            self.brain.outcome(NOW, &outcome);
        }
    }

    /// The channel says that it is under maintenance, which takes it out at once.
    fn trip(&mut self, name: &str) {
        self.outcomes(name, OutcomeClass::Maintenance, 1);
    }

    fn force_out(&mut self, name: &str) {
        let channel = self.brain.channel_ix(&id(name)).unwrap();
        let until = NOW + SignedDuration::from_mins(5);
        self.brain.force(channel, Some(Forced::Out), until);
    }

    fn decide(&mut self, query: &Query<'_>, seed: u64) -> Decided {
        let mut desk = Desk {
            brain: &mut self.brain,
            limits: &mut self.limits,
        };
        let mut rng = StdRng::seed_from_u64(seed);
        let decision = decide(&self.shop, &mut desk, query, NOW, &mut rng);
        let name = |index| self.shop.channels.get(index).unwrap().id.to_string();
        Decided {
            action: decision.action,
            halt: decision.halt,
            targets: decision
                .targets
                .iter()
                .map(|target| name(target.channel))
                .collect(),
            account: decision.targets.first().and_then(|target| target.account.clone()),
            excluded: decision
                .excluded
                .iter()
                .map(|(index, exclusion)| (name(*index), *exclusion))
                .collect(),
            propensity: decision.propensity,
            panic: decision.panic,
            strategy: decision.strategy.as_str(),
        }
    }

    /// The decision about the first attempt of a payment of that name.
    fn first(&mut self, name: &str) -> Decided {
        self.decide(&query(&payment(name)), 7)
    }
}

/// A decision with channels by name.
#[derive(Clone, Debug, PartialEq)]
struct Decided {
    action: Action,
    halt: Option<Halt>,
    targets: Vec<String>,
    account: Option<AccountId>,
    excluded: Vec<(String, Exclusion)>,
    propensity: f64,
    panic: bool,
    strategy: &'static str,
}

impl Decided {
    fn exclusion(&self, name: &str) -> Option<Exclusion> {
        let found = self.excluded.iter().find(|(channel, _)| channel == name);
        found.map(|(_, exclusion)| *exclusion)
    }
}

fn query(attributes: &Attributes) -> Query<'_> {
    Query {
        attributes,
        candidates: &[],
        exclude: &[],
        portable_to: &[],
        previous: &[],
        order_expires_at: None,
    }
}

fn suspension(name: &str) -> Suspension {
    Suspension {
        scope: suspension::Scope {
            channel: Some(id(name)),
            ..suspension::Scope::default()
        },
        reason: "test".to_owned(),
        author: "test".to_owned(),
        from: NOW,
        until: None,
    }
}

/// At most `most` payments a minute on that channel.
fn at_most(most: i64, name: &str) -> limit::Rule {
    limit::Rule {
        id: format!("{name}_minute"),
        scope: limit::Scope {
            channel: Some(id(name)),
            ..limit::Scope::default()
        },
        per: Vec::new(),
        measure: limit::Measure::Count,
        most,
        window_secs: 60,
        hard: true,
    }
}

fn earlier(state: State) -> Previous {
    Previous {
        state,
        method: "pay".to_owned(),
        side: Some(Side::Technical),
        never_same_credential: false,
    }
}

/// What is decided after these attempts, at a shop that offers `alipay` at its cashier or nothing.
fn after(previous: &[Previous], offers: bool) -> (Action, Option<Halt>) {
    let offer = "rules: [{name: cashier, when: {method: pay}, then: {offer: [pay]}}]\n";
    let mut world = World::new(&format!("{}{PRIORITY}", if offers { offer } else { "" }));
    let attributes = payment("ord_1");
    let decided = world.decide(
        &Query {
            previous,
            ..query(&attributes)
        },
        7,
    );
    assert_eq!(decided.targets.is_empty(), decided.action != Action::Submit);
    (decided.action, decided.halt)
}

#[test]
fn an_unsettled_attempt_is_waited_for() {
    for state in [State::Unknown, State::AwaitingCustomer, State::ReversalPending] {
        let decided = after(&[earlier(State::Declined), earlier(state)], true);
        assert_eq!(decided, (Action::WaitAndQuery, Some(Halt::Unsettled)), "{state}");
    }
}

#[test]
fn a_paid_payment_stops_whatever_became_of_its_other_attempts() {
    let decided = after(&[earlier(State::Unknown), earlier(State::LateSuccess)], true);
    assert_eq!(decided, (Action::Stop, Some(Halt::Paid)));
}

#[test]
fn a_credential_that_must_not_be_used_again_stops() {
    let never = Previous {
        never_same_credential: true,
        ..earlier(State::Declined)
    };
    let risk = Previous {
        side: Some(Side::Risk),
        ..earlier(State::Declined)
    };
    for last in [never, risk] {
        assert_eq!(after(&[last], true), (Action::Stop, Some(Halt::Forbidden)));
    }
}

#[test]
fn another_method_may_be_used_after_a_credential_was_refused_for_good() {
    let card = Previous {
        never_same_credential: true,
        method: "card".to_owned(),
        ..earlier(State::Declined)
    };
    assert_eq!(after(&[card], true), (Action::Submit, None));
}

#[test]
fn after_three_attempts_by_one_method_the_customer_is_offered_others() {
    let three = [(); 3].map(|()| earlier(State::FailedNotProcessed));
    assert_eq!(after(&three[..2], true), (Action::Submit, None));
    assert_eq!(after(&three, true), (Action::OfferMethods, Some(Halt::TooMany)));
    assert_eq!(after(&three, false), (Action::Stop, Some(Halt::TooMany)));
}

#[test]
fn a_full_hard_limit_sends_payments_on_and_counts_each_once() {
    let mut world = World::with(PRIORITY, |shop| {
        shop.limits = vec![at_most(2, "a"), at_most(1, "b")];
    });
    let decided: Vec<_> = (0..4)
        .map(|number| world.first(&format!("ord_{number}")))
        .collect();
    let chosen: Vec<_> = decided
        .iter()
        .map(|decided| decided.targets[0].as_str())
        .collect();
    assert_eq!(chosen, ["a", "a", "b", "c"]);
    assert_eq!(decided[2].exclusion("a"), Some(Exclusion::LimitReached));
    assert_eq!(decided[3].exclusion("b"), Some(Exclusion::LimitReached));
}

#[test]
fn a_decision_that_submits_nothing_takes_nothing_from_the_limits() {
    let mut world = World::with(PRIORITY, |shop| shop.limits = vec![at_most(1, "a")]);
    let attributes = payment("ord_1");
    let unsettled = [earlier(State::Unknown)];
    world.decide(
        &Query {
            previous: &unsettled,
            ..query(&attributes)
        },
        7,
    );
    assert_eq!(world.first("ord_2").targets[0], "a");
}

#[test]
fn preferred_channels_come_before_better_ones() {
    let mut world = World::new(PREFER);
    world.outcomes("a", OutcomeClass::Success, 300);
    world.outcomes("c", OutcomeClass::SoftDecline, 20);
    for number in 0..50 {
        let decided = world.first(&format!("ord_{number}"));
        let mut front = decided.targets[..2].to_vec();
        front.sort();
        assert_eq!(front, ["c", "d"], "{decided:?}");
    }
}

#[test]
fn when_all_preferred_channels_have_tripped_the_others_take_over() {
    let mut world = World::new(PREFER);
    world.trip("c");
    assert_eq!(world.first("ord_1").targets[0], "d");
    world.trip("d");
    let decided = world.first("ord_2");
    assert!(["a", "b"].contains(&decided.targets[0].as_str()), "{decided:?}");
    assert!(!decided.panic);
}

#[test]
fn behind_preferred_channels_only_those_come_that_take_payments() {
    let mut world = World::new(PREFER);
    world.trip("a");
    world.force_out("b");
    let decided = world.first("ord_1");
    assert_eq!(decided.targets.len(), 2, "{decided:?}");
}

#[test]
fn when_everything_has_tripped_the_payment_still_goes_somewhere() {
    for policy in [PRIORITY, SPLIT, ADAPTIVE, PREFER] {
        let mut world = World::new(policy);
        for name in NAMES {
            world.trip(name);
        }
        let decided = world.first("ord_1");
        assert!(decided.panic, "{policy}");
        assert_eq!(decided.targets.len(), 4, "{policy}");
    }
}

#[test]
fn every_strategy_is_counted_under_its_name() {
    let strategies = [PRIORITY, SPLIT, ADAPTIVE].map(|policy| World::new(policy).first("ord_1").strategy);
    assert_eq!(strategies, crate::policy::Strategy::NAMES);
}

#[test]
fn a_decision_names_no_more_channels_than_a_token_has_room_for() {
    let names: Vec<_> = (0..20).map(|number| format!("channel_{number}")).collect();
    let mut world = World::with("default: {adaptive: {}}", |shop| {
        shop.channels = Channels::new(names.iter().map(|name| channel(name)).collect()).unwrap();
    });
    assert_eq!(world.first("ord_1").targets.len(), MAX_TARGETS);
}

#[test]
fn without_an_eligible_channel_nothing_is_submitted() {
    let all = NAMES.map(id);
    let attributes = payment("ord_1");
    let decided = World::new(ADAPTIVE).decide(
        &Query {
            exclude: &all,
            ..query(&attributes)
        },
        7,
    );
    assert_eq!(
        (decided.action, decided.halt),
        (Action::Stop, Some(Halt::NoChannel))
    );
}

#[test]
fn a_draining_account_takes_no_new_payments() {
    let account = |name: &str, state| Account {
        id: AccountId::new(name).unwrap(),
        state,
        weight: 1,
    };
    let mut world = World::with(PRIORITY, |shop| {
        let mut list = NAMES.map(channel);
        list[0].accounts = vec![account("old", AccountState::Draining)];
        list[1].accounts = vec![
            account("old", AccountState::Draining),
            account("new", AccountState::Active),
        ];
        shop.channels = Channels::new(list.to_vec()).unwrap();
    });
    for number in 0..50 {
        let decided = world.first(&format!("ord_{number}"));
        assert_eq!(decided.exclusion("a"), Some(Exclusion::NoActiveAccount));
        assert_eq!(decided.targets[0], "b");
        assert_eq!(decided.account.unwrap().as_str(), "new");
    }
}

#[test]
fn an_attempt_has_the_same_key_in_every_release() {
    let key = |payment: &str, attempt_no| {
        let merchant = MerchantId::new("shop").unwrap();
        attempt_key(&merchant, &PaymentId::new(payment).unwrap(), attempt_no)
    };
    // Attempts in flight and in ledgers are known by it: when this changes, a restart forgets them.
    assert_eq!(key("ord_1", 1), 8_784_171_734_261_339_132);
    let mut keys = vec![key("ord_1", 1), key("ord_1", 2), key("ord_2", 1), key("ord_2", 2)];
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4);
}

/// Any channels, as a list of names.
fn some() -> impl Generator<Value = Vec<&'static str>> {
    prop::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len())
}

proptest! {
    #[test]
    fn what_is_not_allowed_is_never_a_target(
        policy in prop::sample::select(vec![PRIORITY, SPLIT, ADAPTIVE, PREFER]),
        barred in [some(), some(), some(), some()],
        tripped in some(),
        attempt_no in 1..4_u32,
        payments in prop::collection::vec(0..1_000_u32, 1..8),
    ) {
        let [excluded, suspended, not_portable, full] = barred;
        let mut world = World::with(policy, |shop| {
            shop.suspensions = suspended.iter().map(|name| suspension(name)).collect();
            shop.limits = full.iter().map(|name| at_most(0, name)).collect();
        });
        for name in &tripped {
            world.trip(name);
        }
        let exclude: Vec<_> = excluded.iter().map(|name| id(name)).collect();
        let portable: Vec<_> = NAMES
            .iter()
            .filter(|name| !not_portable.contains(name))
            .map(|name| id(name))
            .collect();
        let open = |name: &&str| {
            let barred = [&excluded, &suspended, &full].iter().any(|list| list.contains(name));
            // An empty list of channels that could use the credential means all of them.
            !barred && (portable.is_empty() || !not_portable.contains(name))
        };
        for number in payments {
            let mut attributes = payment(&format!("ord_{number}"));
            attributes.attempt_no = attempt_no;
            let query = Query { exclude: &exclude, portable_to: &portable, ..query(&attributes) };
            let decided = world.decide(&query, u64::from(number));
            for target in &decided.targets {
                prop_assert!(open(&target.as_str()), "{target} in {decided:?}");
                prop_assert!(decided.exclusion(target).is_none(), "{decided:?}");
            }
            let mut once = decided.targets.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), decided.targets.len());
            prop_assert!(decided.propensity > 0.0 && decided.propensity <= 1.0);
            let left = NAMES.iter().any(open);
            prop_assert_eq!(decided.action == Action::Submit, left);
            prop_assert_eq!(decided.targets.is_empty(), !left);
        }
    }

    #[test]
    fn the_same_state_query_and_seed_give_the_same_decision(
        policy in prop::sample::select(vec![PRIORITY, SPLIT, ADAPTIVE, PREFER]),
        outcomes in prop::collection::vec((0..4_usize, prop::sample::select(&OutcomeClass::ALL[..])), 0..40),
        seed in any::<u64>(),
    ) {
        let mut one = World::new(policy);
        for (channel, class) in outcomes {
            one.outcomes(NAMES[channel], class, 1);
        }
        let mut other = one.clone();
        for number in 0..5 {
            let attributes = payment(&format!("ord_{number}"));
            prop_assert_eq!(
                one.decide(&query(&attributes), seed),
                other.decide(&query(&attributes), seed)
            );
        }
    }
}
