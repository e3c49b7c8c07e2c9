//! A fleet in virtual time: some replicas, each with its own brain, an estimator, and the stream between them.
//!
//! It is what production runs, with the network replaced by delays that one can choose: everything that a replica does
//! on a timer happens at its moment, in an order that depends on nothing but the times.

use std::collections::VecDeque;

use domain::brain::{Brain, Origin};
use domain::bucket::{Draw, Purpose};
use domain::replica::{Checkpoint, Estimator, Packet, Position, Replica};
use jiff::{SignedDuration, Timestamp};

/// How long everything takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// From one packet of a replica to its next.
    pub packet_every: SignedDuration,
    /// From sending a packet until everybody has read it.
    pub transport: SignedDuration,
    /// From one checkpoint to the next.
    pub checkpoint_every: SignedDuration,
}

impl Default for Delays {
    /// Production's: a packet every 100 ms, 20 ms on its way, a checkpoint every 2 s.
    fn default() -> Self {
        Self {
            packet_every: SignedDuration::from_millis(100),
            transport: SignedDuration::from_millis(20),
            checkpoint_every: SignedDuration::from_secs(2),
        }
    }
}

/// One replica.
#[derive(Debug)]
struct Node {
    replica: Replica,
    brain: Brain,
    tells_at: Timestamp,
}

/// The fleet.
#[derive(Debug)]
pub struct Fleet {
    nodes: Vec<Node>,
    estimator: Estimator,
    checkpoint: Option<Checkpoint>,
    checkretarget: Timestamp,
    /// Packets that are on their way or may be read again, oldest first.
    stream: VecDeque<(Position, Packet)>,
    /// How many of them were read.
    read: usize,
    seq: u64,
    delays: Delays,
}

/// How long packets are kept, for a replica that re-bases.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

impl Fleet {
    /// A fleet of `replicas`, at least one, that begin at `now` with copies of `brain`.
    #[must_use]
    pub fn new(replicas: usize, brain: &Brain, delays: Delays, now: Timestamp) -> Self {
        let node = |number: u32| {
            let mut brain = brain.clone();
            // Not all at once: as in production, where nobody began at the same moment.
            let share = delays.packet_every * i32::try_from(number).unwrap_or(0);
            let share = share / i32::try_from(replicas.max(1)).unwrap_or(1);
            Node {
                replica: Replica::new(Origin(u64::from(number) + 1), &mut brain),
                brain,
                tells_at: now + share,
            }
        };
        Self {
            nodes: (0..).take(replicas.max(1)).map(node).collect(),
            estimator: Estimator::new(brain.clone()),
            checkpoint: None,
            checkretarget: now + delays.checkpoint_every,
            stream: VecDeque::new(),
            read: 0,
            seq: 0,
            delays,
        }
    }

    /// How many replicas there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The brain of replica `number`; the estimator's where there is none of that number.
    pub fn brain(&mut self, number: usize) -> &mut Brain {
        match self.nodes.get_mut(number) {
            Some(node) => &mut node.brain,
            None => self.estimator.brain(),
        }
    }

    /// Lets everything happen until `now` that is due, in its order.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= now) {
            match due {
                Due::Arrival => self.arrive(at),
                Due::Tell(number) => self.tell(number, at),
                Due::Checkpoint => self.write_checkpoint(at),
            }
        }
    }

    /// Cuts replica `number` off from what it has not read, as a crash of its process does: it begins anew from the next
    /// checkpoint, with `brain`.
    pub fn restart(&mut self, number: usize, mut brain: Brain) {
        self.seq += 1;
        if let Some(node) = self.nodes.get_mut(number) {
            let mut replica = Replica::new(Origin(1_000 + self.seq), &mut brain);
            replica.follower.want_rebase();
            node.replica = replica;
            node.brain = brain;
        }
    }

    fn next_due(&self) -> Option<(Timestamp, Due)> {
        let arrival = self
            .stream
            .get(self.read)
            .map(|(at, _)| (at.time() + self.delays.transport, Due::Arrival));
        let tells = self
            .nodes
            .iter()
            .enumerate()
            .map(|(number, node)| (node.tells_at, Due::Tell(number)));
        let checkpoint = (self.checkretarget, Due::Checkpoint);
        tells.chain(arrival).chain([checkpoint]).min_by_key(|(at, _)| *at)
    }

    fn tell(&mut self, number: usize, now: Timestamp) {
        let Some(node) = self.nodes.get_mut(number) else {
            return;
        };
        node.tells_at = now + self.delays.packet_every;
        node.replica.follower.read_to_end(now);
        node.replica.follower.tick(&mut node.brain, now);
        node.replica.follower.apply(&mut node.brain, usize::MAX);
        node.brain.advance(now);
        node.replica.outbox.collect(&mut node.brain);
        let waited_for = node.brain.in_flight() > 0;
        node.replica.outbox.pack(now, waited_for);
        while let Some(packet) = node.replica.outbox.next().cloned() {
            self.seq += 1;
            let at = Position {
                ms: u64::try_from(now.as_millisecond()).unwrap_or(0),
                seq: self.seq,
            };
            node.replica.outbox.taken(packet.seq);
            node.replica.follower.calibrate(now, at.time());
            self.stream.push_back((at, packet));
        }
        self.rebase(number, now);
    }

    fn arrive(&mut self, now: Timestamp) {
        let Some((at, packet)) = self.stream.get(self.read).cloned() else {
            return;
        };
        self.read += 1;
        for node in &mut self.nodes {
            node.replica.follower.read(at, packet.clone(), now);
            node.replica.follower.apply(&mut node.brain, usize::MAX);
        }
        self.estimator.read(at, packet, now);
        while self
            .stream
            .front()
            .is_some_and(|(at, _)| now.duration_since(at.time()) > KEPT)
        {
            self.stream.pop_front();
            self.read = self.read.saturating_sub(1);
        }
    }

    fn write_checkpoint(&mut self, now: Timestamp) {
        self.checkretarget = now + self.delays.checkpoint_every;
        self.estimator.follower.calibrate(now, now);
        self.estimator.tick(now);
        self.checkpoint = Some(self.estimator.checkpoint(now));
    }

    fn rebase(&mut self, number: usize, now: Timestamp) {
        let Some(node) = self.nodes.get_mut(number) else {
            return;
        };
        let helpful = |checkpoint: &&Checkpoint| node.replica.is_helped_by(checkpoint, now);
        let Some(checkpoint) = self.checkpoint.as_ref().filter(helpful) else {
            return;
        };
        let Ok(mut rebase) = node.replica.begin_rebase(checkpoint.clone(), node.brain.params()) else {
            return;
        };
        let from = rebase.position();
        for (at, packet) in self.stream.iter().take(self.read).filter(|(at, _)| *at > from) {
            rebase.read(*at, packet.clone(), now);
        }
        drop(node.replica.finish_rebase(rebase, &mut node.brain, now));
    }
}

/// Who decides: one brain, or those of a fleet, one of which is asked at random as a load balancer does it.
#[derive(Debug)]
pub enum Minds {
    /// One process, as in the embedded mode.
    One(Box<Brain>),
    /// A fleet.
    Many {
        /// The replicas.
        fleet: Box<Fleet>,
        /// Who is asked next.
        draw: Draw,
    },
}

impl Minds {
    /// `replicas` that begin at `now` with what `brain` knows; none counts as one. `seed` decides who is asked.
    #[must_use]
    pub fn of(replicas: usize, brain: Brain, seed: u64, now: Timestamp) -> Self {
        if replicas <= 1 {
            return Self::One(Box::new(brain));
        }
        Self::Many {
            fleet: Box::new(Fleet::new(replicas, &brain, Delays::default(), now)),
            draw: Draw::of(Purpose::Split, ["replica", &seed.to_string()]),
        }
    }

    /// The brain that a call at `now` comes to.
    pub fn any(&mut self, now: Timestamp) -> &mut Brain {
        match self {
            Self::One(brain) => brain,
            Self::Many { fleet, draw } => {
                fleet.advance(now);
                *draw = draw.again();
                let replicas = u64::try_from(fleet.len()).unwrap_or(1);
                fleet.brain(usize::try_from(draw.below(replicas)).unwrap_or(0))
            }
        }
    }
}

/// Something that is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    Arrival,
    Tell(usize),
    Checkpoint,
}
