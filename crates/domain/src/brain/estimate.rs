//! The hierarchical estimate: how likely a payment of a segment succeeds on a channel.
//!
//! The log-odds are a sum of terms. Four describe the payment wherever it goes, five the channel; only the
//! channel's decide the ranking, so that a bad issuer does not count against the channel that happened to get it.

use smallvec::SmallVec;

use super::change::{Undo, Watched};
use super::intern::Segment;
use super::node::{Node, Step, sigmoid};
use super::params::{Estimate, Params};
use super::table::Table;

/// The terms that hold on every channel.
#[derive(Clone, Debug)]
pub(super) struct Base {
    all: Node,
    methods: Table<Node>,
    pairs: Table<Node>,
    leaves: Table<Node>,
}

impl Base {
    pub(super) fn new(estimate: &Estimate) -> Self {
        let [all, method, pair, leaf] = estimate.base;
        Self {
            all: Node::new(estimate.prior, all),
            methods: Table::new(Node::new(0.0, method)),
            pairs: Table::new(Node::new(0.0, pair)),
            leaves: Table::new(Node::new(0.0, leaf)),
        }
    }

    /// The log-odds of a payment of `segment` on a channel like any other.
    pub(super) fn score(&self, segment: Segment) -> f64 {
        let leaf = segment
            .leaf_index()
            .map_or(0.0, |leaf| self.leaves.at(leaf).weight());
        self.all.weight()
            + self.methods.at(segment.method_index()).weight()
            + self.pairs.at(segment.pair_index()).weight()
            + leaf
    }
}

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
#[derive(Clone, Copy, Debug)]
struct Jump {
    at: f64,
    place: Place,
    undo: Undo,
}

/// Where a watched node stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Channel,
    Method(usize),
    Issuer(usize),
    Pair(usize),
}

/// Jumps of one channel that can be undone; older ones stay.
const KEPT_JUMPS: usize = 16;

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
#[derive(Clone, Debug)]
pub(super) struct Quality {
    all: Watched,
    methods: Table<Watched>,
    issuers: Table<Watched>,
    pairs: Table<Watched>,
    leaves: Table<Node>,
    outcomes: u32,
    jumps: SmallVec<[Jump; 2]>,
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
        }
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
        let change = &params.change;
        let mut score = base.score(segment) + self.mean(segment);
        let p = sigmoid(score);
        score = p * (1.0 - p);
        let [first, second, third, fourth, last] = estimate.channel;
        let mut variance = 0.0;
        for (node, level) in self
            .watched_mut(segment)
            .into_iter()
            .zip([first, second, third, fourth])
        {
            node.touch(lesson.now, level, change);
            variance += node.node.variance();
        }
        let mut fresh = [Node::new(0.0, last), Node::new(0.0, estimate.base[3])];
        let [spare, base_spare] = &mut fresh;
        let leaf = match segment.leaf_index() {
            Some(leaf) => self.leaves.at_mut(leaf),
            None => spare,
        };
        let grown = leaf.variance_at(lesson.now, last.drift, last.variance());
        leaf.settle(lesson.now, grown);
        variance += grown;
        let base_leaf = match segment.leaf_index() {
            Some(leaf) => base.leaves.at_mut(leaf),
            None => base_spare,
        };
        let terms = [
            &mut base.all,
            base.methods.at_mut(segment.method_index()),
            base.pairs.at_mut(segment.pair_index()),
            base_leaf,
        ];
        let mut terms = terms.into_iter().zip(estimate.base).collect::<SmallVec<[_; 4]>>();
        for (node, level) in &mut terms {
            let grown = node.variance_at(lesson.now, level.drift, level.variance());
            node.settle(lesson.now, grown);
            variance += grown;
        }
        let outcome = if lesson.success { 1.0 } else { 0.0 };
        let curvature = lesson.weight * score.max(estimate.min_curvature);
        let step = Step {
            push: lesson.weight * (outcome - p) / (1.0 + curvature * variance),
            certainty: curvature / (1.0 + curvature * variance),
        };
        for (node, _) in &mut terms {
            node.step(step);
        }
        leaf.step(step);
        let settling = self.outcomes < change.settling_outcomes;
        self.outcomes = self.outcomes.saturating_add(1);
        for node in self.watched_mut(segment) {
            node.node.step(step);
            node.observe(lesson.success, p, change);
            if settling {
                node.settle_slow();
            }
        }
        if lesson.calm {
            self.detect(segment, lesson, params);
        }
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

    /// Undoes the jumps since `since`, latest first: a breaker tripped, so it was an outage.
    pub(super) fn undo_jumps(&mut self, since: f64) {
        while let Some(jump) = self.jumps.pop() {
            if jump.at >= since {
                self.at_mut(jump.place).undo(jump.undo);
            }
        }
    }

    /// The channel's own term, over all segments.
    pub(super) fn level(&self) -> f64 {
        self.all.node.weight()
    }
}
