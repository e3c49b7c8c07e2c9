//! `GetPayment`: a payment whole, for customer service.

use domain::catalogue::{Certainty, Failure, FailureKind, FailureReport, Reason};
use domain::decision::Action;
use domain::report::Reported;
use ledger::attempt::{AttemptRecord, Transition};
use ledger::decision::DecisionRecord;
use proto::resolve::PaymentQuery;
use proto::{time, v1};

use crate::error::CallError;
use crate::routing::Routing;
use crate::speech;

impl Routing {
    /// Answers `GetPayment`.
    ///
    /// # Errors
    /// When the request is invalid, nothing is known of the payment, or the ledger cannot be read within 2 s.
    pub async fn payment(&self, request: v1::GetPaymentRequest) -> Result<v1::GetPaymentResponse, CallError> {
        let query = PaymentQuery::try_from(request)?;
        let asked = self.ledger.payment(&query.merchant, &query.payment);
        let found = self.look_up(asked).await?;
        let unknown = || CallError::Unknown {
            what: "payment",
            id: query.payment.to_string(),
        };
        let payment = found.ok_or_else(unknown)?;
        let attempt = |attempt: &AttemptRecord| {
            let locale = payment
                .decisions
                .iter()
                .find(|decision| decision.id == attempt.decision);
            let locale = locale.and_then(|decision| decision.attributes.locale.clone());
            let changes = payment
                .transitions
                .iter()
                .filter(|change| change.attempt == attempt.attempt);
            self.attempt(attempt, changes, locale.as_deref().unwrap_or("zh-CN"))
        };
        Ok(v1::GetPaymentResponse {
            merchant_id: query.merchant.to_string(),
            payment_id: query.payment.to_string(),
            attempts: payment.attempts.iter().map(attempt).collect(),
            decisions: payment.decisions.iter().map(decision).collect(),
        })
    }

    fn attempt<'t>(
        &self,
        record: &AttemptRecord,
        changes: impl Iterator<Item = &'t Transition>,
        locale: &str,
    ) -> v1::AttemptRecord {
        let mut changes: Vec<_> = changes.map(change).collect();
        let first = v1::StateChange {
            from: String::new(),
            to: changes
                .first()
                .map_or(&record.verdict.state, |change| &change.from)
                .clone(),
            source: "reply".to_owned(),
            at: Some(time::to_wire(record.received_at)),
        };
        changes.insert(0, first);
        let failure = self.meaning(record);
        let message = failure.as_ref().map(|failure| {
            let reason = Reason::from_name(&failure.reason).unwrap_or(Reason::Unclassified);
            let certainty = Certainty::from_name(&failure.certainty).unwrap_or(Certainty::Unknown);
            speech::message_for(&self.catalogue.load(), reason, certainty, locale)
        });
        let report = record.report.clone();
        v1::AttemptRecord {
            attempt_id: record.attempt.to_string(),
            attempt_no: record.attempt_no,
            decision_id: record.decision.to_string(),
            channel_id: record.channel.to_string(),
            account: record
                .account
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            amount_minor: record.amount.minor(),
            currency: record.amount.currency().code().to_owned(),
            result: result(&report.result).into(),
            provider: report.provider,
            code: report.code.unwrap_or_default(),
            sub_code: report.sub_code.unwrap_or_default(),
            message: report.message.unwrap_or_default(),
            provider_reference: report.provider_reference.unwrap_or_default(),
            state: record.verdict.state.clone(),
            failure,
            customer_message: message,
            started_at: Some(time::to_wire(record.started_at)),
            received_at: Some(time::to_wire(record.received_at)),
            latency_ms: record.latency_ms,
            changes,
            trace_id: record.trace_id.clone().unwrap_or_default(),
        }
    }

    /// What the failure was judged to mean when it was reported. Reason and certainty are kept; the rest follows from
    /// the code.
    fn meaning(&self, record: &AttemptRecord) -> Option<v1::Failure> {
        let reason = record.verdict.reason.clone()?;
        let failure = self.classified(record)?;
        Some(v1::Failure {
            reason,
            certainty: record.verdict.certainty.clone(),
            ..speech::failure(&failure)
        })
    }

    /// What the reported code means by the catalogue of today; `None` when no failure was reported.
    pub(crate) fn classified(&self, record: &AttemptRecord) -> Option<Failure> {
        record.verdict.reason.as_ref()?;
        let report = &record.report;
        let kind = match result(&report.result) {
            v1::Result::Declined => FailureKind::Declined,
            v1::Result::TimedOut => FailureKind::TimedOut,
            _ => FailureKind::Failed,
        };
        Some(self.catalogue.load().classify(&FailureReport {
            code: report.code.as_deref(),
            sub_code: report.sub_code.as_deref(),
            http_status: report.http_status,
            transport_event: report.transport_event.as_deref(),
            network_advice_code: report.network_advice_code.as_deref(),
            ..FailureReport::new(&report.provider, kind)
        }))
    }
}

fn result(name: &str) -> v1::Result {
    let all = [
        Reported::Succeeded,
        Reported::Declined,
        Reported::Failed,
        Reported::TimedOut,
        Reported::AwaitingCustomer,
    ];
    let named = all.into_iter().find(|result| result.as_str() == name);
    named.map_or(v1::Result::Unspecified, proto::outcome::result_to_wire)
}

fn change(transition: &Transition) -> v1::StateChange {
    v1::StateChange {
        from: transition.from_state.clone(),
        to: transition.to_state.clone(),
        source: transition.source.clone(),
        at: Some(time::to_wire(transition.at)),
    }
}

fn decision(record: &DecisionRecord) -> v1::DecisionRecord {
    let action = match Action::from_name(&record.action) {
        Some(Action::Submit) => v1::Action::Submit,
        Some(Action::WaitAndQuery) => v1::Action::WaitAndQuery,
        Some(Action::OfferMethods) => v1::Action::OfferMethods,
        Some(Action::Stop) => v1::Action::Stop,
        None => v1::Action::Unspecified,
    };
    v1::DecisionRecord {
        decision_id: record.id.to_string(),
        attempt_no: record.attributes.attempt_no,
        action: action.into(),
        channel_id: record
            .channel
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        account: record
            .account
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        policy_version: record.policy_version.clone(),
        matched_rule: record.matched_rule.clone().unwrap_or_default(),
        strategy: record.strategy.clone(),
        exploration: record.exploration.clone(),
        propensity: record.propensity.unwrap_or_default(),
        panic: record.panic,
        excluded: record
            .excluded
            .iter()
            .map(|excluded| v1::Exclusion {
                channel_id: excluded.channel.to_string(),
                reason: excluded.reason.clone(),
            })
            .collect(),
        decided_at: Some(time::to_wire(record.decided_at)),
    }
}
