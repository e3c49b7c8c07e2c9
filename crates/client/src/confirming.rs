//! A payment that goes on: how its news come to the caller, and what letting go of it means.

use std::time::Duration;

use proto::v1;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use crate::conclusion::{Conclusion, Tried};
use crate::error::PayError;

/// Why a payment is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A submit may have charged; the provider is being asked.
    ForTheProvider,
    /// The customer has something to pay, or a password to enter.
    ForTheCustomer,
    /// Another caller's attempt at the same payment is under way.
    ForAnotherCaller,
}

/// News of a payment under way.
#[derive(Debug)]
pub(crate) enum News {
    /// It is not over soon.
    Open(Open),
    /// It is over.
    Over(Result<Conclusion, PayError>),
}

/// A payment that is not over soon.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) waiting: Waiting,
    pub(crate) message: v1::CustomerMessage,
    pub(crate) tried: Vec<Tried>,
}

/// A payment whose outcome is being found out, in the background. Show the customer [`Confirming::message`], and wait for the
/// end with [`Confirming::settled`].
///
/// Dropping it means that nobody waits any more: what may have charged is still found out and told to Payroute, but
/// nothing else is submitted.
#[derive(Debug)]
pub struct Confirming {
    open: Open,
    news: Ear,
}

impl Confirming {
    /// What is waited for.
    #[must_use]
    pub const fn waiting(&self) -> Waiting {
        self.open.waiting
    }

    /// What to tell the customer, in the customer's language: that it is being confirmed, never to pay again.
    #[must_use]
    pub const fn message(&self) -> &v1::CustomerMessage {
        &self.open.message
    }

    /// Every submit so far, oldest first.
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        &self.open.tried
    }

    /// Waits until the payment is over. When the open attempt turns out not to have charged, the payment goes on with
    /// the next channel, if that is the advice.
    ///
    /// # Errors
    /// As for [`Client::pay`](crate::Client::pay).
    pub async fn settled(mut self) -> Result<Conclusion, PayError> {
        loop {
            if let News::Over(conclusion) = self.news.hear().await {
                return conclusion;
            }
        }
    }

    /// The same, for at most `time`: then it is still confirming.
    ///
    /// # Errors
    /// As for [`Client::pay`](crate::Client::pay).
    pub async fn settled_within(mut self, time: Duration) -> Result<Conclusion, PayError> {
        let over = tokio::time::timeout(time, async {
            loop {
                match self.news.hear().await {
                    News::Open(open) => self.open = open,
                    News::Over(conclusion) => return conclusion,
                }
            }
        });
        match over.await {
            Ok(conclusion) => conclusion,
            Err(_) => Ok(Conclusion::Confirming(self)),
        }
    }
}

/// The caller's end of a payment under way. Dropping it tells the payment that nobody waits any more.
#[derive(Debug)]
pub(crate) struct Ear {
    news: mpsc::Receiver<News>,
    _present: DropGuard,
}

impl Ear {
    pub(crate) const fn new(news: mpsc::Receiver<News>, present: DropGuard) -> Self {
        Self {
            news,
            _present: present,
        }
    }

    /// The end of the payment, or that it is confirming: after `patience` when the provider is waited for, at once when
    /// the customer is, who needs to see what is to be paid.
    pub(crate) async fn conclusion(mut self, patience: Duration) -> Result<Conclusion, PayError> {
        match self.hear().await {
            News::Over(conclusion) => conclusion,
            News::Open(open) => {
                let patience = match open.waiting {
                    Waiting::ForTheProvider | Waiting::ForAnotherCaller => patience,
                    Waiting::ForTheCustomer => Duration::ZERO,
                };
                let confirming = Confirming { open, news: self };
                confirming.settled_within(patience).await
            }
        }
    }

    async fn hear(&mut self) -> News {
        let news = self.news.recv().await;
        news.unwrap_or(News::Over(Err(PayError::Broken)))
    }
}
