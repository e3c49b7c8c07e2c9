//! The port of those who send deliveries, and of those who look after them.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Class, NewDelivery, Settlement, State};
use crate::port::Answer;

/// How fast one receiver was sent to lately: kept for the workers, who know what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Counts its changes; 0 before the first.
    pub version: u64,
    /// What the workers wrote last; empty before the first change.
    pub content: String,
}

/// What waits for a receiver now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The receiver.
    pub receiver: String,
    /// How many deliveries can be claimed at once; counted up to 1000.
    pub count: u32,
    /// How fast it was sent to lately.
    pub pace: Pace,
}

/// What can be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The store's own time.
    pub now: Timestamp,
    /// Receivers for which something can be claimed.
    pub waiting: Vec<Waiting>,
}

/// What a worker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// For which receiver.
    pub receiver: String,
    /// Names the lease.
    pub token: Uuid,
    /// Most deliveries.
    pub limit: u32,
    /// For how long nobody else can have them. Longer than sending and settling can take.
    pub lease: Duration,
    /// The pace that follows from the claim, with the version that it was made from.
    pub pace: Pace,
}

/// Deliveries that this worker alone may send for now.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The store's own time.
    pub now: Timestamp,
    /// The deliveries, the longest due first.
    pub deliveries: Vec<Leased>,
}

/// A delivery that was claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Leased {
    /// Its id, the same on every try.
    pub id: Uuid,
    /// Its place in an order.
    pub order_key: String,
    /// Unique with the receiver.
    pub dedup_key: String,
    /// What kind of message it is.
    pub class: Class,
    /// Whether it ends what earlier ones began.
    pub ends: bool,
    /// The message, as it was written.
    pub message: Value,
    /// Since when it is being tried.
    pub queued_at: Timestamp,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Whether the receiver may have it already: an answer was lost, or a worker.
    pub uncertain: bool,
    /// By which key an earlier delivery of the same order key was accepted.
    pub credential: Option<String>,
    /// The delivery for which this one stands in.
    pub fallback_of: Option<Uuid>,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In that state.
    pub state: Option<State>,
    /// To that receiver.
    pub receiver: Option<String>,
    /// With that order key.
    pub order_key: Option<String>,
    /// Before that place; from the latest when it is not said.
    pub before: Option<i64>,
    /// Most deliveries.
    pub limit: u32,
}

/// A delivery as it is listed: without its message, which may name a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// Where it goes.
    pub receiver: String,
    /// Its place in an order.
    pub order_key: String,
    /// Unique with the receiver.
    pub dedup_key: String,
    /// What kind of message it is.
    pub class: Class,
    /// Whether it ends what earlier ones began.
    pub ends: bool,
    /// Where it is.
    pub state: State,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it may be claimed next, while it is not finished.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// The last answer's HTTP status.
    pub last_status: Option<u16>,
    /// Why the last try did not deliver it.
    pub last_error: Option<String>,
    /// The delivery for which this one stands in.
    pub fallback_of: Option<Uuid>,
    /// When it was finished.
    pub finished_at: Option<Timestamp>,
}

/// What became of a request to send a dead letter again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It waits to be sent, behind whatever waits in its order.
    Ready,
    /// It is no dead letter.
    NotDead(State),
    /// It is one, but its message was erased.
    Erased,
    /// There is no such delivery.
    Unknown,
}

/// How much waits for a receiver, and how much was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverBacklog {
    /// The receiver.
    pub receiver: String,
    /// Deliveries that are not finished.
    pub waiting: u64,
    /// How long the one that has been due the longest since its writing has waited; zero when nothing waits.
    pub oldest: Duration,
    /// Dead letters.
    pub dead: u64,
}

/// A ledger that keeps deliveries. All times but those in a [`NewDelivery`] are of the store's own clock, so that no
/// worker's clock ends another one's lease.
///
/// Every adapter passes the tests of the module `conformance`.
pub trait Deliveries: Send + Sync + fmt::Debug {
    /// Writes deliveries that belong to no other change, in one transaction, and says how many of them were not there.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn enqueue<'a>(&'a self, deliveries: &'a [NewDelivery]) -> Answer<'a, usize>;

    /// What can be claimed for `receivers`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn due<'a>(&'a self, receivers: &'a [String]) -> Answer<'a, Due>;

    /// Leases deliveries to the caller: of each order key only the first that is not finished. `None` when the pace is no longer
    /// the one the claim was made from: nothing was leased.
    ///
    /// # Errors
    /// When the store cannot be written. What was leased all the same is free when the lease runs out.
    fn claim<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Option<Claimed>>;

    /// Writes what became of a try, and says for how many of its deliveries: for those that are still leased under its
    /// token. The rest of it (the fallback, what it leads to) is written for those only.
    ///
    /// # Errors
    /// When the store cannot be written; they are tried again when the lease has run out.
    fn settle<'a>(&'a self, settlement: &'a Settlement) -> Answer<'a, usize>;

    /// How fast `receiver` was sent to lately.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn pace<'a>(&'a self, receiver: &'a str) -> Answer<'a, Pace>;

    /// Writes the pace that follows from the one of the same version, and says whether that was still the present one.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn set_pace<'a>(&'a self, receiver: &'a str, pace: &'a Pace) -> Answer<'a, bool>;

    /// Deliveries, the latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<Record>>;

    /// Makes a dead letter ready to be sent again, with all its retries before it.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn replay(&self, id: Uuid) -> Answer<'_, Replayed>;

    /// How much waits and how much was given up, by receiver.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn backlogs(&self) -> Answer<'_, Vec<ReceiverBacklog>>;

    /// Removes finished deliveries that were kept long enough ([`KEPT_DAYS`](super::KEPT_DAYS),
    /// [`PAGE_KEPT_DAYS`](super::PAGE_KEPT_DAYS)), a bounded number at once, and says how many.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn forget_finished(&self) -> Answer<'_, u64>;

    /// The store's own time.
    ///
    /// # Errors
    /// When the store does not answer.
    fn clock(&self) -> Answer<'_, Timestamp>;
}
