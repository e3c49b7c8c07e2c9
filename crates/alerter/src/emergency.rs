//! The way past the ledger: one page, sent at once, kept nowhere.
//!
//! For what cannot be written down because the ledger itself is gone. Whoever calls it decides how often: there is
//! nothing here that remembers what was said.

use std::sync::Arc;

use delivery::format::Parcel;
use delivery::judge::Verdict;
use delivery::message::{Message, Page};
use domain::clock::SharedClock;

use crate::receivers::Receivers;

/// What became of an emergency page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The receiver has it.
    Delivered,
    /// It does not, for this reason.
    Failed(String),
    /// No emergency receiver is configured.
    Nobody,
}

/// Sends pages to the emergency receiver of the configuration.
#[derive(Clone, Debug)]
pub struct Emergency {
    receivers: Arc<Receivers>,
    clock: SharedClock,
}

impl Emergency {
    /// The way to the emergency receiver among `receivers`.
    #[must_use]
    pub const fn new(receivers: Arc<Receivers>, clock: SharedClock) -> Self {
        Self { receivers, clock }
    }

    /// Tries once to tell. `id` is to be the same when the same page is tried again. Takes at most the deadline of an
    /// exchange.
    pub async fn page(&self, id: &str, page: Page) -> Told {
        let Some(sender) = self.receivers.emergency() else {
            return Told::Nobody;
        };
        let message = Message::Page(Box::new(page));
        let parcel = Parcel {
            id,
            message: &message,
            now: self.clock.now(),
            credential: None,
        };
        match sender.send(parcel).await.verdict {
            Verdict::Delivered => Told::Delivered,
            Verdict::Retry { cause, .. } | Verdict::RateLimited { cause, .. } | Verdict::Refused(cause) => {
                Told::Failed(cause.to_string())
            }
        }
    }
}
