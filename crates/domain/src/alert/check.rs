//! When a line counts as crossed.

use std::fmt;

use jiff::SignedDuration;

/// One way to see that the line is crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is looked at.
    pub look: Look,
    /// How sure one must be.
    pub statistic: Statistic,
    /// How many outcomes it takes; for a silence, how many must have been expected.
    pub min_volume: u32,
    /// How long it must hold without a break.
    pub hold: SignedDuration,
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// All outcomes of the last so many seconds.
    Window {
        /// How many, a multiple of ten.
        secs: u32,
    },
    /// The latest outcomes, where there is little traffic.
    Latest {
        /// How many at most.
        outcomes: u32,
        /// How old they may be, in seconds.
        within_secs: u32,
        /// There is little traffic when fewer than this came in `quiet_secs`.
        quiet_below: u32,
        /// The span for `quiet_below`, in seconds.
        quiet_secs: u32,
    },
    /// The error budget, used up faster than it lasts, in a long and in a short span.
    Burn {
        /// How many times too fast, in hundredths.
        hundredths: u32,
        /// The long span, in seconds: it goes on.
        long_secs: u32,
        /// The short span, in seconds: it goes on now.
        short_secs: u32,
    },
    /// How it stands at the moment.
    Now,
}

/// How sure one must be that a share is over the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The share as it was counted. Few outcomes cross the line by chance.
    Naive,
    /// The line lies outside the share's 95 % confidence interval (Wilson): at the line chance crosses it in one case of
    /// forty.
    Wilson,
    /// As [`Self::Wilson`], at 99 %.
    Wilson99,
    /// As [`Self::Wilson`], at 99.9 %: for what is looked at thousands of times a day.
    Wilson999,
}

impl Statistic {
    /// Every one, the least sure first, with its name.
    pub(super) const NAMES: [(&str, Self); 4] = [
        ("naive", Self::Naive),
        ("wilson", Self::Wilson),
        ("wilson_99", Self::Wilson99),
        ("wilson_999", Self::Wilson999),
    ];

    /// The name in a document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Wilson => "wilson",
            Self::Wilson99 => "wilson_99",
            Self::Wilson999 => "wilson_999",
        }
    }
}

impl fmt::Display for Check {
    /// What the check's clock is kept under: another check, or the same one changed, has another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.look {
            Look::Window { secs } => write!(f, "window {secs}s")?,
            Look::Latest {
                outcomes,
                within_secs,
                ..
            } => write!(f, "latest {outcomes} in {within_secs}s")?,
            Look::Burn {
                hundredths,
                long_secs,
                short_secs,
            } => write!(f, "burn {hundredths}/100 {long_secs}s {short_secs}s")?,
            Look::Now => f.write_str("now")?,
        }
        let statistic = self.statistic.as_str();
        write!(f, ", {statistic} from {}", self.min_volume)
    }
}
