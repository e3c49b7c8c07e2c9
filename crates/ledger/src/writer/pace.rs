//! How long the drainer waits between its questions whether the store is back.

use std::time::Duration;

/// The first wait: a restarted server or a moved address is back in about that time.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait: a store that is back is used again within this time.
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling waits, each shortened by up to half, so that the routers do not all ask at the same moment.
#[derive(Debug)]
pub(super) struct Pace {
    next: Duration,
    state: u64,
}

impl Pace {
    /// Waits that differ by `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            next: FIRST,
            state: seed,
        }
    }

    /// The store has answered: the next wait is the first again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        // splitmix64, of whose draws ten bits are plenty here.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let share = u32::try_from(mixed >> 54).unwrap_or(0);
        whole / 2 + whole / 2_048 * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_quarter_of_a_second_to_five_and_differ_by_seed() {
        let waits = |seed| {
            let mut pace = Pace::new(seed);
            std::array::from_fn::<_, 8, _>(|_| pace.wait())
        };
        let whole = [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000];
        for (wait, whole) in waits(1).into_iter().zip(whole.map(Duration::from_millis)) {
            assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
        }
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn an_answer_makes_the_next_wait_short_again() {
        let mut pace = Pace::new(1);
        for _ in 0..8 {
            pace.wait();
        }
        pace.reset();
        assert!(pace.wait() <= FIRST);
    }
}
