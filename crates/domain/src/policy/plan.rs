//! Applying a policy to a payment.

use jiff::Timestamp;
use smallvec::SmallVec;

use super::Policy;
use super::condition::Subject;
use super::rule::{AdaptiveSettings, Offer, Rule, Selection};
use crate::bucket::{Draw, Purpose};
use crate::channels::{ChannelIndex, ChannelList, ChannelSet};
use crate::eligibility::Exclusion;
use crate::payment::Attributes;

/// What a policy wants for a payment.
#[derive(Clone, Debug)]
pub struct Plan<'p> {
    /// The rule that selected: `default` when no other did.
    pub matched_rule: &'p str,
    /// How it selects.
    pub strategy: Strategy<'p>,
    /// The eligible channels that the policy allows, in its order. Empty when it allows none.
    pub order: ChannelList,
    /// How many channels at the front of [`Self::order`] are there because a rule prefers them. An adaptive
    /// strategy ranks those among themselves, before the others.
    pub preferred: usize,
    /// The eligible channels that the policy does not allow.
    pub excluded: SmallVec<[PolicyExclusion<'p>; 8]>,
    /// Methods to offer to the customer, the best first, each once.
    pub offers: SmallVec<[&'p Offer; 8]>,
}

/// How the channel is chosen among those of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy<'p> {
    /// The first in the order that works.
    Priority,
    /// The same, the first having been drawn by shares.
    Split {
        /// The payment's bucket as the policy names it, also when its channel is not open and another came first.
        bucket: &'p str,
    },
    /// By what was learnt; the order breaks ties.
    Adaptive(&'p AdaptiveSettings),
}

impl Strategy<'_> {
    /// Every name that [`Self::as_str`] gives.
    pub const NAMES: [&'static str; 3] = ["priority", "split", "adaptive"];

    /// The name in snake case, as on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Split { .. } => "split",
            Self::Adaptive(_) => "adaptive",
        }
    }
}

/// An eligible channel that a rule keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyExclusion<'p> {
    /// The channel.
    pub channel: ChannelIndex,
    /// [`Exclusion::DeniedByPolicy`] or [`Exclusion::OutsidePolicy`].
    pub exclusion: Exclusion,
    /// The first rule that keeps it out.
    pub rule: &'p str,
}

/// The filters of the rules that matched, in their order.
type Matched<'p> = SmallVec<[&'p Rule; 32]>;

impl Policy {
    /// What this policy wants for `payment` at `now`, choosing among `eligible`.
    ///
    /// Pure: the same arguments give the same plan. Allocates nothing with up to 64 channels, 32 matching rules,
    /// and eight exclusions and offers. `eligible` must be of the channels that the policy was loaded with.
    #[must_use]
    pub fn plan(&self, payment: &Attributes, now: Timestamp, eligible: &[ChannelIndex]) -> Plan<'_> {
        let subject = Subject::new(payment, now, &self.timezone);
        let mut matched: Matched<'_> = self
            .rules
            .iter()
            .filter(|rule| rule.when.holds(&subject))
            .collect();
        matched.push(&self.default);
        let mut open: ChannelSet = eligible.iter().copied().collect();
        let excluded = apply_filters(&matched, eligible, &mut open);
        let selected = matched
            .iter()
            .find_map(|rule| Some((*rule, rule.selection.as_ref()?)));
        let mut order = Ordered {
            open,
            list: ChannelList::new(),
        };
        for rule in &matched {
            order.append(&rule.filters.prefer);
        }
        let preferred = order.list.len();
        let strategy = match selected {
            Some((_, Selection::Split(split))) => {
                let draw = Draw::of_payment(Purpose::Split, &payment.merchant, &payment.payment);
                let (bucket, first) = split.draw(draw, &open);
                order.append(first.as_slice());
                order.append(&split.order);
                Strategy::Split {
                    bucket: bucket.map_or("", |bucket| &bucket.name),
                }
            }
            Some((
                _,
                Selection::Adaptive {
                    settings,
                    order: ties,
                },
            )) => {
                order.append(ties);
                Strategy::Adaptive(settings)
            }
            Some((_, Selection::Priority(priority))) => {
                order.append(priority);
                Strategy::Priority
            }
            // A policy is not loaded without a default selection.
            None => Strategy::Priority,
        };
        Plan {
            matched_rule: selected.map_or("", |(rule, _)| &rule.name),
            strategy,
            order: order.list,
            preferred,
            excluded,
            offers: offers(&matched),
        }
    }
}

/// Takes what the rules keep out of `open`, and says which rule did.
fn apply_filters<'p>(
    matched: &[&'p Rule],
    eligible: &[ChannelIndex],
    open: &mut ChannelSet,
) -> SmallVec<[PolicyExclusion<'p>; 8]> {
    let mut excluded = SmallVec::new();
    let filters: SmallVec<[&'p Rule; 32]> = matched
        .iter()
        .copied()
        .filter(|rule| rule.filters.only.is_some() || !rule.filters.deny.is_empty())
        .collect();
    if filters.is_empty() {
        return excluded;
    }
    for &channel in eligible {
        let kept_out = filters.iter().find_map(|rule| {
            let exclusion = if rule.filters.deny.contains(channel) {
                Exclusion::DeniedByPolicy
            } else if rule.filters.only.is_some_and(|only| !only.contains(channel)) {
                Exclusion::OutsidePolicy
            } else {
                return None;
            };
            Some(PolicyExclusion {
                channel,
                exclusion,
                rule: &rule.name,
            })
        });
        if let Some(exclusion) = kept_out {
            open.remove(channel);
            excluded.push(exclusion);
        }
    }
    excluded
}

fn offers<'p>(matched: &[&'p Rule]) -> SmallVec<[&'p Offer; 8]> {
    let mut offers: SmallVec<[&Offer; 8]> = SmallVec::new();
    for offer in matched.iter().flat_map(|rule| &rule.filters.offer) {
        if !offers.iter().any(|earlier| earlier.method == offer.method) {
            offers.push(offer);
        }
    }
    offers
}

/// Open channels in an order, each once.
struct Ordered {
    open: ChannelSet,
    list: ChannelList,
}

impl Ordered {
    fn append(&mut self, channels: &[ChannelIndex]) {
        for &channel in channels {
            if self.open.remove(channel) {
                self.list.push(channel);
            }
        }
    }
}
