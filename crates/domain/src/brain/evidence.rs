//! How much one outcome speaks for "down" against "as usual".

use serde::{Deserialize, Serialize};

use super::params::Evidence;
use crate::outcome::OutcomeClass;

/// The kinds of answers the test tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The channel worked: a success, or a refusal that is the customer's own.
    Works,
    /// Refused without a reason.
    Soft,
    /// A technical failure, or no answer in time.
    Technical,
    /// Says nothing about being down: a limit, or the issuer's doing.
    Neutral,
}

impl Sign {
    /// What an outcome of `class` is to the channel itself.
    pub(super) const fn of(class: OutcomeClass) -> Self {
        match class {
            OutcomeClass::Success | OutcomeClass::Refusal => Self::Works,
            OutcomeClass::SoftDecline => Self::Soft,
            OutcomeClass::TechnicalFailure | OutcomeClass::Timeout | OutcomeClass::Maintenance => {
                Self::Technical
            }
            OutcomeClass::Busy | OutcomeClass::IssuerUnavailable => Self::Neutral,
        }
    }

    /// Whether the sign is a failure that is counted for the spread.
    pub(super) const fn is_failure(self) -> bool {
        matches!(self, Self::Soft | Self::Technical)
    }
}

/// What is usual for a cell: its failure rate and its channel's technical failure rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    failure: f64,
    technical: f64,
}

impl Usual {
    /// From the estimated success rate and the technical failure rate, both kept within bounds.
    pub(super) fn new(success: f64, technical: f64, params: &Evidence) -> Self {
        let [least, most] = params.technical_rate;
        let technical = technical.clamp(least, most);
        let [least, most] = params.failure_rate;
        let failure = (1.0 - success)
            .clamp(least, most)
            .max(technical + params.min_soft_rate);
        Self { failure, technical }
    }

    /// The log-likelihood ratio of `sign`.
    pub(super) fn ratio(self, sign: Sign, params: &Evidence) -> f64 {
        match sign {
            Sign::Works => (params.down_success / (1.0 - self.failure)).ln(),
            Sign::Soft => (params.down_soft / (self.failure - self.technical)).ln(),
            Sign::Technical => (params.down_technical / self.technical)
                .ln()
                .min(params.max_technical),
            Sign::Neutral => 0.0,
        }
    }
}

/// The slow technical failure rate of a channel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct TechnicalRate(f64);

impl TechnicalRate {
    pub(super) const fn new(params: &Evidence) -> Self {
        Self(params.technical_prior)
    }

    pub(super) const fn value(self) -> f64 {
        self.0
    }

    /// Learns from an outcome seen while nothing was wrong.
    pub(super) fn learn(&mut self, sign: Sign, params: &Evidence) {
        let failed = if sign == Sign::Technical { 1.0 } else { 0.0 };
        let [least, most] = params.technical_rate;
        self.0 = (self.0 + params.technical_step * (failed - self.0)).clamp(least, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_technical_failures_in_a_row_on_a_good_channel_are_enough() {
        let params = Evidence::default();
        let usual = Usual::new(0.92, params.technical_prior, &params);
        let once = usual.ratio(Sign::Technical, &params);
        assert!(2.0 * once < params.trip && 3.0 * once >= params.trip);
    }

    #[test]
    fn a_success_takes_doubt_back_and_a_busy_answer_does_not() {
        let params = Evidence::default();
        let usual = Usual::new(0.92, params.technical_prior, &params);
        assert!(usual.ratio(Sign::Works, &params) < -1.5);
        assert!(usual.ratio(Sign::Neutral, &params).abs() < 1e-9);
    }

    #[test]
    fn soft_declines_of_a_poor_channel_say_less() {
        let params = Evidence::default();
        let good = Usual::new(0.95, 0.01, &params).ratio(Sign::Soft, &params);
        let poor = Usual::new(0.80, 0.01, &params).ratio(Sign::Soft, &params);
        assert!(good > poor && poor > 0.0);
    }
}
