//! What the spool tells of itself.

use metrics::{Counter, Gauge, counter, gauge};

use super::Usage;
use crate::metric;

/// The spool's metrics.
pub(super) struct Meter {
    attempts: Gauge,
    bytes: Gauge,
    since: Gauge,
    /// Attempts that were spooled.
    pub(super) kept: Counter,
    /// Attempts that the ledger has now.
    pub(super) drained: Counter,
    /// Attempts that found no room, or a disk that failed.
    pub(super) refused: Counter,
    /// Ends of segments that were cut off.
    pub(super) torn: Counter,
    /// Records and entries that were set aside for people.
    pub(super) set_aside: Counter,
}

impl Meter {
    /// Meters of the recorder that is installed now.
    pub(super) fn new() -> Self {
        Self {
            attempts: gauge!(metric::SPOOL_ATTEMPTS),
            bytes: gauge!(metric::SPOOL_BYTES),
            since: gauge!(metric::SPOOL_OLDEST),
            kept: counter!(metric::SPOOL_KEPT),
            drained: counter!(metric::SPOOL_DRAINED),
            refused: counter!(metric::SPOOL_REFUSED),
            torn: counter!(metric::SPOOL_TORN),
            set_aside: counter!(metric::SPOOL_SET_ASIDE),
        }
    }

    /// Shows how full it is.
    pub(super) fn show(&self, usage: &Usage) {
        self.attempts
            .set(u32::try_from(usage.attempts).unwrap_or(u32::MAX));
        // In whole kibibytes the largest spool fits what a gauge takes without loss.
        let kibibytes = u32::try_from(usage.bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
        self.bytes.set(f64::from(kibibytes) * 1_024.0);
        let since = usage.since.map(|since| since.as_duration().as_secs_f64());
        self.since.set(since.unwrap_or(0.0));
    }
}
