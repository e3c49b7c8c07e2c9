//! A provider's schedule: how long after a moment to ask, again and again.

/// Most delays of a schedule.
pub const MAX_DELAYS: usize = 16;

/// Longest delay, in milliseconds: a week. What is open for longer is not found out by asking.
pub const MAX_DELAY_MS: u32 = 604_800_000;

/// Ascending delays from one moment, in milliseconds; at least one, at most [`MAX_DELAYS`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    ms: [u32; MAX_DELAYS],
    len: usize,
}

/// Why a schedule is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDelays {
    /// Nobody would ever ask.
    #[error("is empty, expected at least one delay")]
    Empty,
    /// More than are kept.
    #[error("holds {0} delays, at most {MAX_DELAYS} are allowed")]
    TooMany(usize),
    /// A later one is not later.
    #[error("{0} does not come after the one before, expected ascending delays")]
    NotAscending(u32),
    /// Longer than anybody waits.
    #[error("{0} is longer than {MAX_DELAY_MS}")]
    TooLong(u32),
}

impl Delays {
    /// The schedule of `ms`.
    ///
    /// # Errors
    /// When it is empty, too long, or does not ascend.
    pub fn new(ms: &[u32]) -> Result<Self, InvalidDelays> {
        if ms.is_empty() {
            return Err(InvalidDelays::Empty);
        }
        if ms.len() > MAX_DELAYS {
            return Err(InvalidDelays::TooMany(ms.len()));
        }
        if let Some(late) = ms.iter().find(|delay| **delay > MAX_DELAY_MS) {
            return Err(InvalidDelays::TooLong(*late));
        }
        for (earlier, later) in ms.iter().zip(ms.iter().skip(1)) {
            if later <= earlier {
                return Err(InvalidDelays::NotAscending(*later));
            }
        }
        Ok(Self::built_in(ms))
    }

    /// A schedule that is part of the program, which its tests check.
    pub(super) const fn built_in(mut given: &[u32]) -> Self {
        let mut ms = [0; MAX_DELAYS];
        let mut len = 0;
        let mut room: &mut [u32] = &mut ms;
        while let [first, rest @ ..] = given {
            let [place, after @ ..] = room else { break };
            *place = *first;
            (given, room) = (rest, after);
            len += 1;
        }
        Self { ms, len }
    }

    /// The delays, in milliseconds.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        self.ms.get(..self.len).unwrap_or_default()
    }

    /// The last one, in milliseconds.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.as_slice().last().copied().unwrap_or(0)
    }
}

impl std::fmt::Debug for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_holds_what_it_was_made_of() {
        let delays = Delays::new(&[5, 10, 15]).unwrap();
        assert_eq!(delays.as_slice(), [5, 10, 15]);
        assert_eq!(delays.last(), 15);
        let longest: Vec<u32> = (0..16).collect();
        assert_eq!(Delays::new(&longest).unwrap().as_slice(), longest);
    }

    #[test]
    fn a_schedule_that_nobody_could_follow_is_refused() {
        assert_eq!(Delays::new(&[]), Err(InvalidDelays::Empty));
        assert_eq!(Delays::new(&[5, 5]), Err(InvalidDelays::NotAscending(5)));
        assert_eq!(Delays::new(&[0; 17]), Err(InvalidDelays::TooMany(17)));
        assert_eq!(Delays::new(&[u32::MAX]), Err(InvalidDelays::TooLong(u32::MAX)));
    }
}
