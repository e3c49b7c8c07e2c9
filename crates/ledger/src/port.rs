//! The port: what a ledger can do, whatever stands behind it.

use std::fmt;
use std::pin::Pin;

use domain::id::{AttemptId, MerchantId, PaymentId};
use jiff::Timestamp;

use crate::attempt::{AttemptRecord, Recorded, Resolution, Resolved};
use crate::decision::DecisionRecord;
use crate::delivery::NewDelivery;
use crate::error::LedgerError;
use crate::guard::{Registered, Registration};
use crate::outbox::OutboxBatch;
use crate::payment::{Cursor, Page, PaymentRecord};

/// The answer of a ledger, to be awaited.
///
/// Boxed, so that services hold one `Arc<dyn Ledger>` and are not generic over the store. The allocation is nothing
/// beside the disk, and needs no macro crate.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// What is written in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Reported attempts, in the order of their arrival.
    pub attempts: Vec<AttemptRecord>,
    /// Changes of attempts' states; they see the attempts of the same batch.
    pub resolutions: Vec<Resolution>,
    /// Attempts that are about to be submitted; they see what the same batch says of earlier ones.
    pub registrations: Vec<Registration>,
    /// Decisions; one that is there already is left as it is.
    pub decisions: Vec<DecisionRecord>,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
            && self.resolutions.is_empty()
            && self.registrations.is_empty()
            && self.decisions.is_empty()
    }

    /// What customers are told of that which became new with this batch, in an order that is the same for everybody:
    /// two that write the same ones wait for each other, and never both ways.
    pub(crate) fn notices(&self, recorded: &[Recorded], resolved: &[Resolved]) -> Vec<NewDelivery> {
        let attempts = self.attempts.iter().zip(recorded);
        let of_attempts = attempts
            .filter(|(_, answer)| **answer == Recorded::New)
            .flat_map(|(attempt, _)| &attempt.notices);
        let resolutions = self.resolutions.iter().zip(resolved);
        let of_resolutions = resolutions
            .filter(|(_, answer)| **answer == Resolved::Applied)
            .flat_map(|(resolution, _)| &resolution.notices);
        let mut notices: Vec<NewDelivery> = of_attempts.chain(of_resolutions).cloned().collect();
        notices.sort_by(|a, b| (&a.receiver, &a.dedup_key).cmp(&(&b.receiver, &b.dedup_key)));
        notices
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// One answer for each attempt, in the order of the batch.
    pub attempts: Vec<Recorded>,
    /// One answer for each resolution, in the order of the batch.
    pub resolutions: Vec<Resolved>,
    /// One answer for each registration, in the order of the batch.
    pub registrations: Vec<Registered>,
    /// The outcomes that it brought, on their way to the statistics of other processes: relay them at once. `None` when
    /// it brought none, or when the ledger has no outbox.
    pub outbox: Option<OutboxBatch>,
}

/// A durable store of attempts and decisions.
///
/// Every adapter passes the tests of the module `conformance`.
pub trait Ledger: Send + Sync + fmt::Debug {
    /// Writes `batch` in one transaction: when it answers, the batch survives the loss of power; when it is refused,
    /// nothing of it is there.
    ///
    /// [`LedgerError::Unavailable`] leaves open whether all of it is there or nothing: the connection to a store may
    /// break between its commit and its answer. Writing the same batch again is safe and tells: what was kept is a
    /// duplicate then, a resolution that was applied is stale, its state the one it led to, and what was registered is
    /// registered again.
    ///
    /// An attempt is told from others by its merchant and name, also within the batch: the first content that comes
    /// is kept, the same content again is a duplicate, another one a conflict.
    ///
    /// # Errors
    /// When the store does not take the batch; the store can be used afterwards. [`LedgerError::is_failing_store`]
    /// tells a store that may take it later from a batch that no store would take.
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed>;

    /// An attempt in its current state; `None` when it was never reported.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn attempt<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<AttemptRecord>>;

    /// A payment as a whole, from one moment; `None` when nothing was decided or reported for it.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn payment<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<PaymentRecord>>;

    /// Up to `limit` outcomes that arrived at `since` or later, those up to `after` left out.
    ///
    /// Read to the end, the pages hold each outcome that was there at the beginning exactly once, however many
    /// arrived at the same time. One that is written during the reading with an earlier arrival time than the
    /// pages have reached is not among them: rebuild before serving.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn outcomes_since(&self, since: Timestamp, after: Option<Cursor>, limit: u32) -> Answer<'_, Page>;

    /// Brings the store into its resting form and gives it up. Later calls answer [`LedgerError::Closed`].
    ///
    /// # Errors
    /// When the last step fails; what was committed is durable all the same.
    fn close(&self) -> Answer<'_, ()>;
}
