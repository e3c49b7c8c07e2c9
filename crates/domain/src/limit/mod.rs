//! Dynamic limits: how many payments, or how much, may go somewhere within a sliding window.
//!
//! A *soft* limit closes channels to the payments it covers once it is reached. A *hard* limit is besides reserved
//! at the moment of routing ([`Limits::reserve`]): two payments that were found eligible at the same time
//! cannot both take its last place; the second falls through to its next channel.

mod counters;
mod window;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use self::counters::{Counters, Key};
use crate::bucket::{Draw, Purpose};
use crate::id::{ChannelId, MerchantId};
use crate::money::Currency;
use crate::payment::Attributes;

/// Shortest and longest window, in seconds.
pub const WINDOW_SECS: std::ops::RangeInclusive<u32> = 10..=86_400;

/// Most limits at a time.
pub const MAX_RULES: usize = 64;

/// Most windows over all limits, about 250 bytes each: a shop's customers of a day, in 50 MB at most.
const MAX_WINDOWS: usize = 200_000;

/// A limit, as the operator sets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique among the limits.
    pub id: String,
    /// Which payments it counts.
    #[serde(default)]
    pub scope: Scope,
    /// What it counts apart: `[customer]` gives each customer a window of their own.
    #[serde(default)]
    pub per: Vec<Dimension>,
    /// What it counts.
    pub measure: Measure,
    /// The most that may lie in a window, inclusive.
    pub most: i64,
    /// Length of the window, in seconds, within [`WINDOW_SECS`].
    pub window_secs: u32,
    /// Whether it holds exactly, at the price of a reservation; a soft one may be passed by payments that are
    /// routed at the same moment.
    #[serde(default)]
    pub hard: bool,
}

/// Which payments a limit counts: those that fit all that is given; what is not given is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Only those that go to this channel.
    pub channel: Option<ChannelId>,
    /// Only those by this method.
    pub method: Option<String>,
    /// Only those of this issuer.
    pub issuer: Option<String>,
    /// Only those of this merchant.
    pub merchant: Option<MerchantId>,
}

/// What a limit can count apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Each channel.
    Channel,
    /// Each payment method.
    Method,
    /// Each issuer; payments without one are not counted.
    Issuer,
    /// Each merchant.
    Merchant,
    /// Each customer reference; payments without one are not counted.
    Customer,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Payments.
    Count,
    /// Amounts in minor units of this currency; payments in another are not counted.
    Sum(Currency),
}

impl Rule {
    /// How much a payment adds here when it goes to `channel`, and to which window; `None` when it is not counted.
    fn share(&self, payment: &Attributes, channel: &ChannelId) -> Option<(Key, i64)> {
        let scope = &self.scope;
        let fits = scope.channel.as_ref().is_none_or(|wanted| wanted == channel)
            && scope
                .method
                .as_ref()
                .is_none_or(|wanted| *wanted == payment.method)
            && scope
                .merchant
                .as_ref()
                .is_none_or(|wanted| *wanted == payment.merchant)
            && scope
                .issuer
                .as_ref()
                .is_none_or(|wanted| payment.issuer.as_ref() == Some(wanted));
        if !fits {
            return None;
        }
        let quantity = match self.measure {
            Measure::Count => 1,
            Measure::Sum(currency) if currency == payment.amount.currency() => payment.amount.minor(),
            Measure::Sum(_) => return None,
        };
        Some((self.key(payment, channel)?, quantity))
    }

    fn key(&self, payment: &Attributes, channel: &ChannelId) -> Option<Key> {
        let mut names: SmallVec<[&str; 5]> = SmallVec::new();
        for dimension in &self.per {
            names.push(match dimension {
                Dimension::Channel => channel.as_str(),
                Dimension::Method => &payment.method,
                Dimension::Issuer => payment.issuer.as_deref()?,
                Dimension::Merchant => payment.merchant.as_str(),
                Dimension::Customer => payment.customer.reference.as_deref()?,
            });
        }
        let half = |purpose| Key::from(Draw::of(purpose, names.iter().copied()).bits());
        Some(half(Purpose::Limit) << 64 | half(Purpose::LimitCheck))
    }

    /// Whether what `other` has counted is what this one counts.
    fn counts_like(&self, other: &Self) -> bool {
        self.id == other.id
            && self.scope == other.scope
            && self.per == other.per
            && self.measure == other.measure
            && self.window_secs == other.window_secs
    }
}

/// A limit that has no room for a payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit `{limit}` is reached")]
pub struct LimitReached {
    /// The limit's name.
    pub limit: String,
}

/// What a payment took from the limits when it was routed; given back with [`Limits::release`] when the
/// payment is not submitted after all.
#[derive(Clone, Debug, Default)]
#[must_use = "a reservation that is dropped stays counted"]
pub struct Reservation {
    shares: SmallVec<[Reserved; 4]>,
}

#[derive(Clone, Debug)]
struct Reserved {
    /// The place of the limit, and its generation: a later set of limits does not know the reservation.
    place: usize,
    generation: u64,
    key: Key,
    part: i64,
    quantity: i64,
}

/// The limits and what they have counted.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    limits: Vec<Limit>,
    /// Numbers each limit's counters, so that a reservation is given back to those it was taken from.
    generations: u64,
}

#[derive(Clone, Debug)]
struct Limit {
    rule: Rule,
    counters: Counters,
    generation: u64,
}

impl Limits {
    /// Limits that have counted nothing yet; those beyond [`MAX_RULES`] are left out.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut limits = Self::default();
        limits.set_rules(rules);
        limits
    }

    /// Replaces the rules. A limit that counts what it counted before, and so differs at most in how much it
    /// allows, goes on with its counters; the others begin anew. Those beyond [`MAX_RULES`] are left out.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        let capacity = MAX_WINDOWS / rules.len().clamp(1, MAX_RULES);
        let mut before = std::mem::take(&mut self.limits);
        for rule in rules.into_iter().take(MAX_RULES) {
            let kept = before.iter().position(|limit| limit.rule.counts_like(&rule));
            let limit = if let Some(place) = kept {
                let mut limit = before.swap_remove(place);
                limit.rule = rule;
                limit.counters.set_capacity(capacity);
                limit
            } else {
                self.generations += 1;
                Limit {
                    counters: Counters::new(rule.window_secs, capacity),
                    generation: self.generations,
                    rule,
                }
            };
            self.limits.push(limit);
        }
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.limits.iter().map(|limit| &limit.rule)
    }

    /// The first limit, soft or hard, that has no room for `payment` on `channel`; `None` when all have.
    #[must_use]
    pub fn reached(&self, payment: &Attributes, channel: &ChannelId, now: Timestamp) -> Option<&Rule> {
        let full = |limit: &&Limit| limit.is_full(payment, channel, now);
        self.limits.iter().find(full).map(|limit| &limit.rule)
    }

    /// Counts `payment` on `channel` in every limit that covers it, or in none.
    ///
    /// Soft limits are counted and never refuse.
    ///
    /// # Errors
    /// When a hard limit has no room; nothing is counted then.
    pub fn reserve(
        &mut self,
        payment: &Attributes,
        channel: &ChannelId,
        now: Timestamp,
    ) -> Result<Reservation, LimitReached> {
        let full = |limit: &&Limit| limit.rule.hard && limit.is_full(payment, channel, now);
        if let Some(limit) = self.limits.iter().find(full) {
            return Err(LimitReached {
                limit: limit.rule.id.clone(),
            });
        }
        let mut reservation = Reservation::default();
        for (place, limit) in self.limits.iter_mut().enumerate() {
            if let Some((key, quantity)) = limit.rule.share(payment, channel) {
                let part = limit.counters.add(key, now.as_millisecond(), quantity);
                reservation.shares.push(Reserved {
                    place,
                    generation: limit.generation,
                    key,
                    part,
                    quantity,
                });
            }
        }
        Ok(reservation)
    }

    /// Gives back what was reserved: the payment did not go there. What has left its window, and what the
    /// limits have forgotten, stays so.
    pub fn release(&mut self, reservation: Reservation) {
        for share in reservation.shares {
            // The limits may have been set anew in another order since.
            let same = |limit: &&mut Limit| limit.generation == share.generation;
            let limit = match self.limits.get_mut(share.place).filter(same) {
                Some(limit) => Some(limit),
                None => self.limits.iter_mut().find(same),
            };
            if let Some(limit) = limit {
                limit.counters.take_back(share.key, share.part, share.quantity);
            }
        }
    }
}

impl Limit {
    fn is_full(&self, payment: &Attributes, channel: &ChannelId, now: Timestamp) -> bool {
        self.rule.share(payment, channel).is_some_and(|(key, quantity)| {
            let counted = self.counters.total(key, now.as_millisecond());
            counted.saturating_add(quantity) > self.rule.most
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payment::tests::payment;

    fn rule(id: &str, per: &[Dimension], most: i64) -> Rule {
        Rule {
            id: id.to_owned(),
            scope: Scope::default(),
            per: per.to_vec(),
            measure: Measure::Count,
            most,
            window_secs: 60,
            hard: true,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn a() -> ChannelId {
        ChannelId::new("a").unwrap()
    }

    fn customer(reference: &str) -> Attributes {
        let mut payment = payment("p");
        payment.customer.reference = Some(reference.to_owned());
        payment
    }

    #[test]
    fn the_last_place_is_given_once() {
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]);
        let _ = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        let refused = limits.reserve(&payment("q"), &a(), at(1)).unwrap_err();
        assert_eq!(refused.limit, "cap");
    }

    #[test]
    fn a_refused_payment_is_counted_nowhere() {
        let mut soft = rule("soft", &[], 100);
        soft.hard = false;
        soft.most = 1;
        let mut limits = Limits::new(vec![soft, rule("none", &[], 0)]);
        assert!(limits.reserve(&payment("p"), &a(), at(0)).is_err());
        assert_eq!(limits.reached(&payment("p"), &a(), at(0)).unwrap().id, "none");
    }

    #[test]
    fn what_is_released_is_free_again() {
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]);
        let reservation = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        limits.release(reservation);
        assert!(limits.reserve(&payment("q"), &a(), at(1)).is_ok());
    }

    #[test]
    fn a_soft_limit_shows_but_does_not_refuse() {
        let mut soft = rule("soft", &[], 1);
        soft.hard = false;
        let mut limits = Limits::new(vec![soft]);
        let _ = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        assert_eq!(limits.reached(&payment("q"), &a(), at(0)).unwrap().id, "soft");
        assert!(limits.reserve(&payment("q"), &a(), at(0)).is_ok());
    }

    #[test]
    fn customers_are_counted_apart_and_only_when_known() {
        let mut limits = Limits::new(vec![rule("velocity", &[Dimension::Customer], 1)]);
        let _ = limits.reserve(&customer("c1"), &a(), at(0)).unwrap();
        assert!(limits.reached(&customer("c1"), &a(), at(0)).is_some());
        assert!(limits.reached(&customer("c2"), &a(), at(0)).is_none());
        for _ in 0..3 {
            let _ = limits.reserve(&payment("unknown"), &a(), at(0)).unwrap();
        }
    }

    #[test]
    fn a_sum_counts_amounts_of_its_currency() {
        let mut cap = rule("sum", &[], 25_000);
        cap.measure = Measure::Sum("CNY".parse().unwrap());
        let mut limits = Limits::new(vec![cap]);
        for _ in 0..2 {
            let _ = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        }
        assert!(limits.reserve(&payment("p"), &a(), at(0)).is_err());
        let mut euros = payment("p");
        euros.amount = crate::money::Money::new(10_000, "EUR".parse().unwrap()).unwrap();
        assert!(limits.reserve(&euros, &a(), at(0)).is_ok());
    }

    #[test]
    fn a_raised_limit_keeps_what_it_counted() {
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]);
        let held = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        limits.set_rules(vec![rule("other", &[], 9), rule("cap", &[], 2)]);
        let _ = limits.reserve(&payment("q"), &a(), at(0)).unwrap();
        assert!(limits.reserve(&payment("r"), &a(), at(0)).is_err());
        limits.release(held);
        assert!(limits.reserve(&payment("r"), &a(), at(0)).is_ok());
    }

    #[test]
    fn a_limit_that_counts_otherwise_begins_anew() {
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]);
        let held = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        limits.set_rules(vec![rule("cap", &[Dimension::Channel], 1)]);
        limits.release(held);
        assert!(limits.reserve(&payment("q"), &a(), at(0)).is_ok());
    }

    proptest! {
        #[test]
        fn a_hard_limit_holds_in_every_stretch_of_its_window(
            waits in proptest::collection::vec(0_i64..20, 1..100),
            most in 1_i64..6,
        ) {
            let mut limits = Limits::new(vec![rule("cap", &[], most)]);
            let (mut now, mut taken) = (0, Vec::new());
            for wait in waits {
                now += wait;
                if limits.reserve(&payment("p"), &a(), at(now)).is_ok() {
                    taken.push(now);
                }
                let recent = taken.iter().filter(|&&second| second > now - 60).count();
                prop_assert!(i64::try_from(recent).unwrap() <= most);
            }
        }
    }
}
