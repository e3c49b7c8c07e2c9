//! Amounts: whole minor units together with their currency, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// The text is not the code of a currency in ISO 4217.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a currency code of ISO 4217, such as CNY or USD")]
pub struct UnknownCurrency(String);

impl Currency {
    /// The three-letter code, in capitals.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the currency has: 2 for CNY, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        iso_currency::Currency::from_code(code)
            .map(Self)
            .ok_or_else(|| UnknownCurrency(code.chars().take(8).collect()))
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;

    fn try_from(code: String) -> Result<Self, UnknownCurrency> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What a payment is for: an amount above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// [`Money`] as it is written down, before anybody looked at it.
#[derive(Serialize, Deserialize)]
struct Unchecked {
    minor: i64,
    currency: Currency,
}

impl TryFrom<Unchecked> for Money {
    type Error = NotPositive;

    fn try_from(written: Unchecked) -> Result<Self, NotPositive> {
        Self::new(written.minor, written.currency)
    }
}

impl From<Money> for Unchecked {
    fn from(money: Money) -> Self {
        Self {
            minor: money.minor,
            currency: money.currency,
        }
    }
}

/// The amount is zero or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {0}, an amount must be above zero")]
pub struct NotPositive(i64);

impl Money {
    /// `minor` units of `currency`: 1 999 CNY is 19.99 yuan.
    ///
    /// # Errors
    /// When `minor` is zero or negative.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, NotPositive> {
        if minor > 0 {
            Ok(Self { minor, currency })
        } else {
            Err(NotPositive(minor))
        }
    }

    /// The amount in minor units, above zero.
    #[must_use]
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency of the amount.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.decimals();
        let unit = 10_i64.checked_pow(decimals).unwrap_or(1);
        let (whole, part) = (self.minor / unit, self.minor % unit);
        match usize::try_from(decimals) {
            Ok(0) | Err(_) => write!(f, "{whole} {}", self.currency),
            Ok(width) => write!(f, "{whole}.{part:0width$} {}", self.currency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, code.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_amount_shows_the_decimals_of_its_currency() {
        assert_eq!(money(1_999, "CNY").to_string(), "19.99 CNY");
        assert_eq!(money(5, "CNY").to_string(), "0.05 CNY");
        assert_eq!(money(1_999, "JPY").to_string(), "1999 JPY");
    }

    #[test]
    fn nothing_is_not_an_amount() {
        assert_eq!(Money::new(0, "CNY".parse().unwrap()), Err(NotPositive(0)));
    }

    #[test]
    fn a_code_outside_iso_4217_is_refused() {
        assert!("RMB".parse::<Currency>().is_err());
    }
}
