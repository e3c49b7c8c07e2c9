//! The terms of the estimate that describe the payment, wherever it goes.

use serde::{Deserialize, Serialize};

use super::intern::Segment;
use super::node::{Node, Step};
use super::params::{Estimate, Level};
use super::table::Table;

/// The terms that hold on every channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Base {
    levels: [Level; 4],
    all: Node,
    methods: Table<Node>,
    pairs: Table<Node>,
    leaves: Table<Node>,
}

impl Base {
    pub(super) fn new(estimate: &Estimate) -> Self {
        let [all, method, pair, leaf] = estimate.base;
        Self {
            levels: estimate.base,
            all: Node::new(estimate.prior, all),
            methods: Table::new(Node::new(0.0, method)),
            pairs: Table::new(Node::new(0.0, pair)),
            leaves: Table::new(Node::new(0.0, leaf)),
        }
    }

    /// Goes on by the reader's own numbers: what is not known yet starts at them.
    pub(super) fn set_levels(&mut self, estimate: &Estimate) {
        let [_, method, pair, leaf] = estimate.base;
        self.levels = estimate.base;
        self.methods.set_fresh(Node::new(0.0, method));
        self.pairs.set_fresh(Node::new(0.0, pair));
        self.leaves.set_fresh(Node::new(0.0, leaf));
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

    /// Brings the terms of `segment` to `now`. Returns the sum of their variances.
    pub(super) fn touch(&mut self, segment: Segment, now: f64) -> f64 {
        let levels = self.levels;
        let [.., last] = levels;
        let unknown = if segment.leaf_index().is_none() {
            last.variance()
        } else {
            0.0
        };
        let grown = self
            .nodes(segment)
            .into_iter()
            .zip(levels)
            .filter_map(|(node, level)| {
                let node = node?;
                let variance = node.variance_at(now, level.drift, level.variance());
                node.settle(now, variance);
                Some(variance)
            });
        grown.sum::<f64>() + unknown
    }

    /// Lets the terms of `segment` learn.
    pub(super) fn step(&mut self, segment: Segment, step: Step) {
        for node in self.nodes(segment).into_iter().flatten() {
            node.step(step);
        }
    }

    fn nodes(&mut self, segment: Segment) -> [Option<&mut Node>; 4] {
        [
            Some(&mut self.all),
            Some(self.methods.at_mut(segment.method_index())),
            Some(self.pairs.at_mut(segment.pair_index())),
            segment.leaf_index().map(|leaf| self.leaves.at_mut(leaf)),
        ]
    }
}
