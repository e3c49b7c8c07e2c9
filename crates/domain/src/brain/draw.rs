//! Draws from what is believed about each channel, and how likely a channel was to win them.

use rand::Rng;
use smallvec::SmallVec;

use super::normal::{deviate, distribution};

/// What is believed about a channel: mean and standard deviation of its log-odds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belief {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// Beliefs of the channels that take part, in their order.
pub(super) type Beliefs = SmallVec<[Belief; 8]>;

/// Draws once from each belief; the position of the highest draw, the first of equals.
pub(super) fn winner<R: Rng + ?Sized>(beliefs: &[Belief], rng: &mut R) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (position, belief) in beliefs.iter().enumerate() {
        let draw = belief.mean + belief.deviation * deviate(rng);
        if best.is_none_or(|(_, highest)| draw > highest) {
            best = Some((position, draw));
        }
    }
    best.map(|(position, _)| position)
}

/// Gauss-Hermite nodes and weights for the standard normal distribution.
const NODES: [(f64, f64); 9] = [
    (-4.512_745_863, 2.234_584e-5),
    (-3.205_429_003, 2.789_141_3e-3),
    (-2.076_847_979, 4.991_640_68e-2),
    (-1.023_255_664, 0.244_097_502_9),
    (0.0, 0.406_349_206_3),
    (1.023_255_664, 0.244_097_502_9),
    (2.076_847_979, 4.991_640_68e-2),
    (3.205_429_003, 2.789_141_3e-3),
    (4.512_745_863, 2.234_584e-5),
];

/// Differences beyond this many standard deviations are certain.
const CERTAIN: f64 = 5.0;

/// The probability that the belief at `position` wins [`winner`], between 0 and 1.
pub(super) fn probability(beliefs: &[Belief], position: usize) -> f64 {
    let Some(own) = beliefs.get(position) else {
        return 0.0;
    };
    let rivals: Beliefs = beliefs
        .iter()
        .enumerate()
        .filter(|(other, rival)| {
            *other != position
                && own.mean - rival.mean < CERTAIN * (own.deviation.powi(2) + rival.deviation.powi(2)).sqrt()
        })
        .map(|(_, rival)| *rival)
        .collect();
    if rivals.is_empty() {
        return 1.0;
    }
    let total: f64 = NODES
        .iter()
        .map(|(node, weight)| {
            let draw = own.mean + own.deviation * node;
            let beats: f64 = rivals
                .iter()
                .map(|rival| distribution((draw - rival.mean) / rival.deviation.max(1e-6)))
                .product();
            weight * beats
        })
        .sum();
    total.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn the_probability_is_the_share_of_draws_won() {
        let beliefs =
            [(0.3, 0.2), (0.2, 0.3), (-0.4, 0.3)].map(|(mean, deviation)| Belief { mean, deviation });
        let mut rng = SmallRng::seed_from_u64(3);
        let mut won = [0_u32; 3];
        for _ in 0..40_000 {
            won[winner(&beliefs, &mut rng).unwrap()] += 1;
        }
        for (position, count) in won.into_iter().enumerate() {
            let share = f64::from(count) / 40_000.0;
            let expected = probability(&beliefs, position);
            assert!((share - expected).abs() < 0.01, "{position}: {share} {expected}");
        }
    }

    #[test]
    fn a_channel_alone_always_wins() {
        let alone = [Belief {
            mean: -3.0,
            deviation: 1.0,
        }];
        assert!((probability(&alone, 0) - 1.0).abs() < 1e-9);
    }
}
