//! Latencies in logarithmic bins: they add exactly, and percentiles read from them are within 5 %.
//!
//! The bins grow by 21/19, which is (1 + 5 %) / (1 - 5 %): a value and the middle of its bin are never further
//! apart than 5 % of the value. The bounds are whole milliseconds, so no float takes part.

/// The upper bound of each bin in milliseconds, inclusive. Bin 0 holds 0 ms, the last what is above the others.
static BOUNDS_MS: [u32; BINS] = bounds();

/// How many bins it takes to reach the largest number of milliseconds that is kept.
const BINS: usize = 215;

#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler only: an index out of range does not compile"
)]
const fn bounds() -> [u32; BINS] {
    let mut bounds = [u32::MAX; BINS];
    let mut bound: u32 = 0;
    let mut bin = 0;
    while bin < BINS - 1 {
        bounds[bin] = bound;
        // Below 10 ms the bins would be narrower than a millisecond.
        let step = bound / 19 * 2 + bound % 19 * 2 / 19;
        bound = bound.saturating_add(if step == 0 { 1 } else { step });
        bin += 1;
    }
    bounds
}

/// How many outcomes took how long. Only bins in use are kept: ten to twenty for a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Bin and count, in ascending order of bins.
    bins: Vec<(u8, u32)>,
}

impl Latencies {
    /// The upper bound of each bin in milliseconds, inclusive, in ascending order: for whoever counts elsewhere. The
    /// number of a value's bin is how many bounds are less than the value.
    #[must_use]
    pub const fn bounds_ms() -> &'static [u32] {
        &BOUNDS_MS
    }

    /// Counts one outcome that took `ms` milliseconds.
    pub fn record(&mut self, ms: u32) {
        self.add(Self::bin(ms), 1);
    }

    /// The bin that `ms` milliseconds fall in. Stores keep it, so the bins are part of their format.
    #[must_use]
    pub fn bin(ms: u32) -> u8 {
        let bin = BOUNDS_MS.partition_point(|bound| *bound < ms);
        u8::try_from(bin).unwrap_or(u8::MAX)
    }

    /// Counts `count` outcomes in `bin`, as a store kept them; `false`, and nothing counted, when there is no such bin.
    pub fn restore(&mut self, bin: u8, count: u32) -> bool {
        let known = usize::from(bin) < BINS;
        if known && count > 0 {
            self.add(bin, count);
        }
        known
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for &(bin, count) in &other.bins {
            self.add(bin, count);
        }
    }

    /// How many outcomes were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bins.iter().map(|&(_, count)| u64::from(count)).sum()
    }

    /// The latency in milliseconds that `percent` of the outcomes did not exceed, within 5 %; `None` without samples.
    ///
    /// `percent` above 100 counts as 100.
    #[must_use]
    pub fn percentile_ms(&self, percent: u8) -> Option<u32> {
        let rank = (self.count() * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        let (bin, _) = self.bins.iter().find(|&&(_, count)| {
            seen += u64::from(count);
            seen >= rank
        })?;
        middle_ms(*bin)
    }

    fn add(&mut self, bin: u8, count: u32) {
        match self.bins.binary_search_by_key(&bin, |&(bin, _)| bin) {
            Ok(at) => {
                if let Some((_, total)) = self.bins.get_mut(at) {
                    *total = total.saturating_add(count);
                }
            }
            Err(at) => self.bins.insert(at, (bin, count)),
        }
    }
}

/// Latencies being added up from many buckets: every bin has its place, so adding needs no search.
pub(super) struct Sum([u32; BINS]);

impl Sum {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self([0; BINS])
    }

    /// Adds all of `latencies`.
    pub(super) fn add(&mut self, latencies: &Latencies) {
        for &(bin, count) in &latencies.bins {
            if let Some(total) = self.0.get_mut(usize::from(bin)) {
                *total = total.saturating_add(count);
            }
        }
    }

    /// What was added.
    pub(super) fn total(&self) -> Latencies {
        let used = (0..=u8::MAX).zip(&self.0).filter(|(_, count)| **count > 0);
        Latencies {
            bins: used.map(|(bin, count)| (bin, *count)).collect(),
        }
    }
}

/// The value that is within 5 % of everything in `bin`, in milliseconds.
fn middle_ms(bin: u8) -> Option<u32> {
    let bin = usize::from(bin);
    let upper = *BOUNDS_MS.get(bin)?;
    let lower = bin
        .checked_sub(1)
        .and_then(|below| BOUNDS_MS.get(below))
        .map_or(0, |below| below.saturating_add(1));
    // The harmonic mean of the ends errs by the same share at both.
    let (upper, lower) = (u128::from(upper), u128::from(lower));
    let middle = (2 * upper * lower + u128::midpoint(upper, lower)).checked_div(upper + lower);
    u32::try_from(middle.unwrap_or(0)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bins_reach_from_nothing_to_the_largest_number_without_a_gap() {
        assert!(BOUNDS_MS.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(BOUNDS_MS[0], 0);
        assert_eq!(BOUNDS_MS[BINS - 1], u32::MAX);
        const { assert!(BINS <= 256, "a bin's number must fit its byte") };
    }

    #[test]
    fn no_samples_have_no_percentile() {
        assert_eq!(Latencies::default().percentile_ms(50), None);
    }

    #[test]
    fn the_ends_of_each_bin_are_within_5_percent_of_its_middle() {
        for (bin, pair) in BOUNDS_MS.windows(2).enumerate() {
            let middle = middle_ms(u8::try_from(bin + 1).unwrap()).unwrap();
            for end in [pair[0].saturating_add(1), pair[1]] {
                let apart = u64::from(end.abs_diff(middle));
                assert!(apart * 20 <= u64::from(end), "{end} ms reads as {middle} ms");
            }
        }
    }

    #[test]
    fn a_bin_that_does_not_exist_is_refused() {
        let mut latencies = Latencies::default();
        assert!(!latencies.restore(u8::MAX, 1) && latencies.restore(214, 1));
        assert_eq!(latencies.count(), 1);
    }

    fn of(values: &[u32]) -> Latencies {
        let mut latencies = Latencies::default();
        for &ms in values {
            latencies.record(ms);
        }
        latencies
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_5_percent_of_the_true_one(
            mut values in proptest::collection::vec(0..200_000_u32, 1..300),
            percent in 1..=100_u8,
        ) {
            let read = of(&values).percentile_ms(percent).unwrap();
            values.sort_unstable();
            let rank = (values.len() * usize::from(percent)).div_ceil(100).max(1);
            let exact = values[rank - 1];
            prop_assert!(u64::from(read.abs_diff(exact)) * 20 <= u64::from(exact), "{read} for {exact}");
        }

        #[test]
        fn merging_is_recording_both(
            one in proptest::collection::vec(any::<u32>(), 0..50),
            other in proptest::collection::vec(any::<u32>(), 0..50),
        ) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            let both = of(&[one.clone(), other.clone()].concat());
            prop_assert_eq!(&merged, &both);
            let mut sum = Sum::new();
            sum.add(&of(&one));
            sum.add(&of(&other));
            prop_assert_eq!(sum.total(), both);
        }

        #[test]
        fn restoring_the_bins_is_recording_the_values(values in proptest::collection::vec(any::<u32>(), 0..50)) {
            let mut restored = Latencies::default();
            for &ms in &values {
                prop_assert!(restored.restore(Latencies::bin(ms), 1));
            }
            prop_assert_eq!(restored, of(&values));
        }

        #[test]
        fn a_higher_percentile_is_never_a_shorter_time(
            values in proptest::collection::vec(any::<u32>(), 1..50),
            percent in 1..100_u8,
        ) {
            let latencies = of(&values);
            prop_assert!(latencies.percentile_ms(percent) <= latencies.percentile_ms(percent + 1));
        }
    }
}
