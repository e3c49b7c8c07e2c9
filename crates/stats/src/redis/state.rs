//! Where a partition stands: what its statistics were computed up to.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// The place of an entry in a stream. Its milliseconds are the stream's time: Redis gives them, and they never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since 1970, of the server's clock.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

impl StreamId {
    /// Before every entry.
    pub const START: Self = Self { ms: 0, seq: 0 };

    /// The stream's time at this place; the end of time for a place that no clock could give.
    #[must_use]
    pub fn time(self) -> Timestamp {
        i64::try_from(self.ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text is no place in a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a stream entry")]
pub struct BadStreamId(String);

impl FromStr for StreamId {
    type Err = BadStreamId;

    fn from_str(text: &str) -> Result<Self, BadStreamId> {
        let bad = || BadStreamId(text.to_owned());
        let (ms, seq) = text.split_once('-').ok_or_else(bad)?;
        Ok(Self {
            ms: ms.parse().map_err(|_| bad())?,
            seq: seq.parse().map_err(|_| bad())?,
        })
    }
}

/// A life of a partition's statistics: it begins with a rebuild and ends with the next. Milliseconds since 1970.
///
/// The epoch is part of the keys, so a rebuild never mixes with what was there, whoever else still writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Where a partition stands. Whoever changes the partition names the state it found and fails when that has moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The life of the statistics.
    pub epoch: Epoch,
    /// How often they were changed or published in this life.
    pub seq: u64,
    /// The last entry of the stream that they contain.
    pub applied: StreamId,
    /// How many entries of the stream they contain.
    pub read: u64,
}

impl State {
    /// The stream's time that the statistics have reached. After a rebuild that is the time of the rebuild, whatever
    /// the stream holds.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let began = StreamId {
            ms: self.epoch.0,
            seq: 0,
        };
        self.applied.time().max(began.time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_ordered_by_time_first() {
        let place = StreamId {
            ms: 1_700_000_000_000,
            seq: 12,
        };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert!(StreamId { ms: 9, seq: 99 } < StreamId { ms: 10, seq: 0 });
        assert!("12".parse::<StreamId>().is_err() && "a-1".parse::<StreamId>().is_err());
    }

    #[test]
    fn a_place_that_no_clock_could_give_is_at_the_end_of_time() {
        assert_eq!(StreamId { ms: u64::MAX, seq: 0 }.time(), Timestamp::MAX);
        assert_eq!(StreamId { ms: 1_500, seq: 0 }.time().as_millisecond(), 1_500);
    }
}
