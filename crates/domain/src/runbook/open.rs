//! Which channels a kind of payment has left.

use jiff::Timestamp;

use crate::channel::{AccountState, Channel};
use crate::channels::Configuration;
use crate::id::ChannelId;
use crate::money::Currency;
use crate::suspension::{Scope, Suspension};

/// Payments that suspensions can tell from others.
#[derive(Clone, Copy, Debug)]
struct Kind<'a> {
    method: &'a str,
    currency: Currency,
    issuer: Option<&'a str>,
    region: Option<&'a str>,
}

/// A bank that nobody has named: channels that take only some banks do not take it.
const ANOTHER_ISSUER: &str = "";

/// The channels as they would be after some of the steps.
#[derive(Clone, Debug)]
pub(super) struct Open<'a> {
    configuration: &'a Configuration,
    suspensions: Vec<Suspension>,
    out: Vec<ChannelId>,
    down: &'a [ChannelId],
    now: Timestamp,
}

impl<'a> Open<'a> {
    /// The channels of `configuration`; those in `out` take no payments, whatever suspensions say, and those in `down`
    /// take none now.
    pub(super) fn new(
        configuration: &'a Configuration,
        (out, down): (Vec<ChannelId>, &'a [ChannelId]),
        now: Timestamp,
    ) -> Self {
        Self {
            configuration,
            suspensions: configuration.suspensions.clone(),
            out,
            down,
            now,
        }
    }

    pub(super) fn suspend(&mut self, suspension: Suspension) {
        self.suspensions.push(suspension);
    }

    pub(super) fn take_out(&mut self, channel: ChannelId) {
        self.out.push(channel);
    }

    /// Whether a suspension of exactly `scope` holds until `until`, or longer.
    pub(super) fn has(&self, scope: &Scope, until: Timestamp) -> bool {
        let lasts = |suspension: &Suspension| suspension.until.is_none_or(|end| end >= until);
        self.suspensions
            .iter()
            .any(|one| one.scope == *scope && one.holds(self.now) && lasts(one))
    }

    /// A method that has a channel for some kind of payment here, and none in `after`: as channels are now, or once
    /// those that are down are back. A method's only channel is left to itself also while it is down.
    pub(super) fn lost_method(&self, after: &Self) -> Option<String> {
        let channels = || self.configuration.channels.iter().map(|(_, channel)| channel);
        let both = || self.suspensions.iter().chain(&after.suspensions);
        let issuers = both()
            .filter_map(|one| one.scope.issuer.as_deref())
            .chain(channels().flat_map(|channel| channel.issuers.iter().map(String::as_str)));
        let issuers = each_once(issuers.chain([ANOTHER_ISSUER]));
        let regions = each_once(both().filter_map(|one| one.scope.region.as_deref()));
        let mut currencies: Vec<Currency> = Vec::new();
        for currency in channels().flat_map(|channel| &channel.currencies) {
            if !currencies.contains(currency) {
                currencies.push(*currency);
            }
        }
        let kinds = currencies.iter().flat_map(|currency| {
            let regions = &regions;
            issuers
                .iter()
                .flat_map(move |issuer| regions.iter().map(move |region| (*currency, *issuer, *region)))
        });
        let mut kinds_of_methods = kinds.flat_map(|(currency, issuer, region)| {
            let methods = self.configuration.channels.methods().into_iter();
            methods.map(move |method| Kind {
                method,
                currency,
                issuer,
                region,
            })
        });
        let lost = kinds_of_methods.find(|kind| {
            let lost = |down| self.has_channel(*kind, down) && !after.has_channel(*kind, down);
            lost(self.down) || lost(&[])
        });
        lost.map(|kind| kind.method.to_owned())
    }

    fn has_channel(&self, kind: Kind<'_>, down: &[ChannelId]) -> bool {
        let mut channels = self.configuration.channels.iter();
        channels.any(|(_, channel)| !down.contains(&channel.id) && self.is_open(channel, kind))
    }

    fn is_open(&self, channel: &Channel, kind: Kind<'_>) -> bool {
        let takes = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_none_or(|value| list.iter().any(|one| one == value))
        };
        let has_account = channel
            .accounts
            .iter()
            .any(|account| account.state == AccountState::Active && account.weight > 0);
        let works = channel.enabled && has_account && !self.out.contains(&channel.id);
        works
            && channel.methods.iter().any(|method| method == kind.method)
            && channel.currencies.contains(&kind.currency)
            && takes(&channel.issuers, kind.issuer)
            && !self
                .suspensions
                .iter()
                .any(|one| one.holds(self.now) && covers(&one.scope, channel, kind))
    }
}

/// Whether a suspension of `scope` keeps `kind` from `channel`. One of an issuer keeps away its own payments only.
fn covers(scope: &Scope, channel: &Channel, kind: Kind<'_>) -> bool {
    let same = |wanted: &Option<String>, given: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| given == Some(wanted))
    };
    scope.channel.as_ref().is_none_or(|wanted| *wanted == channel.id)
        && same(&scope.issuer, kind.issuer)
        && same(&scope.region, kind.region)
        && same(&scope.method, Some(kind.method))
}

/// None of them, and each of them once.
fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Option<&'a str>> {
    let mut once = vec![None];
    for name in names {
        if !once.contains(&Some(name)) {
            once.push(Some(name));
        }
    }
    once
}
