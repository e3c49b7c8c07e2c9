//! Shoppers: who arrives when, and with which payment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::id::PaymentId;
use domain::money::Money;
use domain::payment::{Attributes, Card, Customer, Device, Operation, Stage};

use crate::chance::{Chance, Topic};
use crate::number;
use crate::scenario::traffic::{Issuer, Method, Traffic};
use crate::world::World;

/// How many different customers there are: enough that most orders are somebody else's, few enough that some come
/// back and velocity limits have something to count. Ours.
const CUSTOMERS: f64 = 50_000.0;

/// Somebody who is about to pay.
#[derive(Clone, Debug, PartialEq)]
pub struct Shopper {
    /// When, since the start of the scenario.
    pub arrives_at: Duration,
    /// The payment, at its first attempt.
    pub payment: Attributes,
}

/// The shoppers of a world in the order of their arrival: a Poisson process whose rate the scenario shapes.
///
/// Arrivals come at the highest rate that the scenario can have and are thinned down to the rate of the moment
/// (Lewis and Shedler 1979).
#[derive(Clone, Debug)]
pub struct Arrivals {
    world: Arc<World>,
    highest_per_s: f64,
    candidate: u64,
    at_s: f64,
}

impl Arrivals {
    /// The shoppers of `world`, from its start to its end.
    #[must_use]
    pub fn of(world: Arc<World>) -> Self {
        let traffic = &world.scenario().traffic;
        let highest: f64 = traffic.shapes.iter().map(|shape| shape.largest()).product();
        Self {
            highest_per_s: traffic.payments_per_s.get() * highest,
            world,
            candidate: 0,
            at_s: 0.0,
        }
    }
}

impl Iterator for Arrivals {
    type Item = Shopper;

    fn next(&mut self) -> Option<Shopper> {
        loop {
            let luck = self.world.luck().named("arrival").part(self.candidate);
            self.candidate += 1;
            self.at_s += luck.exponential(Topic::Gap) / self.highest_per_s;
            let scenario = self.world.scenario();
            if self.at_s >= scenario.duration_s.get() {
                return None;
            }
            let traffic = &scenario.traffic;
            let rate: f64 = traffic
                .shapes
                .iter()
                .map(|shape| shape.factor(self.at_s))
                .product();
            let kept = rate * traffic.payments_per_s.get() / self.highest_per_s;
            if luck.hits(Topic::Thinning, kept) {
                // A traffic without methods or names is refused with its scenario, so this always is somebody.
                return shopper(&self.world, luck, self.candidate, number::seconds(self.at_s));
            }
        }
    }
}

fn shopper(world: &World, luck: Chance, candidate: u64, arrives_at: Duration) -> Option<Shopper> {
    let traffic = &world.scenario().traffic;
    let method = luck.pick(Topic::Method, &traffic.methods, |method| method.weight.get())?;
    let issuer = issuer(traffic, method, luck);
    let payment = PaymentId::new(format!("pay-{}-{candidate:07}", world.seed())).ok()?;
    Some(Shopper {
        arrives_at,
        payment: Attributes {
            merchant: traffic.merchant.clone(),
            payment,
            attempt_no: 1,
            amount: amount(traffic, luck)?,
            operation: Operation::Sale,
            stage: Stage::Debit,
            method: method.name.clone(),
            presentment: luck
                .pick(Topic::Presentment, &method.presentments, |_| 1.0)
                .cloned(),
            issuer: issuer.map(|issuer| issuer.name.clone()),
            issuer_country: issuer.and_then(|issuer| issuer.country.clone()),
            card: card(method, luck),
            country: traffic.country.clone(),
            region: None,
            customer: customer(traffic, luck),
            device: device(traffic, luck),
            risk_score: None,
            metadata: BTreeMap::new(),
            locale: None,
        },
    })
}

fn issuer<'a>(traffic: &'a Traffic, method: &'a Method, luck: Chance) -> Option<&'a Issuer> {
    let issuers = if method.issuers.is_empty() {
        &traffic.issuers
    } else {
        &method.issuers
    };
    luck.pick(Topic::Issuer, issuers, |issuer| issuer.weight.get())
}

fn amount(traffic: &Traffic, luck: Chance) -> Option<Money> {
    let amounts = traffic.amounts;
    let drawn = amounts.median_minor.get() * (amounts.sigma.get() * luck.normal(Topic::Amount)).exp();
    let bounded = drawn.clamp(amounts.min_minor.get(), amounts.max_minor.get());
    Money::new(number::whole(bounded).max(1), traffic.currency).ok()
}

fn card(method: &Method, luck: Chance) -> Option<Card> {
    let kind = luck.pick(Topic::Card, &method.cards, |kind| kind.weight.get())?;
    Some(Card {
        brand: Some(kind.brand.clone()),
        funding: kind.funding.clone(),
        bin: None,
    })
}

fn customer(traffic: &Traffic, luck: Chance) -> Customer {
    let customers = &traffic.customers;
    let age = luck.pick(Topic::Age, &customers.age_bands, |band| band.weight.get());
    let number = number::count(luck.uniform(Topic::Reference) * CUSTOMERS);
    Customer {
        reference: Some(format!("customer-{number}")),
        is_new: luck.hits(Topic::NewCustomer, customers.new.get()),
        age_band: age.map(|band| band.name.clone()),
        segments: Vec::new(),
    }
}

fn device(traffic: &Traffic, luck: Chance) -> Device {
    let (ios, android) = (traffic.customers.ios.get(), traffic.customers.android.get());
    let draw = luck.uniform(Topic::System);
    if draw < ios {
        Device {
            os: Some("ios".to_owned()),
            wallets: vec!["apple_pay".to_owned()],
        }
    } else if draw < ios + android {
        Device {
            os: Some("android".to_owned()),
            wallets: Vec::new(),
        }
    } else {
        Device::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::number::share;

    fn shoppers(seed: u64) -> Vec<Shopper> {
        Arrivals::of(fixture::world(seed)).collect()
    }

    #[test]
    fn the_same_seed_brings_the_same_shoppers() {
        assert_eq!(shoppers(3), shoppers(3));
        assert_ne!(shoppers(3), shoppers(4));
    }

    #[test]
    fn shoppers_come_in_order_and_as_many_as_the_rate_says() {
        let shoppers = shoppers(1);
        assert!(shoppers.is_sorted_by_key(|shopper| shopper.arrives_at));
        // 120 s at 50 per second; three standard deviations of a Poisson count are 232.
        assert!((5_768..=6_232).contains(&shoppers.len()), "{}", shoppers.len());
    }

    #[test]
    fn a_peak_multiplies_the_rate_while_it_lasts() {
        let peak = "payments_per_s: 50\n  shapes:\n    - peak: {start_s: 60, end_s: 120, factor: 3}";
        let shoppers: Vec<_> = Arrivals::of(fixture::changed(1, "payments_per_s: 50", peak)).collect();
        let before = shoppers.partition_point(|shopper| shopper.arrives_at.as_secs() < 60);
        let ratio = share(shoppers.len() - before, before);
        assert!((ratio - 3.0).abs() < 0.3, "{ratio}");
    }

    #[test]
    fn attributes_are_as_frequent_as_their_weights() {
        let shoppers = shoppers(1);
        let part = |wanted: &dyn Fn(&Attributes) -> bool| {
            let found = shoppers.iter().filter(|shopper| wanted(&shopper.payment)).count();
            share(found, shoppers.len())
        };
        for (found, expected) in [
            (part(&|payment| payment.issuer.as_deref() == Some("icbc")), 0.75),
            (part(&|payment| payment.customer.is_new), 0.2),
            (part(&|payment| payment.device.os.as_deref() == Some("ios")), 0.3),
            (
                part(&|payment| payment.customer.age_band.as_deref() == Some("26-45")),
                0.667,
            ),
            (part(&|payment| payment.amount.minor() < 12_000), 0.5),
        ] {
            assert!((found - expected).abs() < 0.025, "{found} for {expected}");
        }
    }

    #[test]
    fn amounts_stay_within_their_bounds() {
        let bounds = 100..=3_000_000;
        assert!(
            shoppers(2)
                .iter()
                .all(|shopper| bounds.contains(&shopper.payment.amount.minor()))
        );
    }

    #[test]
    fn no_two_payments_share_a_name() {
        let shoppers = shoppers(1);
        let names: std::collections::BTreeSet<_> =
            shoppers.iter().map(|shopper| &shopper.payment.payment).collect();
        assert_eq!(names.len(), shoppers.len());
    }
}
