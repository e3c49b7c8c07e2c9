//! Whether a share is over a line by more than chance.

/// The square of 1.96, in ten-thousandths: what a 95 % confidence interval reaches to.
const Z_SQUARED: u128 = 38_416;

/// A whole, in basis points.
const WHOLE: u128 = 10_000;

/// Whether the upper end of the 95 % Wilson interval of `good` among `total` lies below `line`, in basis points.
///
/// The interval is what the score test does not refuse, so its end need not be computed: the share lies below the
/// line, and so far that chance makes it happen in one case of forty. In whole numbers, hence exact.
#[must_use]
pub(super) fn is_surely_below(good: u32, total: u32, line: u64) -> bool {
    let (good, total, line) = (u128::from(good), u128::from(total), u128::from(line).min(WHOLE));
    let (share, wanted) = (good * WHOLE, line * total);
    let Some(distance) = wanted.checked_sub(share).filter(|distance| *distance > 0) else {
        return false;
    };
    distance * distance * WHOLE > Z_SQUARED * line * (WHOLE - line) * total
}

/// Whether the lower end of the 95 % Wilson interval of `bad` among `total` lies above `line`, in basis points.
#[must_use]
pub(super) fn is_surely_above(bad: u32, total: u32, line: u64) -> bool {
    let line = line.min(10_000);
    is_surely_below(total.saturating_sub(bad), total, 10_000 - line)
}

/// Whether `part` of `total` is less than `line`, in basis points; nothing of nothing is not.
#[must_use]
pub(super) fn is_below(part: u32, total: u32, line: u64) -> bool {
    u128::from(part) * WHOLE < u128::from(line) * u128::from(total)
}

/// Whether `part` of `total` is more than `line`, in basis points; nothing of nothing is not.
#[must_use]
pub(super) fn is_above(part: u32, total: u32, line: u64) -> bool {
    u128::from(part) * WHOLE > u128::from(line) * u128::from(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The upper end of the Wilson interval, as textbooks have it.
    fn upper(good: u32, total: u32) -> f64 {
        let (n, z) = (f64::from(total), 1.96_f64);
        let share = f64::from(good) / n;
        let middle = share + z * z / (2.0 * n);
        let reach = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        (middle + reach) / (1.0 + z * z / n)
    }

    #[test]
    fn few_outcomes_prove_little() {
        assert!(!is_surely_below(0, 0, 9_500) && !is_below(0, 0, 9_500) && !is_above(0, 0, 0));
        assert!(!is_surely_below(18, 20, 9_500) && is_below(18, 20, 9_500));
        assert!(is_surely_below(17, 20, 9_500));
        assert!(is_surely_above(3, 20, 500) && !is_surely_above(2, 20, 500));
    }

    proptest! {
        #[test]
        fn it_is_the_upper_end_of_the_interval(total in 1..5_000_u32, part in 0..=10_000_u32, line in 1..10_000_u64) {
            let good = u32::try_from(u64::from(total) * u64::from(part) / 10_000).unwrap();
            let end = upper(good, total);
            let line_share = f64::from(u32::try_from(line).unwrap()) / 10_000.0;
            // Where both are the same but for rounding there is no telling.
            prop_assume!((end - line_share).abs() > 1e-9);
            prop_assert_eq!(is_surely_below(good, total, line), end < line_share);
        }

        #[test]
        fn one_more_success_never_makes_an_alert(total in 1..5_000_u32, good in 0..5_000_u32, line in 0..=10_000_u64) {
            prop_assume!(good <= total);
            if is_surely_below(good + 1, total + 1, line) {
                prop_assert!(is_surely_below(good, total, line));
            }
        }

        #[test]
        fn what_is_sure_is_also_counted_so(total in 1..5_000_u32, good in 0..5_000_u32, line in 0..=10_000_u64) {
            prop_assume!(good <= total);
            if is_surely_below(good, total, line) {
                prop_assert!(is_below(good, total, line));
            }
        }
    }
}
