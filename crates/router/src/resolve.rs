//! `ResolveAttempt`: what a query, a reversal or a late notice said of an attempt that was open.

use domain::attempt::{Claim, Event, QueryPlan, Source, Standing, State, next};
use domain::catalogue::{Advice, Certainty, Failure, FailureKind, FailureReport, Reason};
use domain::channel::Capabilities;
use domain::money::Money;
use domain::notice::Contact;
use domain::outcome::OutcomeClass;
use domain::report::{Resolution, ResolutionReport, ResolutionSource};
use jiff::{SignedDuration, Timestamp};
use ledger::NewDelivery;
use ledger::attempt::{AttemptRecord, Resolved};
use proto::claims::{DecisionClaims, ReceiptClaims};
use proto::resolve::ResolveQuery;
use proto::v1;

use crate::claims::DecisionProof;
use crate::error::CallError;
use crate::notice::{Change, answer_goes_on};
use crate::routing::Routing;
use crate::speech;

/// How often a change is tried again when somebody else changes the same attempt at the same moment. Every loss means
/// that the attempt moved on, and it has only so far to go.
const TRIES: usize = 8;

/// For how long after its decision a report may be expected to wait in a spool.
const SPOOLED_FOR: SignedDuration = SignedDuration::from_hours(24 * 7);

/// The attempt after a resolution.
struct Settled {
    record: AttemptRecord,
    state: State,
    changed: bool,
}

impl Routing {
    /// Answers `ResolveAttempt`. What it answers is durable.
    ///
    /// # Errors
    /// When the request is invalid, the receipt was not issued here, the attempt is not known, its state does not allow
    /// what is said, or the ledger does not take it.
    pub async fn resolve(
        &self,
        request: v1::ResolveAttemptRequest,
    ) -> Result<v1::ResolveAttemptResponse, CallError> {
        let ResolveQuery {
            receipt,
            report,
            contact,
        } = ResolveQuery::try_from(request)?;
        let field = "receipt";
        let claims = self.keyring.open_receipt(&receipt);
        let claims = claims.map_err(|source| CallError::BadToken { field, source })?;
        let decided = DecisionProof::read(
            claims.decision.as_ref().unwrap_or(&DecisionClaims::default()),
            field,
        )?;
        let now = self.clock.now();
        let settled = self.settle(&decided, &claims, (&report, &contact), now).await?;
        if settled.changed {
            self.count(&settled);
        } else {
            self.answered(&settled, &report, now).await;
        }
        Ok(self.resolved(&decided, claims, &report, settled))
    }

    /// Moves the attempt on, from whatever state it is in by now.
    async fn settle(
        &self,
        decided: &DecisionProof,
        claims: &ReceiptClaims,
        (report, contact): (&ResolutionReport, &Contact),
        now: Timestamp,
    ) -> Result<Settled, CallError> {
        let unknown = || CallError::Unknown {
            what: "attempt",
            id: claims.attempt_id.clone(),
        };
        let attempt = claims.attempt_id.parse().map_err(|_| unknown())?;
        for _ in 0..TRIES {
            let asked = self.ledger.attempt(&decided.merchant, &attempt);
            let record = self.look_up(asked).await?;
            let record = record.ok_or_else(|| pending(decided, claims, now).unwrap_or_else(unknown))?;
            let current = State::from_name(&record.verdict.state)
                .ok_or_else(|| refused(&record, "is not a known state"))?;
            let state =
                next(current, event(report)).map_err(|problem| refused(&record, &problem.to_string()))?;
            if state == current {
                return Ok(Settled {
                    record,
                    state,
                    changed: false,
                });
            }
            let resolution = ledger::attempt::Resolution {
                merchant: decided.merchant.clone(),
                attempt: attempt.clone(),
                from_state: current.as_str().to_owned(),
                to_state: state.as_str().to_owned(),
                class: class_of(state),
                source: source_name(report.source).to_owned(),
                content: content(report, decided.amount),
                at: now,
                notices: self.late_news(decided, (&record, state), (report, contact), now),
            };
            match self.writer.resolve(resolution).await? {
                Resolved::Applied => {
                    return Ok(Settled {
                        record,
                        state,
                        changed: true,
                    });
                }
                // Somebody else was faster: look again.
                Resolved::Stale { .. } => {}
                Resolved::UnknownAttempt => return Err(unknown()),
            }
        }
        Err(CallError::Backlog)
    }

    /// What the customer is told of an attempt that comes to `state`.
    fn late_news(
        &self,
        decided: &DecisionProof,
        (record, state): (&AttemptRecord, State),
        (report, contact): (&ResolutionReport, &Contact),
        now: Timestamp,
    ) -> Vec<NewDelivery> {
        let Some(before) = State::from_name(&record.verdict.state) else {
            return Vec::new();
        };
        let failure = self.failure(report, record, state);
        let reported = record.verdict.reason.as_deref().and_then(Reason::from_name);
        let change = Change {
            attempt: record,
            states: (before, state),
            more_is_tried: answer_goes_on(&self.after(decided, record, state, failure.as_ref())),
            reason: failure.map(|failure| failure.reason).or(reported),
            locale: decided.locale(report.locale.as_deref()),
            at: now,
        };
        self.teller.notices(&change, contact)
    }

    /// Takes back the request that was answered with nothing new. When that fails, it is handed out once more.
    async fn answered(&self, settled: &Settled, report: &ResolutionReport, now: Timestamp) {
        let AttemptRecord {
            merchant, attempt, ..
        } = &settled.record;
        let is_over =
            settled.state.standing() == Standing::NoDebit && report.resolution != Resolution::StillUnknown;
        if let Err(error) = self.cases.answered(merchant, attempt, is_over, now).await {
            tracing::debug!(%error, "a request that was answered stays out: {error}");
        }
    }

    /// Tells the statistics what is known better now: an outcome where there was none, or a success that was taken
    /// for something else.
    fn count(&self, settled: &Settled) {
        let Some(news) = settled.record.news(class_of(settled.state)) else {
            return;
        };
        // When there is no room, the correction is missing until the next start reads it from the ledger.
        if self.outcomes.publish(news).is_err() {
            tracing::warn!("a late outcome is missing in the statistics: the stream is full");
        }
    }

    fn resolved(
        &self,
        decided: &DecisionProof,
        claims: ReceiptClaims,
        report: &ResolutionReport,
        settled: Settled,
    ) -> v1::ResolveAttemptResponse {
        let Settled {
            record,
            state,
            changed,
        } = settled;
        let failure = self.failure(report, &record, state);
        let locale = decided.locale(report.locale.as_deref());
        let never_again = failure
            .as_ref()
            .is_some_and(|failure| failure.never_same_credential);
        let receipt = ReceiptClaims {
            state: state.as_str().to_owned(),
            side: failure
                .as_ref()
                .map_or(claims.side.clone(), |failure| failure.side.as_str().to_owned()),
            never_same_credential: claims.never_same_credential || never_again,
            ..claims
        };
        v1::ResolveAttemptResponse {
            duplicate: !changed,
            state: state.as_str().to_owned(),
            next: Some(self.after(decided, &record, state, failure.as_ref())),
            customer_message: self.message(&record, state, failure.as_ref(), locale),
            receipt: self.keyring.seal_receipt(&receipt),
        }
    }

    /// What the code of a definite refusal means; `None` when there is no code, or nothing was refused.
    fn failure(&self, report: &ResolutionReport, record: &AttemptRecord, state: State) -> Option<Failure> {
        let code = report.code.as_deref().filter(|_| state == State::Declined)?;
        let failure = self.catalogue.load().classify(&FailureReport {
            code: Some(code),
            ..FailureReport::new(&record.report.provider, FailureKind::Declined)
        });
        (failure.certainty != Certainty::Unknown).then_some(failure)
    }

    /// What the caller does about an attempt that is in `state` by now.
    pub(crate) fn after(
        &self,
        decided: &DecisionProof,
        record: &AttemptRecord,
        state: State,
        failure: Option<&Failure>,
    ) -> v1::NextStep {
        let shop = self.shop.load();
        let channel = shop
            .channels
            .index_of(record.channel.as_str())
            .and_then(|index| shop.channels.get(index));
        if state.was_charged() {
            return speech::plain(v1::NextAction::None);
        }
        if state.standing() == Standing::Blocking {
            let catalogue = self.catalogue.load();
            let profile = catalogue.profile(channel.map_or("", |channel| channel.provider.as_str()));
            let asked = Capabilities {
                query: true,
                ..Capabilities::default()
            };
            let capabilities = channel.map_or(asked, |channel| channel.capabilities);
            let now = self.clock.now();
            return speech::query(&match state {
                State::AwaitingCustomer => QueryPlan::for_waiting_customer(&profile, capabilities, now),
                _ => QueryPlan::for_lost_result(&profile, capabilities, now),
            });
        }
        if !decided.order_is_open(self.clock.now()) {
            return speech::plain(v1::NextAction::Stop);
        }
        let other = decided.after(&record.channel);
        let advice = failure.map(|failure| failure.advice);
        match (advice, other) {
            (Some(Advice::Stop), _) => speech::plain(v1::NextAction::Stop),
            (Some(Advice::AskCustomer), _) | (_, None) => speech::plain(v1::NextAction::AskCustomer),
            // A refusal without a code says nothing about another channel, and an order that expired unpaid is the
            // customer's own doing: both are for the customer to go on with.
            (None, _) if matches!(state, State::Declined | State::Closed) => {
                speech::plain(v1::NextAction::AskCustomer)
            }
            (_, Some(channel)) => v1::NextStep {
                channel: channel.to_owned(),
                ..speech::plain(v1::NextAction::Switch)
            },
        }
    }

    /// What to tell the customer of an attempt that is in `state` by now; `None` when it was paid.
    pub(crate) fn message(
        &self,
        record: &AttemptRecord,
        state: State,
        failure: Option<&Failure>,
        locale: &str,
    ) -> Option<v1::CustomerMessage> {
        if state.was_charged() {
            return None;
        }
        if let Some(failure) = failure {
            return Some(speech::message(
                &self.catalogue.load(),
                failure,
                &record.report.provider,
                locale,
            ));
        }
        let (reason, certainty) = match state {
            State::Declined => (Reason::DeclinedGeneric, Certainty::Declined),
            state if state.standing() == Standing::NoDebit => {
                (Reason::ProviderUnavailable, Certainty::NotProcessed)
            }
            _ => (Reason::ProviderTimeout, Certainty::Unknown),
        };
        Some(speech::message_for(
            &self.catalogue.load(),
            reason,
            certainty,
            locale,
        ))
    }
}

/// A receipt proves that the report was acknowledged, so an attempt that is not in the ledger waits in the spool of the
/// router that took it. `None` when that is so long ago that it is not believed any more.
fn pending(decided: &DecisionProof, claims: &ReceiptClaims, now: Timestamp) -> Option<CallError> {
    (now.duration_since(decided.decided_at) < SPOOLED_FOR).then(|| CallError::Pending {
        attempt: claims.attempt_id.clone(),
    })
}

fn refused(record: &AttemptRecord, problem: &str) -> CallError {
    CallError::Refused {
        attempt: record.attempt.to_string(),
        state: record.verdict.state.clone(),
        problem: problem.to_owned(),
    }
}

/// What an attempt that had no outcome counts as, now that it has one.
const fn class_of(state: State) -> Option<OutcomeClass> {
    match state {
        State::Declined => Some(OutcomeClass::Refusal),
        state if state.was_charged() => Some(OutcomeClass::Success),
        _ => None,
    }
}

const fn event(report: &ResolutionReport) -> Event {
    let source = match report.source {
        // The answer to a reversal or a refund is an answer to a question of ours.
        ResolutionSource::Query | ResolutionSource::Reversal | ResolutionSource::Refund => Source::Query,
        ResolutionSource::Notice => Source::Notice,
        ResolutionSource::Settlement => Source::Settlement,
        ResolutionSource::Operator => Source::Operator,
    };
    match report.resolution {
        Resolution::Succeeded => Event::Said(Claim::Paid, source),
        Resolution::Declined => Event::Said(Claim::Declined, source),
        Resolution::NotProcessed => Event::Said(Claim::NotProcessed, source),
        Resolution::Reversed => Event::ReversalAccepted,
        Resolution::Closed => Event::Said(Claim::Closed, source),
        Resolution::StillUnknown => Event::Said(Claim::Unclear, source),
        Resolution::Refunded => Event::RefundDone,
        Resolution::RefundFailed => Event::RefundsSpent,
        Resolution::ReversalRefused => Event::ReversalRefused,
    }
}

const fn source_name(source: ResolutionSource) -> &'static str {
    match source {
        ResolutionSource::Query => "query",
        ResolutionSource::Notice => "notice",
        ResolutionSource::Reversal => "reversal",
        ResolutionSource::Settlement => "settlement",
        ResolutionSource::Operator => "operator",
        ResolutionSource::Refund => "refund",
    }
}

fn content(report: &ResolutionReport, payment: Money) -> serde_json::Value {
    let mut content = serde_json::json!({
        "code": report.code,
        "provider_reference": report.provider_reference,
        "message": report.message,
    });
    if report.charged_minor.is_some() || report.charged_currency.is_some() {
        let currency = report.charged_currency.unwrap_or(payment.currency());
        let charged = serde_json::json!({
            "amount_minor": report.charged_minor.unwrap_or(payment.minor()),
            "currency": currency.code(),
        });
        if let Some(content) = content.as_object_mut() {
            content.insert("charged".to_owned(), charged);
        }
    }
    content
}
