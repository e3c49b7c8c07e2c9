//! One term of the estimate: a weight, its variance, and when it was last updated.

use serde::{Deserialize, Serialize};

use super::narrow::single;
use super::params::Level;

/// A term of the sum, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    weight: f32,
    variance: f32,
    at: f64,
}

/// What one outcome does to every node of its cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Weighted surprise u(y - p), divided by 1 + h V.
    pub(super) push: f64,
    /// Weighted curvature h, divided by 1 + h V.
    pub(super) certainty: f64,
}

impl Node {
    /// A node about which nothing is known.
    pub(super) fn new(weight: f64, level: Level) -> Self {
        Self {
            weight: single(weight),
            variance: single(level.variance()),
            at: 0.0,
        }
    }

    /// The weight, in log-odds.
    pub(super) fn weight(&self) -> f64 {
        f64::from(self.weight)
    }

    /// The variance as it was at the last update.
    pub(super) fn variance(&self) -> f64 {
        f64::from(self.variance)
    }

    /// Seconds from the last update to `now`.
    pub(super) fn age(&self, now: f64) -> f64 {
        (now - self.at).max(0.0)
    }

    /// The variance at `now`, grown by `drift` per second, at most to `cap`.
    pub(super) fn variance_at(&self, now: f64, drift: f64, cap: f64) -> f64 {
        let variance = self.variance();
        (variance + drift * self.age(now)).min(cap.max(variance))
    }

    /// Sets the variance and the time of the update.
    pub(super) fn settle(&mut self, now: f64, variance: f64) {
        self.variance = single(variance);
        self.at = now.max(self.at);
    }

    /// Sets the variance alone.
    pub(super) fn set_variance(&mut self, variance: f64) {
        self.variance = single(variance);
    }

    /// Sets the weight.
    pub(super) fn set_weight(&mut self, weight: f64) {
        self.weight = single(weight);
    }

    /// One diagonal Kalman step. Returns by how much the weight moved.
    pub(super) fn step(&mut self, step: Step) -> f64 {
        let variance = self.variance();
        let delta = variance * step.push;
        self.weight = single(self.weight() + delta);
        self.variance = single(variance - step.certainty * variance * variance);
        delta
    }
}

/// The probability of log-odds `x`.
pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The log-odds of probability `p`, kept finite.
pub(super) fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_sixteen_bytes() {
        assert_eq!(size_of::<Node>(), 16);
    }

    #[test]
    fn doubt_grows_with_time_up_to_its_cap() {
        let level = Level {
            deviation: 0.5,
            drift: 1e-5,
        };
        let mut node = Node::new(0.0, level);
        node.settle(0.0, 0.1);
        assert!((node.variance_at(1_000.0, 1e-5, 0.25) - 0.11).abs() < 1e-6);
        assert!((node.variance_at(1e9, 1e-5, 0.25) - 0.25).abs() < 1e-6);
    }
}
