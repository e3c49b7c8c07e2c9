//! A packet of what a replica did, and its place in the stream.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::brain::{Deed, Origin};

/// What a replica did since its last packet. Without deeds it is a sign of life.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Who did it.
    pub origin: Origin,
    /// Numbers the packets of an origin from 1 on. A number that is missing was lost.
    pub seq: u64,
    /// When it was packed, on the clock of its origin: it holds everything that was done and heard there until then.
    pub sent_at: Timestamp,
    /// What was done, in order, on the clock of its origin.
    pub deeds: Vec<Deed>,
}

/// A place in the stream: the stream's own time in milliseconds, and a number that tells equal ones apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Milliseconds since 1970 by the stream's clock.
    pub ms: u64,
    /// Tells packets of one millisecond apart.
    pub seq: u64,
}

impl Position {
    /// Before everything.
    pub const BEGINNING: Self = Self { ms: 0, seq: 0 };

    /// When the packet was taken, by the stream's clock.
    #[must_use]
    pub fn time(self) -> Timestamp {
        i64::try_from(self.ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}
