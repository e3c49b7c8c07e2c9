//! Sudden changes of quality: a node that watches its own fast window and remembers where it came from.

use serde::{Deserialize, Serialize};

use super::narrow::single;
use super::node::{Node, logit};
use super::params::{Change, Level};

/// Outcomes of the last while, each older one counting a little less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    outcomes: f32,
    successes: f32,
    expected: f32,
}

impl Window {
    fn add(&mut self, success: bool, expected: f64, keep: f64) {
        let keep = single(keep);
        self.outcomes = self.outcomes * keep + 1.0;
        self.successes = self.successes * keep + if success { 1.0 } else { 0.0 };
        self.expected = self.expected * keep + single(expected);
    }

    fn take_out(&mut self, other: Self) {
        self.outcomes = (self.outcomes - other.outcomes).max(0.0);
        self.successes = (self.successes - other.successes).clamp(0.0, self.outcomes);
        self.expected = (self.expected - other.expected).clamp(0.0, self.outcomes);
    }

    /// How much likelier the outcomes are under their own rate than under the expected one.
    fn surprise(self) -> f64 {
        let count = f64::from(self.outcomes);
        if count <= 0.0 {
            return 0.0;
        }
        let seen = f64::from(self.successes) / count;
        let expected = (f64::from(self.expected) / count).clamp(1e-6, 1.0 - 1e-6);
        let gain = if seen > 0.0 {
            seen * (seen / expected).ln()
        } else {
            0.0
        };
        let loss = if seen < 1.0 {
            (1.0 - seen) * ((1.0 - seen) / (1.0 - expected)).ln()
        } else {
            0.0
        };
        count * (gain + loss)
    }

    fn is_below(self) -> bool {
        self.successes < self.expected
    }
}

/// A channel's node above the segment: an estimate, its fast window and its levels of before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) node: Node,
    window: Window,
    slow: f32,
    before: Option<f32>,
}

/// What a jump overwrote, so that it can be undone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Undo {
    delta: f64,
    variance: f64,
    before: Option<f32>,
}

impl Watched {
    /// A node about which nothing is known.
    pub(super) fn new(level: Level) -> Self {
        Self {
            node: Node::new(0.0, level),
            window: Window::default(),
            slow: 0.0,
            before: None,
        }
    }

    /// How far the node is from where it is expected to return to: the remembered level, else the slow one above it.
    fn displacement(&self, change: &Change) -> f64 {
        let weight = self.node.weight();
        if let Some(before) = self.before {
            let gap = (weight - f64::from(before)).abs();
            if gap > change.doubt_gap {
                return gap;
            }
        }
        let below = f64::from(self.slow) - weight;
        if below > change.slow_gap { below } else { 0.0 }
    }

    /// Whether the node lies below where it is expected to return to.
    pub(super) fn is_degraded(&self, change: &Change) -> bool {
        let weight = self.node.weight();
        let declared = self
            .before
            .is_some_and(|before| f64::from(before) - weight > change.doubt_gap);
        declared || f64::from(self.slow) - weight > change.slow_gap
    }

    /// The variance at `now`: it grows with drift and, away from the expected level, with doubt.
    pub(super) fn variance_at(&self, now: f64, level: Level, change: &Change) -> f64 {
        let displacement = self.displacement(change);
        let square = displacement * displacement;
        let drift = level.drift + square / change.expected_duration_s;
        self.node.variance_at(now, drift, level.variance().max(square))
    }

    /// Brings the node to `now`: its variance grows, its levels follow.
    pub(super) fn touch(&mut self, now: f64, level: Level, change: &Change) {
        let follow = 1.0 - (-self.node.age(now) / change.memory_s).exp();
        self.node.settle(now, self.variance_at(now, level, change));
        let weight = self.node.weight();
        self.slow = single(f64::from(self.slow) + follow * (weight - f64::from(self.slow)));
        self.before = self.before.and_then(|before| {
            let before = f64::from(before) + follow * (weight - f64::from(before));
            ((weight - before).abs() > change.forget_gap).then(|| single(before))
        });
    }

    /// Lets the slow level follow at once: nothing is settled yet.
    pub(super) fn settle_slow(&mut self) {
        self.slow = single(self.node.weight());
    }

    /// Notes an outcome in the fast window.
    pub(super) fn observe(&mut self, success: bool, expected: f64, change: &Change) {
        self.window.add(success, expected, 1.0 - 1.0 / change.window);
    }

    /// The surprise of the window if it declares a change that this outcome supports.
    ///
    /// A success never declares a degradation, so that one more success never lowers a channel's rank.
    pub(super) fn fired(&self, success: bool, change: &Change) -> Option<f64> {
        if f64::from(self.window.outcomes) < change.min_outcomes || self.window.is_below() == success {
            return None;
        }
        let surprise = self.window.surprise();
        (surprise > change.threshold).then_some(surprise)
    }

    /// Jumps to what the window shows. Returns what was overwritten, and the window that is now explained.
    pub(super) fn jump(&mut self, now: f64, change: &Change, min_curvature: f64) -> (Undo, Window) {
        let window = self.window;
        let count = f64::from(window.outcomes);
        let rate = (f64::from(window.successes) + 0.5) / (count + 1.0);
        let information = count * (rate * (1.0 - rate)).max(min_curvature);
        let expected = f64::from(window.expected) / count.max(1.0);
        let share = information / (1.0 + information);
        let delta = ((logit(rate) - logit(expected)) * share).clamp(-change.max_jump, change.max_jump);
        let undo = Undo {
            delta,
            variance: self.node.variance(),
            before: self.before,
        };
        self.before = self.before.or(Some(single(self.node.weight())));
        self.node.set_weight(self.node.weight() + delta);
        let variance = self.node.variance().max(1.0 / (1.0 + information));
        self.node.settle(now, variance);
        self.window = Window::default();
        (undo, window)
    }

    /// Takes `explained` out of the window: a finer node has accounted for it.
    pub(super) fn take_out(&mut self, explained: Window) {
        self.window.take_out(explained);
    }

    /// Empties the window: a coarser node has accounted for it.
    pub(super) fn clear_window(&mut self) {
        self.window = Window::default();
    }

    /// Puts back what a jump overwrote.
    pub(super) fn undo(&mut self, undo: Undo) {
        self.node.set_weight(self.node.weight() - undo.delta);
        self.node.set_variance(undo.variance);
        self.before = undo.before;
        self.clear_window();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level() -> Level {
        Level {
            deviation: 0.5,
            drift: 5e-5,
        }
    }

    #[test]
    fn a_run_of_failures_declares_a_change_and_the_level_before_is_remembered() {
        let change = Change::default();
        let mut node = Watched::new(level());
        let mut fired_after = 0;
        while node.fired(false, &change).is_none() {
            node.observe(false, 0.9, &change);
            fired_after += 1;
        }
        assert_eq!(fired_after, 6);
        node.jump(1.0, &change, 0.02);
        assert!(node.node.weight() < -0.3);
        assert!(node.is_degraded(&change));
    }

    #[test]
    fn doubt_about_a_degraded_node_grows_faster() {
        let change = Change::default();
        let mut node = Watched::new(level());
        for _ in 0..20 {
            node.observe(false, 0.9, &change);
        }
        let (undo, _) = node.jump(0.0, &change, 0.02);
        let degraded = node.variance_at(60.0, level(), &change) - node.variance_at(0.0, level(), &change);
        assert!(degraded > 60.0 * level().drift * 2.0);
        node.undo(undo);
        assert!(!node.is_degraded(&change));
        assert!(node.node.weight().abs() < 1e-6);
    }

    #[test]
    fn a_success_never_declares_a_degradation() {
        let change = Change::default();
        let mut node = Watched::new(level());
        for _ in 0..30 {
            node.observe(false, 0.9, &change);
        }
        assert!(node.fired(true, &change).is_none());
        assert!(node.fired(false, &change).is_some());
    }

    #[test]
    fn the_level_before_is_forgotten_once_the_node_is_back() {
        let change = Change::default();
        let mut node = Watched::new(level());
        for _ in 0..20 {
            node.observe(false, 0.9, &change);
        }
        node.jump(0.0, &change, 0.02);
        node.node.set_weight(-0.1);
        node.touch(1.0, level(), &change);
        assert!(!node.is_degraded(&change));
    }
}
