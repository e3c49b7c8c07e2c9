//! Dynamic limits: how many payments, or how much, may go somewhere within a sliding window.
//!
//! A *soft* limit closes channels to the payments it covers once it is reached. A *hard* limit is besides reserved
//! at the moment of routing ([`Limits::reserve`]): two payments that were found eligible at the same time
//! cannot both take its last place; the second falls through to its next channel.

mod counters;
mod rule;
mod window;

use jiff::Timestamp;
use smallvec::SmallVec;

use self::counters::{Counters, Key};
pub use self::rule::{Dimension, InvalidRules, MAX_RULES, Measure, Rule, Scope, WINDOW_SECS};
use crate::id::ChannelId;
use crate::payment::Attributes;

/// Most windows over all limits, about 250 bytes each: a shop's customers of a day, in 50 MB at most.
const MAX_WINDOWS: usize = 200_000;

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
    /// Limits that have counted nothing yet.
    ///
    /// # Errors
    /// As [`Self::set_rules`].
    pub fn new(rules: Vec<Rule>) -> Result<Self, InvalidRules> {
        let mut limits = Self::default();
        limits.set_rules(rules)?;
        Ok(limits)
    }

    /// Replaces the rules. A limit that counts what it counted before, and so differs at most in how much it
    /// allows, goes on with its counters; the others begin anew.
    ///
    /// # Errors
    /// When there are too many rules, two of one name, or a window out of bounds; the old rules stay then.
    pub fn set_rules(&mut self, rules: Vec<Rule>) -> Result<(), InvalidRules> {
        rule::check(&rules)?;
        let capacity = MAX_WINDOWS / rules.len().max(1);
        let mut before = std::mem::take(&mut self.limits);
        for rule in rules {
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
        Ok(())
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
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]).unwrap();
        let _ = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        let refused = limits.reserve(&payment("q"), &a(), at(1)).unwrap_err();
        assert_eq!(refused.limit, "cap");
    }

    #[test]
    fn a_refused_payment_is_counted_nowhere() {
        let mut soft = rule("soft", &[], 100);
        soft.hard = false;
        soft.most = 1;
        let mut limits = Limits::new(vec![soft, rule("none", &[], 0)]).unwrap();
        assert!(limits.reserve(&payment("p"), &a(), at(0)).is_err());
        assert_eq!(limits.reached(&payment("p"), &a(), at(0)).unwrap().id, "none");
    }

    #[test]
    fn what_is_released_is_free_again() {
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]).unwrap();
        let reservation = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        limits.release(reservation);
        assert!(limits.reserve(&payment("q"), &a(), at(1)).is_ok());
    }

    #[test]
    fn a_soft_limit_shows_but_does_not_refuse() {
        let mut soft = rule("soft", &[], 1);
        soft.hard = false;
        let mut limits = Limits::new(vec![soft]).unwrap();
        let _ = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        assert_eq!(limits.reached(&payment("q"), &a(), at(0)).unwrap().id, "soft");
        assert!(limits.reserve(&payment("q"), &a(), at(0)).is_ok());
    }

    #[test]
    fn customers_are_counted_apart_and_only_when_known() {
        let mut limits = Limits::new(vec![rule("velocity", &[Dimension::Customer], 1)]).unwrap();
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
        let mut limits = Limits::new(vec![cap]).unwrap();
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
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]).unwrap();
        let held = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        limits
            .set_rules(vec![rule("other", &[], 9), rule("cap", &[], 2)])
            .unwrap();
        let _ = limits.reserve(&payment("q"), &a(), at(0)).unwrap();
        assert!(limits.reserve(&payment("r"), &a(), at(0)).is_err());
        limits.release(held);
        assert!(limits.reserve(&payment("r"), &a(), at(0)).is_ok());
    }

    #[test]
    fn a_limit_that_counts_otherwise_begins_anew() {
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]).unwrap();
        let held = limits.reserve(&payment("p"), &a(), at(0)).unwrap();
        limits
            .set_rules(vec![rule("cap", &[Dimension::Channel], 1)])
            .unwrap();
        limits.release(held);
        assert!(limits.reserve(&payment("q"), &a(), at(0)).is_ok());
    }

    #[test]
    fn rules_that_cannot_be_are_refused_and_the_old_ones_stay() {
        let mut limits = Limits::new(vec![rule("cap", &[], 1)]).unwrap();
        let mut short = rule("short", &[], 1);
        short.window_secs = 9;
        assert_eq!(
            limits.set_rules(vec![short]).unwrap_err().to_string(),
            "limit `short` has a window of 9 s, expected 10 to 86400 s"
        );
        let twice = vec![rule("x", &[], 1), rule("x", &[], 2)];
        assert_eq!(
            limits.set_rules(twice),
            Err(InvalidRules::Duplicate("x".to_owned()))
        );
        let many = (0..=MAX_RULES).map(|i| rule(&i.to_string(), &[], 1)).collect();
        assert_eq!(limits.set_rules(many), Err(InvalidRules::TooMany(MAX_RULES + 1)));
        assert_eq!(limits.rules().next().unwrap().id, "cap");
    }

    proptest! {
        #[test]
        fn a_hard_limit_holds_in_every_stretch_of_its_window(
            waits in proptest::collection::vec(0_i64..20, 1..100),
            most in 1_i64..6,
        ) {
            let mut limits = Limits::new(vec![rule("cap", &[], most)]).unwrap();
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
