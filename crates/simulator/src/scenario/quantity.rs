//! Numbers of a scenario that were checked when they were read, so that an error names their line.

use std::time::Duration;

use serde::Deserialize;

use crate::number;

/// Why a number is refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Not a probability.
    #[error("is {0}, a probability must lie between 0 and 1")]
    Probability(f64),
    /// A success rate of nothing or of everything has no odds.
    #[error("is {0}, a success rate must lie above 0 and below 1")]
    Rate(f64),
    /// Not a finite number above zero.
    #[error("is {0}, expected a number above 0")]
    NotPositive(f64),
    /// Not a finite number from zero.
    #[error("is {0}, expected a number of seconds from 0")]
    Seconds(f64),
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $error:ident, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
        #[serde(try_from = "f64")]
        pub struct $name(f64);

        impl $name {
            /// Checks `value` and keeps it.
            ///
            /// # Errors
            /// When `value` is out of range or not a number.
            pub fn new(value: f64) -> Result<Self, InvalidQuantity> {
                let valid: fn(f64) -> bool = $valid;
                if valid(value) { Ok(Self(value)) } else { Err(InvalidQuantity::$error(value)) }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = InvalidQuantity;

            fn try_from(value: f64) -> Result<Self, InvalidQuantity> {
                Self::new(value)
            }
        }
    };
}

quantity! {
    /// A probability or a share, 0 to 1, both included.
    Probability, Probability, |value| (0.0..=1.0).contains(&value)
}
quantity! {
    /// A success rate, above 0 and below 1.
    Rate, Rate, |value| value > 0.0 && value < 1.0
}
quantity! {
    /// A factor, a weight or a length: finite and above 0.
    Positive, NotPositive, |value| value.is_finite() && value > 0.0
}
quantity! {
    /// A time since the start of the scenario, or a length of time, in seconds.
    Seconds, Seconds, |value| value.is_finite() && value >= 0.0
}

impl Probability {
    /// Never.
    pub const NEVER: Self = Self(0.0);
    /// Always.
    pub const ALWAYS: Self = Self(1.0);

    /// `percent` hundredths, for defaults; above 100 it is always.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        if percent >= 100 {
            Self::ALWAYS
        } else {
            Self(percent as f64 / 100.0)
        }
    }
}

impl Positive {
    /// One: the weight or factor that changes nothing.
    pub const ONE: Self = Self(1.0);

    /// `factor` times as much; the same when that is nothing or without end.
    pub(super) fn times(self, factor: f64) -> Self {
        Self::new(self.0 * factor).unwrap_or(self)
    }
}

impl Seconds {
    /// No time.
    pub const ZERO: Self = Self(0.0);

    /// `factor` times as much; the same when that is not a length of time.
    pub(super) fn times(self, factor: f64) -> Self {
        Self::new(self.0 * factor).unwrap_or(self)
    }

    /// The same as a duration, to the microsecond.
    #[must_use]
    pub fn duration(self) -> Duration {
        number::seconds(self.0)
    }
}

impl Default for Probability {
    fn default() -> Self {
        Self::NEVER
    }
}

impl Default for Seconds {
    fn default() -> Self {
        Self::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_above_one_is_refused() {
        assert_eq!(Probability::new(1.5), Err(InvalidQuantity::Probability(1.5)));
        assert!(Probability::new(f64::NAN).is_err());
    }

    #[test]
    fn a_success_rate_of_one_is_refused() {
        assert_eq!(Rate::new(1.0), Err(InvalidQuantity::Rate(1.0)));
    }

    #[test]
    fn an_infinite_factor_is_refused() {
        assert!(Positive::new(f64::INFINITY).is_err());
        assert!(Positive::new(0.0).is_err());
    }
}
