//! What a limit counts, and how much it allows.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::counters::Key;
use crate::bucket::{Draw, Purpose};
use crate::id::{ChannelId, MerchantId};
use crate::money::Currency;
use crate::payment::Attributes;

/// Shortest and longest window, in seconds.
pub const WINDOW_SECS: std::ops::RangeInclusive<u32> = 10..=86_400;

/// Most limits at a time.
pub const MAX_RULES: usize = 64;

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
    pub(super) fn share(&self, payment: &Attributes, channel: &ChannelId) -> Option<(Key, i64)> {
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
    pub(super) fn counts_like(&self, other: &Self) -> bool {
        self.id == other.id
            && self.scope == other.scope
            && self.per == other.per
            && self.measure == other.measure
            && self.window_secs == other.window_secs
    }
}

/// Why rules cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    /// More than [`MAX_RULES`].
    #[error("{0} limits are given, at most {MAX_RULES} are allowed")]
    TooMany(usize),
    /// Two limits have the same name.
    #[error("limit `{0}` is there twice")]
    Duplicate(String),
    /// A window outside [`WINDOW_SECS`].
    #[error(
        "limit `{limit}` has a window of {window_secs} s, expected {} to {} s",
        WINDOW_SECS.start(),
        WINDOW_SECS.end()
    )]
    Window {
        /// The limit's name.
        limit: String,
        /// The window, in seconds.
        window_secs: u32,
    },
}

/// Whether `rules` can stand together.
pub(super) fn check(rules: &[Rule]) -> Result<(), InvalidRules> {
    if rules.len() > MAX_RULES {
        return Err(InvalidRules::TooMany(rules.len()));
    }
    for (place, rule) in rules.iter().enumerate() {
        if rules.iter().take(place).any(|earlier| earlier.id == rule.id) {
            return Err(InvalidRules::Duplicate(rule.id.clone()));
        }
        if !WINDOW_SECS.contains(&rule.window_secs) {
            return Err(InvalidRules::Window {
                limit: rule.id.clone(),
                window_secs: rule.window_secs,
            });
        }
    }
    Ok(())
}
