//! The hierarchical estimate: how likely a payment of a segment succeeds on a channel.
//!
//! The log-odds are a sum of terms. Four describe the payment wherever it goes, five the channel; only the
//! channel's decide the ranking, so that a bad issuer does not count against the channel that happened to get it.

use std::collections::VecDeque;

use smallvec::SmallVec;

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::change::{Undo, Watched};
use super::intern::Segment;
use super::narrow::single;
use super::node::{Node, Step, sigmoid};
use super::params::{Estimate, Params};
use super::table::Table;

/// One outcome, as the estimate sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    /// Seconds since the brain's beginning.
    pub(super) now: f64,
    /// Whether the payment went through.
    pub(super) success: bool,
    /// 1 for a first attempt, less for a failover.
    pub(super) weight: f64,
    /// No breaker of the cell is alarmed: what is seen is quality, not an outage.
    pub(super) calm: bool,
}

/// A jump that may have to be undone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Jump {
    at: f64,
    place: Place,
    undo: Undo,
}

/// Where a watched node stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Place {
    Channel,
    Method(usize),
    Issuer(usize),
    Pair(usize),
}

/// Jumps of one channel that can be undone; older ones stay.
const KEPT_JUMPS: usize = 16;

/// What one failure did to a channel's terms, so that it can be taken back.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Failure {
    at: f64,
    segment: Segment,
    deltas: [f32; 5],
}

/// Failures of one channel that can be taken back: a breaker trips after far fewer.
const KEPT_FAILURES: usize = 64;

/// A channel's sum of terms for one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    /// Log-odds relative to other channels.
    pub(super) mean: f64,
    /// Its variance.
    pub(super) variance: f64,
    /// Some term lies below where it is expected to return to.
    pub(super) degraded: bool,
}

/// What is known about one channel's quality.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Quality {
    all: Watched,
    methods: Table<Watched>,
    issuers: Table<Watched>,
    pairs: Table<Watched>,
    leaves: Table<Node>,
    outcomes: u32,
    jumps: SmallVec<[Jump; 2]>,
    /// The latest failures learnt from, oldest first.
    failures: VecDeque<Failure>,
}

impl Quality {
    pub(super) fn new(estimate: &Estimate) -> Self {
        let [all, method, issuer, pair, leaf] = estimate.channel;
        Self {
            all: Watched::new(all),
            methods: Table::new(Watched::new(method)),
            issuers: Table::new(Watched::new(issuer)),
            pairs: Table::new(Watched::new(pair)),
            leaves: Table::new(Node::new(0.0, leaf)),
            outcomes: 0,
            jumps: SmallVec::new(),
            failures: VecDeque::new(),
        }
    }

    /// Goes on by the reader's own numbers: what is not known yet starts at them.
    pub(super) fn set_levels(&mut self, estimate: &Estimate) {
        let [_, method, issuer, pair, leaf] = estimate.channel;
        self.methods.set_fresh(Watched::new(method));
        self.issuers.set_fresh(Watched::new(issuer));
        self.pairs.set_fresh(Watched::new(pair));
        self.leaves.set_fresh(Node::new(0.0, leaf));
    }

    /// How many outcomes were learnt from.
    pub(super) fn outcomes(&self) -> u32 {
        self.outcomes
    }

    /// The channel's log-odds for `segment`, relative to other channels.
    pub(super) fn mean(&self, segment: Segment) -> f64 {
        let leaf = segment
            .leaf_index()
            .map_or(0.0, |leaf| self.leaves.at(leaf).weight());
        self.watched(segment)
            .iter()
            .map(|node| node.node.weight())
            .sum::<f64>()
            + leaf
    }

    /// The same with what is needed to explore, at `now`.
    pub(super) fn score(&self, segment: Segment, now: f64, params: &Params) -> Score {
        let watched = self.watched(segment);
        let [first, second, third, fourth, last] = params.estimate.channel;
        let leaf = segment.leaf_index().map(|leaf| self.leaves.at(leaf));
        let mut variance = leaf.map_or(last.variance(), |leaf| {
            leaf.variance_at(now, last.drift, last.variance())
        });
        let mut mean = leaf.map_or(0.0, Node::weight);
        let mut degraded = false;
        for (node, level) in watched.into_iter().zip([first, second, third, fourth]) {
            mean += node.node.weight();
            variance += node.variance_at(now, level, &params.change);
            degraded |= node.is_degraded(&params.change);
        }
        Score {
            mean,
            variance,
            degraded,
        }
    }

    fn watched(&self, segment: Segment) -> [&Watched; 4] {
        [
            &self.all,
            self.methods.at(segment.method_index()),
            self.issuers.at(segment.issuer_index()),
            self.pairs.at(segment.pair_index()),
        ]
    }

    fn watched_mut(&mut self, segment: Segment) -> [&mut Watched; 4] {
        [
            &mut self.all,
            self.methods.at_mut(segment.method_index()),
            self.issuers.at_mut(segment.issuer_index()),
            self.pairs.at_mut(segment.pair_index()),
        ]
    }

    /// Learns from one outcome, here and in `base`: one diagonal Kalman step over the nine terms.
    pub(super) fn learn(&mut self, base: &mut Base, segment: Segment, lesson: Lesson, params: &Params) {
        let estimate = &params.estimate;
        let p = sigmoid(base.score(segment) + self.mean(segment));
        let variance = base.touch(segment, lesson.now) + self.touch(segment, lesson.now, params);
        let outcome = if lesson.success { 1.0 } else { 0.0 };
        let curvature = lesson.weight * (p * (1.0 - p)).max(estimate.min_curvature);
        let step = Step {
            push: lesson.weight * (outcome - p) / (1.0 + curvature * variance),
            certainty: curvature / (1.0 + curvature * variance),
        };
        base.step(segment, step);
        self.step(segment, lesson, step);
        let settling = self.outcomes < params.change.settling_outcomes;
        self.outcomes = self.outcomes.saturating_add(1);
        for node in self.watched_mut(segment) {
            node.observe(lesson.success, p, &params.change);
            if settling {
                node.settle_slow();
            }
        }
        if lesson.calm {
            self.detect(segment, lesson, params);
        }
    }

    /// Brings the terms of `segment` to `now`. Returns the sum of their variances.
    fn touch(&mut self, segment: Segment, now: f64, params: &Params) -> f64 {
        let [first, second, third, fourth, last] = params.estimate.channel;
        let mut variance = 0.0;
        for (node, level) in self
            .watched_mut(segment)
            .into_iter()
            .zip([first, second, third, fourth])
        {
            node.touch(now, level, &params.change);
            variance += node.node.variance();
        }
        let leaf = segment.leaf_index().map(|leaf| self.leaves.at_mut(leaf));
        variance
            + leaf.map_or(last.variance(), |leaf| {
                let grown = leaf.variance_at(now, last.drift, last.variance());
                leaf.settle(now, grown);
                grown
            })
    }

    /// Lets the terms of `segment` learn, and keeps what a failure did to them.
    fn step(&mut self, segment: Segment, lesson: Lesson, step: Step) {
        let [all, method, issuer, pair] = self.watched_mut(segment).map(|node| node.node.step(step));
        let leaf = segment
            .leaf_index()
            .map_or(0.0, |leaf| self.leaves.at_mut(leaf).step(step));
        if lesson.success {
            return;
        }
        if self.failures.len() >= KEPT_FAILURES {
            self.failures.pop_front();
        }
        self.failures.push_back(Failure {
            at: lesson.now,
            segment,
            deltas: [all, method, issuer, pair, leaf].map(single),
        });
    }

    /// Lets the finest node whose window declares a change jump.
    fn detect(&mut self, segment: Segment, lesson: Lesson, params: &Params) {
        let fired = self
            .watched(segment)
            .map(|node| node.fired(lesson.success, &params.change));
        let [channel, method, issuer, pair] = fired;
        let place = if pair.is_some() {
            Place::Pair(segment.pair_index())
        } else if method.is_some() || issuer.is_some() {
            if method.unwrap_or(0.0) >= issuer.unwrap_or(0.0) {
                Place::Method(segment.method_index())
            } else {
                Place::Issuer(segment.issuer_index())
            }
        } else if channel.is_some() {
            Place::Channel
        } else {
            return;
        };
        let (undo, explained) =
            self.at_mut(place)
                .jump(lesson.now, &params.change, params.estimate.min_curvature);
        self.jumps
            .retain(|jump| lesson.now - jump.at <= params.change.undo_s);
        if self.jumps.len() < KEPT_JUMPS {
            self.jumps.push(Jump {
                at: lesson.now,
                place,
                undo,
            });
        }
        match place {
            Place::Pair(_) => {
                self.methods.at_mut(segment.method_index()).take_out(explained);
                self.issuers.at_mut(segment.issuer_index()).take_out(explained);
                self.all.take_out(explained);
            }
            Place::Method(_) | Place::Issuer(_) => {
                self.all.take_out(explained);
                self.pairs.at_mut(segment.pair_index()).clear_window();
            }
            Place::Channel => self.clear_windows(),
        }
    }

    fn clear_windows(&mut self) {
        for table in [&mut self.methods, &mut self.issuers, &mut self.pairs] {
            for (_, node) in table.iter_mut() {
                node.clear_window();
            }
        }
    }

    fn at_mut(&mut self, place: Place) -> &mut Watched {
        match place {
            Place::Channel => &mut self.all,
            Place::Method(method) => self.methods.at_mut(method),
            Place::Issuer(issuer) => self.issuers.at_mut(issuer),
            Place::Pair(pair) => self.pairs.at_mut(pair),
        }
    }

    /// A breaker tripped: undoes the jumps since `jumps_since`, and the failures since `failures_since` that
    /// `concerns` it. They belong to the outage, and would keep payments away after it.
    pub(super) fn absolve(
        &mut self,
        jumps_since: f64,
        failures_since: f64,
        concerns: impl Fn(Segment) -> bool,
    ) {
        while let Some(jump) = self.jumps.pop() {
            if jump.at >= jumps_since {
                self.at_mut(jump.place).undo(jump.undo);
            }
        }
        let mut failures = std::mem::take(&mut self.failures);
        failures.retain(|failure| {
            let absolved = failure.at >= failures_since && concerns(failure.segment);
            if absolved {
                self.take_back(failure);
            }
            !absolved
        });
        self.failures = failures;
    }

    fn take_back(&mut self, failure: &Failure) {
        let [all, method, issuer, pair, leaf] = failure.deltas.map(f64::from);
        let nodes = self.watched_mut(failure.segment).into_iter();
        for (node, delta) in nodes.zip([all, method, issuer, pair]) {
            node.node.set_weight(node.node.weight() - delta);
            node.clear_window();
        }
        if let Some(index) = failure.segment.leaf_index() {
            let node = self.leaves.at_mut(index);
            node.set_weight(node.weight() - leaf);
        }
    }

    /// The channel's own term, over all segments.
    pub(super) fn level(&self) -> f64 {
        self.all.node.weight()
    }
}
