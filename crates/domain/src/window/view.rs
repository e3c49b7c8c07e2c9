//! The three spans of time that a window is looked at over, and what is seen.

use super::counts::Counts;
use super::latency::Latencies;

/// Length of a bucket, in seconds.
pub const BUCKET_SECS: i64 = 10;

/// A span of time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum View {
    /// The last minute.
    #[serde(rename = "1m")]
    OneMinute,
    /// The last five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// The last hour.
    #[serde(rename = "1h")]
    OneHour,
}

impl View {
    /// Every view, the shortest first.
    pub const ALL: [Self; 3] = [Self::OneMinute, Self::FiveMinutes, Self::OneHour];

    /// The longest view: what is older is forgotten.
    pub const LONGEST: Self = Self::OneHour;

    /// Its length in seconds.
    ///
    /// The youngest of its buckets is the one that is being filled, so what is seen spans up to ten seconds less.
    #[must_use]
    pub const fn secs(self) -> i64 {
        match self {
            Self::OneMinute => 60,
            Self::FiveMinutes => 300,
            Self::OneHour => 3_600,
        }
    }

    /// The name in metrics and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneMinute => "1m",
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }

    /// Its length in buckets.
    pub(super) const fn buckets(self) -> i64 {
        self.secs() / BUCKET_SECS
    }
}

/// What was seen in a span of time: exact counts, and latencies whose percentiles are within 5 %.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Outcomes by class.
    pub counts: Counts,
    /// How long they took.
    pub latencies: Latencies,
}

impl Statistics {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.latencies.merge(&other.latencies);
    }
}
