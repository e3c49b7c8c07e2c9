//! Success rates as whole numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A success rate in basis points, 0 to 10 000: exact, ordered and hashable where a float is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct SuccessRate(u16);

/// The number is above 10 000 basis points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {0} basis points, a rate is at most {max}", max = SuccessRate::WHOLE)]
pub struct AboveWhole(u16);

impl SuccessRate {
    /// Every attempt succeeded, in basis points.
    pub const WHOLE: u16 = 10_000;

    /// The rate of `good` among `total`, rounded down; `None` without samples.
    ///
    /// Rounded down so that only a flawless record shows 100 %.
    #[must_use]
    pub fn of(good: u32, total: u32) -> Option<Self> {
        let rate = (u64::from(good.min(total)) * u64::from(Self::WHOLE)).checked_div(u64::from(total))?;
        u16::try_from(rate).ok().map(Self)
    }

    /// The rate of `basis_points`.
    ///
    /// # Errors
    /// When it is above 10 000.
    pub const fn from_basis_points(basis_points: u16) -> Result<Self, AboveWhole> {
        if basis_points <= Self::WHOLE {
            Ok(Self(basis_points))
        } else {
            Err(AboveWhole(basis_points))
        }
    }

    /// The rate in basis points, 0 to 10 000.
    #[must_use]
    pub const fn basis_points(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for SuccessRate {
    type Error = AboveWhole;

    fn try_from(basis_points: u16) -> Result<Self, AboveWhole> {
        Self::from_basis_points(basis_points)
    }
}

impl From<SuccessRate> for u16 {
    fn from(rate: SuccessRate) -> Self {
        rate.0
    }
}

impl fmt::Display for SuccessRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_samples_is_not_a_rate_of_zero() {
        assert_eq!(SuccessRate::of(0, 0), None);
        assert_eq!(SuccessRate::of(0, 1).unwrap().basis_points(), 0);
    }

    #[test]
    fn only_a_flawless_record_shows_100_percent() {
        assert_eq!(SuccessRate::of(99_999, 100_000).unwrap().to_string(), "99.99%");
        assert_eq!(SuccessRate::of(7, 7).unwrap().to_string(), "100.00%");
    }

    proptest! {
        #[test]
        fn one_more_success_never_lowers_the_rate(good in 0..u32::MAX, bad in 0..u32::MAX) {
            let total = good.saturating_add(bad);
            prop_assume!(total > 0 && total < u32::MAX);
            prop_assert!(SuccessRate::of(good + 1, total + 1) >= SuccessRate::of(good, total));
        }
    }
}
