//! Amount bands: how large a payment is, coarsely, for learning and for statistics.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// Upper bounds of the bands in whole units of the currency; what is above the last is the eighth band.
///
/// Roughly three to a decade: success rates change with the order of magnitude, not with the cent.
const BOUNDS_MAJOR: [i64; 7] = [10, 30, 100, 300, 1_000, 3_000, 10_000];

/// One of eight amount bands, 0 for the smallest payments to 7 for the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct AmountBand(u8);

impl AmountBand {
    /// How many bands there are.
    pub const COUNT: u8 = 8;

    /// The band that `amount` falls in.
    #[must_use]
    pub fn of(amount: Money) -> Self {
        let unit = 10_i64.checked_pow(amount.currency().decimals()).unwrap_or(1);
        let below = BOUNDS_MAJOR
            .iter()
            .filter(|bound| bound.saturating_mul(unit) <= amount.minor())
            .count();
        Self(u8::try_from(below).unwrap_or(Self::COUNT - 1))
    }

    /// The band of this number; `None` above 7.
    #[must_use]
    pub const fn from_index(index: u8) -> Option<Self> {
        if index < Self::COUNT {
            Some(Self(index))
        } else {
            None
        }
    }

    /// The number of the band, 0 to 7.
    #[must_use]
    pub fn index(self) -> u8 {
        self.0
    }
}

impl From<AmountBand> for u8 {
    fn from(band: AmountBand) -> Self {
        band.0
    }
}

impl TryFrom<u8> for AmountBand {
    type Error = &'static str;

    fn try_from(index: u8) -> Result<Self, Self::Error> {
        Self::from_index(index).ok_or("an amount band is a number from 0 to 7")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(minor: i64, code: &str) -> u8 {
        AmountBand::of(Money::new(minor, code.parse().unwrap()).unwrap()).index()
    }

    #[test]
    fn a_bound_belongs_to_the_band_above_it() {
        assert_eq!(band(999, "CNY"), 0);
        assert_eq!(band(1_000, "CNY"), 1);
        assert_eq!(band(i64::MAX, "CNY"), 7);
    }

    #[test]
    fn bands_follow_the_decimals_of_the_currency() {
        assert_eq!(band(2_000, "JPY"), 5);
        assert_eq!(band(2_000, "CNY"), 1);
    }
}
