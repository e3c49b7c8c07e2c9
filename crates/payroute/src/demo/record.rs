//! What happened in the demo: every submit, and every payment that came to its end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::id::PaymentId;
use simulator::world::ChannelIndex;

use crate::checkout::{End, Notes, Submit};

/// A payment that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payment {
    /// Its name.
    pub(super) id: PaymentId,
    /// What the customer chose.
    pub(super) method: String,
    /// Its submits, oldest first.
    pub(super) submits: Vec<Submit>,
    /// How it ended.
    pub(super) end: End,
    /// Whether it would have been paid on its fixed channel.
    pub(super) paid_on_fixed: bool,
}

impl Payment {
    /// Whether the customer has paid.
    pub(super) fn paid(&self) -> bool {
        self.end == End::Paid
    }
}

/// What is written down.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Every submit as it begins: where and when.
    pub(super) begun: Vec<(Duration, ChannelIndex)>,
    /// How often each channel was left for another one in the middle of a payment.
    pub(super) left: BTreeMap<ChannelIndex, u32>,
    /// The payments that have ended, in the order of their ends.
    pub(super) payments: Vec<Payment>,
    /// Payments that have begun.
    pub(super) arrived: usize,
    /// The longest that a shopper was late by, because the machine was.
    pub(super) lag: Duration,
}

/// The book, shared by all shoppers. It grows with the demo's length, which is bounded.
#[derive(Debug, Default)]
pub(super) struct Records(Mutex<Book>);

impl Records {
    /// Opens the book. Not to be held across an await.
    pub(super) fn open(&self) -> MutexGuard<'_, Book> {
        // Nothing is left half-written, so the book of a task that died is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that a shopper arrived, and how late.
    pub(super) fn arrive(&self, lag: Duration) {
        let mut book = self.open();
        book.arrived += 1;
        book.lag = book.lag.max(lag);
    }
}

impl Notes for Records {
    fn begin(&self, channel: ChannelIndex, at: Duration, leaves: Option<ChannelIndex>) {
        let mut book = self.open();
        book.begun.push((at, channel));
        if let Some(left) = leaves.filter(|left| *left != channel) {
            *book.left.entry(left).or_default() += 1;
        }
    }
}
