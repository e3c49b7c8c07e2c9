//! What a fleet keeps to.

use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;
use crate::amount_band::AmountBand;
use crate::brain::{Adaptive, Ask, Candidate, Choice, Deed, Exploration, Mode, Outcome, Params, State};
use crate::id::ChannelId;
use crate::outcome::OutcomeClass;

/// A replica with its brain and a clock that may be wrong.
struct Node {
    replica: Replica,
    brain: Brain,
    rng: SmallRng,
    /// How far its clock is ahead of the stream's.
    ahead: SignedDuration,
}

/// Some replicas, a stream, and its time.
struct Fleet {
    nodes: Vec<Node>,
    stream: Vec<(Position, Packet)>,
    now: Timestamp,
    keys: u64,
}

const CHANNELS: [&str; 2] = ["a", "b"];

fn brain() -> Brain {
    brain_by(Params::default())
}

fn brain_by(params: Params) -> Brain {
    let mut brain = Brain::new(params);
    brain.set_channels(&CHANNELS.map(|name| ChannelId::new(name).unwrap()));
    brain
}

impl Fleet {
    fn of(count: u64) -> Self {
        let node = |number| {
            let mut brain = brain();
            Node {
                replica: Replica::new(Origin(number + 1), &mut brain),
                brain,
                rng: SmallRng::seed_from_u64(number),
                ahead: SignedDuration::ZERO,
            }
        };
        Self {
            nodes: (0..count).map(node).collect(),
            stream: Vec::new(),
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            keys: 0,
        }
    }

    fn time_of(&self, node: usize) -> Timestamp {
        self.now + self.nodes[node].ahead
    }

    fn route(&mut self, node: usize) -> (u64, Choice) {
        self.keys += 1;
        let (key, now) = (self.keys, self.time_of(node));
        let node = &mut self.nodes[node];
        let issuer = ["icbc", "cmb"][usize::from(key.is_multiple_of(2))];
        let segment = node
            .brain
            .segment("card", Some(issuer), AmountBand::from_index(2).unwrap());
        let candidates: Vec<Candidate> = CHANNELS
            .iter()
            .map(|name| Candidate {
                channel: node.brain.channel_ix(&ChannelId::new(name).unwrap()).unwrap(),
                cost_minor: 0,
                timeout_ms: 5_000,
            })
            .collect();
        let ask = Ask {
            segment,
            amount_minor: 2_000,
            candidates: &candidates,
            key,
            attempt_no: 1,
            mode: Mode::Adaptive(Adaptive::default()),
            may_probe: true,
        };
        (key, node.brain.route(now, &ask, &mut node.rng).unwrap())
    }

    fn report(&mut self, node: usize, key: u64, choice: &Choice, class: OutcomeClass) {
        let now = self.time_of(node);
        let node = &mut self.nodes[node];
        let issuer = ["icbc", "cmb"][usize::from(key.is_multiple_of(2))];
        let outcome = Outcome {
            key,
            channel: choice.ranking[0].channel,
            segment: node
                .brain
                .segment("card", Some(issuer), AmountBand::from_index(2).unwrap()),
            class,
            latency_ms: 40.0,
            dispatched_at: choice.generation.0,
            attempt_no: 1,
            generation: Some(choice.generation),
        };
        node.brain.outcome(now, &outcome);
    }

    /// Everybody tells and hears.
    fn exchange(&mut self) {
        for index in 0..self.nodes.len() {
            self.tell(index);
        }
        for index in 0..self.nodes.len() {
            self.listen(index);
        }
    }

    fn tell(&mut self, index: usize) {
        let now = self.time_of(index);
        let node = &mut self.nodes[index];
        node.replica.outbox.collect(&mut node.brain);
        let waited_for = node.brain.in_flight() > 0;
        node.replica.outbox.pack(now, waited_for);
        while let Some(packet) = node.replica.outbox.next().cloned() {
            let at = Position {
                ms: u64::try_from(self.now.as_millisecond()).unwrap(),
                seq: u64::try_from(self.stream.len()).unwrap(),
            };
            node.replica.outbox.taken(packet.seq);
            node.replica.follower.calibrate(now, at.time());
            self.stream.push((at, packet));
        }
    }

    fn listen(&mut self, index: usize) {
        let now = self.time_of(index);
        let node = &mut self.nodes[index];
        let from = node.replica.follower.position();
        for (at, packet) in self.stream.iter().filter(|(at, _)| *at > from) {
            node.replica.follower.read(*at, packet.clone(), now);
        }
        node.replica.follower.read_to_end(now);
        node.replica.follower.tick(&mut node.brain, now);
        node.replica.follower.apply(&mut node.brain, usize::MAX);
        node.brain.advance(now);
    }

    fn pass(&mut self, millis: i64) {
        self.now += SignedDuration::from_millis(millis);
    }

    /// Every replica routes in turn; answers come after 40 ms, to the next replica.
    fn live(&mut self, payments: usize, class: impl Fn(&str) -> OutcomeClass) {
        for number in 0..payments {
            let node = number % self.nodes.len();
            let (key, choice) = self.route(node);
            self.pass(40);
            let name = self.nodes[node]
                .brain
                .channel_id(choice.ranking[0].channel)
                .unwrap()
                .clone();
            let hearer = (node + 1) % self.nodes.len();
            self.report(hearer, key, &choice, class(name.as_str()));
            self.pass(10);
            if number % 2 == 1 {
                self.exchange();
            }
        }
    }

    fn state(&self, node: usize, channel: usize) -> State {
        self.nodes[node].brain.health()[channel].breaker.state
    }

    fn shut(&self, node: usize, channel: usize) -> bool {
        matches!(self.state(node, channel), State::Tripped | State::Probing)
    }
}

fn good(_: &str) -> OutcomeClass {
    OutcomeClass::Success
}

#[test]
fn what_one_replica_hears_teaches_all() {
    let mut fleet = Fleet::of(3);
    fleet.live(300, good);
    for name in CHANNELS {
        let outcomes = |node: &Node| {
            let health = node.brain.health();
            health
                .iter()
                .find(|health| health.channel.as_str() == name)
                .unwrap()
                .outcomes
        };
        let heard: Vec<u32> = fleet.nodes.iter().map(outcomes).collect();
        assert!(heard.iter().all(|count| *count + 4 >= heard[0]), "{heard:?}");
    }
    assert_eq!(
        fleet.nodes.iter().map(|node| node.brain.in_flight()).max(),
        Some(0)
    );
}

#[test]
fn a_channel_that_dies_is_left_by_replicas_that_never_sent_anything_there() {
    let mut fleet = Fleet::of(2);
    fleet.live(200, good);
    for _ in 0..4 {
        let (key, choice) = fleet.route(0);
        fleet.pass(40);
        let maintenance = OutcomeClass::Maintenance;
        fleet.report(0, key, &choice, maintenance);
    }
    fleet.exchange();
    let dead = (0..2)
        .filter(|channel| fleet.shut(0, *channel))
        .collect::<Vec<_>>();
    assert!(!dead.is_empty());
    assert!(dead.iter().all(|channel| fleet.shut(1, *channel)));
}

#[test]
fn silence_counts_over_the_whole_fleet_once_everybody_has_been_heard() {
    let mut fleet = Fleet::of(2);
    fleet.live(400, good);
    for _ in 0..8 {
        fleet.route(0);
    }
    fleet.exchange();
    fleet.pass(1_500);
    let node = &mut fleet.nodes[1];
    let now = fleet.now;
    node.brain.advance(now);
    assert!(
        (0..2).all(|channel| !fleet.shut(1, channel)),
        "nobody has been heard since"
    );
    fleet.exchange();
    assert!((0..2).any(|channel| fleet.shut(1, channel)));
}

#[test]
fn a_peer_that_falls_silent_is_not_its_channels_silence() {
    let mut fleet = Fleet::of(2);
    fleet.live(400, good);
    for _ in 0..30 {
        fleet.route(0);
    }
    fleet.exchange();
    assert_eq!(fleet.nodes[1].brain.in_flight(), 30);
    for _ in 0..100 {
        fleet.pass(100);
        fleet.tell(1);
        fleet.listen(1);
    }
    assert_eq!(fleet.nodes[1].brain.in_flight(), 0);
    assert!((0..2).all(|channel| fleet.state(1, channel) == State::Healthy));
    assert!(fleet.nodes[1].replica.follower.wants_rebase().is_some());
}

#[test]
fn a_gap_forgets_what_the_peer_had_out() {
    let mut fleet = Fleet::of(2);
    fleet.live(100, good);
    for _ in 0..5 {
        fleet.route(0);
    }
    fleet.exchange();
    fleet.pass(100);
    fleet.route(0);
    fleet.tell(0);
    fleet.stream.pop();
    fleet.pass(100);
    fleet.exchange();
    assert_eq!(fleet.nodes[1].brain.in_flight(), 0);
    assert_eq!(fleet.nodes[1].replica.follower.counts().gaps, 1);
}

#[test]
fn a_peer_whose_clock_is_an_hour_off_is_heard_as_of_now() {
    for hours in [-1, 1] {
        let mut fleet = Fleet::of(2);
        fleet.nodes[0].ahead = SignedDuration::from_hours(hours);
        fleet.live(400, good);
        for node in 0..2 {
            assert!(
                (0..2).all(|channel| fleet.state(node, channel) == State::Healthy),
                "{hours}"
            );
        }
        for _ in 0..8 {
            fleet.route(0);
        }
        fleet.exchange();
        assert_eq!(fleet.nodes[1].brain.in_flight(), 8);
        fleet.pass(10);
        fleet.exchange();
        assert!((0..2).all(|channel| !fleet.shut(1, channel)), "{hours}");
        fleet.pass(1_500);
        fleet.exchange();
        assert!((0..2).any(|channel| fleet.shut(1, channel)), "{hours}");
    }
}

#[test]
fn old_packets_trip_nothing_and_ask_for_a_checkpoint() {
    let mut fleet = Fleet::of(2);
    fleet.live(100, good);
    let (key, choice) = fleet.route(0);
    fleet.report(0, key, &choice, OutcomeClass::Maintenance);
    fleet.tell(0);
    fleet.pass(11_000);
    fleet.listen(1);
    assert!((0..2).all(|channel| fleet.state(1, channel) == State::Healthy));
    assert!(fleet.nodes[1].replica.follower.counts().too_old > 0);
    assert!(fleet.nodes[1].replica.follower.wants_rebase().is_some());
}

#[test]
fn an_answer_that_is_heard_before_its_dispatch_leaves_nothing_waiting() {
    let mut fleet = Fleet::of(2);
    fleet.live(10, good);
    let (key, choice) = fleet.route(0);
    fleet.report(1, key, &choice, OutcomeClass::Success);
    fleet.pass(100);
    fleet.exchange();
    assert_eq!(
        fleet.nodes[0].brain.in_flight() + fleet.nodes[1].brain.in_flight(),
        0
    );
}

/// The bound of [`super`]: a thousand decisions in the moment in which a probe becomes due.
#[test]
fn ten_replicas_send_at_most_ten_probes_at_the_moment_of_half_open() {
    let mut fleet = Fleet::of(10);
    fleet.live(400, good);
    let (key, choice) = fleet.route(0);
    let dead = choice.ranking[0].channel;
    fleet.report(0, key, &choice, OutcomeClass::Maintenance);
    fleet.exchange();
    let name = fleet.nodes[0].brain.channel_id(dead).unwrap().clone();
    let place = usize::from(name.as_str() == "b");
    assert!((0..10).all(|node| fleet.shut(node, place)));
    fleet.pass(3_500);
    let mut probes = 0;
    for decision in 0..1_000 {
        let (_, choice) = fleet.route(decision % 10);
        probes += usize::from(choice.exploration == Exploration::Probe);
    }
    assert!((1..=10).contains(&probes), "{probes}");
    fleet.exchange();
    for decision in 0..1_000 {
        let (_, choice) = fleet.route(decision % 10);
        probes += usize::from(choice.exploration == Exploration::Probe);
    }
    assert!(probes <= 10, "{probes}");
}

#[test]
fn a_fleet_explores_as_much_as_one_process() {
    let explored = |count: u64| {
        let mut fleet = Fleet::of(count);
        // Whoever doubts everything explores whenever it can pay for it.
        let mut params = Params::default();
        params.exploration.first_factor = 10.0;
        for node in &mut fleet.nodes {
            node.brain = brain_by(params.clone());
            node.brain.join(node.replica.outbox.origin());
        }
        let mut explored = 0_u32;
        for number in 0..6_000_usize {
            let node = number % fleet.nodes.len();
            let (key, choice) = fleet.route(node);
            let tries = !matches!(choice.exploration, Exploration::None | Exploration::Probe);
            explored += u32::from(tries);
            fleet.pass(5);
            let class = if key.is_multiple_of(10) {
                OutcomeClass::SoftDecline
            } else {
                OutcomeClass::Success
            };
            fleet.report(node, key, &choice, class);
            if number % 20 == 0 {
                fleet.exchange();
            }
        }
        explored
    };
    let (one, four) = (explored(1), explored(4));
    assert!(one.abs_diff(four) <= 10, "{four} of a fleet, {one} of one");
}

#[test]
fn a_replica_that_begins_goes_on_where_the_estimator_stands() {
    let mut fleet = Fleet::of(2);
    let mut estimator = Estimator::new(brain());
    fleet.live(100, good);
    for (at, packet) in fleet.stream.clone() {
        estimator.follower.calibrate(at.time(), at.time());
        estimator.read(at, packet, fleet.now);
    }
    let checkpoint = estimator.checkpoint(fleet.now);
    fleet.live(20, good);
    let mut late = brain();
    let mut replica = Replica::new(Origin(9), &mut late);
    replica.follower.want_rebase();
    assert!(replica.is_helped_by(&checkpoint, fleet.now));
    let mut rebase = replica.begin_rebase(checkpoint, late.params()).unwrap();
    let from = rebase.position();
    for (at, packet) in fleet.stream.clone().into_iter().filter(|(at, _)| *at > from) {
        rebase.read(at, packet, fleet.now);
    }
    let _ = replica.finish_rebase(rebase, &mut late, fleet.now);
    assert_eq!(replica.follower.wants_rebase(), None);
    let total = |brain: &Brain| brain.health().iter().map(|health| health.outcomes).sum::<u32>();
    assert_eq!(total(&late), total(&fleet.nodes[0].brain));
}

#[test]
fn a_rebase_keeps_what_the_replica_did_itself() {
    let mut fleet = Fleet::of(1);
    let mut estimator = Estimator::new(brain());
    fleet.live(60, good);
    for (at, packet) in fleet.stream.clone() {
        estimator.read(at, packet, fleet.now);
    }
    let checkpoint = estimator.checkpoint(fleet.now);
    let (key, choice) = fleet.route(0);
    fleet.report(0, key, &choice, OutcomeClass::Maintenance);
    let (_, waiting) = fleet.route(0);
    let node = &mut fleet.nodes[0];
    let rebase = node
        .replica
        .begin_rebase(checkpoint, node.brain.params())
        .unwrap();
    let before = node.brain.health();
    let _ = node.replica.finish_rebase(rebase, &mut node.brain, fleet.now);
    assert_eq!(node.brain.in_flight(), 1);
    assert_eq!(node.brain.health().len(), before.len());
    assert!((0..2).any(|channel| fleet.shut(0, channel)));
    assert!(!waiting.ranking.is_empty());
}

#[test]
fn a_packet_that_the_stream_did_not_take_is_offered_again() {
    let mut brain = brain();
    let mut replica = Replica::new(Origin(1), &mut brain);
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    brain.heard(5);
    replica.outbox.collect(&mut brain);
    replica.outbox.pack(now, false);
    let offered = replica.outbox.next().cloned().unwrap();
    assert_eq!(offered.deeds, [Deed::Arrived { key: 5 }]);
    replica.outbox.pack(now + SignedDuration::from_secs(1), false);
    assert_eq!(replica.outbox.next(), Some(&offered));
    replica.outbox.taken(offered.seq);
    assert_eq!(
        replica.outbox.next().map(|packet| packet.seq),
        Some(offered.seq + 1)
    );
}
