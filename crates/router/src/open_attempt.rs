//! What the ledger knows of a guarded payment's earlier attempts, and what the caller is told of the open one.

use std::collections::BTreeMap;

use domain::attempt::payment::Slot;
use domain::attempt::{QueryPlan, Standing, State};
use domain::catalogue::{Certainty, Failure, FailureKind, FailureReport};
use domain::channel::Capabilities;
use domain::decision::{Previous, Shop};
use domain::id::{ChannelId, MerchantId, PaymentId};
use domain::network_retry::{History, Tried, Verdict};
use jiff::{SignedDuration, Timestamp};
use ledger::attempt::{AttemptRecord, Transition};
use ledger::guard::{GuardedAttempt, GuardedPayment};
use ledger::payment::PaymentRecord;
use prost::Message as _;
use proto::claims::{DecisionClaims, ReceiptClaims, Target};
use proto::route::RouteQuery;
use proto::{time, v1};

use crate::attempt_key::attempt_key;
use crate::error::CallError;
use crate::routing::Routing;

/// Most attempts with a credential that are looked at: more than any network's cap.
const TRIED: u32 = 200;

/// What is known of the attempts before the one that is asked for.
#[derive(Default)]
pub(crate) struct Known {
    /// What forbids or allows another one.
    pub(crate) previous: Vec<Previous>,
    /// The channels that were tried.
    pub(crate) tried: Vec<ChannelId>,
    /// The one that may charge.
    pub(crate) open: Option<GuardedAttempt>,
}

impl Routing {
    /// What the ledger knows of the attempts before the one that `query` asks for. The first one has none.
    pub(crate) async fn known(&self, query: &RouteQuery) -> Result<Known, CallError> {
        let asked = &query.attributes;
        if asked.attempt_no == 1 {
            return Ok(Known::default());
        }
        let found = self
            .in_time(self.guarding.guards.guarded(&asked.merchant, &asked.payment))
            .await?;
        let Some(payment) = found else {
            return Ok(Known::default());
        };
        let record = self.reports(&asked.merchant, &asked.payment).await?;
        Ok(self.sum_up(&payment, &record, asked.attempt_no))
    }

    async fn reports(&self, merchant: &MerchantId, payment: &PaymentId) -> Result<PaymentRecord, CallError> {
        let found = self.in_time(self.ledger.payment(merchant, payment)).await?;
        Ok(found.unwrap_or(PaymentRecord {
            decisions: Vec::new(),
            attempts: Vec::new(),
            transitions: Vec::new(),
        }))
    }

    fn sum_up(&self, payment: &GuardedPayment, record: &PaymentRecord, before: u32) -> Known {
        let mut known = Known::default();
        // An attempt and its retry are one try: the state that forbids more stands for both.
        let mut tries: BTreeMap<u32, Previous> = BTreeMap::new();
        for made in payment
            .attempts
            .iter()
            .filter(|made| made.slot.attempt_no < before)
        {
            known.tried.push(made.channel.clone());
            if made.state.may_charge() {
                known.open.get_or_insert_with(|| made.clone());
            }
            let previous = self.as_previous(made, record);
            let kept = tries
                .entry(made.slot.attempt_no)
                .or_insert_with(|| previous.clone());
            let settled = kept.state.standing() == Standing::NoDebit;
            let forbidden = kept.never_same_credential || previous.never_same_credential;
            if settled {
                *kept = previous;
            }
            kept.never_same_credential = forbidden;
        }
        known.previous = tries.into_values().collect();
        known
    }

    fn as_previous(&self, made: &GuardedAttempt, record: &PaymentRecord) -> Previous {
        let mut reports = record.attempts.iter();
        let report = reports.find(|report| slot_of(report) == Some(made.slot));
        let failures = report.map(|report| self.failures(report, &record.transitions));
        let failures = failures.unwrap_or_default();
        Previous {
            state: made.state,
            method: report.map_or_else(
                || claims(made).map(|claims| claims.method).unwrap_or_default(),
                |report| report.segment.method.clone(),
            ),
            side: failures.last().map(|failure| failure.side),
            never_same_credential: failures.iter().any(|failure| failure.never_same_credential),
        }
    }

    /// What the report and the findings about it mean, the oldest first.
    fn failures(&self, report: &AttemptRecord, transitions: &[Transition]) -> Vec<Failure> {
        let found = transitions
            .iter()
            .filter(|change| change.attempt == report.attempt && change.to_state == State::Declined.as_str());
        let found = found.filter_map(|change| {
            let code = change.content.get("code")?.as_str()?;
            let failure = self.catalogue.load().classify(&FailureReport {
                code: Some(code),
                ..FailureReport::new(&report.report.provider, FailureKind::Declined)
            });
            (failure.certainty != Certainty::Unknown).then_some(failure)
        });
        self.classified(report).into_iter().chain(found).collect()
    }

    /// Whether the card networks let the credential of `query` be tried now.
    pub(crate) async fn credential(&self, query: &RouteQuery) -> Result<Verdict, CallError> {
        let Some(credential) = &query.credential else {
            return Ok(Verdict::Allowed);
        };
        let now = self.clock.now();
        let brand = query
            .attributes
            .card
            .as_ref()
            .and_then(|card| card.brand.as_deref());
        let history = self
            .in_time(self.history((&query.attributes.merchant, credential), now))
            .await?;
        Ok(self
            .guarding
            .rules
            .judge(brand.unwrap_or_default(), &history, now))
    }

    /// What the networks have said to a credential, as far as it still matters.
    pub(crate) async fn history(
        &self,
        credential: (&MerchantId, &domain::network_retry::Fingerprint),
        now: Timestamp,
    ) -> Result<History, ledger::LedgerError> {
        let memory = SignedDuration::from_secs(i64::from(self.guarding.rules.memory_secs()));
        let since = now.checked_sub(memory).unwrap_or(Timestamp::MIN);
        let attempts = self.guarding.guards.tried(credential, since, TRIED).await?;
        let mut history = History::default();
        for attempt in &attempts {
            if let Some(failure) = self.classified(attempt) {
                let advice = attempt.report.network_advice_code.as_deref();
                let tried = Tried::of(&failure, advice, attempt.received_at);
                if let Some(tried) = tried {
                    history.note(tried);
                }
            }
        }
        let was_paid = |attempt: &&AttemptRecord| {
            State::from_name(&attempt.verdict.state).is_some_and(State::was_charged)
        };
        for attempt in attempts.iter().filter(was_paid) {
            history.approved(attempt.received_at);
        }
        Ok(history)
    }

    /// What the caller is told of the attempt that is open.
    pub(crate) async fn open_attempt(
        &self,
        shop: &Shop,
        query: &RouteQuery,
        open: GuardedAttempt,
    ) -> Result<v1::OpenAttempt, CallError> {
        let asked = &query.attributes;
        let now = self.clock.now();
        let overdue = open.state == State::Submitted && open.due_at <= now;
        let plan = self.plan(shop, &open, now);
        let mut claims = claims(&open);
        if let Some(claims) = &mut claims {
            let until = now.checked_add(self.token_ttl).unwrap_or(Timestamp::MAX);
            claims.expires_at_us = until.as_microsecond();
        }
        let receipt = match (&claims, open.state) {
            (Some(claims), state) if state != State::Submitted => {
                let record = self.reports(&asked.merchant, &asked.payment).await?;
                let mut reports = record.attempts.iter();
                let report = reports.find(|report| slot_of(report) == Some(open.slot));
                report.map(|report| self.receipt_of(report, claims.clone()))
            }
            _ => None,
        };
        let target = Target {
            channel_id: open.channel.to_string(),
            account: claims
                .as_ref()
                .and_then(|claims| claims.targets.first())
                .map(|target| target.account.clone())
                .unwrap_or_default(),
        };
        let payment = (asked.merchant.as_str(), asked.payment.as_str());
        Ok(v1::OpenAttempt {
            attempt_no: open.slot.attempt_no,
            channel: choice_of(shop, &target, payment, open.slot.attempt_no),
            state: open.state.as_str().to_owned(),
            query_at: plan.query_at.iter().map(|at| time::to_wire(*at)).collect(),
            reverse_not_before: plan.reverse_not_before.map(time::to_wire),
            receipt: receipt.unwrap_or_default(),
            decision_token: claims
                .filter(|_| overdue)
                .map(|claims| self.keyring.seal_decision(&claims))
                .unwrap_or_default(),
        })
    }

    /// When the open attempt is to be asked for.
    fn plan(&self, shop: &Shop, open: &GuardedAttempt, now: Timestamp) -> QueryPlan {
        let index = shop.channels.index_of(open.channel.as_str());
        let channel = index.and_then(|index| shop.channels.get(index));
        let provider = channel.map_or("", |channel| channel.provider.as_str());
        let profile = self.catalogue.load().profile(provider);
        let asked = Capabilities {
            query: true,
            ..Capabilities::default()
        };
        let capabilities = channel.map_or(asked, |channel| channel.capabilities);
        match open.state {
            State::AwaitingCustomer => QueryPlan::for_waiting_customer(&profile, capabilities, now),
            // Its submit may still be on the way until then.
            State::Submitted => QueryPlan::for_lost_result(&profile, capabilities, now.max(open.due_at)),
            _ => QueryPlan::for_lost_result(&profile, capabilities, now),
        }
    }

    fn receipt_of(&self, report: &AttemptRecord, decision: DecisionClaims) -> Vec<u8> {
        let failure = self.classified(report);
        let class = report.verdict.class.map(domain::outcome::OutcomeClass::as_str);
        self.keyring.seal_receipt(&ReceiptClaims {
            attempt_id: report.attempt.to_string(),
            channel_id: report.channel.to_string(),
            state: report.verdict.state.clone(),
            side: failure
                .as_ref()
                .map_or("", |failure| failure.side.as_str())
                .to_owned(),
            never_same_credential: failure.is_some_and(|failure| failure.never_same_credential),
            retries: u32::from(report.submit == Some(domain::attempt::payment::Submit::Retry)),
            class: class.unwrap_or_default().to_owned(),
            decision: Some(decision),
        })
    }
}

/// The channel of an attempt that was decided before. One that left the configuration can still be asked.
pub(crate) fn choice_of(
    shop: &Shop,
    target: &Target,
    (merchant, payment): (&str, &str),
    attempt_no: u32,
) -> Option<v1::ChannelChoice> {
    let id: ChannelId = target.channel_id.parse().ok()?;
    let index = shop.channels.index_of(id.as_str());
    let channel = index.and_then(|index| shop.channels.get(index));
    let key = attempt_key(&merchant.parse().ok()?, &payment.parse().ok()?, attempt_no, &id);
    Some(v1::ChannelChoice {
        channel_id: target.channel_id.clone(),
        account: target.account.clone(),
        timeout_ms: channel.map_or(0, |channel| channel.timeout_ms),
        attempt_key: key,
        success_estimate: 0.0,
    })
}

fn claims(attempt: &GuardedAttempt) -> Option<DecisionClaims> {
    let claims = DecisionClaims::decode(attempt.decision.as_slice()).ok();
    claims.filter(|claims| !claims.targets.is_empty())
}

/// Which submit of its payment a report is about; `None` when it is not guarded.
fn slot_of(report: &AttemptRecord) -> Option<Slot> {
    Some(Slot {
        attempt_no: report.attempt_no,
        submit: report.submit?,
    })
}
