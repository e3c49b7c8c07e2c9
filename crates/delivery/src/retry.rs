//! When to try again: plain functions of how often it was tried, how old the message is and what the receiver asked
//! for.

use std::time::Duration;

use rand::{Rng, RngExt as _};

/// The longest wait that a receiver can ask for. A day of silence because of one broken header would be worse than
/// a refused request an hour later.
pub const LONGEST_WISH: Duration = Duration::from_hours(1);

/// How far a wait is spread, in percent to either side, so that receivers coming back are not met by everyone at once.
const JITTER_PERCENT: u32 = 20;

/// The waits between the attempts to deliver one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    waits_secs: &'static [u64],
    tail_secs: Option<u64>,
    max_age: Duration,
}

impl Schedule {
    /// For pages: often at first, then every five minutes for a day.
    pub const PAGE: Self = Self {
        waits_secs: &[5, 15, 30, 60, 120, 300],
        tail_secs: Some(300),
        max_age: Duration::from_hours(24),
    };

    /// For tickets and events: the schedule of Standard Webhooks, ten attempts over three days.
    pub const TICKET: Self = Self {
        waits_secs: &[5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
        tail_secs: None,
        max_age: Duration::from_hours(96),
    };

    /// For customer notices: news of a payment is of no use to anybody hours later.
    pub const NOTICE: Self = Self {
        waits_secs: &[5, 30, 120, 600, 1800],
        tail_secs: None,
        max_age: Duration::from_hours(2),
    };

    /// How long to wait after the `attempts`-th attempt (from 1) of a message that is `age` old; `None` when it is
    /// to be given up as a dead letter.
    ///
    /// `wish` is what the receiver asked for: waited in full up to [`LONGEST_WISH`], never shortened by chance, and
    /// never a reason to come earlier than the schedule says.
    #[must_use]
    pub fn wait(
        &self,
        attempts: u32,
        age: Duration,
        wish: Option<Duration>,
        rng: &mut impl Rng,
    ) -> Option<Duration> {
        let nth = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let secs = self.waits_secs.get(nth).copied().or(self.tail_secs)?;
        let spread = rng.random_range(100 - JITTER_PERCENT..=100 + JITTER_PERCENT);
        let own = Duration::from_secs(secs) * spread / 100;
        let wait = own.max(wish.unwrap_or_default().min(LONGEST_WISH));
        (age.saturating_add(wait) <= self.max_age).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const SCHEDULES: [Schedule; 3] = [Schedule::PAGE, Schedule::TICKET, Schedule::NOTICE];

    #[test]
    fn a_page_is_tried_for_a_day() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut age = Duration::ZERO;
        let mut attempts = 1;
        while let Some(wait) = Schedule::PAGE.wait(attempts, age, None, &mut rng) {
            age += wait;
            attempts += 1;
        }
        assert!(age > Duration::from_secs(86_000) && age <= Duration::from_hours(24));
        assert!((250..340).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_ticket_is_given_up_after_ten_attempts() {
        let mut rng = StdRng::seed_from_u64(1);
        let wait = |attempts, rng: &mut StdRng| Schedule::TICKET.wait(attempts, Duration::ZERO, None, rng);
        assert!(wait(9, &mut rng).is_some());
        assert_eq!(wait(10, &mut rng), None);
    }

    #[test]
    fn f30_what_the_receiver_asks_for_is_waited_in_full_up_to_an_hour() {
        let mut rng = StdRng::seed_from_u64(1);
        let asked = |secs| Some(Duration::from_secs(secs));
        for _ in 0..100 {
            assert_eq!(
                Schedule::PAGE.wait(1, Duration::ZERO, asked(120), &mut rng),
                asked(120)
            );
            assert_eq!(
                Schedule::PAGE.wait(1, Duration::ZERO, asked(86_400), &mut rng),
                asked(3600)
            );
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_asked_nor_beyond_the_age(
            which in 0_usize..3, attempts in 0_u32..400, age in 0_u64..400_000, wish in 0_u64..10_000, seed: u64,
        ) {
            let schedule = SCHEDULES[which];
            let age = Duration::from_secs(age);
            let wish = Duration::from_secs(wish);
            let mut rng = StdRng::seed_from_u64(seed);
            if let Some(wait) = schedule.wait(attempts, age, Some(wish), &mut rng) {
                prop_assert!(wait >= wish.min(LONGEST_WISH));
                prop_assert!(wait >= Duration::from_secs(4));
                prop_assert!(age + wait <= schedule.max_age);
            }
        }
    }
}
