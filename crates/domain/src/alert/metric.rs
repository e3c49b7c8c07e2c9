//! What a rule looks at.

use super::dimension::Dimension;
use crate::named::named;

named! {
    /// What a rule looks at.
    pub enum Metric {
        /// The share of outcomes in which the channel did its work: declines are no failures.
        TechnicalSuccess = "technical_success",
        /// The share of outcomes in which the payment went through.
        BusinessSuccess = "business_success",
        /// 95 % of the answers came within this time.
        LatencyP95 = "latency_p95_ms",
        /// The share of attempts that may have charged, which nobody knows.
        UnknownRate = "unknown_rate",
        /// The share of attempts that were not the first at their payment.
        SwitchRate = "switch_rate",
        /// How many outcomes there were.
        Volume = "volume",
        /// No outcome where many were expected.
        SilentChannel = "silent_channel",
        /// Technical failures and timeouts in a row.
        FailureStreak = "failure_streak",
        /// Timeouts in a row.
        TimeoutStreak = "timeout_streak",
        /// 1 while a channel takes no payments, or only probes; 0 while it takes them.
        ChannelDown = "channel_down",
        /// Messages that were given up.
        DeadLetters = "dead_letters",
        /// How old the newest health snapshot is.
        SnapshotAge = "snapshot_age",
        /// How long the oldest unknown outcome waits to be settled.
        CompensationAge = "compensation_age",
        /// How full the spool is of outcomes that the ledger does not take.
        Spool = "spool",
    }
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Basis points, 0 to 10 000; written as `95%`.
    Share,
    /// Milliseconds; written as `3s`.
    Millis,
    /// Seconds; written as `10m`.
    Secs,
    /// How many.
    Count,
}

/// Where a metric comes from, and so which checks can be made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// A share of the outcomes in a span of time: small numbers say little.
    Share,
    /// A figure of the outcomes in a span of time.
    Figure,
    /// What did not happen in a span of time.
    Absence,
    /// In a row, up to the last outcome.
    Streak,
    /// How it stands now.
    Gauge,
}

impl Metric {
    /// What it is counted in.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::TechnicalSuccess
            | Self::BusinessSuccess
            | Self::UnknownRate
            | Self::SwitchRate
            | Self::Spool => Unit::Share,
            Self::LatencyP95 => Unit::Millis,
            Self::SnapshotAge | Self::CompensationAge => Unit::Secs,
            Self::Volume
            | Self::SilentChannel
            | Self::FailureStreak
            | Self::TimeoutStreak
            | Self::ChannelDown
            | Self::DeadLetters => Unit::Count,
        }
    }

    pub(super) const fn nature(self) -> Nature {
        match self {
            Self::TechnicalSuccess | Self::BusinessSuccess | Self::UnknownRate | Self::SwitchRate => {
                Nature::Share
            }
            Self::LatencyP95 | Self::Volume => Nature::Figure,
            Self::SilentChannel => Nature::Absence,
            Self::FailureStreak | Self::TimeoutStreak => Nature::Streak,
            Self::ChannelDown
            | Self::DeadLetters
            | Self::SnapshotAge
            | Self::CompensationAge
            | Self::Spool => Nature::Gauge,
        }
    }

    /// Whether it is read from [`Observation::gauge`](super::Observation::gauge).
    #[must_use]
    pub const fn is_gauge(self) -> bool {
        matches!(self.nature(), Nature::Gauge)
    }

    /// Whether single outcomes say it, so that the latest of them can be looked at.
    pub(super) const fn is_of_outcomes(self) -> bool {
        matches!(self, Self::TechnicalSuccess | Self::BusinessSuccess)
    }

    /// What alone it can be told apart by; `None` for whatever one likes.
    pub(super) const fn only_by(self) -> Option<&'static [Dimension]> {
        match self {
            Self::FailureStreak | Self::TimeoutStreak | Self::ChannelDown => {
                Some(&[Dimension::Provider, Dimension::Channel])
            }
            Self::DeadLetters | Self::SnapshotAge | Self::CompensationAge | Self::Spool => Some(&[]),
            Self::TechnicalSuccess
            | Self::BusinessSuccess
            | Self::LatencyP95
            | Self::UnknownRate
            | Self::SwitchRate
            | Self::Volume
            | Self::SilentChannel => None,
        }
    }

    /// Whether less of it is worse.
    pub(super) const fn is_bad_when_low(self) -> bool {
        matches!(self, Self::TechnicalSuccess | Self::BusinessSuccess)
    }
}
