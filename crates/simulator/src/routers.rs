//! Routers to compare with: one that knows everything, and two that learn nothing.

use crate::chance::{Chance, Topic};
use crate::drive::{Ask, Choice, Router, Told};
use crate::number::float;
use crate::scenario::quantity::Positive;
use crate::world::{ChannelIndex, World};

/// Knows the true probability of success of every channel at every moment, and takes the best. What no router can
/// beat at the first attempt; its regret is zero by definition.
#[derive(Clone, Copy, Debug, Default)]
pub struct Oracle;

impl Router for Oracle {
    fn route(&mut self, ask: &Ask<'_>) -> Option<Choice> {
        let rated = ask
            .candidates
            .iter()
            .map(|channel| (ask.success_probability(*channel), *channel));
        let (_, channel) = rated.max_by(|one, other| one.0.total_cmp(&other.0))?;
        Some(chosen(channel))
    }

    fn outcome(&mut self, _: &Told<'_>) {}
}

/// Takes the first channel of a fixed order, whatever happens.
#[derive(Clone, Debug)]
pub struct StaticPriority {
    order: Vec<ChannelIndex>,
}

impl StaticPriority {
    /// Channels in this order.
    #[must_use]
    pub const fn of(order: Vec<ChannelIndex>) -> Self {
        Self { order }
    }

    /// Channels as the scenario lists them.
    #[must_use]
    pub fn as_listed(world: &World) -> Self {
        Self::of(world.channels().map(|(index, _)| index).collect())
    }
}

impl Router for StaticPriority {
    fn route(&mut self, ask: &Ask<'_>) -> Option<Choice> {
        let channel = self.order.iter().find(|channel| ask.candidates.contains(channel));
        channel.copied().map(chosen)
    }

    fn outcome(&mut self, _: &Told<'_>) {}
}

/// Spreads payments in fixed shares; the same payment always falls to the same channel.
#[derive(Clone, Debug)]
pub struct Split {
    first: Vec<f64>,
    rest: f64,
}

impl Split {
    /// The candidates of a payment get the shares of `first` in order; those beyond share `rest` evenly. Shares are
    /// relative to each other and need no total.
    #[must_use]
    pub fn of(first: &[Positive], rest: Positive) -> Self {
        Self {
            first: first.iter().map(|share| share.get()).collect(),
            rest: rest.get(),
        }
    }

    /// 70 % for the first, 20 % for the second, 10 % for the others together: the split that shops write down.
    #[must_use]
    pub fn seventy_twenty_ten() -> Self {
        Self {
            first: vec![70.0, 20.0],
            rest: 10.0,
        }
    }
}

impl Router for Split {
    fn route(&mut self, ask: &Ask<'_>) -> Option<Choice> {
        let others = ask.candidates.len().saturating_sub(self.first.len());
        let each = self.rest / float(others.max(1));
        let shares = self.first.iter().copied().chain(std::iter::repeat(each));
        let weighted: Vec<_> = ask.candidates.iter().copied().zip(shares).collect();
        let luck = Chance::of(u64::from(ask.attempt_no)).named(ask.payment.payment.as_str());
        let picked = luck.pick(Topic::Bucket, &weighted, |(_, share)| *share);
        picked.map(|(channel, _)| chosen(*channel))
    }

    fn outcome(&mut self, _: &Told<'_>) {}
}

const fn chosen(channel: ChannelIndex) -> Choice {
    Choice {
        channel,
        explores: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Failover, Stage, play};
    use crate::fixture;
    use crate::measure::Measures;
    use crate::number::share;

    fn measured(router: &mut dyn Router) -> Measures {
        let stage = Stage::of(fixture::world(1));
        Measures::of(&stage, &play(&stage, router, Failover::default()))
    }

    #[test]
    fn the_oracle_has_no_regret() {
        assert!(measured(&mut Oracle).regret_per_10k.abs() < 1e-9);
    }

    #[test]
    fn a_static_order_suffers_in_an_outage() {
        let (oracle, fixed) = (
            measured(&mut Oracle),
            measured(&mut StaticPriority::as_listed(&fixture::world(1))),
        );
        assert!(fixed.regret_per_10k > 2_000.0, "{fixed:?}");
        assert!(fixed.first_attempt_rate < oracle.first_attempt_rate - 0.2);
    }

    #[test]
    fn failing_over_makes_up_for_part_of_an_outage() {
        let fixed = measured(&mut StaticPriority::as_listed(&fixture::world(1)));
        assert!(fixed.failover_rate > fixed.first_attempt_rate + 0.15, "{fixed:?}");
    }

    #[test]
    fn a_split_keeps_its_shares() {
        let stage = Stage::of(fixture::world(1));
        let mut split = Split::seventy_twenty_ten();
        let played = play(&stage, &mut split, Failover::default());
        for (place, expected) in [(0, 0.7), (1, 0.2), (2, 0.1)] {
            let first = |tried: &[ChannelIndex]| tried.first().is_some_and(|one| one.place() == place);
            let there = played.iter().filter(|one| first(&one.tried)).count();
            let found = share(there, played.len());
            assert!((found - expected).abs() < 0.02, "{place}: {found}");
        }
    }
}
