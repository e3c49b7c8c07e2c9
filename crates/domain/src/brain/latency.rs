//! Response time quantiles of one channel x method, by stochastic approximation: no list of answers is kept.

use serde::{Deserialize, Serialize};

use super::narrow::single;
use super::params;

/// Standard normal quantiles of 1/16, 3/16 ... 15/16: where the estimate starts.
const START: [f64; 8] = [
    -1.534_12, -0.887_15, -0.488_78, -0.157_31, 0.157_31, 0.488_78, 0.887_15, 1.534_12,
];

/// The eight quantiles, in sixteenths.
const SIXTEENTHS: [f64; 8] = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0];

/// Response times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Latency {
    quantiles: [f32; 8],
    tail: f32,
    answers: u32,
}

impl Latency {
    /// Learns from an answer after `seconds`.
    pub(super) fn learn(&mut self, seconds: f64, params: &params::Latency) {
        let seconds = seconds.max(1e-3);
        if self.answers == 0 {
            for (quantile, z) in self.quantiles.iter_mut().zip(START) {
                *quantile = single(seconds * (params.start_deviation * z).exp());
            }
            self.tail = single(seconds * params.start_tail);
        } else {
            let step =
                (params.first_step / (f64::from(self.answers) + 8.0)).clamp(params.min_step, params.max_step);
            for (quantile, sixteenths) in self.quantiles.iter_mut().zip(SIXTEENTHS) {
                let q = sixteenths / 16.0;
                let slower = seconds > f64::from(*quantile);
                let factor = if slower {
                    1.0 + step * q
                } else {
                    1.0 - step * (1.0 - q)
                };
                *quantile = single(f64::from(*quantile) * factor);
            }
            let slower = seconds > f64::from(self.tail);
            let exponent = params.tail_step * if slower { 0.99 } else { -0.01 };
            self.tail = single(f64::from(self.tail) * exponent.exp());
        }
        self.answers = self.answers.saturating_add(1);
    }

    /// How many answers were seen.
    pub(super) fn answers(&self) -> u32 {
        self.answers
    }

    /// The 19th, 31st, 50th, 81st, 94th and 99th percentile, in seconds.
    pub(super) fn percentiles(&self) -> [f64; 6] {
        let [_, low, lower, below, above, _, high, highest] = self.quantiles.map(f64::from);
        let median = f64::midpoint(below, above);
        [low, lower, median, high, highest, f64::from(self.tail)]
    }

    /// The median, in seconds.
    pub(super) fn median(&self) -> f64 {
        let [_, _, median, ..] = self.percentiles();
        median
    }

    /// The share of answers that take longer than `seconds`; 0 while nothing is known.
    pub(super) fn share_beyond(&self, seconds: f64) -> f64 {
        if self.answers == 0 {
            return 0.0;
        }
        let slower = self.quantiles.iter().filter(|q| f64::from(**q) > seconds).count();
        match slower {
            0 if f64::from(self.tail) <= seconds => 0.01,
            0 => 1.0 / 32.0,
            _ => super::narrow::real(slower) / 8.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_find_the_spread_of_the_answers() {
        let params = params::Latency::default();
        let mut latency = Latency::default();
        for round in 0..4_000_u32 {
            // A low-discrepancy sequence over 1 to 2 seconds.
            let place = (f64::from(round) * 0.618_033_988_75).fract();
            latency.learn(1.0 + place, &params);
        }
        let [_, _, half, _, high, _] = latency.percentiles();
        assert!((half - 1.5).abs() < 0.1, "median {half}");
        assert!((high - 1.94).abs() < 0.1, "94th percentile {high}");
        assert!((latency.share_beyond(1.5) - 0.5).abs() < 0.2);
    }

    #[test]
    fn a_channel_that_became_slower_is_relearnt() {
        let params = params::Latency::default();
        let mut latency = Latency::default();
        for _ in 0..200 {
            latency.learn(0.7, &params);
        }
        for _ in 0..400 {
            latency.learn(3.5, &params);
        }
        let half = latency.median();
        assert!(half > 3.0, "median {half}");
    }

    #[test]
    fn a_channel_that_never_answered_has_no_share_beyond_anything() {
        assert!(Latency::default().share_beyond(0.1).abs() < 1e-9);
    }
}
