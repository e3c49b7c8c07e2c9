//! Two replicas over one log, turn by turn.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::amount_band::AmountBand;
use domain::brain::{Ask, Candidate, Mode, Outcome, Params, State};
use domain::clock::{Clock, ManualClock};
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::replica::{Checkpoint, Estimator, Packet};
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;
use stats::evidence::MemoryLog;

use super::*;

/// A log that can be broken.
#[derive(Clone)]
struct Breakable(MemoryLog, Arc<AtomicBool>);

impl Breakable {
    fn check(&self) -> Result<(), LogError> {
        if self.1.load(Ordering::Relaxed) {
            return Err(LogError::Store("broken".into()));
        }
        Ok(())
    }
}

impl EvidenceLog for Breakable {
    async fn append(&self, packet: &Packet) -> Result<Position, LogError> {
        self.check()?;
        self.0.append(packet).await
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<(Position, Packet)>, LogError> {
        self.check()?;
        self.0.read(after, limit).await
    }

    async fn time(&self) -> Result<Timestamp, LogError> {
        self.0.time().await
    }

    async fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), LogError> {
        self.0.put_checkpoint(checkpoint).await
    }

    async fn checkpoint(&self) -> Result<Option<Checkpoint>, LogError> {
        self.check()?;
        self.0.checkpoint().await
    }
}

struct Room {
    clock: Arc<ManualClock>,
    log: Breakable,
    tasks: Vec<ReplicaTask<Breakable>>,
}

fn brain() -> Brain {
    let mut brain = Brain::new(Params::default());
    brain.set_channels(&[ChannelId::new("a").unwrap(), ChannelId::new("b").unwrap()]);
    brain
}

impl Room {
    fn of(replicas: u64) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_700_000_000).unwrap()));
        let log = Breakable(MemoryLog::new(Arc::clone(&clock) as _), Arc::default());
        let mut room = Self {
            clock,
            log,
            tasks: Vec::new(),
        };
        for number in 0..replicas {
            room.join(number + 1);
        }
        room
    }

    fn join(&mut self, own: u64) {
        let nothing = HealthSnapshot::take(0, self.clock.now(), &Windows::default(), []);
        let live = Arc::new(Live::new(brain(), nothing));
        let task = ReplicaTask::new(Origin(own), self.log.clone(), live, Arc::clone(&self.clock) as _);
        self.tasks.push(task);
    }

    async fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.clock
                .set(self.clock.now() + SignedDuration::from_millis(100));
            for task in &mut self.tasks {
                task.turn().await;
            }
        }
    }

    /// Routes one payment at a replica and reports it there as `class`.
    fn pay(&self, replica: usize, key: u64, class: OutcomeClass) {
        let now = self.clock.now();
        self.tasks[replica].live.with_brain(|brain| {
            let segment = brain.segment("card", None, AmountBand::from_index(2).unwrap());
            let channel = brain.channel_ix(&ChannelId::new("a").unwrap()).unwrap();
            let candidates = [Candidate {
                channel,
                cost_minor: 0,
                timeout_ms: 5_000,
            }];
            let ask = Ask {
                segment,
                amount_minor: 100,
                candidates: &candidates,
                key,
                attempt_no: 1,
                mode: Mode::Ordered,
                may_probe: true,
            };
            let choice = brain.route(now, &ask, &mut StdRng::seed_from_u64(key)).unwrap();
            let outcome = Outcome {
                key,
                channel,
                segment,
                class,
                latency_ms: 50.0,
                dispatched_at: now,
                attempt_no: 1,
                generation: Some(choice.generation),
            };
            brain.outcome(now, &outcome);
        });
    }

    fn state(&self, replica: usize) -> State {
        self.tasks[replica]
            .live
            .with_brain(|brain| brain.health()[0].breaker.state)
    }

    fn outcomes(&self, replica: usize) -> u32 {
        self.tasks[replica]
            .live
            .with_brain(|brain| brain.health()[0].outcomes)
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_replica_hears_moves_the_other_within_a_turn() {
    let mut room = Room::of(2);
    room.turns(2).await;
    room.pay(0, 1, OutcomeClass::Maintenance);
    room.turns(1).await;
    assert_eq!((room.state(0), room.state(1)), (State::Tripped, State::Tripped));
}

#[tokio::test(start_paused = true)]
async fn without_the_log_a_replica_goes_on_and_tells_what_it_did_when_it_is_back() {
    let mut room = Room::of(2);
    room.turns(2).await;
    room.log.1.store(true, Ordering::Relaxed);
    for key in 0..20 {
        room.pay(0, key, OutcomeClass::Success);
        room.turns(1).await;
    }
    assert_eq!((room.outcomes(0), room.outcomes(1)), (20, 0));
    room.log.1.store(false, Ordering::Relaxed);
    room.turns(60).await;
    assert_eq!((room.outcomes(0), room.outcomes(1)), (20, 20));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_begins_goes_on_from_the_checkpoint() {
    let mut room = Room::of(1);
    let mut estimator = Estimator::new(brain());
    room.turns(1).await;
    for key in 0..30 {
        room.pay(0, key, OutcomeClass::Success);
    }
    room.turns(2).await;
    let now = room.clock.now();
    estimator.follower.calibrate(now, now);
    for (at, packet) in room.log.read(Position::BEGINNING, 1_000).await.unwrap() {
        estimator.read(at, packet, now);
    }
    room.log.put_checkpoint(&estimator.checkpoint(now)).await.unwrap();
    room.join(9);
    room.pay(1, 100, OutcomeClass::Success);
    room.turns(12).await;
    assert_eq!((room.outcomes(0), room.outcomes(1)), (31, 31));
    assert_eq!(room.tasks[1].replica.follower.wants_rebase(), None);
}
