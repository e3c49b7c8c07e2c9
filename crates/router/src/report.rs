//! `ReportOutcome`: from a report to what it means, kept before it is answered.

use domain::attempt::payment::{Slot, Submit};
use domain::attempt::{self, Claim, Event, NextStep, QueryPlan, Situation, Source, State, next_step};
use domain::brain;
use domain::catalogue::{Certainty, Failure, FailureKind, FailureReport};
use domain::channel::{Capabilities, Channel};
use domain::compensation::{self, Cause, Facts, Next, is_open};
use domain::decision::attempt_key;
use domain::id::AccountId;
use domain::network_retry::Tried;
use domain::notice::Contact;
use domain::outcome::OutcomeClass;
use domain::payment::Stage;
use domain::report::{OutcomeReport, Reported};
use jiff::{SignedDuration, Timestamp};
use ledger::NewDelivery;
use ledger::attempt::{AttemptRecord, Recorded, Report, Segment, Verdict};
use ledger::compensation::Opening;
use ledger::guard::{Registered, Registration};
use metrics::counter;
use prost::Message as _;
use proto::claims::{DecisionClaims, ReceiptClaims};
use proto::outcome::OutcomeQuery;
use proto::v1;
use sha2::{Digest, Sha256};
use telemetry::metric;

use crate::claims::DecisionProof;
use crate::error::CallError;
use crate::guarded::due;
use crate::notice::{Change, goes_on};
use crate::routing::Routing;
use crate::speech;

/// How many outcomes may be between the ledger's queue and the stream: more than the ledger takes at once.
const ON_THE_WAY: usize = 8_192;
/// How long the history of a credential is waited for. The report is kept either way.
const HISTORY_WITHIN: std::time::Duration = std::time::Duration::from_millis(300);
/// What a channel that left the configuration can do, as far as anybody knows: be asked.
const ASKED: Capabilities = Capabilities {
    idempotent: false,
    query: true,
    reversal: false,
    authorize: false,
};

/// A report whose token is good.
struct Verified {
    claims: DecisionClaims,
    decided: DecisionProof,
    account: Option<AccountId>,
    /// How many channels of the decision come after the reported one.
    fallbacks: usize,
    retries: u32,
}

/// What a report was judged to be.
struct Judged {
    state: State,
    failure: Option<Failure>,
    class: Option<OutcomeClass>,
    note: String,
}

/// A report, verified and judged.
struct Case<'c> {
    verified: &'c Verified,
    report: &'c OutcomeReport,
    judged: &'c Judged,
    /// Whose code it is.
    provider: &'c str,
}

impl Routing {
    /// Answers `ReportOutcome`. What it answers is durable, in the ledger or in the spool; which of them, the caller
    /// need not know.
    ///
    /// # Errors
    /// When the request is invalid, the token is not good for it, another content was reported before, or the ledger
    /// does not take it; nothing was kept then.
    pub async fn report(
        &self,
        request: v1::ReportOutcomeRequest,
        trace_id: Option<String>,
    ) -> Result<v1::ReportOutcomeResponse, CallError> {
        let digest = digest(&request);
        let OutcomeQuery {
            token,
            retry_of,
            report,
            contact,
        } = OutcomeQuery::try_from(request)?;
        let now = self.clock.now();
        let verified = self.verify(&token, &retry_of, &report, now)?;
        let shop = self.shop.load_full();
        let channel = shop
            .channels
            .index_of(report.channel.as_str())
            .and_then(|index| shop.channels.get(index));
        let provider = provider(&report, channel);
        let mut judged = self.judge(&report, &verified, provider);
        if let Some(failure) = &mut judged.failure {
            self.keep_to_networks(&verified.decided, &report, failure, now)
                .await;
        }
        if !self.outcomes.has_room(ON_THE_WAY) {
            return Err(CallError::Backlog);
        }
        let case = Case {
            verified: &verified,
            report: &report,
            judged: &judged,
            provider,
        };
        let step = self.next_step(&case, channel, now);
        let mut record = AttemptRecord {
            digest,
            trace_id,
            case: self.opening(&case, channel, now),
            ..record(&case, now)
        };
        record.notices = self.news(&record, &case, &step, &contact);
        let key = attempt_key(&record.merchant, &record.payment, record.attempt_no);
        let waits = record.verdict.class.is_none();
        self.live.with_brain(|brain| brain.heard(key));
        let kept = match self.writer.record(record).await? {
            Recorded::New => {
                if waits {
                    self.live.with_brain(|brain| brain.dismiss(key));
                }
                None
            }
            Recorded::Duplicate(kept) => {
                counter!(metric::DUPLICATES).increment(1);
                Some(kept)
            }
            Recorded::Conflict => {
                return Err(CallError::Conflict {
                    attempt: report.attempt.to_string(),
                });
            }
        };
        let step = self.register_retry(&case, channel, step, now).await;
        let answer = self.answer(&case, &step);
        Ok(match kept {
            Some(kept) => self.as_known_by_now(answer, &case, &kept),
            None => answer,
        })
    }

    /// What the customer is told of what was reported, with `step` to follow.
    fn news(
        &self,
        record: &AttemptRecord,
        case: &Case<'_>,
        step: &NextStep,
        contact: &Contact,
    ) -> Vec<NewDelivery> {
        let change = Change {
            attempt: record,
            states: (State::Submitted, case.judged.state),
            more_is_tried: goes_on(step),
            reason: case.judged.failure.as_ref().map(|failure| failure.reason),
            locale: case.verified.decided.locale(case.report.locale.as_deref()),
            at: record.received_at,
        };
        self.teller.notices(&change, contact)
    }

    fn verify(
        &self,
        token: &[u8],
        retry_of: &[u8],
        report: &OutcomeReport,
        now: Timestamp,
    ) -> Result<Verified, CallError> {
        let field = "decision_token";
        let claims = self.keyring.open_decision(token);
        let claims = claims.map_err(|source| CallError::BadToken { field, source })?;
        let decided = DecisionProof::read(&claims, field)?;
        if decided.expires_at <= now {
            return Err(CallError::Expired);
        }
        let what = "channel";
        let (account, fallbacks) = decided
            .target(&report.channel)
            .ok_or(CallError::Mismatch { field, what })?;
        let retries = if retry_of.is_empty() {
            0
        } else {
            self.retries(retry_of, &claims)?
        };
        Ok(Verified {
            claims,
            decided,
            account,
            fallbacks,
            retries,
        })
    }

    /// How often the channel was tried, as the receipt of the report before proves.
    fn retries(&self, receipt: &[u8], claims: &DecisionClaims) -> Result<u32, CallError> {
        let field = "retry_of";
        let receipt = self.keyring.open_receipt(receipt);
        let receipt = receipt.map_err(|source| CallError::BadToken { field, source })?;
        if receipt.decision.as_ref().map(|decision| &decision.decision_id) != Some(&claims.decision_id) {
            return Err(CallError::Mismatch {
                field,
                what: "decision",
            });
        }
        Ok(receipt.retries.saturating_add(1))
    }

    fn judge(&self, report: &OutcomeReport, verified: &Verified, provider: &str) -> Judged {
        let kind = match report.result {
            Reported::Succeeded => return Judged::plain(Claim::Paid, Some(OutcomeClass::Success)),
            Reported::AwaitingCustomer => return Judged::plain(Claim::AwaitingCustomer, None),
            Reported::Declined => FailureKind::Declined,
            Reported::Failed => FailureKind::Failed,
            Reported::TimedOut => FailureKind::TimedOut,
        };
        let failed = FailureReport {
            code: report.code.as_deref(),
            sub_code: report.sub_code.as_deref(),
            http_status: report.http_status,
            transport_event: report.transport_event.as_deref(),
            network_advice_code: report.network_advice_code.as_deref(),
            stage: verified.decided.stage,
            artefact_delivered: report.artefact_delivered.unwrap_or(true),
            ..FailureReport::new(provider, kind)
        };
        let catalogue = self.catalogue.load();
        let failure = catalogue.classify(&failed);
        if catalogue.unmapped(&failed).is_some() {
            // Callers name providers as they like; labels must not grow with them.
            let known = catalogue.knows_provider(provider);
            let provider = if known {
                provider.to_owned()
            } else {
                "other".to_owned()
            };
            counter!(metric::UNMAPPED_CODES, "provider" => provider).increment(1);
        }
        Judged {
            class: Some(failure.class),
            note: catalogue.operator_note(&failed, &failure),
            ..Judged::plain(Claim::of(&failure), None)
        }
        .with(failure)
    }

    fn next_step(&self, case: &Case<'_>, channel: Option<&Channel>, now: Timestamp) -> NextStep {
        self.step_after(case, channel, case.verified.retries, now)
    }

    /// The next step, had the channel been tried again `retries` times.
    fn step_after(
        &self,
        case: &Case<'_>,
        channel: Option<&Channel>,
        retries: u32,
        now: Timestamp,
    ) -> NextStep {
        let Case { verified, judged, .. } = case;
        let catalogue = self.catalogue.load();
        let profile = catalogue.profile(channel.map_or("", |channel| channel.provider.as_str()));
        let capabilities = channel.map_or(ASKED, |channel| channel.capabilities);
        let Some(failure) = &judged.failure else {
            return match judged.state {
                State::AwaitingCustomer => {
                    NextStep::QueryFirst(QueryPlan::for_waiting_customer(&profile, capabilities, now))
                }
                _ => NextStep::None,
            };
        };
        let situation = Situation {
            failure,
            attempt_no: verified.decided.attempt_no,
            retries_used: retries,
            silent_fallbacks: u32::try_from(verified.fallbacks).unwrap_or(u32::MAX),
            budget_used_ms: 0,
            channel_healthy: channel.is_some_and(|channel| self.is_healthy(verified, channel)),
            // Route answers only when they are.
            earlier_settled: true,
            payment_open: verified.decided.order_is_open(now),
            profile,
            capabilities,
        };
        let limits = attempt::Limits::default();
        next_step(&situation, &limits, now, &mut self.desk.lock().rng)
    }

    /// Lets the card networks' limits stand in `failure`. Without the ledger's memory the code alone speaks: the next
    /// Route asks again.
    async fn keep_to_networks(
        &self,
        decided: &DecisionProof,
        report: &OutcomeReport,
        failure: &mut Failure,
        now: Timestamp,
    ) {
        let Some(credential) = &decided.credential else {
            return;
        };
        let Some(tried) = Tried::of(failure, report.network_advice_code.as_deref(), now) else {
            return;
        };
        let asked = self.history((&decided.merchant, credential), now);
        let Ok(Ok(mut history)) = tokio::time::timeout(HISTORY_WITHIN, asked).await else {
            tracing::warn!("the card networks' limits were not looked at: the ledger does not answer");
            return;
        };
        history.note(tried);
        let verdict = self.guarding.rules.judge(&decided.card_brand, &history, now);
        verdict.apply(failure, now);
    }

    /// Registers the retry that a guarded attempt's caller is about to be told to make. When that cannot be, it is not
    /// told.
    async fn register_retry(
        &self,
        case: &Case<'_>,
        channel: Option<&Channel>,
        step: NextStep,
        now: Timestamp,
    ) -> NextStep {
        let (decided, NextStep::RetrySame { not_before, .. }) = (&case.verified.decided, &step) else {
            return step;
        };
        if !decided.guarded {
            return step;
        }
        let timeout = channel.map_or(0, |channel| channel.timeout_ms);
        let registration = Registration {
            merchant: decided.merchant.clone(),
            payment: decided.payment.clone(),
            money: decided.amount,
            expires_at: decided.order_expires_at,
            slot: Slot::retry(decided.attempt_no),
            channel: case.report.channel.clone(),
            // Whoever repeats the report is told the same again.
            request: Some(case.report.attempt.clone()),
            most: attempt::Limits::default().max_attempts,
            decision: case.verified.claims.encode_to_vec(),
            at: now,
            due_at: due(*not_before, timeout),
        };
        let mine = Some(&case.report.attempt);
        match self.in_time(self.writer.register(registration)).await {
            Ok(Registered::New) => step,
            Ok(Registered::Again(kept))
                if kept.state == State::Submitted && kept.request.as_ref() == mine =>
            {
                step
            }
            // Something is known of the payment that this report does not say.
            Ok(Registered::Again(_) | Registered::Blocked { .. } | Registered::OtherMoney { .. }) => {
                let profile = self.catalogue.load().profile(case.provider);
                let capabilities = channel.map_or_else(Capabilities::default, |channel| channel.capabilities);
                NextStep::QueryFirst(QueryPlan::for_lost_result(&profile, capabilities, now))
            }
            Err(error) => {
                tracing::warn!(%error, "a retry is not offered, because it could not be registered: {error}");
                self.step_after(case, channel, case.verified.retries.max(1), now)
            }
        }
    }

    /// How the case of the attempt begins, when it has to be followed.
    fn opening(&self, reported: &Case<'_>, channel: Option<&Channel>, now: Timestamp) -> Option<Opening> {
        let state = reported.judged.state;
        let cause = if self.leaves_an_orphan(reported) {
            Cause::Orphan
        } else {
            is_open(state).then_some(Cause::Unsettled)?
        };
        let facts = Facts {
            profile: self
                .catalogue
                .load()
                .profile(channel.map_or("", |channel| channel.provider.as_str())),
            capabilities: channel.map_or(ASKED, |channel| channel.capabilities),
            duty: None,
        };
        let due_at = match compensation::next(&compensation::Case::open(cause, state, now), &facts, now) {
            Next::Wait(until) => until,
            _ => now,
        };
        Some(Opening { cause, due_at })
    }

    /// Whether the call may have created an order that nobody holds the code of: it was lost, and would be unknown had
    /// the customer got anything to pay.
    fn leaves_an_orphan(&self, case: &Case<'_>) -> bool {
        let report = case.report;
        let Some(failure) = &case.judged.failure else {
            return false;
        };
        let prepared =
            case.verified.decided.stage == Stage::Prepare && report.artefact_delivered == Some(false);
        let kind = match report.result {
            Reported::Failed => FailureKind::Failed,
            Reported::TimedOut => FailureKind::TimedOut,
            Reported::Succeeded | Reported::AwaitingCustomer | Reported::Declined => return false,
        };
        let delivered = || {
            self.catalogue.load().classify(&FailureReport {
                code: report.code.as_deref(),
                sub_code: report.sub_code.as_deref(),
                http_status: report.http_status,
                transport_event: report.transport_event.as_deref(),
                network_advice_code: report.network_advice_code.as_deref(),
                ..FailureReport::new(case.provider, kind)
            })
        };
        prepared
            && failure.certainty == Certainty::NotProcessed
            && delivered().certainty == Certainty::Unknown
    }

    fn is_healthy(&self, verified: &Verified, channel: &Channel) -> bool {
        let decided = &verified.decided;
        self.live.with_brain(|brain| {
            let segment = brain.segment(
                &decided.method,
                decided.issuer.as_deref(),
                domain::amount_band::AmountBand::of(decided.amount),
            );
            let known = brain.channel_ix(&channel.id);
            known.is_some_and(|known| brain.ranked(known, segment).state == brain::State::Healthy)
        })
    }

    fn answer(&self, case: &Case<'_>, step: &NextStep) -> v1::ReportOutcomeResponse {
        let decided = &case.verified.decided;
        let channel = &case.report.channel;
        let locale = decided.locale(case.report.locale.as_deref());
        let failure = case.judged.failure.as_ref();
        let message = |failure| speech::message(&self.catalogue.load(), failure, case.provider, locale);
        v1::ReportOutcomeResponse {
            duplicate: false,
            state: case.judged.state.as_str().to_owned(),
            failure: failure.map(speech::failure),
            next: Some(speech::next_step(step, channel.as_str(), decided.after(channel))),
            customer_message: failure.map(message),
            operator_note: case.judged.note.clone(),
            receipt: self.receipt(case, case.judged.state),
        }
    }

    /// Brings the answer to a repeated report up to what is `kept` of the attempt: it may have been settled since.
    fn as_known_by_now(
        &self,
        answer: v1::ReportOutcomeResponse,
        case: &Case<'_>,
        kept: &AttemptRecord,
    ) -> v1::ReportOutcomeResponse {
        let answer = v1::ReportOutcomeResponse {
            duplicate: true,
            ..answer
        };
        let known = State::from_name(&kept.verdict.state).filter(|known| *known != case.judged.state);
        let Some(state) = known else {
            return answer;
        };
        let decided = &case.verified.decided;
        let locale = decided.locale(case.report.locale.as_deref());
        v1::ReportOutcomeResponse {
            state: state.as_str().to_owned(),
            // It told what the report meant, and more is known now.
            failure: None,
            next: Some(self.after(decided, kept, state, None)),
            customer_message: self.message(kept, state, None, locale),
            receipt: self.receipt(case, state),
            ..answer
        }
    }

    /// Proof of the attempt, which is in `state` by now.
    fn receipt(&self, case: &Case<'_>, state: State) -> Vec<u8> {
        let failure = case.judged.failure.as_ref();
        self.keyring.seal_receipt(&ReceiptClaims {
            attempt_id: case.report.attempt.to_string(),
            channel_id: case.report.channel.to_string(),
            state: state.as_str().to_owned(),
            side: failure.map_or("", |failure| failure.side.as_str()).to_owned(),
            never_same_credential: failure.is_some_and(|failure| failure.never_same_credential),
            retries: case.verified.retries,
            class: case.judged.class.map_or("", OutcomeClass::as_str).to_owned(),
            decision: Some(case.verified.claims.clone()),
        })
    }
}

impl Judged {
    fn plain(claim: Claim, class: Option<OutcomeClass>) -> Self {
        let said = attempt::next(State::Submitted, Event::Said(claim, Source::Reply));
        Self {
            // A submitted attempt takes every reply; if it did not, nobody could tell what became of it.
            state: said.unwrap_or(State::Unknown),
            failure: None,
            class,
            note: String::new(),
        }
    }

    fn with(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }
}

/// Whose code it is: what the caller says, else the channel's own provider.
fn provider<'r>(report: &'r OutcomeReport, channel: Option<&'r Channel>) -> &'r str {
    let own = channel.map_or("", |channel| channel.provider.as_str());
    report.provider.as_deref().unwrap_or(own)
}

/// Tells a repeated report from a contradicting one: everything the caller says of the attempt, and nothing of how it
/// asks. The token, the language and the contact may differ when the same outcome is reported again.
fn digest(request: &v1::ReportOutcomeRequest) -> [u8; 32] {
    let content = v1::ReportOutcomeRequest {
        decision_token: Vec::new(),
        retry_of: Vec::new(),
        locale: String::new(),
        contact: None,
        ..request.clone()
    };
    Sha256::digest(content.encode_to_vec()).into()
}

/// What is kept of the attempt; digest and trace are for the caller to fill in.
fn record(case: &Case<'_>, now: Timestamp) -> AttemptRecord {
    let Case {
        verified,
        report,
        judged,
        provider,
    } = *case;
    let decided = &verified.decided;
    let failure = judged.failure.as_ref();
    let took = SignedDuration::from_millis(i64::from(report.latency_ms));
    AttemptRecord {
        merchant: decided.merchant.clone(),
        attempt: report.attempt.clone(),
        payment: decided.payment.clone(),
        attempt_no: decided.attempt_no,
        decision: decided.id,
        channel: report.channel.clone(),
        account: verified.account.clone(),
        amount: decided.amount,
        segment: Segment {
            method: decided.method.clone(),
            issuer: decided.issuer.clone(),
            region: decided.region.clone(),
        },
        report: Report {
            result: report.result.as_str().to_owned(),
            provider: provider.to_owned(),
            code: report.code.clone(),
            sub_code: report.sub_code.clone(),
            http_status: report.http_status,
            transport_event: report.transport_event.clone(),
            message: report.message.clone(),
            provider_reference: report.provider_reference.clone(),
            network_advice_code: report.network_advice_code.clone(),
        },
        verdict: Verdict {
            reason: failure.map(|failure| failure.reason.as_str().to_owned()),
            certainty: failure
                .map_or("", |failure| failure.certainty.as_str())
                .to_owned(),
            class: judged.class,
            state: judged.state.as_str().to_owned(),
        },
        decided_at: decided.decided_at,
        trace_id: None,
        // A caller that says nothing is believed to have submitted as long ago as the answer took. Nobody can have
        // submitted before the decision or after the answer: clocks differ.
        started_at: report
            .started_at
            .unwrap_or_else(|| now.checked_sub(took).unwrap_or(now))
            .min(now)
            .max(decided.decided_at),
        received_at: now,
        latency_ms: report.latency_ms,
        digest: [0; 32],
        submit: decided.guarded.then_some(if verified.retries == 0 {
            Submit::First
        } else {
            Submit::Retry
        }),
        credential: decided.credential.clone(),
        case: None,
        notices: Vec::new(),
    }
}
