//! Which channels may take a payment at all, and for each of the others the one reason why not.
//!
//! What is not eligible is never routed to: policy, health and panic choose among eligible channels only.

use jiff::Timestamp;
use serde::Serialize;
use smallvec::SmallVec;

use crate::channel::Channel;
use crate::channels::{ChannelIndex, ChannelList, ChannelSet, Channels, is_active};
use crate::id::ChannelId;
use crate::limit::Limits;
use crate::payment::{Attributes, Operation};
use crate::suspension::{Suspension, suspended};

/// Why a channel does not take a payment. Where several reasons hold, the first in this order is given: what
/// somebody decided before what the payment is, and that before what passes with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// The channel is switched off in the configuration.
    Disabled,
    /// The caller named candidates, and this is none of them.
    NotCandidate,
    /// The caller excluded it.
    ExcludedByCaller,
    /// A suspension covers it.
    Suspended,
    /// None of its accounts is active.
    NoActiveAccount,
    /// It does not take the method.
    Method,
    /// It does not take the presentment.
    Presentment,
    /// It does not take the currency.
    Currency,
    /// The amount is below its smallest.
    AmountBelow,
    /// The amount is above its largest.
    AmountAbove,
    /// It does not take orders of the country.
    Country,
    /// It does not take payments of the issuer.
    Issuer,
    /// It does not take the brand of the card.
    CardBrand,
    /// It cannot do what is asked, such as hold an amount.
    Operation,
    /// It cannot use the customer's credential.
    NotPortable,
    /// A limit is reached.
    LimitReached,
    /// A rule of the policy denies it.
    DeniedByPolicy,
    /// A rule of the policy allows only others.
    OutsidePolicy,
    /// Its breaker has tripped, or somebody has forced it out.
    Unhealthy,
}

impl Exclusion {
    /// Every exclusion, in the order of precedence.
    pub const ALL: [Self; 19] = [
        Self::Disabled,
        Self::NotCandidate,
        Self::ExcludedByCaller,
        Self::Suspended,
        Self::NoActiveAccount,
        Self::Method,
        Self::Presentment,
        Self::Currency,
        Self::AmountBelow,
        Self::AmountAbove,
        Self::Country,
        Self::Issuer,
        Self::CardBrand,
        Self::Operation,
        Self::NotPortable,
        Self::LimitReached,
        Self::DeniedByPolicy,
        Self::OutsidePolicy,
        Self::Unhealthy,
    ];

    /// The name in snake case, as on the wire; it never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NotCandidate => "not_candidate",
            Self::ExcludedByCaller => "excluded_by_caller",
            Self::Suspended => "suspended",
            Self::NoActiveAccount => "no_active_account",
            Self::Method => "method",
            Self::Presentment => "presentment",
            Self::Currency => "currency",
            Self::AmountBelow => "amount_below",
            Self::AmountAbove => "amount_above",
            Self::Country => "country",
            Self::Issuer => "issuer",
            Self::CardBrand => "card_brand",
            Self::Operation => "operation",
            Self::NotPortable => "not_portable",
            Self::LimitReached => "limit_reached",
            Self::DeniedByPolicy => "denied_by_policy",
            Self::OutsidePolicy => "outside_policy",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The reason in plain words, as a sentence about the channel.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Disabled => "the channel is switched off in the configuration",
            Self::NotCandidate => "the caller asked for other channels only",
            Self::ExcludedByCaller => "the caller asked not to use it",
            Self::Suspended => "it is suspended for this payment",
            Self::NoActiveAccount => "none of its accounts takes new payments",
            Self::Method => "it does not take this payment method",
            Self::Presentment => "it does not take this method in this presentment",
            Self::Currency => "it does not take this currency",
            Self::AmountBelow => "the amount is below the smallest it takes",
            Self::AmountAbove => "the amount is above the largest it takes",
            Self::Country => "it does not take orders of this country",
            Self::Issuer => "it does not take payments of this bank",
            Self::CardBrand => "it does not take cards of this brand",
            Self::Operation => "it cannot do what is asked for",
            Self::NotPortable => "it cannot use the credential that the customer gave",
            Self::LimitReached => "a limit on it is reached for now",
            Self::DeniedByPolicy => "a rule of the policy denies it for this payment",
            Self::OutsidePolicy => "a rule of the policy allows other channels only",
            Self::Unhealthy => "its breaker keeps payments away from it for now",
        }
    }
}

/// What a caller asks of the choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restrictions<'a> {
    /// Choose among these only; among all when empty. Names that are not configured are passed over.
    pub candidates: &'a [ChannelId],
    /// Choose none of these.
    pub exclude: &'a [ChannelId],
}

/// What decides besides the payment: the configuration and its live parts.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The channels.
    pub channels: &'a Channels,
    /// The suspensions, past and future ones included.
    pub suspensions: &'a [Suspension],
    /// The limits and what they have counted.
    pub limits: &'a Limits,
}

/// Every channel of the configuration: either eligible, or excluded for one reason.
#[derive(Clone, Debug, Default)]
pub struct Eligible {
    /// The channels that may take the payment, in the order of the configuration.
    pub eligible: ChannelList,
    /// The others.
    pub excluded: SmallVec<[(ChannelIndex, Exclusion); 64]>,
}

/// Sorts the channels into those that may take `payment` at `now` and those that may not.
///
/// An attribute that the caller does not give excludes nothing: a channel for two banks is eligible when the
/// bank is not known. Allocates nothing with up to 64 channels.
#[must_use]
pub fn eligible(
    circumstances: Circumstances<'_>,
    payment: &Attributes,
    restrictions: Restrictions<'_>,
    now: Timestamp,
) -> Eligible {
    let channels = circumstances.channels;
    let gate = Gate {
        payment,
        candidates: match restrictions.candidates {
            [] => ChannelSet::ALL,
            candidates => named(channels, candidates),
        },
        refused: named(channels, restrictions.exclude),
        suspended: suspended(circumstances.suspensions, channels, payment, now),
        limits: circumstances.limits,
        now,
    };
    let mut sorted = Eligible::default();
    for (index, channel) in channels.iter() {
        match gate.exclusion(index, channel) {
            None => sorted.eligible.push(index),
            Some(exclusion) => sorted.excluded.push((index, exclusion)),
        }
    }
    sorted
}

fn named(channels: &Channels, ids: &[ChannelId]) -> ChannelSet {
    ids.iter()
        .filter_map(|id| channels.index_of(id.as_str()))
        .collect()
}

struct Gate<'a> {
    payment: &'a Attributes,
    candidates: ChannelSet,
    refused: ChannelSet,
    suspended: ChannelSet,
    limits: &'a Limits,
    now: Timestamp,
}

impl Gate<'_> {
    fn exclusion(&self, index: ChannelIndex, channel: &Channel) -> Option<Exclusion> {
        self.decided(index, channel)
            .or_else(|| self.unfit(channel))
            .or_else(|| {
                let reached = self.limits.reached(self.payment, &channel.id, self.now);
                reached.map(|_| Exclusion::LimitReached)
            })
    }

    /// What somebody decided about the channel.
    fn decided(&self, index: ChannelIndex, channel: &Channel) -> Option<Exclusion> {
        let reasons = [
            (!channel.enabled, Exclusion::Disabled),
            (!self.candidates.contains(index), Exclusion::NotCandidate),
            (self.refused.contains(index), Exclusion::ExcludedByCaller),
            (self.suspended.contains(index), Exclusion::Suspended),
        ];
        if let Some((_, exclusion)) = reasons.into_iter().find(|(holds, _)| *holds) {
            return Some(exclusion);
        }
        let is_open = channel.accounts.iter().any(is_active);
        (!is_open).then_some(Exclusion::NoActiveAccount)
    }

    /// What about the payment the channel cannot take.
    fn unfit(&self, channel: &Channel) -> Option<Exclusion> {
        let payment = self.payment;
        let amount = payment.amount.minor();
        if !channel.methods.contains(&payment.method) {
            return Some(Exclusion::Method);
        }
        if !takes(&channel.presentments, payment.presentment.as_deref()) {
            return Some(Exclusion::Presentment);
        }
        if !channel.currencies.is_empty() && !channel.currencies.contains(&payment.amount.currency()) {
            return Some(Exclusion::Currency);
        }
        if channel.min_amount_minor.is_some_and(|least| amount < least) {
            return Some(Exclusion::AmountBelow);
        }
        if channel.max_amount_minor.is_some_and(|most| amount > most) {
            return Some(Exclusion::AmountAbove);
        }
        if !takes(&channel.countries, payment.country.as_deref()) {
            return Some(Exclusion::Country);
        }
        if !takes(&channel.issuers, payment.issuer.as_deref()) {
            return Some(Exclusion::Issuer);
        }
        let brand = payment.card.as_ref().and_then(|card| card.brand.as_deref());
        if !takes(&channel.card_brands, brand) {
            return Some(Exclusion::CardBrand);
        }
        let can = match payment.operation {
            Operation::Sale | Operation::AgreementDebit => true,
            Operation::Authorize => channel.capabilities.authorize,
        };
        (!can).then_some(Exclusion::Operation)
    }
}

/// Whether a list takes a value: an empty list takes any, and a value that is not known fits any list.
fn takes(list: &[String], value: Option<&str>) -> bool {
    list.is_empty() || value.is_none_or(|value| list.iter().any(|item| item == value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channel::AccountState;
    use crate::channels::tests::channel;
    use crate::limit::{self, Measure};
    use crate::payment::tests::payment;
    use crate::suspension::Scope;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// The exclusion of one channel, with no limits or suspensions.
    fn exclusion(channel: Channel, payment: &Attributes) -> Option<Exclusion> {
        let channels = Channels::new(vec![channel]).unwrap();
        let circumstances = Circumstances {
            channels: &channels,
            suspensions: &[],
            limits: &Limits::default(),
        };
        let sorted = eligible(circumstances, payment, Restrictions::default(), NOW);
        sorted.excluded.first().map(|(_, exclusion)| *exclusion)
    }

    /// The exclusion of a channel that would take a payment which tells everything, but for `spoil`.
    fn spoilt(spoil: impl FnOnce(&mut Channel)) -> Option<Exclusion> {
        let mut spoilt = channel("a");
        spoilt.capabilities.authorize = true;
        spoil(&mut spoilt);
        let mut payment = payment("p");
        payment.presentment = Some("app".to_owned());
        payment.country = Some("CN".to_owned());
        payment.issuer = Some("icbc".to_owned());
        payment.card = Some(crate::payment::Card {
            brand: Some("visa".to_owned()),
            ..Default::default()
        });
        payment.operation = Operation::Authorize;
        exclusion(spoilt, &payment)
    }

    fn other() -> Vec<String> {
        vec!["other".to_owned()]
    }

    #[test]
    fn a_channel_that_fits_is_eligible() {
        assert_eq!(spoilt(|_| {}), None);
    }

    #[test]
    fn each_thing_that_does_not_fit_has_its_reason() {
        assert_eq!(spoilt(|c| c.enabled = false), Some(Exclusion::Disabled));
        assert_eq!(
            spoilt(|c| c.accounts[0].state = AccountState::Draining),
            Some(Exclusion::NoActiveAccount)
        );
        assert_eq!(spoilt(|c| c.methods = other()), Some(Exclusion::Method));
        assert_eq!(spoilt(|c| c.presentments = other()), Some(Exclusion::Presentment));
        assert_eq!(
            spoilt(|c| c.currencies = vec!["USD".parse().unwrap()]),
            Some(Exclusion::Currency)
        );
        assert_eq!(
            spoilt(|c| c.min_amount_minor = Some(10_001)),
            Some(Exclusion::AmountBelow)
        );
        assert_eq!(
            spoilt(|c| c.max_amount_minor = Some(9_999)),
            Some(Exclusion::AmountAbove)
        );
        assert_eq!(spoilt(|c| c.countries = other()), Some(Exclusion::Country));
        assert_eq!(spoilt(|c| c.issuers = other()), Some(Exclusion::Issuer));
        assert_eq!(spoilt(|c| c.card_brands = other()), Some(Exclusion::CardBrand));
        assert_eq!(
            spoilt(|c| c.capabilities.authorize = false),
            Some(Exclusion::Operation)
        );
    }

    #[test]
    fn amounts_at_the_bounds_are_taken() {
        let at_bounds = |c: &mut Channel| {
            c.min_amount_minor = Some(10_000);
            c.max_amount_minor = Some(10_000);
        };
        assert_eq!(spoilt(at_bounds), None);
    }

    #[test]
    fn what_the_caller_does_not_say_excludes_nothing() {
        let mut narrow = channel("a");
        narrow.issuers = other();
        narrow.countries = other();
        narrow.presentments = other();
        narrow.card_brands = other();
        assert_eq!(exclusion(narrow, &payment("p")), None);
    }

    #[test]
    fn the_first_reason_in_the_order_is_given() {
        let both = |c: &mut Channel| {
            c.methods = other();
            c.max_amount_minor = Some(1);
        };
        assert_eq!(spoilt(both), Some(Exclusion::Method));
    }

    #[test]
    fn caller_suspension_and_limit_exclude() {
        let channels = Channels::new(["a", "b", "c", "d", "e"].map(channel).to_vec()).unwrap();
        let id = |name: &str| ChannelId::new(name).unwrap();
        let suspension = Suspension {
            scope: Scope {
                channel: Some(id("c")),
                ..Scope::default()
            },
            reason: String::new(),
            author: String::new(),
            from: NOW,
            until: None,
        };
        let limits = Limits::new(vec![limit::Rule {
            id: "none".to_owned(),
            scope: limit::Scope {
                channel: Some(id("d")),
                ..limit::Scope::default()
            },
            per: vec![],
            measure: Measure::Count,
            most: 0,
            window_secs: 60,
            hard: false,
        }])
        .unwrap();
        let circumstances = Circumstances {
            channels: &channels,
            suspensions: &[suspension],
            limits: &limits,
        };
        let restrictions = Restrictions {
            candidates: &[id("b"), id("c"), id("d"), id("e"), id("unknown")],
            exclude: &[id("b")],
        };
        let sorted = eligible(circumstances, &payment("p"), restrictions, NOW);
        let reasons: Vec<Exclusion> = sorted.excluded.iter().map(|(_, reason)| *reason).collect();
        assert_eq!(
            reasons,
            [
                Exclusion::NotCandidate,
                Exclusion::ExcludedByCaller,
                Exclusion::Suspended,
                Exclusion::LimitReached
            ]
        );
        assert_eq!(sorted.eligible.as_slice(), [channels.index_of("e").unwrap()]);
    }

    #[test]
    fn names_are_stable_and_unique() {
        for (place, exclusion) in Exclusion::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(exclusion).unwrap(), exclusion.as_str());
            assert_eq!(
                Exclusion::ALL.iter().position(|other| *other == exclusion),
                Some(place)
            );
            assert!(!exclusion.explanation().is_empty());
        }
    }

    proptest! {
        #[test]
        fn every_channel_is_either_eligible_or_excluded_once(
            off in proptest::collection::vec(any::<bool>(), 0..100),
        ) {
            let list = off.iter().enumerate().map(|(i, off)| {
                let mut channel = channel(&format!("c{i}"));
                channel.enabled = !off;
                channel
            });
            let channels = Channels::new(list.collect()).unwrap();
            let circumstances = Circumstances { channels: &channels, suspensions: &[], limits: &Limits::default() };
            let sorted = eligible(circumstances, &payment("p"), Restrictions::default(), NOW);
            let mut seen: Vec<usize> = sorted.eligible.iter().map(|index| index.get()).collect();
            seen.extend(sorted.excluded.iter().map(|(index, _)| index.get()));
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..off.len()).collect::<Vec<_>>());
        }
    }
}
