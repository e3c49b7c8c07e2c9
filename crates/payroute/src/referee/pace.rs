//! The time of a game: from the calls, or from a clock that runs faster than the wall's.

use domain::clock::SharedClock;
use jiff::{SignedDuration, Timestamp};

use super::wire::{Clock, Reset};

/// How a game's time passes.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// The calls say what time it is.
    Simulated,
    /// Our own clock says so, accelerated since the start.
    Realtime {
        /// The clock.
        clock: SharedClock,
        /// When the game began on it.
        started: Timestamp,
        /// Simulated seconds in a real one.
        speed: f64,
    },
}

impl Pace {
    /// The pace that a reset asks for.
    pub(super) fn new(reset: &Reset, clock: SharedClock) -> Self {
        match reset.clock {
            Clock::Simulated => Self::Simulated,
            Clock::Realtime => Self::Realtime {
                started: clock.now(),
                speed: if reset.speed > 0.0 { reset.speed } else { 1.0 },
                clock,
            },
        }
    }

    /// The time of a call that says it is `call_ms` since the beginning of the game.
    pub(super) fn now(&self, call_ms: f64) -> Timestamp {
        match self {
            Self::Simulated => at(call_ms),
            Self::Realtime {
                clock,
                started,
                speed,
            } => {
                let elapsed = clock.now().duration_since(*started);
                at(elapsed.as_secs_f64() * speed * 1_000.0)
            }
        }
    }
}

/// The moment `ms` milliseconds after the beginning of a game, which is the epoch.
pub(super) fn at(ms: f64) -> Timestamp {
    SignedDuration::try_from_secs_f64(ms / 1_000.0)
        .ok()
        .and_then(|elapsed| Timestamp::UNIX_EPOCH.checked_add(elapsed).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::clock::ManualClock;
    use std::sync::Arc;

    #[test]
    fn simulated_time_is_what_the_call_says() {
        assert_eq!(Pace::Simulated.now(1_500.0).as_millisecond(), 1_500);
    }

    #[test]
    fn real_time_runs_faster_and_ignores_what_the_call_says() {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let pace = Pace::Realtime {
            clock: clock.clone(),
            started: start,
            speed: 20.0,
        };
        clock.set(start + SignedDuration::from_millis(500));
        assert_eq!(pace.now(77.0).as_millisecond(), 10_000);
    }
}
