//! A channel of a scenario: how often it succeeds, how long it takes, how it fails.

use std::sync::Arc;

use domain::amount_band::AmountBand;
use domain::id::ChannelId;
use domain::payment::Attributes;
use serde::Deserialize;

use super::quantity::{Positive, Probability, Rate};

/// How a simulated channel behaves when nothing happens to it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its name.
    pub id: ChannelId,
    /// Payment methods it takes; empty is any.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Issuers it takes; empty is any.
    #[serde(default)]
    pub issuers: Vec<String>,
    /// How often it succeeds.
    pub success: Success,
    /// How a payment that does not succeed fails.
    #[serde(default)]
    pub failures: Failures,
    /// How long it takes to answer.
    pub latency: Latency,
    /// How long a caller should wait for its answer, in milliseconds.
    pub timeout_ms: u32,
    /// The provider codes it answers with.
    #[serde(default)]
    pub codes: Codes,
}

impl Channel {
    /// Whether it takes the payment at all.
    #[must_use]
    pub fn takes(&self, payment: &Attributes) -> bool {
        listed(&self.methods, Some(&payment.method)) && listed(&self.issuers, payment.issuer.as_deref())
    }
}

/// Whether `name` is in `list`; an empty list has everything, and nobody is only in an empty one.
pub(super) fn listed(list: &[String], name: Option<&str>) -> bool {
    list.is_empty() || name.is_some_and(|name| list.iter().any(|item| item == name))
}

/// The share of payments that a channel brings through, customers' own refusals aside.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Success {
    /// For payments that no adjustment matches.
    pub base: Rate,
    /// Segments that do better or worse. All that match count.
    #[serde(default)]
    pub adjust: Vec<Adjustment>,
}

/// How a segment differs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// Payment methods it holds for; empty is any.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Issuers it holds for; empty is any.
    #[serde(default)]
    pub issuers: Vec<String>,
    /// Amount bands it holds for, 0 to 7; empty is any.
    #[serde(default)]
    pub bands: Vec<u8>,
    /// Multiplies the odds of success: 0.5 takes 90 % to 82 %, 2 takes it to 95 %. Unlike percentage points it can
    /// never leave the range of a probability, however many apply.
    pub odds: Positive,
}

impl Adjustment {
    fn matches(&self, payment: &Attributes, band: AmountBand) -> bool {
        listed(&self.methods, Some(&payment.method))
            && listed(&self.issuers, payment.issuer.as_deref())
            && (self.bands.is_empty() || self.bands.contains(&band.index()))
    }
}

impl Success {
    /// The probability of success of `payment`, when the channel is well and the customer can pay.
    #[must_use]
    pub fn of(&self, payment: &Attributes) -> f64 {
        let band = payment.band();
        let base = self.base.get();
        let odds = self
            .adjust
            .iter()
            .filter(|adjustment| adjustment.matches(payment, band))
            .fold(base / (1.0 - base), |odds, adjustment| {
                odds * adjustment.odds.get()
            });
        // Not odds / (1 + odds): that is not a number when the odds are beyond a float.
        1.0 - 1.0 / (1.0 + odds)
    }
}

/// How payments fail that fail on a good day, as weights relative to each other.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failures {
    /// Refused without a reason; another channel might have got it through.
    pub soft_declines: Probability,
    /// An error answer.
    pub errors: Probability,
    /// No answer.
    pub timeouts: Probability,
}

impl Default for Failures {
    /// Ours: on a good day most failures are the issuer's unexplained no.
    fn default() -> Self {
        Self {
            soft_declines: Probability::percent(80),
            errors: Probability::percent(15),
            timeouts: Probability::percent(5),
        }
    }
}

/// How long an answer takes: log-normal, as response times of payment interfaces are.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Half of the answers are faster, in milliseconds.
    pub median_ms: Positive,
    /// Standard deviation of the logarithm: 0.5 puts the 99th percentile at 3.2 times the median.
    #[serde(default = "half")]
    pub sigma: Positive,
    /// No answer takes longer than this on a good day, in milliseconds.
    #[serde(default)]
    pub max_ms: Option<Positive>,
}

fn half() -> Positive {
    Positive::new(0.5).unwrap_or(Positive::ONE)
}

/// A provider code and how often it is the one given, relative to the others of its list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// As the provider writes it.
    pub code: Arc<str>,
    /// Relative to the other codes of the list.
    #[serde(default = "one")]
    pub weight: Positive,
}

const fn one() -> Positive {
    Positive::ONE
}

/// The provider codes that a channel answers with. The defaults are the codes of Payroute's own provider `payroute`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Codes {
    /// Paid.
    pub success: Vec<Code>,
    /// Refused because of the customer.
    pub refusal: Vec<Code>,
    /// Refused without a reason.
    pub soft_decline: Vec<Code>,
    /// The channel's own fault.
    pub technical_failure: Vec<Code>,
    /// What a caller reports when there was no answer.
    pub timeout: Vec<Code>,
    /// Too much to do.
    pub busy: Vec<Code>,
    /// Closed.
    pub maintenance: Vec<Code>,
    /// The customer's bank does not answer.
    pub issuer_unavailable: Vec<Code>,
}

impl Default for Codes {
    fn default() -> Self {
        let only = |code: &str| {
            vec![Code {
                code: Arc::from(code),
                weight: Positive::ONE,
            }]
        };
        Self {
            success: only("OK"),
            refusal: only("INSUFFICIENT_FUNDS"),
            soft_decline: only("DO_NOT_HONOR"),
            technical_failure: only("HTTP_5XX"),
            timeout: only("TIMEOUT"),
            busy: only("SYSTEM_BUSY"),
            maintenance: only("CHANNEL_MAINTENANCE"),
            issuer_unavailable: only("ISSUER_UNAVAILABLE"),
        }
    }
}
