//! The time from knowing of a failure to the start of the next submit, and how it is shared out.

use std::time::Duration;

use tokio::time::Instant;

/// What is left for beginning the submit once its channel is known.
const TO_BEGIN: Duration = Duration::from_millis(25);

/// How much time a failure leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(super) failed_at: Instant,
    pub(super) within: Duration,
}

impl Budget {
    /// So long an answer to the report is worth waiting for: afterwards there is just time to route, or to take a
    /// fallback of the last decision.
    pub(super) fn hear_until(&self) -> Instant {
        self.failed_at + self.within * 3 / 5
    }

    /// By then it must be known where the next submit goes.
    pub(super) fn decide_until(&self) -> Instant {
        self.failed_at + self.within.saturating_sub(TO_BEGIN)
    }

    /// Whether a submit may still begin.
    pub(super) fn is_left(&self, now: Instant) -> bool {
        now <= self.failed_at + self.within
    }

    /// What is left for waiting at `now`.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.decide_until().saturating_duration_since(now)
    }

    /// How much has passed at `now`, in milliseconds.
    pub(super) fn used_ms(&self, now: Instant) -> u32 {
        let used = now.saturating_duration_since(self.failed_at).as_millis();
        u32::try_from(used).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_parts_are_in_order_and_within_the_whole() {
        let failed_at = Instant::now();
        for ms in [50, 500, 60_000] {
            let within = Duration::from_millis(ms);
            let budget = Budget { failed_at, within };
            assert!(failed_at < budget.hear_until());
            assert!(budget.decide_until() < failed_at + within);
            assert!(budget.is_left(failed_at + within));
            assert!(!budget.is_left(failed_at + within + Duration::from_millis(1)));
        }
    }
}
