//! A sliding window over a quantity, in parts, of constant size.

/// Parts of a window that lie behind the current one.
const PARTS: usize = 10;

/// [`PARTS`] as a difference of part numbers.
const REACH: i64 = 10;

/// A quantity summed over a sliding window.
///
/// The window is the current tenth and the ten before it, so it covers its length at least and a tenth more at
/// most: within any stretch of exactly that length, never more than the limit can have been counted.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Number of the newest part, counted from the epoch.
    newest: i64,
    /// Quantities, the part with number `n` at place `n mod 11`.
    parts: [i64; PARTS + 1],
}

impl Window {
    /// An empty window whose newest part is `part`.
    pub(super) const fn new(part: i64) -> Self {
        Self {
            newest: part,
            parts: [0; PARTS + 1],
        }
    }

    /// The number of the part that `now_ms` falls in, for a window of `window_secs`.
    pub(super) fn part_of(now_ms: i64, window_secs: u32) -> i64 {
        // A tenth of the window, in milliseconds.
        let part_ms = i64::from(window_secs.max(1)) * 100;
        now_ms.div_euclid(part_ms)
    }

    /// Whether nothing that was counted lies in the window any more when `part` is the current one.
    pub(super) fn is_over(newest: i64, part: i64) -> bool {
        part.saturating_sub(newest) > REACH
    }

    /// What lies in the window when `part` is the current one.
    pub(super) fn total(&self, part: i64) -> i64 {
        let oldest = part.saturating_sub(REACH);
        (0..=REACH)
            .map(|age| self.newest.saturating_sub(age))
            .filter(|number| *number >= oldest)
            .filter_map(|number| self.parts.get(Self::place(number)))
            .fold(0, |total: i64, quantity| total.saturating_add(*quantity))
    }

    /// Counts `quantity` in `part`, or in the newest part when time went backwards; the part it went to.
    pub(super) fn add(&mut self, part: i64, quantity: i64) -> i64 {
        if Self::is_over(self.newest, part) {
            *self = Self::new(part);
        }
        while self.newest < part {
            self.newest += 1;
            let place = Self::place(self.newest);
            if let Some(stale) = self.parts.get_mut(place) {
                *stale = 0;
            }
        }
        if let Some(counted) = self.parts.get_mut(Self::place(self.newest)) {
            *counted = counted.saturating_add(quantity);
        }
        self.newest
    }

    /// Takes `quantity` out of `part` again, unless the part has left the window.
    pub(super) fn take_back(&mut self, part: i64, quantity: i64) {
        if part > self.newest || Self::is_over(part, self.newest) {
            return;
        }
        if let Some(counted) = self.parts.get_mut(Self::place(part)) {
            *counted = counted.saturating_sub(quantity).max(0);
        }
    }

    fn place(part: i64) -> usize {
        usize::try_from(part.rem_euclid(REACH + 1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_counted_leaves_after_ten_more_parts() {
        let mut window = Window::new(100);
        window.add(100, 5);
        assert_eq!(window.total(110), 5);
        assert_eq!(window.total(111), 0);
        window.add(111, 1);
        assert_eq!(window.total(111), 1);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut window = Window::new(100);
        window.add(100, 5);
        assert_eq!(window.add(97, 1), 100);
        assert_eq!(window.total(97), 6);
    }

    #[test]
    fn taking_back_never_goes_below_nothing() {
        let mut window = Window::new(100);
        let part = window.add(100, 5);
        window.take_back(part, 7);
        assert_eq!(window.total(100), 0);
        window.add(120, 1);
        window.take_back(part, 1);
        assert_eq!(window.total(120), 1);
    }

    proptest! {
        #[test]
        fn it_holds_exactly_what_was_counted_within_its_parts(
            steps in proptest::collection::vec((0_i64..4, 1_i64..100), 1..60),
        ) {
            let mut window = Window::new(0);
            let (mut part, mut counted) = (0, Vec::new());
            for (ahead, quantity) in steps {
                part += ahead;
                window.add(part, quantity);
                counted.push((part, quantity));
                let expected: i64 = counted.iter().filter(|(at, _)| at + 10 >= part).map(|(_, q)| q).sum();
                prop_assert_eq!(window.total(part), expected);
            }
        }
    }
}
