//! The course of a payment: Route, submit, report, and what follows, to a conclusion.
//!
//! It runs in a task of its own, so that a caller who goes away in the middle of it loses nothing: the submit that is
//! under way comes to its end, what became of it is told, and an unknown outcome is found out; only nothing else is
//! submitted. While an attempt may have charged there is never another.

mod advice;
mod attempt;
mod budget;
mod lead;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use domain::clock::SharedClock;
use proto::v1;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use advice::Judge;
use budget::Budget;

use crate::channels::Channels;
use crate::conclusion::{Conclusion, NotPaid, Paid, Tried, Unsettled};
use crate::confirming::{News, Open, Waiting};
use crate::courier::{Courier, Ticket};
use crate::error::PayError;
use crate::port::Payroute;
use crate::settings::Manner;

/// What all payments of a client share.
pub(crate) struct Desk<P> {
    pub(crate) payroute: Arc<P>,
    pub(crate) courier: Courier<P>,
    pub(crate) judge: Judge,
    pub(crate) manner: Manner,
    pub(crate) clock: SharedClock,
    /// Cancelled when the client closes: what waits, stops waiting.
    pub(crate) closing: CancellationToken,
}

/// One payment on its way.
pub(crate) struct Course<P, C> {
    desk: Arc<Desk<P>>,
    channels: C,
    /// What the next Route asks.
    request: v1::RouteRequest,
    /// Cancelled when nobody waits for the end any more.
    absent: CancellationToken,
    news: mpsc::Sender<News>,
    tried: Vec<Tried>,
    /// What was told last of each channel that was tried, oldest first: their answers have the receipts.
    told: Vec<Ticket>,
}

/// Where a submit goes, and the decision behind it.
#[derive(Clone, Debug)]
struct Target {
    choice: v1::ChannelChoice,
    attempt_no: u32,
    decision: Arc<v1::RouteResponse>,
}

/// Where a payment goes on, or that it does not.
enum Lead {
    Submit(Target),
    Over(Conclusion),
}

/// What follows from an attempt.
enum After {
    Over(Conclusion),
    /// Another channel may be tried.
    Switch(Failed),
}

/// A failure without a debit.
#[derive(Clone, Debug)]
struct Failed {
    /// Since when it is known.
    at: Instant,
    message: v1::CustomerMessage,
}

impl<P: Payroute, C: Channels> Course<P, C> {
    pub(crate) fn new(
        desk: Arc<Desk<P>>,
        channels: C,
        request: v1::RouteRequest,
        absent: CancellationToken,
        news: mpsc::Sender<News>,
    ) -> Self {
        // Route may be asked twice, by a hedged call or after a lost answer: with a guard only the same name is answered
        // the same.
        let request_id = if request.request_id.is_empty() {
            desk.judge.name_a_call()
        } else {
            request.request_id
        };
        Self {
            desk,
            channels,
            request: v1::RouteRequest {
                attempt_no: request.attempt_no.max(1),
                request_id,
                ..request
            },
            absent,
            news,
            tried: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Takes the payment to its conclusion.
    pub(crate) async fn run(mut self) {
        let conclusion = self.pay().await;
        let _nobody_waits = self.news.send(News::Over(conclusion)).await;
    }

    async fn pay(&mut self) -> Result<Conclusion, PayError> {
        let mut target = match self.first_lead().await? {
            Lead::Submit(target) => target,
            Lead::Over(conclusion) => return Ok(conclusion),
        };
        let mut failed = None;
        loop {
            let failure = match self.attempt(&target, failed.as_ref()).await? {
                After::Over(conclusion) => return Ok(conclusion),
                After::Switch(failure) => failure,
            };
            match self.next_lead(&target, &failure).await {
                Lead::Submit(next) => target = next,
                Lead::Over(conclusion) => return Ok(conclusion),
            }
            failed = Some(failure);
        }
    }

    fn budget(&self, failed_at: Instant) -> Budget {
        Budget {
            failed_at,
            within: self.desk.manner.failover_within,
        }
    }

    /// Tells the caller, if there still is one, that it takes longer.
    async fn open(&self, waiting: Waiting, message: v1::CustomerMessage) {
        let open = Open {
            waiting,
            message,
            tried: self.tried.clone(),
        };
        let _nobody_waits = self.news.send(News::Open(open)).await;
    }

    fn paid(&mut self) -> Conclusion {
        let tried = std::mem::take(&mut self.tried);
        Conclusion::Paid(Paid {
            submit: tried.last().map(|last| last.submit.clone()),
            tried,
        })
    }

    fn not_paid(&mut self, message: v1::CustomerMessage, stop: bool) -> Conclusion {
        Conclusion::NotPaid(NotPaid {
            message,
            methods: Vec::new(),
            stop,
            tried: std::mem::take(&mut self.tried),
        })
    }

    fn unsettled(&mut self, message: v1::CustomerMessage) -> Conclusion {
        Conclusion::Unsettled(Unsettled {
            message,
            tried: std::mem::take(&mut self.tried),
        })
    }
}
