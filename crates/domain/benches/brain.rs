//! What one decision and one outcome of the brain cost, and how many bytes it keeps.
//!
//! A decision reads five terms and three breakers per candidate, so channels bound its cost; how many segments
//! were ever seen matters only through the processor's caches.

use std::alloc::System;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use jiff::{SignedDuration, Timestamp};
use payroute_domain::amount_band::AmountBand;
use payroute_domain::brain::{Adaptive, Ask, Brain, Candidate, Checkpoint, Mode, Outcome, Params, Segment};
use payroute_domain::id::ChannelId;
use payroute_domain::money::{Currency, Money};
use payroute_domain::outcome::OutcomeClass;
use rand::SeedableRng;
use rand::rngs::SmallRng;

#[global_allocator]
static ALLOC: AllocProfiler<System> = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Channels and segments of the measured cases.
const CASES: [(usize, usize); 6] = [
    (5, 10),
    (5, 10_000),
    (20, 10),
    (20, 10_000),
    (50, 10),
    (50, 10_000),
];

struct Life {
    brain: Brain,
    candidates: Vec<Candidate>,
    segments: Vec<Segment>,
    now: Timestamp,
    rng: SmallRng,
    attempt: u64,
}

impl Life {
    /// A brain that has learnt from `segments` segments on every channel.
    fn new(channels: usize, segments: usize) -> Self {
        let mut brain = Brain::new(Params::default());
        let ids: Vec<ChannelId> = (0..channels)
            .filter_map(|number| ChannelId::new(format!("channel_{number}")).ok())
            .collect();
        brain.set_channels(&ids);
        let candidates = ids
            .iter()
            .filter_map(|id| brain.channel_ix(id))
            .map(|channel| Candidate {
                channel,
                cost_minor: 60,
                timeout_ms: 8_000,
            })
            .collect();
        let segments = (0..segments)
            .filter_map(|number| {
                let (method, issuer) = (number % 20, number / 20 % 500);
                let currency: Currency = "CNY".parse().ok()?;
                let band = AmountBand::of(Money::new(2_000, currency).ok()?);
                Some(brain.segment(
                    &format!("method_{method}"),
                    Some(&format!("issuer_{issuer}")),
                    band,
                ))
            })
            .collect();
        let mut life = Self {
            brain,
            candidates,
            segments,
            now: Timestamp::UNIX_EPOCH,
            rng: SmallRng::seed_from_u64(1),
            attempt: 0,
        };
        for index in 0..life.segments.len() * life.candidates.len() {
            let candidate = life.candidates.get(index % life.candidates.len()).copied();
            let segment = life.segments.get(index / life.candidates.len()).copied();
            if let (Some(candidate), Some(segment)) = (candidate, segment) {
                life.hear(candidate, segment);
            }
        }
        life
    }

    fn hear(&mut self, candidate: Candidate, segment: Segment) {
        self.now += SignedDuration::from_millis(1);
        self.attempt += 1;
        let class = if self.attempt.is_multiple_of(12) {
            OutcomeClass::SoftDecline
        } else {
            OutcomeClass::Success
        };
        let outcome = Outcome {
            key: self.attempt,
            channel: candidate.channel,
            segment,
            class,
            latency_ms: 700.0,
            dispatched_at: self.now,
            attempt_no: 1,
            generation: None,
        };
        self.brain.outcome(self.now, &outcome);
    }

    fn next_segment(&mut self) -> Option<Segment> {
        self.attempt += 1;
        // A large odd stride, so that neighbours in time are not neighbours in memory.
        let index = usize::try_from(self.attempt.wrapping_mul(2_654_435_761) % 1_000_003).ok()?;
        self.segments.get(index % self.segments.len()).copied()
    }

    fn route(&mut self) -> Option<f64> {
        self.now += SignedDuration::from_millis(1);
        let segment = self.next_segment()?;
        let ask = Ask {
            segment,
            amount_minor: 2_000,
            candidates: &self.candidates,
            // A few keys that repeat: the table of attempts stays small, as when each is answered.
            key: self.attempt % 512,
            attempt_no: 1,
            mode: Mode::Adaptive(Adaptive::default()),
            may_probe: true,
        };
        let choice = self.brain.route(self.now, &ask, &mut self.rng).ok()?;
        choice.ranking.first().map(|ranked| ranked.success)
    }
}

/// One decision.
#[divan::bench(args = CASES)]
fn route(bencher: Bencher<'_, '_>, (channels, segments): (usize, usize)) {
    let mut life = Life::new(channels, segments);
    bencher.bench_local(|| life.route());
}

/// One outcome.
#[divan::bench(args = CASES)]
fn outcome(bencher: Bencher<'_, '_>, (channels, segments): (usize, usize)) {
    let mut life = Life::new(channels, segments);
    bencher.bench_local(|| {
        let segment = life.next_segment();
        let index = usize::try_from(life.attempt).unwrap_or(0) % life.candidates.len();
        let candidate = life.candidates.get(index).copied();
        if let (Some(segment), Some(candidate)) = (segment, candidate) {
            life.hear(candidate, segment);
        }
    });
}

/// A brain that has learnt everything: the bytes are in the column of allocations.
#[divan::bench(args = [(5, 10), (5, 10_000)], sample_count = 3, sample_size = 1)]
fn learn_everything((channels, segments): (usize, usize)) -> Brain {
    Life::new(channels, segments).brain
}

/// Segments of the measured checkpoints, on five channels each.
const CHECKPOINTS: [usize; 3] = [10, 1_000, 10_000];

fn written(life: &Life) -> Vec<u8> {
    postcard::to_stdvec(&life.brain.checkpoint()).unwrap_or_default()
}

/// A checkpoint, to bytes: the size is in the column of throughput.
#[divan::bench(args = CHECKPOINTS)]
fn write_checkpoint(bencher: Bencher<'_, '_>, segments: usize) {
    let life = Life::new(5, segments);
    bencher
        .counter(BytesCount::new(written(&life).len()))
        .bench_local(|| written(&life));
}

/// A brain, from bytes.
#[divan::bench(args = CHECKPOINTS)]
fn read_checkpoint(bencher: Bencher<'_, '_>, segments: usize) {
    let life = Life::new(5, segments);
    let bytes = written(&life);
    let params = life.brain.params();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let read: Option<Checkpoint> = postcard::from_bytes(&bytes).ok();
        read.and_then(|read| Brain::restore(read, params.clone(), SignedDuration::ZERO).ok())
    });
}
