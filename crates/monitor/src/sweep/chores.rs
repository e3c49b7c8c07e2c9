//! What the sweeping monitor does now and then: clearing the outbox, keeping the ledger's house, and looking how much
//! waits.

use std::sync::Arc;

use domain::clock::SharedClock;
use jiff::{SignedDuration, Timestamp};
use ledger::{LedgerError, Outbox, PostgresLedger};
use metrics::{counter, gauge};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};

use super::metric;

/// How often what was relayed long ago is removed from the outbox.
const FORGET_EVERY: Duration = Duration::from_mins(1);

/// How often the ledger's house is kept.
const KEEP_HOUSE_EVERY: Duration = Duration::from_hours(1);

/// How often it is measured how much waits.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// When each was done last.
#[derive(Debug, Default)]
pub(super) struct Chores {
    forgot_at: Option<Instant>,
    kept_house_at: Option<Instant>,
    measured_at: Option<Instant>,
    housekeeping: Option<JoinHandle<()>>,
}

impl Chores {
    /// Removes what was relayed longer than `kept` before `now`, the store's time, when that is due.
    pub(super) async fn forget(
        &mut self,
        outbox: &dyn Outbox,
        now: Timestamp,
        kept: SignedDuration,
    ) -> Result<(), LedgerError> {
        if is_due(&mut self.forgot_at, FORGET_EVERY) {
            let before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
            let forgotten = outbox.forget_relayed(before).await?;
            counter!(metric::FORGOTTEN).increment(forgotten);
        }
        Ok(())
    }

    /// Keeps the ledger's house when that is due: beside the sweep, for it may take minutes.
    pub(super) fn keep_house(&mut self, ledger: &Arc<PostgresLedger>, clock: &SharedClock) {
        let running = |task: &JoinHandle<()>| !task.is_finished();
        if self.housekeeping.as_ref().is_some_and(running)
            || !is_due(&mut self.kept_house_at, KEEP_HOUSE_EVERY)
        {
            return;
        }
        let (ledger, now) = (Arc::clone(ledger), clock.now());
        self.housekeeping = Some(tokio::spawn(async move {
            match ledger.housekeep(now).await {
                Ok(kept) => tracing::info!(
                    made = kept.made,
                    dropped = kept.dropped.len(),
                    "kept the ledger's house: {} partitions made, {} dropped",
                    kept.made,
                    kept.dropped.len()
                ),
                Err(error) => tracing::warn!(
                    cause = std::error::Error::source(&error).map(tracing::field::display),
                    "the ledger's house was not kept: {error}"
                ),
            }
        }));
    }

    /// Tells how much waits in the outbox, when that is due. Every monitor does: while Redis is away nobody sweeps, and
    /// that is when it matters.
    pub(super) async fn measure(&mut self, outbox: &dyn Outbox) {
        if !is_due(&mut self.measured_at, MEASURE_EVERY) {
            return;
        }
        match outbox.backlog().await {
            Ok(backlog) => {
                gauge!(metric::BACKLOG).set(f64::from(u32::try_from(backlog.rows).unwrap_or(u32::MAX)));
                gauge!(metric::OLDEST).set(backlog.oldest.as_secs_f64());
            }
            Err(error) => tracing::debug!(%error, "the outbox was not measured: {error}"),
        }
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        // Every step of it can be broken off, and another process goes on.
        if let Some(housekeeping) = &self.housekeeping {
            housekeeping.abort();
        }
    }
}

/// Whether it is time, and if so takes it for done.
fn is_due(done_at: &mut Option<Instant>, every: Duration) -> bool {
    let due = done_at.is_none_or(|at| at.elapsed() >= every);
    if due {
        *done_at = Some(Instant::now());
    }
    due
}
