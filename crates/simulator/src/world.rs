//! The world: a scenario and a seed. It knows what becomes of every attempt, and how likely that was.

mod load;
mod site;

use std::sync::Arc;
use std::time::Duration;

use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::payment::Attributes;

use crate::chance::{Chance, Topic};
use crate::fate::{Fate, Work};
use crate::scenario::Scenario;
use crate::scenario::channel::Channel;
use site::{Lucks, Site};

pub use load::Load;

/// The place of a channel in its scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelIndex(usize);

impl ChannelIndex {
    /// The number of the place, from 0.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0
    }

    #[cfg(test)]
    pub(crate) const fn at(place: usize) -> Self {
        Self(place)
    }
}

/// One attempt, as a channel meets it.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The channel.
    pub channel: ChannelIndex,
    /// The payment. Its own `attempt_no` is not looked at.
    pub payment: &'a Attributes,
    /// Which attempt at the payment it is, from 1.
    pub attempt_no: u32,
    /// When it is submitted, since the start of the scenario.
    pub at: Duration,
    /// How many payments per second the channel gets at the moment, as a [`Load`] says. Only a capacity looks at it.
    pub load_tps: f64,
}

/// A scenario in which everything is decided.
///
/// Every quantity that is left to chance is a hash of the seed, the payment, the channel and the attempt. Nothing
/// depends on what was asked before: the world is the same for all who meet it.
#[derive(Debug)]
pub struct World {
    scenario: Scenario,
    seed: u64,
    luck: Chance,
    sites: Vec<Site>,
}

impl World {
    /// The world of `scenario` under `seed`.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let site = |channel: &Channel| Site {
            channel: channel.clone(),
            events: (0..)
                .zip(&scenario.events)
                .filter(|(_, event)| event.channel.as_ref().is_none_or(|id| *id == channel.id))
                .map(|(number, event)| (number, event.clone()))
                .collect(),
        };
        let sites = scenario.channels.iter().map(site).collect();
        Self {
            luck: Chance::of(seed),
            scenario,
            seed,
            sites,
        }
    }

    /// The scenario.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) const fn luck(&self) -> Chance {
        self.luck
    }

    /// The channels in the order of the scenario.
    #[must_use]
    pub fn channels(&self) -> impl ExactSizeIterator<Item = (ChannelIndex, &Channel)> {
        let numbered = self.sites.iter().enumerate();
        numbered.map(|(place, site)| (ChannelIndex(place), &site.channel))
    }

    /// The channel at `index`; `None` when the index is of another world.
    #[must_use]
    pub fn channel(&self, index: ChannelIndex) -> Option<&Channel> {
        self.sites.get(index.0).map(|site| &site.channel)
    }

    /// Where the channel called `id` stands; `None` when the scenario does not have it.
    #[must_use]
    pub fn index_of(&self, id: &ChannelId) -> Option<ChannelIndex> {
        self.sites
            .iter()
            .position(|site| site.channel.id == *id)
            .map(ChannelIndex)
    }

    /// The channels that take `payment`, in the order of the scenario.
    pub fn taking<'a>(&'a self, payment: &'a Attributes) -> impl Iterator<Item = ChannelIndex> + 'a {
        self.channels()
            .filter(|(_, channel)| channel.takes(payment))
            .map(|(index, _)| index)
    }

    /// How long callers wait for the channel at `index`.
    #[must_use]
    pub fn timeout(&self, index: ChannelIndex) -> Duration {
        self.channel(index).map_or(Duration::ZERO, |channel| {
            Duration::from_millis(u64::from(channel.timeout_ms))
        })
    }

    /// What becomes of an attempt. On a channel of another world it is swallowed.
    #[must_use]
    pub fn fate(&self, visit: &Visit<'_>) -> Fate {
        self.sites
            .get(visit.channel.0)
            .map_or(Fate(Work::Swallowed), |site| {
                site.fate(
                    &self.lucks(visit, site),
                    visit,
                    self.scenario.traffic.refusals.get(),
                )
            })
    }

    /// The probability that the caller gets a success in time. It knows the segment and the moment, and not the luck:
    /// whether this customer will be refused is part of the probability.
    #[must_use]
    pub fn success_probability(&self, visit: &Visit<'_>) -> f64 {
        let able = 1.0 - self.scenario.traffic.refusals.get();
        self.sites
            .get(visit.channel.0)
            .map_or(0.0, |site| able * site.success_probability(visit))
    }

    /// The provider code that goes with `class`.
    #[must_use]
    pub fn code(&self, visit: &Visit<'_>, class: OutcomeClass) -> Arc<str> {
        let Some(site) = self.sites.get(visit.channel.0) else {
            return Arc::from("");
        };
        let codes = site.codes(class);
        let attempt = self.lucks(visit, site).attempt;
        let code = attempt.pick(Topic::Code, codes, |code| code.weight.get());
        code.map_or_else(|| Arc::from(""), |code| Arc::clone(&code.code))
    }

    fn lucks(&self, visit: &Visit<'_>, site: &Site) -> Lucks {
        let payment = self.luck.named(visit.payment.payment.as_str());
        let channel = payment.named(site.channel.id.as_str());
        Lucks {
            payment,
            attempt: channel.part(u64::from(visit.attempt_no)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fate::Delivery;
    use crate::fixture;
    use crate::number::share;
    use crate::shopper::{Arrivals, Shopper};

    const QUIET: Duration = Duration::from_secs(20);
    const OUTAGE: Duration = Duration::from_mins(1);

    /// The fates of many payments on the channel called `id`, all submitted at `at`.
    fn fates(world: &World, shoppers: &[Shopper], id: &str, at: Duration) -> Vec<(Fate, f64)> {
        let channel = world.index_of(&ChannelId::new(id).unwrap()).unwrap();
        let visit = |shopper| fixture::visit(channel, shopper, at);
        let all = shoppers.iter().map(visit);
        all.map(|visit| (world.fate(&visit), world.success_probability(&visit)))
            .collect()
    }

    fn seen(fates: &[(Fate, f64)], class: OutcomeClass) -> f64 {
        let timeout = Duration::from_millis(1_500);
        let of_class = |fate: &&(Fate, f64)| fate.0.seen_within(timeout).1 == class;
        share(fates.iter().filter(of_class).count(), fates.len())
    }

    #[test]
    fn the_same_seed_is_the_same_world() {
        let (one, other) = (fixture::world(5), fixture::world(5));
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&one)).take(500).collect();
        assert_eq!(
            fates(&one, &shoppers, "alpha", OUTAGE),
            fates(&other, &shoppers, "alpha", OUTAGE)
        );
    }

    #[test]
    fn another_seed_is_another_world() {
        let shoppers: Vec<_> = Arrivals::of(fixture::world(5)).take(500).collect();
        assert_ne!(
            fates(&fixture::world(5), &shoppers, "gamma", QUIET),
            fates(&fixture::world(6), &shoppers, "gamma", QUIET)
        );
    }

    #[test]
    fn successes_are_as_frequent_as_their_probability_says() {
        let world = fixture::world(1);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).collect();
        for (id, at) in [
            ("alpha", QUIET),
            ("beta", QUIET),
            ("gamma", QUIET),
            ("alpha", OUTAGE),
        ] {
            let fates = fates(&world, &shoppers, id, at);
            let expected = fates.iter().map(|fate| fate.1).sum::<f64>() / crate::number::float(fates.len());
            let found = seen(&fates, OutcomeClass::Success);
            assert!((found - expected).abs() < 0.012, "{id}: {found} for {expected}");
        }
    }

    #[test]
    fn rates_are_those_of_the_scenario() {
        let world = fixture::world(2);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).collect();
        let fates = fates(&world, &shoppers, "gamma", QUIET);
        // 80 % of the 98 % who are able to pay.
        assert!((seen(&fates, OutcomeClass::Success) - 0.784).abs() < 0.015);
        assert!((seen(&fates, OutcomeClass::Refusal) - 0.02).abs() < 0.006);
    }

    #[test]
    fn in_an_outage_only_lost_answers_are_charged() {
        let world = fixture::world(3);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).collect();
        let fates = fates(&world, &shoppers, "alpha", OUTAGE);
        assert!(seen(&fates, OutcomeClass::Success) < f64::EPSILON);
        let charged = fates.iter().filter(|fate| fate.0.charged_after().is_some());
        let charged: Vec<_> = charged.collect();
        assert!(charged.iter().all(|fate| fate.0.answer().is_none()));
        // A fifth of the answers is lost; nearly all of those payments would have gone through.
        let charged = share(charged.len(), fates.len());
        assert!((charged - 0.18).abs() < 0.02, "{charged}");
        let errors = seen(&fates, OutcomeClass::TechnicalFailure);
        assert!((errors - 0.40).abs() < 0.03, "{errors}");
    }

    #[test]
    fn a_charge_comes_before_its_answer() {
        let world = fixture::world(4);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).take(2_000).collect();
        for (fate, _) in fates(&world, &shoppers, "beta", QUIET) {
            if let Work::Done {
                answered_after,
                charged_after: Some(charged_after),
                ..
            } = fate.0
            {
                assert!(Duration::ZERO < charged_after && charged_after < answered_after);
            }
        }
    }

    #[test]
    fn a_refusal_is_the_customers_on_every_channel() {
        let world = fixture::world(4);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).take(2_000).collect();
        let refused = |id| -> Vec<bool> {
            fates(&world, &shoppers, id, QUIET)
                .iter()
                .map(|(fate, _)| matches!(fate.answer(), Some((_, OutcomeClass::Refusal))))
                .collect()
        };
        assert_eq!(refused("alpha"), refused("beta"));
        assert!(refused("alpha").contains(&true));
    }

    #[test]
    fn answers_come_twice_as_often_as_the_event_says() {
        let world = fixture::world(4);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).collect();
        let fates = fates(&world, &shoppers, "beta", QUIET);
        let twice = |fate: &&(Fate, f64)| {
            matches!(
                fate.0.0,
                Work::Done {
                    delivery: Delivery::Twice(_),
                    ..
                }
            )
        };
        let twice = share(fates.iter().filter(twice).count(), fates.len());
        assert!((twice - 0.1).abs() < 0.015, "{twice}");
    }

    #[test]
    fn a_slow_channel_misses_its_time_limit_and_charges_all_the_same() {
        let slow = "  - {channel: gamma, kind: {slow: {factor: 8}}, start_s: 0, end_s: 120}\ntraffic:";
        let world = fixture::changed(1, "traffic:", slow);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).collect();
        let fates = fates(&world, &shoppers, "gamma", QUIET);
        let expected = fates.iter().map(|fate| fate.1).sum::<f64>() / crate::number::float(fates.len());
        let found = seen(&fates, OutcomeClass::Success);
        assert!((found - expected).abs() < 0.012, "{found} for {expected}");
        assert!(found < 0.3, "{found}");
        let charged = fates.iter().filter(|fate| fate.0.charged_after().is_some());
        assert!(share(charged.count(), fates.len()) > 0.7);
    }

    #[test]
    fn a_channel_at_twice_its_capacity_turns_half_away() {
        let busy = "  - {channel: gamma, kind: {busy: {capacity_tps: 20}}, start_s: 0, end_s: 120}\ntraffic:";
        let world = fixture::changed(1, "traffic:", busy);
        let channel = world.index_of(&ChannelId::new("gamma").unwrap()).unwrap();
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).collect();
        let busy = |load_tps: f64| {
            let fates = shoppers.iter().map(|shopper| {
                world.fate(&Visit {
                    load_tps,
                    ..fixture::visit(channel, shopper, QUIET)
                })
            });
            let turned = fates.filter(|fate| matches!(fate.answer(), Some((_, OutcomeClass::Busy))));
            share(turned.count(), shoppers.len())
        };
        assert!((busy(40.0) - 0.5).abs() < 0.02);
        assert!(busy(20.0) < f64::EPSILON);
    }

    #[test]
    fn an_issuer_outage_hits_its_issuer_and_nobody_else() {
        let down = "  - {kind: {issuer_outage: {issuer: cmb}}, start_s: 0, end_s: 120}\ntraffic:";
        let world = fixture::changed(1, "traffic:", down);
        let shoppers: Vec<_> = Arrivals::of(Arc::clone(&world)).take(1_000).collect();
        for (shopper, (fate, _)) in shoppers.iter().zip(fates(&world, &shoppers, "gamma", QUIET)) {
            let is_down = matches!(fate.answer(), Some((_, OutcomeClass::IssuerUnavailable)));
            assert_eq!(is_down, shopper.payment.issuer.as_deref() == Some("cmb"));
        }
    }

    #[test]
    fn the_code_is_the_one_of_the_class() {
        let world = fixture::world(1);
        let shopper = Arrivals::of(Arc::clone(&world)).next().unwrap();
        let (channel, _) = world.channels().next().unwrap();
        let visit = fixture::visit(channel, &shopper, QUIET);
        assert_eq!(&*world.code(&visit, OutcomeClass::SoftDecline), "DO_NOT_HONOR");
    }
}
