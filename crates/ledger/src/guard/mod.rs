//! The guard: at most one attempt of a payment can be in a state that may charge, whoever asks and wherever.
//!
//! An attempt is registered before its first byte leaves, in one transaction with the check that every earlier one is
//! settled without a debit. What is reported or found out later moves the registration in the transaction that keeps the
//! report. An outcome that waits in the spool therefore leaves its payment blocked, which is safe.
//!
//! What may be registered, and what an event leads to, is decided by `domain::attempt::payment`; here it is locked,
//! loaded and written.

mod book;

use std::fmt;

use domain::attempt::State;
use domain::attempt::payment::{Blocked, Payment, Slot};
use domain::id::{AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::network_retry::Fingerprint;
use jiff::Timestamp;

use crate::attempt::AttemptRecord;
use crate::port::Answer;

pub(crate) use book::{Book, Changed, Guarded, Leaf, Name};

/// An attempt that is about to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whose payment it is.
    pub merchant: MerchantId,
    /// Which payment it is.
    pub payment: PaymentId,
    /// What it asks for: the same for every attempt.
    pub money: Money,
    /// Until when the order behind it wants money; `None`: as an earlier registration said, if one did.
    pub expires_at: Option<Timestamp>,
    /// Which submit of the payment it is.
    pub slot: Slot,
    /// The channel it goes to.
    pub channel: ChannelId,
    /// Whose registration it is; `None` when the caller gave no name. Kept, and given back.
    pub request: Option<AttemptId>,
    /// How many attempts the payment may have, retries not counted.
    pub most: u32,
    /// What the decision's token says. The ledger does not look into it.
    pub decision: Vec<u8>,
    /// When it is registered.
    pub at: Timestamp,
    /// When it should have been reported: after that it counts as lost.
    pub due_at: Timestamp,
}

/// A submit that was registered, as it is known by now.
#[derive(Clone, PartialEq, Eq)]
pub struct GuardedAttempt {
    /// Which submit of the payment it is.
    pub slot: Slot,
    /// The channel it went to.
    pub channel: ChannelId,
    /// What is known of its money.
    pub state: State,
    /// Whose registration it is.
    pub request: Option<AttemptId>,
    /// What the decision's token says.
    pub decision: Vec<u8>,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// When it should have been reported.
    pub due_at: Timestamp,
}

impl fmt::Debug for GuardedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedAttempt")
            .field("slot", &self.slot)
            .field("channel", &self.channel)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is written down: the attempt may be submitted, by who registered it and once.
    New,
    /// This submit was registered before, at the channel that it names. Nothing changed.
    Again(GuardedAttempt),
    /// No attempt may be made now. Nothing changed.
    Blocked {
        /// Why not.
        why: Blocked,
        /// The attempt that stands in the way, where one does.
        by: Option<GuardedAttempt>,
    },
    /// The payment was registered with another amount or currency. Nothing changed.
    OtherMoney {
        /// What it was registered with.
        registered: Money,
    },
}

/// A guarded payment as it is known by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedPayment {
    /// Its attempts' states, and whether it is satisfied.
    pub payment: Payment,
    /// The submits that were registered, in that order.
    pub attempts: Vec<GuardedAttempt>,
}

/// A submit that was registered and never reported, though it should have been by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreported {
    /// Whose payment it is.
    pub merchant: MerchantId,
    /// Which payment it is.
    pub payment: PaymentId,
    /// The submit; its state is `submitted`.
    pub attempt: GuardedAttempt,
}

/// What the guard is asked. It is told by [`Batch`](crate::Batch).
pub trait Guards: Send + Sync + fmt::Debug {
    /// A guarded payment; `None` when no attempt at it was ever registered.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn guarded<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<GuardedPayment>>;

    /// Up to `limit` submits that should have been reported by `due`, those that wait longest first.
    ///
    /// Each blocks its payment. After a crash of its caller nobody else will report it: query it at its channel, and
    /// commit an attempt record with what was found, or with the state `unknown`. A report that comes after all is
    /// taken as well.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unreported(&self, due: Timestamp, limit: u32) -> Answer<'_, Vec<Unreported>>;

    /// Up to `limit` attempts with the credential that arrived at `since` or later, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn tried<'a>(
        &'a self,
        credential: (&'a MerchantId, &'a Fingerprint),
        since: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<AttemptRecord>>;
}
