//! What must hold for the brain whatever it lives through.

mod checkpoint;

use crate::amount_band::AmountBand;
use crate::brain::{
    Adaptive, Ask, Brain, Candidate, ChannelIx, Choice, Event, Exploration, Forced, Mode, NoChoice, Outcome,
    Params, Scope, Segment, State,
};
use crate::id::ChannelId;
use crate::money::Money;
use crate::outcome::OutcomeClass;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A brain with its channels, segments, time and chance.
#[derive(Clone)]
struct World {
    brain: Brain,
    channels: Vec<ChannelIx>,
    segments: Vec<Segment>,
    now: Timestamp,
    rng: SmallRng,
    keys: u64,
}

/// An attempt that was routed.
struct Sent {
    key: u64,
    at: Timestamp,
    segment: Segment,
    choice: Choice,
}

impl Sent {
    fn channel(&self) -> ChannelIx {
        self.choice.ranking[0].channel
    }
}

impl World {
    fn new(channels: usize, params: Params, seed: u64) -> Self {
        let mut brain = Brain::new(params);
        let ids: Vec<ChannelId> = (0..channels)
            .map(|number| ChannelId::new(format!("channel_{number}")).unwrap())
            .collect();
        brain.set_channels(&ids);
        let channels = ids.iter().map(|id| brain.channel_ix(id).unwrap()).collect();
        let band = AmountBand::of(Money::new(2_000, "CNY".parse().unwrap()).unwrap());
        let mut segments = Vec::new();
        for method in ["card", "wallet"] {
            for issuer in ["icbc", "cmb", "abc", "boc"] {
                segments.push(brain.segment(method, Some(issuer), band));
            }
        }
        Self {
            brain,
            channels,
            segments,
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            rng: SmallRng::seed_from_u64(seed),
            keys: 0,
        }
    }

    fn pass(&mut self, millis: i64) {
        self.now += SignedDuration::from_millis(millis);
    }

    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |channel: &ChannelIx| Candidate {
            channel: *channel,
            cost_minor: 0,
            timeout_ms: 8_000,
        };
        self.channels.iter().map(candidate).collect()
    }

    fn try_route(&mut self, candidates: &[Candidate], attempt_no: u32, mode: Mode) -> Result<Sent, NoChoice> {
        self.keys += 1;
        let segment = self.segments[usize::try_from(self.keys).unwrap() % self.segments.len()];
        let ask = Ask {
            segment,
            amount_minor: 2_000,
            candidates,
            key: self.keys,
            attempt_no,
            mode,
            may_probe: true,
        };
        let choice = self.brain.route(self.now, &ask, &mut self.rng)?;
        Ok(Sent {
            key: self.keys,
            at: self.now,
            segment,
            choice,
        })
    }

    fn route(&mut self) -> Sent {
        let candidates = self.candidates();
        self.try_route(&candidates, 1, Mode::Adaptive(Adaptive::default()))
            .unwrap()
    }

    fn report(&mut self, sent: &Sent, class: OutcomeClass) {
        let outcome = Outcome {
            key: sent.key,
            channel: sent.channel(),
            segment: sent.segment,
            class,
            latency_ms: (self.now.duration_since(sent.at)).as_secs_f64() * 1_000.0,
            dispatched_at: sent.at,
            attempt_no: 1,
            generation: Some(sent.choice.generation),
        };
        self.brain.outcome(self.now, &outcome);
    }

    /// Routes and reports `count` payments, 25 ms apart, each answered after 20 ms.
    fn live(&mut self, count: usize, mut answer: impl FnMut(ChannelIx, &mut SmallRng) -> OutcomeClass) {
        for _ in 0..count {
            let sent = self.route();
            self.pass(20);
            let class = answer(sent.channel(), &mut self.rng);
            self.report(&sent, class);
            self.pass(5);
        }
    }

    fn state(&self, channel: ChannelIx) -> State {
        let id = self.brain.channel_id(channel).unwrap();
        let health = self.brain.health();
        health
            .iter()
            .find(|health| health.channel == *id)
            .unwrap()
            .breaker
            .state
    }

    /// A world that has learnt, and whose first channel then dies.
    fn with_a_dead_channel(seed: u64) -> (Self, ChannelIx) {
        let mut world = Self::new(3, Params::default(), seed);
        let dead = world.channels[0];
        world.live(600, move |channel, rng| {
            fate(rng, if channel == dead { 0.97 } else { 0.85 })
        });
        while !matches!(world.state(dead), State::Tripped | State::Probing) {
            world.live(1, move |channel, rng| {
                if channel == dead {
                    OutcomeClass::TechnicalFailure
                } else {
                    fate(rng, 0.85)
                }
            });
        }
        (world, dead)
    }
}

fn fate(rng: &mut SmallRng, success: f64) -> OutcomeClass {
    if rng.random::<f64>() < success {
        OutcomeClass::Success
    } else {
        OutcomeClass::SoftDecline
    }
}

fn any_class() -> impl Strategy<Value = OutcomeClass> {
    prop_oneof![
        6 => Just(OutcomeClass::Success),
        1 => proptest::sample::select(OutcomeClass::ALL.to_vec()),
    ]
}

/// A step of a life: how much time passes, and how the attempt ends; `None` is never reported.
fn any_life() -> impl Strategy<Value = Vec<(i64, Option<OutcomeClass>)>> {
    proptest::collection::vec((0_i64..400, proptest::option::weighted(0.9, any_class())), 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_not_a_candidate_is_never_ranked(life in any_life(), seed in any::<u64>(), mask in 1_usize..15) {
        let mut world = World::new(4, Params::default(), seed);
        let all = world.candidates();
        let candidates: Vec<Candidate> =
            all.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, c)| *c).collect();
        for (millis, class) in life {
            let sent = world.try_route(&candidates, 1, Mode::Adaptive(Adaptive::default())).unwrap();
            for ranked in &sent.choice.ranking {
                prop_assert!(candidates.iter().any(|candidate| candidate.channel == ranked.channel));
            }
            world.pass(millis);
            if let Some(class) = class {
                world.report(&sent, class);
            }
        }
    }

    #[test]
    fn a_channel_forced_out_is_never_ranked_not_even_in_panic(life in any_life(), seed in any::<u64>()) {
        let mut world = World::new(2, Params::default(), seed);
        let out = world.channels[0];
        let end = world.now + SignedDuration::from_hours(24);
        world.brain.force(out, Some(Forced::Out), end);
        for (millis, class) in life {
            let sent = world.route();
            prop_assert!(sent.choice.ranking.iter().all(|ranked| ranked.channel != out));
            world.pass(millis);
            if let Some(class) = class {
                world.report(&sent, class);
            }
        }
    }

    #[test]
    fn one_more_success_never_lowers_an_estimate(life in any_life(), seed in any::<u64>()) {
        let mut world = World::new(2, Params::default(), seed);
        for (millis, class) in life {
            let sent = world.route();
            world.pass(millis);
            // What time alone does must not be mistaken for what the success did.
            world.brain.advance(world.now);
            let estimate = |world: &World, channel| world.brain.success_estimate(channel, sent.segment).unwrap();
            let [own, other] = [sent.channel(), *world.channels.iter().find(|c| **c != sent.channel()).unwrap()];
            let mut better = world.clone();
            better.report(&sent, OutcomeClass::Success);
            let odds = |p: f64| (p / (1.0 - p)).ln();
            let lead = |world: &World| odds(estimate(world, own)) - odds(estimate(world, other));
            prop_assert!(lead(&better) >= lead(&world) - 1e-5);
            if let Some(class) = class {
                world.report(&sent, class);
            }
        }
    }

    #[test]
    fn the_same_state_question_and_chance_give_the_same_decision(life in any_life(), seed in any::<u64>()) {
        let mut world = World::new(3, Params::default(), seed);
        for (millis, class) in life {
            let mut twin = world.clone();
            let sent = world.route();
            prop_assert_eq!(&twin.route().choice, &sent.choice);
            prop_assert!(sent.choice.propensity > 0.0 && sent.choice.propensity <= 1.0);
            world.pass(millis);
            if let Some(class) = class {
                world.report(&sent, class);
            }
        }
    }

    #[test]
    fn exploration_stays_within_its_cap(seed in any::<u64>(), cap in 0.0_f64..0.05) {
        let mut params = Params::default();
        params.exploration.start_tokens = 0.0;
        let mut world = World::new(4, params, seed);
        let candidates = world.candidates();
        let mut explored = 0.0;
        for round in 1..400_u32 {
            let mode = Mode::Adaptive(Adaptive { exploration: cap, ..Adaptive::default() });
            let sent = world.try_route(&candidates, 1, mode).unwrap();
            if !matches!(sent.choice.exploration, Exploration::None | Exploration::Probe) {
                explored += 1.0;
            }
            prop_assert!(explored <= cap * f64::from(round) + 1e-9);
            world.pass(40);
            let class = fate(&mut world.rng, 0.9);
            world.report(&sent, class);
        }
    }

    #[test]
    fn a_large_payment_is_never_explored_with(seed in any::<u64>()) {
        let mut world = World::new(4, Params::default(), seed);
        let candidates = world.candidates();
        let mode = Mode::Adaptive(Adaptive { max_explored_minor: Some(1_999), ..Adaptive::default() });
        for round in 0..300 {
            let sent = world.try_route(&candidates, 1, mode).unwrap();
            prop_assert_eq!(sent.choice.exploration, Exploration::None);
            world.pass(40);
            world.report(&sent, if round % 5 == 0 { OutcomeClass::TechnicalFailure } else { OutcomeClass::Success });
        }
    }

    #[test]
    fn a_tripped_channel_gets_no_more_than_its_probes(seed in any::<u64>()) {
        let (mut world, dead) = World::with_a_dead_channel(seed);
        let mut sent_to_it = 0.0;
        for round in 1..1_500_u32 {
            let sent = world.route();
            if sent.channel() == dead {
                prop_assert_eq!(sent.choice.exploration, Exploration::Probe);
                sent_to_it += 1.0;
            }
            prop_assert!(sent_to_it <= 1.0 + 0.003 * f64::from(round));
            world.pass(20);
            let class = if sent.channel() == dead { OutcomeClass::TechnicalFailure } else { OutcomeClass::Success };
            world.report(&sent, class);
            world.pass(5);
        }
    }

    #[test]
    fn stragglers_of_an_earlier_generation_change_no_state(seed in any::<u64>(), late in 1_usize..40) {
        let mut world = World::new(3, Params::default(), seed);
        let dead = world.channels[0];
        world.live(300, |_, _| OutcomeClass::Success);
        let end = world.now + SignedDuration::from_secs(1);
        let mut stragglers = Vec::new();
        for other in [1, 2] {
            let other = world.channels[other];
            world.brain.force(other, Some(Forced::Out), end);
        }
        for _ in 0..late {
            stragglers.push(world.route());
        }
        while !matches!(world.state(dead), State::Tripped | State::Probing) {
            world.live(1, |_, _| OutcomeClass::TechnicalFailure);
        }
        let before = world.state(dead);
        for sent in stragglers.iter().filter(|sent| sent.channel() == dead) {
            world.report(sent, OutcomeClass::Success);
        }
        prop_assert_eq!(world.state(dead), before);
    }
}

#[test]
fn a_lost_probe_frees_its_slot() {
    let (mut world, dead) = World::with_a_dead_channel(5);
    let mut probes = Vec::new();
    for _ in 0..4_000 {
        let sent = world.route();
        world.pass(20);
        if sent.channel() == dead {
            probes.push(sent.at);
        } else {
            world.report(&sent, OutcomeClass::Success);
        }
        world.pass(5);
    }
    assert!(probes.len() >= 3, "{} probes", probes.len());
}

#[test]
fn a_small_shop_probes_once_a_minute_at_the_least() {
    let (mut world, dead) = World::with_a_dead_channel(6);
    let mut probes = 0;
    // Ten minutes of one payment in two seconds: their share would not pay for a second probe.
    for _ in 0..300 {
        let sent = world.route();
        let class = if sent.channel() == dead {
            probes += 1;
            OutcomeClass::TechnicalFailure
        } else {
            OutcomeClass::Success
        };
        world.pass(200);
        world.report(&sent, class);
        world.pass(1_800);
    }
    assert!((9..=11).contains(&probes), "{probes} probes");
}

#[test]
fn a_dead_channel_comes_back_in_steps_after_it_recovers() {
    let (mut world, dead) = World::with_a_dead_channel(9);
    world.brain.take_transitions();
    world.live(3_000, |_, rng| fate(rng, 0.97));
    assert_eq!(world.state(dead), State::Healthy);
    let steps: Vec<State> = world
        .brain
        .take_transitions()
        .into_iter()
        .filter(|transition| transition.scope == Scope::Channel)
        .filter_map(|transition| match transition.event {
            Event::Breaker { to, .. } => Some(to),
            Event::IncidentBegan | Event::IncidentEnded => None,
        })
        .collect();
    assert!(
        steps.ends_with(&[State::Probing, State::Ramping, State::Healthy]),
        "{steps:?}"
    );
}

#[test]
fn silence_alone_trips_a_channel_long_before_its_timeout() {
    let mut world = World::new(2, Params::default(), 3);
    let first = world.channels[0];
    world.live(800, move |channel, rng| {
        fate(rng, if channel == first { 0.97 } else { 0.8 })
    });
    let silent_from = world.now;
    while !matches!(world.state(first), State::Tripped | State::Probing) {
        let sent = world.route();
        world.pass(20);
        if sent.channel() != first {
            world.report(&sent, OutcomeClass::Success);
        }
        world.pass(5);
    }
    assert!(world.now.duration_since(silent_from) < SignedDuration::from_secs(2));
}

#[test]
fn callers_that_often_never_report_do_not_trip_a_good_channel_for_long() {
    let mut world = World::new(2, Params::default(), 4);
    let mut shut = 0_u32;
    for round in 0..40_000_u32 {
        let sent = world.route();
        world.pass(20);
        if round % 3 != 0 {
            world.report(&sent, OutcomeClass::Success);
        }
        world.pass(30);
        // The first ten minutes are for learning.
        if round > 20_000
            && world
                .channels
                .iter()
                .any(|channel| world.state(*channel) != State::Healthy)
        {
            shut += 1;
        }
    }
    assert!(shut < 400, "not healthy during {shut} of 20 000 payments");
}

#[test]
fn an_issuer_that_fails_everywhere_is_an_incident_and_no_reason_to_fail_over() {
    let mut world = World::new(3, Params::default(), 6);
    world.live(600, |_, rng| fate(rng, 0.95));
    let candidates = world.candidates();
    let bad = world.segments[0];
    let mut explained = false;
    for _ in 0..400 {
        let sent = world.route();
        world.pass(20);
        let class = if sent.segment == bad {
            OutcomeClass::Timeout
        } else {
            OutcomeClass::Success
        };
        world.report(&sent, class);
        world.pass(5);
        if sent.segment == bad {
            let rest: Vec<Candidate> = candidates
                .iter()
                .filter(|candidate| candidate.channel != sent.channel())
                .copied()
                .collect();
            world.keys = sent.key + world.segments.len() as u64 - 1;
            let again = world.try_route(&rest, 2, Mode::Adaptive(Adaptive::default()));
            match again {
                Err(NoChoice::IssuerIncident) => explained = true,
                Err(_) => {}
                Ok(again) => world.report(&again, OutcomeClass::Timeout),
            }
        }
    }
    assert!(explained);
    assert!(
        world
            .channels
            .iter()
            .all(|channel| world.state(*channel) == State::Healthy)
    );
}

#[test]
fn a_method_that_fails_everywhere_takes_no_channel_down() {
    let mut world = World::new(4, Params::default(), 7);
    world.live(1_500, |_, rng| fate(rng, 0.93));
    let bad = world.segments[0].method;
    world.brain.take_transitions();
    for _ in 0..2_000 {
        let sent = world.route();
        world.pass(20);
        let class = if sent.segment.method == bad {
            OutcomeClass::Timeout
        } else {
            fate(&mut world.rng, 0.93)
        };
        world.report(&sent, class);
        world.pass(5);
    }
    let tripped = world.brain.take_transitions().into_iter().filter(|transition| {
        let to_tripped = matches!(
            transition.event,
            Event::Breaker {
                to: State::Tripped,
                ..
            }
        );
        transition.scope == Scope::Channel && to_tripped
    });
    assert!(tripped.count() <= 2);
    assert!(
        world
            .brain
            .incidents()
            .iter()
            .any(|(scope, _)| matches!(scope, Scope::Method(_)))
    );
}

#[test]
fn with_everything_tripped_the_ranking_goes_on() {
    let mut world = World::new(2, Params::default(), 8);
    world.live(300, |_, _| OutcomeClass::Success);
    let mut panicked = false;
    for _ in 0..200 {
        let sent = world.route();
        panicked |= sent.choice.panic;
        world.pass(20);
        world.report(&sent, OutcomeClass::Maintenance);
        world.pass(5);
    }
    assert!(panicked);
}

#[test]
fn an_ordered_policy_keeps_its_order_until_a_breaker_trips() {
    let mut world = World::new(3, Params::default(), 2);
    let candidates = world.candidates();
    let first = world.channels[0];
    for _ in 0..50 {
        let sent = world.try_route(&candidates, 1, Mode::Ordered).unwrap();
        assert_eq!(sent.channel(), first);
        world.pass(20);
        world.report(&sent, OutcomeClass::TechnicalFailure);
        if world.state(first) != State::Healthy {
            break;
        }
    }
    let sent = world.try_route(&candidates, 1, Mode::Ordered).unwrap();
    assert_eq!(sent.channel(), world.channels[1]);
}

#[test]
fn among_equals_the_cheaper_then_the_first_is_chosen() {
    let mut world = World::new(3, Params::default(), 2);
    let mut candidates = world.candidates();
    let mode = Mode::Adaptive(Adaptive {
        margin: 0.01,
        exploration: 0.0,
        ..Adaptive::default()
    });
    let sent = world.try_route(&candidates, 1, mode).unwrap();
    assert_eq!(sent.channel(), world.channels[0]);
    candidates[0].cost_minor = 30;
    candidates[1].cost_minor = 20;
    candidates[2].cost_minor = 20;
    let sent = world.try_route(&candidates, 1, mode).unwrap();
    assert_eq!(sent.channel(), world.channels[1]);
}

#[test]
fn a_replay_of_the_last_hour_rebuilds_what_was_learnt() {
    let mut world = World::new(2, Params::default(), 11);
    let first = world.channels[0];
    let mut recorded = Vec::new();
    for _ in 0..2_000 {
        let sent = world.route();
        world.pass(20);
        let class = fate(&mut world.rng, if sent.channel() == first { 0.95 } else { 0.75 });
        world.report(&sent, class);
        recorded.push(Outcome {
            key: sent.key,
            channel: sent.channel(),
            segment: sent.segment,
            class,
            latency_ms: 20.0,
            dispatched_at: sent.at,
            attempt_no: 1,
            generation: None,
        });
        world.pass(5);
    }
    let mut fresh = World::new(2, Params::default(), 12);
    for outcome in &recorded {
        let at = outcome.dispatched_at + SignedDuration::from_millis(20);
        fresh.brain.outcome(at, outcome);
    }
    fresh.brain.advance(world.now);
    for (segment, channel) in world.segments.iter().zip(world.channels.iter().cycle()) {
        let [was, is] =
            [&world, &fresh].map(|world| world.brain.success_estimate(*channel, *segment).unwrap());
        assert!((was - is).abs() < 1e-3, "{was} {is}");
    }
}
