//! What the courier carries, and the ticket by which its answer is waited for.

use std::sync::Arc;

use proto::v1;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::entry::Entry;
use crate::observer::{Call, Subject};

/// An outcome on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    /// Its number in the journal.
    pub(super) seq: u64,
    pub(super) subject: Subject,
    pub(super) content: Content,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Report(Box<v1::ReportOutcomeRequest>),
    Resolve(Box<v1::ResolveAttemptRequest>),
}

/// What came of a letter.
#[derive(Debug)]
pub(crate) enum Delivered {
    /// The answer to a report.
    Report(v1::ReportOutcomeResponse),
    /// The answer to a resolution.
    Resolve(v1::ResolveAttemptResponse),
    /// Payroute does not take it.
    Refused(Status),
    /// The client was closed before.
    GivenUp,
}

impl Delivered {
    /// The receipt of the attempt, when there is one.
    pub(crate) fn receipt(&self) -> Option<&[u8]> {
        match self {
            Self::Report(answer) => Some(&answer.receipt),
            Self::Resolve(answer) => Some(&answer.receipt),
            Self::Refused(_) | Self::GivenUp => None,
        }
    }
}

impl Letter {
    pub(super) const fn call(&self) -> Call {
        match self.content {
            Content::Report(_) => Call::Report,
            Content::Resolve(_) => Call::Resolve,
        }
    }

    /// As the journal has it; `after` is the number of the letter whose answer it waits for.
    pub(super) fn to_entry(&self, after: u64) -> Entry {
        let subject = self.subject.clone();
        let (report, resolve) = match &self.content {
            Content::Report(report) => (Some((**report).clone()), None),
            Content::Resolve(resolve) => (None, Some((**resolve).clone())),
        };
        Entry {
            seq: self.seq,
            after,
            done: false,
            merchant_id: subject.merchant_id,
            payment_id: subject.payment_id,
            attempt_id: subject.attempt_id,
            channel_id: subject.channel_id,
            report,
            resolve,
        }
    }

    /// From the journal; `None` when the entry carries nothing.
    pub(super) fn from_entry(entry: Entry) -> Option<Self> {
        let content = match (entry.report, entry.resolve) {
            (Some(report), _) => Content::Report(Box::new(report)),
            (None, Some(resolve)) => Content::Resolve(Box::new(resolve)),
            (None, None) => return None,
        };
        Some(Self {
            seq: entry.seq,
            subject: Subject {
                merchant_id: entry.merchant_id,
                payment_id: entry.payment_id,
                attempt_id: entry.attempt_id,
                channel_id: entry.channel_id,
            },
            content,
        })
    }
}

/// What to wait with for the answer to a letter. Waiting or not changes nothing about its delivery.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(super) seq: u64,
    answered: watch::Receiver<Option<Arc<Delivered>>>,
}

impl Ticket {
    pub(super) const fn new(seq: u64, answered: watch::Receiver<Option<Arc<Delivered>>>) -> Self {
        Self { seq, answered }
    }

    /// What came of it.
    pub(crate) async fn delivered(&mut self) -> Arc<Delivered> {
        let answered = self.answered.wait_for(Option::is_some).await;
        let delivered = answered.ok().and_then(|delivered| delivered.clone());
        delivered.unwrap_or_else(|| Arc::new(Delivered::GivenUp))
    }

    /// What came of it by `until`; `None` when nothing did yet.
    pub(crate) async fn delivered_by(&mut self, until: Instant) -> Option<Arc<Delivered>> {
        timeout_at(until, self.delivered()).await.ok()
    }
}
