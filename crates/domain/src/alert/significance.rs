//! Whether a share is over a line, and by more than chance.

use super::check::Statistic;

/// The squares of 1.96, 2.5758 and 3.2905, in ten-thousandths: what confidence intervals of 95, 99 and 99.9 % reach to.
const Z_SQUARED: [u128; 3] = [38_416, 66_347, 108_274];

/// A whole, in basis points.
const WHOLE: u128 = 10_000;

/// Whether the share of `good` among `total` lies below `line`, in basis points, as surely as `statistic` wants; nothing
/// of nothing does not.
///
/// A Wilson interval is what the score test does not refuse, so its upper end need not be computed: it lies below the
/// line when the share does, and so far that chance seldom makes it happen. In whole numbers, hence exact.
#[must_use]
pub(super) fn is_below(good: u32, total: u32, line: u64, statistic: Statistic) -> bool {
    let (good, total, line) = (u128::from(good), u128::from(total), u128::from(line).min(WHOLE));
    let (share, wanted) = (good * WHOLE, line * total);
    let Some(distance) = wanted.checked_sub(share).filter(|distance| *distance > 0) else {
        return false;
    };
    let [z_95, z_99, z_999] = Z_SQUARED;
    let z_squared = match statistic {
        Statistic::Naive => return true,
        Statistic::Wilson => z_95,
        Statistic::Wilson99 => z_99,
        Statistic::Wilson999 => z_999,
    };
    distance * distance * WHOLE > z_squared * line * (WHOLE - line) * total
}

/// Whether the share of `bad` among `total` lies above `line`, in basis points, as surely as `statistic` wants; nothing
/// of nothing does not.
#[must_use]
pub(super) fn is_above(bad: u32, total: u32, line: u64, statistic: Statistic) -> bool {
    let line = line.min(10_000);
    let good = total.saturating_sub(bad);
    is_below(good, total, 10_000 - line, statistic)
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
        use Statistic::{Naive, Wilson, Wilson999};
        for statistic in [Naive, Wilson, Wilson999] {
            assert!(!is_below(0, 0, 9_500, statistic) && !is_above(0, 0, 0, statistic));
        }
        assert!(!is_below(18, 20, 9_500, Wilson) && is_below(18, 20, 9_500, Naive));
        assert!(is_below(17, 20, 9_500, Wilson) && !is_below(17, 20, 9_500, Wilson999));
        assert!(is_below(16, 20, 9_500, Wilson) && !is_below(16, 20, 9_500, Wilson999));
        assert!(is_below(14, 20, 9_500, Wilson999));
        assert!(is_above(3, 20, 500, Wilson) && !is_above(2, 20, 500, Wilson));
    }

    fn surer() -> impl Strategy<Value = (Statistic, Statistic)> {
        use Statistic::{Naive, Wilson, Wilson99, Wilson999};
        proptest::sample::select(vec![(Naive, Wilson), (Wilson, Wilson99), (Wilson99, Wilson999)])
    }

    proptest! {
        #[test]
        fn it_is_the_upper_end_of_the_interval(total in 1..5_000_u32, part in 0..=10_000_u32, line in 1..10_000_u64) {
            let good = u32::try_from(u64::from(total) * u64::from(part) / 10_000).unwrap();
            let end = upper(good, total);
            let line_share = f64::from(u32::try_from(line).unwrap()) / 10_000.0;
            // Where both are the same but for rounding there is no telling.
            prop_assume!((end - line_share).abs() > 1e-9);
            prop_assert_eq!(is_below(good, total, line, Statistic::Wilson), end < line_share);
        }

        #[test]
        fn one_more_success_never_makes_an_alert(
            total in 1..5_000_u32,
            good in 0..5_000_u32,
            line in 0..=10_000_u64,
            (statistic, _) in surer(),
        ) {
            prop_assume!(good <= total);
            if is_below(good + 1, total + 1, line, statistic) {
                prop_assert!(is_below(good, total, line, statistic));
            }
        }

        #[test]
        fn what_is_surer_is_also_sure(
            total in 1..5_000_u32,
            good in 0..5_000_u32,
            line in 0..=10_000_u64,
            (less, more) in surer(),
        ) {
            prop_assume!(good <= total);
            if is_below(good, total, line, more) {
                prop_assert!(is_below(good, total, line, less));
            }
        }
    }
}
