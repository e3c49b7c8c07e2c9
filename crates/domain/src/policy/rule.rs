//! What a rule does with the payments that meet its conditions.

use serde::Serialize;

use super::condition::Condition;
use crate::bucket::Draw;
use crate::channels::{ChannelIndex, ChannelSet};

/// A rule, with every name resolved.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Box<str>,
    pub(super) when: Condition,
    pub(super) filters: Filters,
    pub(super) selection: Option<Selection>,
}

impl Rule {
    /// Stands in for a rule that could not be read, until the document is refused.
    pub(super) fn blank() -> Self {
        Self {
            name: Box::default(),
            when: Condition::All(Box::default()),
            filters: Filters::default(),
            selection: None,
        }
    }
}

/// What a rule changes about the choice, whichever rule makes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    pub(super) deny: ChannelSet,
    pub(super) only: Option<ChannelSet>,
    pub(super) prefer: Box<[ChannelIndex]>,
    pub(super) offer: Box<[Offer]>,
}

/// A method to offer to the customer, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The method.
    pub method: Box<str>,
    /// Why it is offered, for the cashier page; empty when the policy gives no reason.
    pub reason: Box<str>,
}

/// How a rule chooses among the channels that are left. Every order names every configured channel once.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    /// The first that works.
    Priority(Box<[ChannelIndex]>),
    /// By shares.
    Split(Split),
    /// By what was learnt.
    Adaptive {
        settings: AdaptiveSettings,
        /// How ties are broken.
        order: Box<[ChannelIndex]>,
    },
}

/// How the adaptive strategy weighs what it has learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AdaptiveSettings {
    /// How much success may be given up for a cheaper channel, in basis points of the success rate, 0 to 1 000.
    pub margin_bp: u16,
    /// The share of first attempts that may explore, in basis points, 0 to 1 000.
    pub explore_bp: u16,
    /// The largest amount that explores, in minor units of the payment's currency; any when `None`.
    pub explore_max_amount_minor: Option<i64>,
    /// The time from which on a slow channel is ranked lower, in milliseconds; time does not count when `None`.
    pub latency_budget_ms: Option<u32>,
}

impl Default for AdaptiveSettings {
    fn default() -> Self {
        Self {
            margin_bp: 0,
            // One token in fifty first attempts: the budget with which the ranking was measured.
            explore_bp: 200,
            explore_max_amount_minor: None,
            latency_budget_ms: None,
        }
    }
}

/// Shares of payments.
#[derive(Clone, Debug)]
pub(super) struct Split {
    /// The buckets, as the policy lists them.
    pub(super) buckets: Box<[Bucket]>,
    /// Every channel, by descending share of its bucket.
    pub(super) order: Box<[ChannelIndex]>,
}

/// One share.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) name: Box<str>,
    /// In percent; the shares of a split sum up to 100.
    pub(super) share: u32,
    pub(super) channels: Box<[ChannelIndex]>,
}

impl Split {
    /// The bucket of a payment, and the channel among `open` that comes first for it; `None` for the channel
    /// when no bucket has one.
    ///
    /// The bucket follows from the payment alone. Where it has no open channel, the payment is drawn again among
    /// the buckets that have one, so that they share the rest in proportion.
    pub(super) fn draw(&self, draw: Draw, open: &ChannelSet) -> (Option<&Bucket>, Option<ChannelIndex>) {
        let shares = self.buckets.iter().map(|bucket| bucket.share);
        let bucket = draw.weighted(shares).and_then(|place| self.buckets.get(place));
        let draw = draw.again();
        let first = bucket.and_then(|bucket| bucket.draw(draw, open)).or_else(|| {
            let draw = draw.again();
            let shares = self.buckets.iter().map(|bucket| bucket.share_if_open(open));
            let substitute = self.buckets.get(draw.weighted(shares)?)?;
            substitute.draw(draw.again(), open)
        });
        (bucket, first)
    }
}

impl Bucket {
    fn share_if_open(&self, open: &ChannelSet) -> u32 {
        let is_open = self.channels.iter().any(|channel| open.contains(*channel));
        if is_open { self.share } else { 0 }
    }

    /// One of the bucket's open channels, each as likely as the other.
    fn draw(&self, draw: Draw, open: &ChannelSet) -> Option<ChannelIndex> {
        let weights = self
            .channels
            .iter()
            .map(|channel| u32::from(open.contains(*channel)));
        self.channels.get(draw.weighted(weights)?).copied()
    }
}
