//! Messages on their way to receivers: the outbox of alert pages, compensation events and customer notices.
//!
//! A transaction that has something to tell leaves a [`NewDelivery`] with what it changed, so that there is no moment in
//! which one is durable and the other is not. [`Deliveries`] is the port of those who send them: workers claim by a
//! lease, send with no transaction open, and settle under the lease's token, so that a worker whose lease ran out
//! overwrites nothing. Each is sent at least once, always under the same id.
//!
//! Deliveries with the same order key go to a receiver strictly one after the other. One that [ends](NewDelivery::ends)
//! what others began is not sent to a receiver that never heard of the beginning: all of them are superseded.

mod port;
mod settlement;
mod thread;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use port::{
    Claim, Claimed, Deliveries, Due, Filter, Leased, Pace, ReceiverBacklog, Record, Replayed, Waiting,
};
pub use settlement::{End, Settlement};
pub(crate) use thread::{Member, superseded};

/// For how many days a finished delivery is kept: so long can a dead letter be replayed, and a repeated one be
/// recognised.
pub const KEPT_DAYS: i64 = 30;

/// For how many days a page that was delivered is kept. As long as an incident may last: its end has to go by the key
/// of its beginning.
pub const PAGE_KEPT_DAYS: i64 = 400;

/// What a transaction leaves behind to be sent.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct NewDelivery {
    /// Its id, the same on every try; what the receiver tells a repetition by. Version 7.
    pub id: Uuid,
    /// Name of a receiver of the configuration.
    pub receiver: String,
    /// Deliveries with the same key and receiver are sent strictly one after the other, in the order of their writing.
    pub order_key: String,
    /// Unique with the receiver: a second delivery with the same key is ignored.
    pub dedup_key: String,
    /// What kind of message it is; chooses the schedule of its retries.
    pub class: Class,
    /// Whether it ends what earlier deliveries of its order key began, as the resolve of an alert does. A receiver that
    /// certainly got none of those is not told of the end either; one that got them as a fallback is.
    pub ends: bool,
    /// A message of crate `delivery` as JSON. The ledger does not look into it.
    pub message: Value,
    /// When it was written, by its writer's clock.
    pub created_at: Timestamp,
    /// Not to be sent before.
    pub due_at: Timestamp,
}

/// What kind of message a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody must get up: tried often, told to the fallback receiver.
    Page,
    /// Somebody must look at it some time.
    Ticket,
    /// For a program.
    Event,
    /// For a customer. Its message is erased when it is finished, because it may hold a telephone number.
    Notice,
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits to be sent.
    Ready,
    /// A worker is sending it.
    Leased,
    /// The receiver has it.
    Done,
    /// It was given up: a dead letter.
    Dead,
    /// It became pointless before it was sent.
    Superseded,
}

/// A word that names no class or state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not known")]
pub struct UnknownWord(String);

impl Class {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Page, Self::Ticket, Self::Event, Self::Notice];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
            Self::Event => "event",
            Self::Notice => "notice",
        }
    }
}

impl FromStr for Class {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|class| class.as_str() == word);
        found.ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::Leased,
        Self::Done,
        Self::Dead,
        Self::Superseded,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
        }
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NewDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("NewDelivery");
        shown
            .field("id", &self.id)
            .field("receiver", &self.receiver)
            .field("order_key", &self.order_key)
            .field("dedup_key", &self.dedup_key)
            .field("class", &self.class)
            .field("ends", &self.ends)
            .field("due_at", &self.due_at);
        // What goes to a customer may hold a telephone number.
        match self.class {
            Class::Notice => shown.field("message", &"***"),
            Class::Page | Class::Ticket | Class::Event => shown.field("message", &self.message),
        };
        shown.finish_non_exhaustive()
    }
}

impl NewDelivery {
    /// The same message for another receiver, in the same place of its order and due at once. `None` for its own receiver.
    pub(crate) fn readdressed(&self, receiver: &str) -> Option<Self> {
        (self.receiver != receiver).then(|| Self {
            id: Uuid::now_v7(),
            receiver: receiver.to_owned(),
            due_at: self.created_at,
            ..self.clone()
        })
    }
}
