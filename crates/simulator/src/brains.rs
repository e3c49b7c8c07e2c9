//! The routing brain as a router of the contest: one, or those of a fleet. Without a policy: what the brain alone does.

use std::time::Duration;

use domain::brain::{self, Adaptive, Brain, Candidate, Exploration, Generation, Mode, Outcome, Params};
use domain::decision::attempt_key;
use domain::id::ChannelId;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::drive::{Ask, Choice, Router, Told};
use crate::fleet::Minds;
use crate::world::World;

/// When a scenario begins; any moment would do.
const BEGINNING: Timestamp = Timestamp::constant(1_767_585_600, 0);

/// Brains that know the channels of a world, and nothing else yet.
#[derive(Debug)]
pub struct Brains {
    minds: Minds,
    ids: Vec<(ChannelId, u32)>,
    rng: SmallRng,
}

impl Brains {
    /// `replicas` of them for the channels of `world`. One is the embedded mode.
    #[must_use]
    pub fn of(replicas: usize, world: &World) -> Self {
        let ids: Vec<(ChannelId, u32)> = world
            .channels()
            .map(|(_, channel)| (channel.id.clone(), channel.timeout_ms))
            .collect();
        let mut brain = Brain::new(Params::default());
        let names: Vec<ChannelId> = ids.iter().map(|(id, _)| id.clone()).collect();
        brain.set_channels(&names);
        Self {
            minds: Minds::of(replicas, brain, world.seed(), BEGINNING),
            ids,
            rng: SmallRng::seed_from_u64(world.seed()),
        }
    }
}

impl Router for Brains {
    fn route(&mut self, ask: &Ask<'_>) -> Option<Choice> {
        let now = time(ask.now);
        let brain = self.minds.any(now);
        let known = ask.candidates.iter().filter_map(|index| {
            let (id, timeout_ms) = self.ids.get(index.place())?;
            let candidate = Candidate {
                channel: brain.channel_ix(id)?,
                cost_minor: 0,
                timeout_ms: *timeout_ms,
            };
            Some((*index, candidate))
        });
        let (places, candidates): (Vec<_>, Vec<_>) = known.unzip();
        let payment = ask.payment;
        let segment = brain.segment(&payment.method, payment.issuer.as_deref(), payment.band());
        let question = brain::Ask {
            segment,
            amount_minor: payment.amount.minor(),
            candidates: &candidates,
            key: attempt_key(&payment.merchant, &payment.payment, ask.attempt_no),
            attempt_no: ask.attempt_no,
            mode: Mode::Adaptive(Adaptive::default()),
            may_probe: true,
        };
        let choice = brain.route(now, &question, &mut self.rng).ok()?;
        let chosen = choice.ranking.first()?.channel;
        let place = candidates
            .iter()
            .position(|candidate| candidate.channel == chosen)?;
        Some(Choice {
            channel: *places.get(place)?,
            explores: choice.exploration != Exploration::None,
        })
    }

    fn outcome(&mut self, told: &Told<'_>) {
        let now = time(told.now);
        let brain = self.minds.any(now);
        let Some(channel) = self
            .ids
            .get(told.channel.place())
            .and_then(|(id, _)| brain.channel_ix(id))
        else {
            return;
        };
        let payment = told.payment;
        let outcome = Outcome {
            key: attempt_key(&payment.merchant, &payment.payment, told.attempt_no),
            channel,
            segment: brain.segment(&payment.method, payment.issuer.as_deref(), payment.band()),
            class: told.class,
            latency_ms: told.now.saturating_sub(told.submitted_at).as_secs_f64() * 1_000.0,
            dispatched_at: time(told.submitted_at),
            attempt_no: told.attempt_no,
            generation: Some(Generation(time(told.submitted_at))),
        };
        brain.outcome(now, &outcome);
    }
}

fn time(since: Duration) -> Timestamp {
    BEGINNING.checked_add(since).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::drive::{Failover, Stage, play};
    use crate::measure::Measures;
    use crate::scenario::Scenario;
    use crate::scenario::shipped::SHIPPED;

    fn regret(replicas: usize, scenario: &Scenario, seed: u64) -> f64 {
        let stage = Stage::of(Arc::new(World::new(scenario.clone(), seed)));
        let played = play(
            &stage,
            &mut Brains::of(replicas, &stage.world),
            Failover::default(),
        );
        Measures::of(&stage, &played).regret_per_10k
    }

    /// Both regrets of one scenario, together over `seeds`.
    fn compared(yaml: &str, seeds: std::ops::RangeInclusive<u64>) -> (f64, f64) {
        let scenario = Scenario::from_yaml(yaml).unwrap();
        seeds.fold((0.0, 0.0), |(one, two), seed| {
            (one + regret(1, &scenario, seed), two + regret(2, &scenario, seed))
        })
    }

    #[test]
    fn a_fleet_loses_hardly_more_than_one_process() {
        // Every scenario on a thread of its own: together they take minutes of a debug build's time.
        let regrets = std::thread::scope(|scope| {
            let runs = SHIPPED.map(|shipped| scope.spawn(move || compared(shipped.yaml, 1..=1)));
            runs.map(|run| run.join().unwrap())
        });
        let (one, two) = regrets.iter().fold((0.0, 0.0), |(one, two), (alone, together)| {
            (one + alone, two + together)
        });
        assert!(two <= 1.15 * one, "{two:.1} of two replicas, {one:.1} of one");
    }
}
