//! How far the stream's clock is ahead of another one, from messages that took an unknown but short time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long the least delay is remembered: clocks drift apart by milliseconds in that time.
const MEMORY: SignedDuration = SignedDuration::from_secs(30);

/// A message that seems to have taken this much longer than usual was late, or a clock was set.
const STEP: SignedDuration = SignedDuration::from_secs(2);

/// After this many of them in a row a clock was set.
const STEPS: u8 = 3;

/// What is added to a sender's time to get the stream's. The message that travelled fastest knows best: its delay, some
/// milliseconds, is all that is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// The least of the present stretch of time, and of the one before it.
    least: [Option<i64>; 2],
    since_ms: i64,
    steps: u8,
}

impl Clock {
    /// Nothing is known yet.
    pub(super) const NEW: Self = Self {
        least: [None; 2],
        since_ms: 0,
        steps: 0,
    };

    /// Notes a message that was sent at `sent_at` by the sender's clock, and taken at `taken_at` by the stream's.
    pub fn note(&mut self, sent_at: Timestamp, taken_at: Timestamp) {
        let ahead = taken_at.duration_since(sent_at);
        let late = self.offset().is_some_and(|offset| ahead > offset + STEP);
        self.steps = if late { self.steps.saturating_add(1) } else { 0 };
        if late && self.steps < STEPS {
            return;
        }
        let now = taken_at.as_millisecond();
        if late {
            *self = Self::default();
        }
        let stretch = MEMORY.as_millis();
        if i128::from(now.saturating_sub(self.since_ms)).abs() >= stretch {
            let [present, _] = self.least;
            self.least = [None, present];
            self.since_ms = now;
        }
        let ahead = i64::try_from(ahead.as_millis()).unwrap_or(0);
        let [present, _] = &mut self.least;
        *present = Some(present.map_or(ahead, |least| least.min(ahead)));
    }

    /// What is added to the sender's time; `None` before the first message.
    #[must_use]
    pub fn offset(&self) -> Option<SignedDuration> {
        let least = self.least.into_iter().flatten().min()?;
        Some(SignedDuration::from_millis(least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
    }

    #[test]
    fn the_fastest_message_says_how_far_the_clocks_are_apart() {
        let mut clock = Clock::default();
        for (sent, delay) in [(0, 20), (100, 3), (200, 500)] {
            clock.note(at(sent - 3_600_000), at(sent + delay));
        }
        assert_eq!(clock.offset(), Some(SignedDuration::from_millis(3_600_003)));
    }

    #[test]
    fn one_late_message_moves_nothing_and_a_clock_that_was_set_is_believed() {
        let mut clock = Clock::default();
        clock.note(at(0), at(5));
        clock.note(at(100), at(9_000));
        assert_eq!(clock.offset(), Some(SignedDuration::from_millis(5)));
        for sent in 0..3 {
            clock.note(at(10_000 + sent), at(70_004 + sent));
        }
        assert_eq!(clock.offset(), Some(SignedDuration::from_millis(60_004)));
    }

    #[test]
    fn what_drifts_is_followed() {
        let mut clock = Clock::default();
        for second in 0..100 {
            clock.note(at(second * 1_000), at(second * 1_000 + second));
        }
        let offset = clock.offset().unwrap().as_millis();
        assert!((30..=70).contains(&offset), "{offset}");
    }
}
