//! Quantities as people write them: `95%`, `90s`, `1h30m`.

use std::fmt;

use super::metric::Unit;

/// A number of a unit, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// How many.
    pub value: u64,
    /// Of what.
    pub unit: Unit,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Share => {
                write!(f, "{}", self.value / 100)?;
                match self.value % 100 {
                    0 => {}
                    cents if cents % 10 == 0 => write!(f, ".{}", cents / 10)?,
                    cents => write!(f, ".{cents:02}")?,
                }
                f.write_str("%")
            }
            Unit::Millis if self.value > 0 && self.value.is_multiple_of(1_000) => {
                write_secs(self.value / 1_000, f)
            }
            Unit::Millis => write!(f, "{}ms", self.value),
            Unit::Secs => write_secs(self.value, f),
            Unit::Count => write!(f, "{}", self.value),
        }
    }
}

fn write_secs(secs: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if secs == 0 {
        return f.write_str("0s");
    }
    for (value, unit) in [
        (secs / 86_400, "d"),
        (secs / 3_600 % 24, "h"),
        (secs / 60 % 60, "m"),
        (secs % 60, "s"),
    ] {
        if value > 0 {
            write!(f, "{value}{unit}")?;
        }
    }
    Ok(())
}

/// The milliseconds that `text` says.
///
/// # Errors
/// When it does not.
pub(super) fn millis(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is not a time such as 90s, 5m or 1h30m");
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(refused());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refused()),
        };
        let number: u64 = number.parse().map_err(|_| refused())?;
        let added = number.checked_mul(unit_ms).and_then(|ms| total.checked_add(ms));
        total = added.ok_or_else(refused)?;
        rest = after;
    }
    Ok(total)
}

/// The whole seconds that `text` says.
///
/// # Errors
/// When it does not, or says a part of one.
pub(super) fn secs(text: &str) -> Result<u64, String> {
    match millis(text)? {
        ms if ms.is_multiple_of(1_000) => Ok(ms / 1_000),
        _ => Err(format!("`{text}` is not whole seconds")),
    }
}

/// The basis points that `text` says: `95%`, `99.95 %`.
///
/// # Errors
/// When it does not, or more than the whole.
pub(crate) fn basis_points(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is not a share such as 95% or 99.95%");
    let number = text.trim().strip_suffix('%').ok_or_else(refused)?.trim_end();
    let (whole, cents) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(cents) || cents.len() > 2 || whole.len() > 3 {
        return Err(refused());
    }
    let tens = if cents.len() == 1 { 10 } else { 1 };
    let points = whole.parse::<u64>().map_err(|_| refused())? * 100
        + cents.parse::<u64>().map_err(|_| refused())? * tens;
    if points > 10_000 {
        return Err(format!("`{text}` is more than the whole"));
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_written_as_people_do() {
        assert_eq!(basis_points("95%"), Ok(9_500));
        assert_eq!(basis_points("99.95 %"), Ok(9_995));
        assert_eq!(basis_points("0.5%"), Ok(50));
        assert_eq!(millis("2500ms"), Ok(2_500));
        assert_eq!(secs("1h30m"), Ok(5_400));
        assert_eq!(secs("0s"), Ok(0));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "95", "%", "95.123%", "101%", "-1%", "9.%", "a%"] {
            assert!(basis_points(text).is_err(), "{text}");
        }
        for text in ["", "5", "m", "5 weeks", "-5s", "1.5h", "99999999999999999999d"] {
            assert!(millis(text).is_err(), "{text}");
        }
        assert!(secs("1500ms").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(value in 0..1_000_000_000_u64) {
            let shown = |unit| Quantity { value, unit }.to_string();
            prop_assert_eq!(millis(&shown(Unit::Millis)), Ok(value));
            prop_assert_eq!(secs(&shown(Unit::Secs)), Ok(value));
            let share = Quantity { value: value % 10_001, unit: Unit::Share };
            prop_assert_eq!(basis_points(&share.to_string()), Ok(value % 10_001));
        }
    }
}
