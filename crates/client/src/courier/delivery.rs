//! The delivery of one letter, from the journal to the acknowledgement.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{SemaphorePermit, watch};
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::backoff::Backoff;
use super::letter::{Content, Delivered, Letter, Ticket};
use super::{Office, Slot};
use crate::observer::{Acknowledged, Call};
use crate::port::{Payroute, may_pass};

/// A letter that is being delivered.
pub(super) struct Delivery<P> {
    pub(super) office: Arc<Office<P>>,
    pub(super) letter: Letter,
    /// What was told of the payment before.
    pub(super) after: Option<Ticket>,
    /// Whether the journal has it as it is.
    pub(super) is_kept: bool,
    pub(super) answered: watch::Sender<Option<Arc<Delivered>>>,
    /// Room for the attempt, until it is delivered.
    pub(super) _slot: Option<Slot>,
}

impl<P: Payroute> Delivery<P> {
    /// Delivers it, however long that takes.
    pub(super) async fn run(mut self) {
        let stop = self.office.stop.clone();
        let delivered = tokio::select! {
            delivered = self.deliver() => delivered,
            () = stop.cancelled() => Delivered::GivenUp,
        };
        if !matches!(delivered, Delivered::GivenUp) {
            self.office.undelivered.fetch_sub(1, Ordering::Relaxed);
            if let Some(journal) = &self.office.journal {
                journal.done(self.letter.seq).await;
            }
        }
        self.answered.send_replace(Some(Arc::new(delivered)));
    }

    async fn deliver(&mut self) -> Delivered {
        if !self.is_kept {
            self.keep().await;
        }
        if let Some(mut after) = self.after.take() {
            let before = after.delivered().await;
            if matches!(*before, Delivered::GivenUp) {
                return Delivered::GivenUp;
            }
            if !self.complete(&before).await {
                return Delivered::Refused(Status::failed_precondition("the report before it was refused"));
            }
        }
        self.office
            .observer
            .told(&self.letter.subject, self.letter.call());
        let delivered = self.tell().await;
        self.note(&delivered);
        delivered
    }

    /// Fills in the receipt that the letter before was answered with. Says whether there is one.
    async fn complete(&mut self, before: &Delivered) -> bool {
        let Content::Resolve(request) = &mut self.letter.content else {
            return true;
        };
        if !request.receipt.is_empty() {
            return true;
        }
        let Some(receipt) = before.receipt() else {
            return false;
        };
        request.receipt = receipt.to_vec();
        self.keep().await;
        true
    }

    async fn keep(&self) {
        let Some(journal) = &self.office.journal else {
            return;
        };
        let after = self.after.as_ref().map_or(0, |after| after.seq);
        if let Err(error) = journal.append(self.letter.to_entry(after)).await {
            let attempt = &self.letter.subject.attempt_id;
            tracing::error!(%error, attempt, "the outcome of {attempt} is not in the journal: {error}");
        }
    }

    /// Tells it until it is acknowledged or refused.
    async fn tell(&self) -> Delivered {
        let office = &self.office;
        let mut backoff = Backoff::default();
        // The first time at once, because somebody may be waiting; then in line.
        let mut place: Option<SemaphorePermit<'_>> = None;
        loop {
            let status = match self.tell_once().await {
                Ok(delivered) => return delivered,
                Err(status) => status,
            };
            if is_final(&status, self.letter.call()) {
                return Delivered::Refused(status);
            }
            if place.is_none() {
                place = office.line.acquire().await.ok();
            }
            let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let pause = backoff.pause(asked, &mut *office.rng.lock());
            sleep(pause).await;
        }
    }

    async fn tell_once(&self) -> Result<Delivered, Status> {
        let payroute = &self.office.payroute;
        match &self.letter.content {
            Content::Report(request) => payroute.report(request).await.map(Delivered::Report),
            Content::Resolve(request) => payroute.resolve(request).await.map(Delivered::Resolve),
        }
    }

    fn note(&self, delivered: &Delivered) {
        let (subject, call) = (&self.letter.subject, self.letter.call());
        let (state, duplicate) = match delivered {
            Delivered::Report(answer) => (&answer.state, answer.duplicate),
            Delivered::Resolve(answer) => (&answer.state, answer.duplicate),
            Delivered::Refused(status) => {
                let (attempt, code, message) = (&subject.attempt_id, status.code(), status.message());
                tracing::error!(attempt, ?code, "an outcome of {attempt} was refused: {message}");
                self.office.observer.refused(subject, call, status);
                return;
            }
            Delivered::GivenUp => return,
        };
        self.office.observer.acknowledged(&Acknowledged {
            subject,
            state,
            duplicate,
            call,
        });
    }
}

/// Whether telling it again is no use. A caller whose token is not taken is told about in the logs of both ends and is
/// patient: tokens are exchanged, outcomes are not.
fn is_final(status: &Status, call: Call) -> bool {
    if may_pass(status) {
        return false;
    }
    match status.code() {
        Code::Unauthenticated => false,
        // It was acknowledged before, so a router that does not know it will: it may be in its spool.
        Code::NotFound => call == Call::Report,
        _ => true,
    }
}
