//! Whether an alert goes to and fro.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// More than so many times firing within [`WITHIN`] is flapping.
const MOST: usize = 4;

/// The time within which they are counted.
pub(super) const WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The longest that a flapping alert is kept firing.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// How often an alert fired lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaps {
    /// The last times that it came to fire, or to fire again while it recovered; the latest last.
    fired_at: Vec<Timestamp>,
    /// Since when it flaps; `None` when it does not.
    since: Option<Timestamp>,
    /// How often the time that it is kept firing was doubled.
    doublings: u8,
}

impl Flaps {
    /// It came to fire at `now`; `anew` when it was over before. Whether this begins the flapping.
    pub(super) fn fired(&mut self, anew: bool, now: Timestamp) -> bool {
        if self.fired_at.len() > MOST {
            self.fired_at.remove(0);
        }
        self.fired_at.push(now);
        if self.since.is_some() {
            if anew {
                self.doublings = self.doublings.saturating_add(1);
            }
            return false;
        }
        let begins = self.count(now) > MOST;
        if begins {
            self.since = Some(now);
            self.doublings = 1;
        }
        begins
    }

    /// Lets the flapping end when it has. Whether it has.
    pub(super) fn settle(&mut self, now: Timestamp) -> bool {
        let ends = self.since.is_some() && self.count(now) <= MOST;
        if ends {
            self.since = None;
            self.doublings = 0;
        }
        ends
    }

    /// Since when it flaps; `None` when it does not.
    #[must_use]
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// How long an alert that should be kept firing for `keep` is.
    pub(super) fn kept(&self, keep: SignedDuration) -> SignedDuration {
        let mut kept = keep;
        for _ in 0..self.doublings {
            if kept >= LONGEST {
                break;
            }
            kept = kept.saturating_mul(2).min(LONGEST);
        }
        kept
    }

    fn count(&self, now: Timestamp) -> usize {
        let is_late = |at: &&Timestamp| now.duration_since(**at) < WITHIN;
        self.fired_at.iter().filter(is_late).count()
    }
}
