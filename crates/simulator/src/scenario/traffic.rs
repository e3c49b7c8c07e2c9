//! Who comes to pay in a scenario: how many, with what, how much.

use domain::id::MerchantId;
use domain::money::Currency;
use serde::Deserialize;

use super::quantity::{Positive, Probability, Seconds};

/// The shoppers of a scenario.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Whose shop it is.
    pub merchant: MerchantId,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The country of the orders, ISO 3166-1 alpha-2.
    #[serde(default)]
    pub country: Option<String>,
    /// Payments per second, before the shapes.
    pub payments_per_s: Positive,
    /// How the rate changes over time. All apply, one on top of the other.
    #[serde(default)]
    pub shapes: Vec<Shape>,
    /// Payment methods and how often each is chosen.
    pub methods: Vec<Method>,
    /// Banks of the customers, for methods that do not list their own.
    #[serde(default)]
    pub issuers: Vec<Issuer>,
    /// How much is paid.
    pub amounts: Amounts,
    /// Who the customers are.
    #[serde(default)]
    pub customers: Customers,
    /// The share of payments that no channel can bring through: no balance, wrong password.
    #[serde(default)]
    pub refusals: Probability,
}

/// A change of the payment rate over time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// `factor` times the rate from `start_s` to `end_s`.
    Peak {
        /// When it begins.
        start_s: Seconds,
        /// When it is over.
        end_s: Seconds,
        /// How many times more.
        factor: Positive,
    },
    /// A wave around the rate.
    Sine {
        /// From one crest to the next.
        period_s: Positive,
        /// How far up and down, as a share of the rate.
        amplitude: Probability,
    },
}

impl Shape {
    /// What the rate is multiplied with at `second` of the scenario.
    #[must_use]
    pub fn factor(self, second: f64) -> f64 {
        match self {
            Self::Peak {
                start_s,
                end_s,
                factor,
            } => {
                if (start_s.get()..end_s.get()).contains(&second) {
                    factor.get()
                } else {
                    1.0
                }
            }
            Self::Sine { period_s, amplitude } => {
                1.0 + amplitude.get() * (std::f64::consts::TAU * second / period_s.get()).sin()
            }
        }
    }

    /// The same shape over a time that is `factor` times as long.
    pub(super) fn stretched(self, factor: f64) -> Self {
        match self {
            Self::Peak {
                start_s,
                end_s,
                factor: height,
            } => Self::Peak {
                start_s: start_s.times(factor),
                end_s: end_s.times(factor),
                factor: height,
            },
            Self::Sine { period_s, amplitude } => Self::Sine {
                period_s: period_s.times(factor),
                amplitude,
            },
        }
    }

    /// The largest factor it ever has.
    #[must_use]
    pub fn largest(self) -> f64 {
        match self {
            Self::Peak { factor, .. } => factor.get().max(1.0),
            Self::Sine { amplitude, .. } => 1.0 + amplitude.get(),
        }
    }
}

/// A payment method that customers choose.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Its name, in lower case: `card`, `wechat_pay`.
    pub name: String,
    /// How often, relative to the others.
    #[serde(default = "one")]
    pub weight: Positive,
    /// How it is presented, each as often.
    #[serde(default)]
    pub presentments: Vec<String>,
    /// Banks of the customers who choose it; empty is those of the traffic.
    #[serde(default)]
    pub issuers: Vec<Issuer>,
    /// Cards, for card methods.
    #[serde(default)]
    pub cards: Vec<CardKind>,
}

const fn one() -> Positive {
    Positive::ONE
}

/// A customer's bank.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name, in lower case: `icbc`.
    pub name: String,
    /// How often, relative to the others.
    #[serde(default = "one")]
    pub weight: Positive,
    /// Its country, ISO 3166-1 alpha-2.
    #[serde(default)]
    pub country: Option<String>,
}

/// A kind of card.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardKind {
    /// The scheme, in lower case: `visa`.
    pub brand: String,
    /// `credit`, `debit` or `prepaid`.
    #[serde(default)]
    pub funding: Option<String>,
    /// How often, relative to the others.
    #[serde(default = "one")]
    pub weight: Positive,
}

/// How much is paid: log-normal, as shopping baskets are, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Half of the payments are smaller, in minor units.
    pub median_minor: Positive,
    /// Standard deviation of the logarithm.
    #[serde(default = "one")]
    pub sigma: Positive,
    /// The smallest payment, in minor units.
    #[serde(default = "one")]
    pub min_minor: Positive,
    /// The largest payment, in minor units.
    pub max_minor: Positive,
}

/// Who the customers are.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Customers {
    /// The share whose first order it is.
    pub new: Probability,
    /// The share with an Apple device; these have Apple Pay.
    pub ios: Probability,
    /// The share with an Android device; what is left has no known system.
    pub android: Probability,
    /// The caller's own age bands; empty is unknown.
    pub age_bands: Vec<AgeBand>,
}

/// An age band of the customers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeBand {
    /// As the caller names it: `18-25`.
    pub name: String,
    /// How often, relative to the others.
    #[serde(default = "one")]
    pub weight: Positive,
}
