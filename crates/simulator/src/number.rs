//! The few places where a count becomes a float or a float becomes a whole number.

use std::time::Duration;

/// A count as a float: exact up to 2^53, which no simulation reaches.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of payments stay far below 2^53"
)]
pub(crate) const fn float(count: usize) -> f64 {
    count as f64
}

/// The nearest whole number; beyond the range of `i64`, its end.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, which is what is wanted"
)]
pub(crate) fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// The nearest count; what is negative or not a number is zero.
pub(crate) fn count(value: f64) -> usize {
    usize::try_from(whole(value)).unwrap_or(0)
}

/// `part` of `all`; zero of nothing.
pub(crate) fn share(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { float(part) / float(all) }
}

/// A duration of `seconds`, to the microsecond; negative is zero, and what is too long is the longest.
pub(crate) fn seconds(seconds: f64) -> Duration {
    u64::try_from(whole(seconds * 1e6)).map_or(Duration::ZERO, Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_stop_at_the_ends() {
        assert_eq!(count(-3.0), 0);
        assert_eq!(count(f64::NAN), 0);
        assert_eq!(seconds(-1.0), Duration::ZERO);
        assert_eq!(whole(1e300), i64::MAX);
        assert!(share(1, 0).abs() < f64::EPSILON);
    }

    #[test]
    fn seconds_are_kept_to_the_microsecond() {
        assert_eq!(seconds(1.500_001_4), Duration::from_micros(1_500_001));
    }
}
