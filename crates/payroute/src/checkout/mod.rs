//! The shop's checkout: what a caller of Payroute does for one payment, from Route to the end.
//!
//! Route, submit to the channel that it names, report what became of it, do what the answer says; and never submit
//! again while an earlier attempt may have charged. Whatever Payroute knows of earlier attempts travels in receipts.

pub(crate) mod door;
pub(crate) mod notes;
pub(crate) mod request;
pub(crate) mod routers;

use std::sync::Arc;
use std::time::Duration;

use domain::id::{ChannelId, PaymentId};
use domain::payment::Attributes;
use proto::v1;
use simulator::live::LiveProviders;
use simulator::provider::{Answer, QueryResult, Reversal};
use simulator::world::ChannelIndex;
use tonic::Status;

use notes::{Acknowledged, Call, Doubt, End, Notes, Submit};
use request::{outcome, route_request, wait_until};
use routers::Routers;

/// An open outcome is asked for this often. Real providers want seconds, as `query_at` says; the demo has no time.
pub(crate) const QUERY_EVERY: Duration = Duration::from_millis(200);

/// This often at most; after that the attempt is taken back where the channel can do it.
const QUERIES: u32 = 20;

/// "Never heard of it" is believed when it was said this often in a row: a request may still be on its way.
const NOT_FOUND: u32 = 3;

/// The checkout for one payment.
pub(crate) struct Checkout {
    /// The connections to Payroute.
    pub(crate) payroute: Routers,
    /// The connection to the providers: a shop has its own.
    pub(crate) providers: LiveProviders,
    /// Where it is written down.
    pub(crate) notes: Arc<dyn Notes>,
    /// The payment's name at Payroute. The simulated world has names of its own, which decide what happens: a world that
    /// is played again meets the same fates under new names.
    pub(crate) name: PaymentId,
    /// The submits of this payment, oldest first.
    pub(crate) submits: Vec<Submit>,
}

/// One attempt, as it is given to a provider.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    channel: ChannelIndex,
    choice: &'a v1::ChannelChoice,
    payment: &'a Attributes,
}

/// One submit of an attempt, as Payroute knows it.
#[derive(Clone, Copy)]
struct Submitted<'a> {
    attempt: Attempt<'a>,
    attempt_id: &'a str,
}

/// What to do after an attempt, and the proof of what became of it.
struct Aftermath {
    next: v1::NextStep,
    receipt: Vec<u8>,
    /// Since when it is known.
    known_at: Duration,
}

impl Checkout {
    /// Takes one payment to its end, whatever Payroute says.
    pub(crate) async fn serve(&mut self, payment: &Attributes) -> End {
        self.pay(payment).await.unwrap_or_else(|status| {
            let (code, message) = (status.code(), status.message());
            tracing::error!(?code, "a checkout was not answered: {message}");
            End::Unrouted
        })
    }

    /// The same, over as many attempts as Payroute finds worth while.
    ///
    /// # Errors
    /// When Payroute does not answer or refuses the call.
    async fn pay(&mut self, payment: &Attributes) -> Result<End, Status> {
        let mut request = v1::RouteRequest {
            payment_id: self.name.to_string(),
            ..route_request(payment)
        };
        let mut failed_at = None;
        loop {
            let decision = self.payroute.route(&request).await?;
            let Some(choice) = &decision.channel else {
                return Ok(End::NotPaid);
            };
            let attempt = Attempt {
                channel: self.channel(&choice.channel_id)?,
                choice,
                payment,
            };
            let after = self.attempt(attempt, &decision.decision_token, failed_at).await?;
            match after.next.action() {
                v1::NextAction::None => return Ok(End::Paid),
                v1::NextAction::Switch => {
                    failed_at = Some(after.known_at);
                    request.attempt_no += 1;
                    request.exclude_channels.push(choice.channel_id.clone());
                    request.previous_attempts.push(after.receipt);
                }
                // It was queried, and still nobody knows: nothing more is submitted.
                v1::NextAction::QueryFirst => return Ok(End::Open),
                v1::NextAction::AskCustomer
                | v1::NextAction::Stop
                | v1::NextAction::RetrySame
                | v1::NextAction::Unspecified => return Ok(End::NotPaid),
            }
        }
    }

    /// One attempt: submit, report, and whatever that channel still needs: its one retry, or queries.
    async fn attempt(
        &mut self,
        attempt: Attempt<'_>,
        token: &[u8],
        mut failed_at: Option<Duration>,
    ) -> Result<Aftermath, Status> {
        let mut retry_of = Vec::new();
        let mut submits = 0;
        loop {
            let began = self.begin(attempt.channel, failed_at);
            let answer = self.submit(attempt).await;
            let known_at = self.providers.pace().now();
            submits += 1;
            let attempt_id = format!("{}-{submits}", attempt.choice.attempt_key);
            let report = v1::ReportOutcomeRequest {
                decision_token: token.to_vec(),
                attempt_id: attempt_id.clone(),
                channel_id: attempt.choice.channel_id.clone(),
                latency_ms: millis(known_at.saturating_sub(began)),
                retry_of,
                ..outcome(answer.as_ref())
            };
            let submitted = Submitted {
                attempt,
                attempt_id: &attempt_id,
            };
            let said = self.report(submitted, &report).await?;
            let next = said.next.unwrap_or_default();
            match next.action() {
                v1::NextAction::RetrySame => {
                    wait_until(next.not_before.as_ref()).await;
                    failed_at = Some(known_at);
                    retry_of = said.receipt;
                }
                v1::NextAction::QueryFirst => return self.settle(submitted, &next, said.receipt).await,
                v1::NextAction::None
                | v1::NextAction::Switch
                | v1::NextAction::AskCustomer
                | v1::NextAction::Stop
                | v1::NextAction::Unspecified => {
                    return Ok(Aftermath {
                        next,
                        receipt: said.receipt,
                        known_at,
                    });
                }
            }
        }
    }

    /// Tells what became of a submit.
    async fn report(
        &self,
        submitted: Submitted<'_>,
        report: &v1::ReportOutcomeRequest,
    ) -> Result<v1::ReportOutcomeResponse, Status> {
        self.notes.tell();
        let said = self.payroute.report(report).await?;
        self.acknowledge(submitted, Call::Report, (&said.state, said.duplicate));
        Ok(said)
    }

    /// Tells what is known now of a submit that was open.
    async fn resolve(
        &self,
        submitted: Submitted<'_>,
        request: &v1::ResolveAttemptRequest,
    ) -> Result<v1::ResolveAttemptResponse, Status> {
        self.notes.tell();
        let said = self.payroute.resolve(request).await?;
        self.acknowledge(submitted, Call::Resolve, (&said.state, said.duplicate));
        Ok(said)
    }

    /// Writes down that Payroute has a submit in `state`, and whether it had it there before.
    fn acknowledge(&self, submitted: Submitted<'_>, call: Call, (state, duplicate): (&str, bool)) {
        self.notes.acknowledge(&Acknowledged {
            merchant: &submitted.attempt.payment.merchant,
            payment: &self.name,
            attempt_id: submitted.attempt_id,
            channel: &submitted.attempt.choice.channel_id,
            state,
            duplicate,
            call,
        });
    }

    /// Submits, and waits for as long as the decision says. The caller's own time limit decides; `None` is silence,
    /// and silence says nothing about the money.
    async fn submit(&self, attempt: Attempt<'_>) -> Option<Answer> {
        let limit = Duration::from_millis(u64::from(attempt.choice.timeout_ms));
        let key = &attempt.choice.attempt_key;
        let answer = self.providers.submit(attempt.channel, key, attempt.payment);
        tokio::time::timeout(limit, answer).await.ok()
    }

    /// Finds out what became of an attempt that may have charged, and tells Payroute.
    async fn settle(
        &mut self,
        submitted: Submitted<'_>,
        plan: &v1::NextStep,
        receipt: Vec<u8>,
    ) -> Result<Aftermath, Status> {
        let attempt = submitted.attempt;
        let mut doubt = self.query(attempt).await;
        let mut source = v1::ResolutionSource::Query;
        let mut resolution = match doubt {
            Doubt::Paid => v1::Resolution::Succeeded,
            Doubt::NotPaid => v1::Resolution::NotProcessed,
            Doubt::TakenBack => v1::Resolution::Reversed,
            Doubt::Open => v1::Resolution::StillUnknown,
        };
        // Without this time the channel cannot take an attempt back.
        if doubt == Doubt::Open && plan.reverse_not_before.is_some() {
            resolution = self.reverse(attempt).await;
            source = v1::ResolutionSource::Reversal;
            doubt = Doubt::TakenBack;
        }
        if let Some(submit) = self.submits.last_mut() {
            submit.doubt = Some(doubt);
        }
        let known_at = self.providers.pace().now();
        let request = v1::ResolveAttemptRequest {
            receipt,
            resolution: resolution.into(),
            source: source.into(),
            ..v1::ResolveAttemptRequest::default()
        };
        let said = self.resolve(submitted, &request).await?;
        Ok(Aftermath {
            next: said.next.unwrap_or_default(),
            receipt: said.receipt,
            known_at,
        })
    }

    /// Asks the provider until it knows, or patience is over.
    async fn query(&self, attempt: Attempt<'_>) -> Doubt {
        let mut not_found = 0;
        for _ in 0..QUERIES {
            tokio::time::sleep(QUERY_EVERY).await;
            let found = self.providers.query(attempt.channel, &attempt.choice.attempt_key);
            match found.await {
                QueryResult::Paid => return Doubt::Paid,
                QueryResult::NotPaid => return Doubt::NotPaid,
                QueryResult::Processing => not_found = 0,
                QueryResult::NotFound => not_found += 1,
            }
            if not_found == NOT_FOUND {
                return Doubt::NotPaid;
            }
        }
        Doubt::Open
    }

    /// Takes the attempt back: after this no money is held for it, and none will be.
    async fn reverse(&self, attempt: Attempt<'_>) -> v1::Resolution {
        let key = &attempt.choice.attempt_key;
        let reversal = self.providers.reverse(attempt.channel, key, attempt.payment);
        match reversal.await {
            Reversal::Reversed => v1::Resolution::Reversed,
            Reversal::NothingToReverse => v1::Resolution::Closed,
        }
    }

    /// Writes down that a submit begins, after a failure that is known since `failed_at`; when it began.
    fn begin(&mut self, channel: ChannelIndex, failed_at: Option<Duration>) -> Duration {
        let at = self.providers.pace().now();
        let submit = Submit {
            channel,
            at,
            failover: failed_at.map(|failed_at| at.saturating_sub(failed_at)),
            doubt: None,
        };
        let leaves = self.submits.last().map(|before| before.channel);
        self.notes.begin(&submit, leaves);
        self.submits.push(submit);
        at
    }

    fn channel(&self, id: &str) -> Result<ChannelIndex, Status> {
        let id = ChannelId::new(id).ok();
        let index = id.and_then(|id| self.providers.world().index_of(&id));
        index.ok_or_else(|| Status::internal("Payroute chose a channel that this shop does not have"))
    }
}

/// Whole milliseconds, as the wire counts them.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
