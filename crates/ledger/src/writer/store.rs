//! The ledger behind the writer, with a bound on how long it may take.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::LedgerError;
use crate::port::{Batch, Committed, Ledger};

/// A ledger that is given only so long.
#[derive(Clone, Debug)]
pub(super) struct Store {
    /// The ledger.
    pub(super) ledger: Arc<dyn Ledger>,
    /// How long a transaction may take; `None` leaves it to the ledger.
    pub(super) within: Option<Duration>,
}

impl Store {
    /// Commits `batch`. When that takes too long, it may have been committed all the same.
    pub(super) async fn commit(&self, batch: &Batch) -> Result<Committed, LedgerError> {
        let commit = self.ledger.commit(batch);
        let Some(within) = self.within else {
            return commit.await;
        };
        timeout(within, commit).await.unwrap_or_else(|elapsed| {
            Err(LedgerError::Unavailable {
                operation: "commit a transaction in time",
                source: Arc::new(elapsed),
            })
        })
    }
}

/// Whether the store may take later what it has refused now.
pub(super) const fn passes(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Busy { .. }) || error.is_failing_store()
}
