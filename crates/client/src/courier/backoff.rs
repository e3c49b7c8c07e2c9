//! How long to wait before an outcome is told again.

use std::time::Duration;

use rand::{Rng, RngExt as _};

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(5);

/// The longest wait that a router can ask for.
const LONGEST_WISH: Duration = Duration::from_mins(1);

/// Pauses that are twice as long each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next pause: never shorter than the router `asked` for, and spread by a quarter, so that callers do not come
    /// back all at once.
    pub(crate) fn pause(&mut self, asked: Option<Duration>, rng: &mut impl Rng) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        let percent = rng.random_range(75..=125_u32);
        let spread = pause.saturating_mul(percent) / 100;
        spread.max(asked.unwrap_or_default().min(LONGEST_WISH))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_a_wish_is_kept() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause(None, &mut rng)).collect();
        assert!(pauses[0] <= Duration::from_millis(25));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST * 5 / 4), "{pauses:?}");
        assert!(pauses[19] >= LONGEST * 3 / 4, "{pauses:?}");
        let wish = Duration::from_secs(9);
        assert_eq!(backoff.pause(Some(wish), &mut rng), wish);
        assert_eq!(
            backoff.pause(Some(Duration::from_hours(9)), &mut rng),
            LONGEST_WISH
        );
    }
}
