//! What the checkout says to Payroute: its payments and its providers' answers, on the wire.

use domain::clock::{Clock, SystemClock};
use domain::outcome::OutcomeClass;
use domain::payment::{Attributes, Card, Customer, Device, Operation, Stage};
use proto::v1;
use simulator::provider::Answer;

/// Whose codes the simulated channels answer with: Payroute's own, as a caller would who maps nothing.
pub(crate) const PROVIDER: &str = "payroute";

/// How a simulated channel says that it could not be reached.
const CONNECT_FAILED: &str = "CONNECT_FAILED";

/// The first Route of a payment.
pub(crate) fn route_request(payment: &Attributes) -> v1::RouteRequest {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let operation = match payment.operation {
        Operation::Sale => v1::Operation::Sale,
        Operation::Authorize => v1::Operation::Authorize,
        Operation::AgreementDebit => v1::Operation::AgreementDebit,
    };
    let stage = match payment.stage {
        Stage::Prepare => v1::Stage::Prepare,
        Stage::Debit => v1::Stage::Debit,
    };
    v1::RouteRequest {
        merchant_id: payment.merchant.to_string(),
        payment_id: payment.payment.to_string(),
        attempt_no: payment.attempt_no,
        amount_minor: payment.amount.minor(),
        currency: payment.amount.currency().to_string(),
        operation: operation.into(),
        stage: stage.into(),
        method: payment.method.clone(),
        presentment: text(&payment.presentment),
        issuer: text(&payment.issuer),
        issuer_country: text(&payment.issuer_country),
        card: payment.card.as_ref().map(card),
        country: text(&payment.country),
        region: text(&payment.region),
        customer: Some(customer(&payment.customer)),
        device: Some(device(&payment.device)),
        risk_score: payment.risk_score,
        metadata: payment.metadata.clone().into_iter().collect(),
        locale: text(&payment.locale),
        ..v1::RouteRequest::default()
    }
}

fn card(card: &Card) -> v1::Card {
    v1::Card {
        brand: card.brand.clone().unwrap_or_default(),
        funding: card.funding.clone().unwrap_or_default(),
        bin: card.bin.clone().unwrap_or_default(),
    }
}

fn customer(customer: &Customer) -> v1::Customer {
    v1::Customer {
        reference: customer.reference.clone().unwrap_or_default(),
        is_new: customer.is_new,
        age_band: customer.age_band.clone().unwrap_or_default(),
        segments: customer.segments.clone(),
    }
}

fn device(device: &Device) -> v1::Device {
    v1::Device {
        os: device.os.clone().unwrap_or_default(),
        wallets: device.wallets.clone(),
    }
}

/// What is reported of `answer`, or of silence: the result, and the code verbatim or what happened on the way.
pub(crate) fn outcome(answer: Option<&Answer>) -> v1::ReportOutcomeRequest {
    let Some(answer) = answer else {
        return v1::ReportOutcomeRequest {
            result: v1::Result::TimedOut.into(),
            provider: PROVIDER.to_owned(),
            transport_event: "read_timeout".to_owned(),
            ..v1::ReportOutcomeRequest::default()
        };
    };
    let result = match answer.class {
        OutcomeClass::Success => v1::Result::Succeeded,
        OutcomeClass::Refusal | OutcomeClass::SoftDecline => v1::Result::Declined,
        OutcomeClass::TechnicalFailure
        | OutcomeClass::Timeout
        | OutcomeClass::Busy
        | OutcomeClass::Maintenance
        | OutcomeClass::IssuerUnavailable => v1::Result::Failed,
    };
    let reached = &*answer.code != CONNECT_FAILED;
    let (code, event) = if reached {
        (&*answer.code, "")
    } else {
        ("", "connect_refused")
    };
    v1::ReportOutcomeRequest {
        result: result.into(),
        provider: PROVIDER.to_owned(),
        code: code.to_owned(),
        transport_event: event.to_owned(),
        ..v1::ReportOutcomeRequest::default()
    }
}

/// Waits until `time`, by this machine's clock.
pub(crate) async fn wait_until(time: Option<&prost_types::Timestamp>) {
    let until = time.and_then(proto::time::from_wire);
    let wait = until.map(|until| until.duration_since(SystemClock.now()));
    if let Some(wait) = wait.and_then(|wait| std::time::Duration::try_from(wait).ok()) {
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn answer(class: OutcomeClass, code: &str) -> Answer {
        Answer {
            after: Duration::from_millis(200),
            class,
            code: Arc::from(code),
            repeated_after: None,
        }
    }

    #[test]
    fn silence_is_reported_as_silence_and_not_as_a_failure() {
        let report = outcome(None);
        assert_eq!(report.result(), v1::Result::TimedOut);
        assert_eq!(report.transport_event, "read_timeout");
    }

    #[test]
    fn a_channel_that_was_not_reached_has_no_code() {
        let report = outcome(Some(&answer(OutcomeClass::TechnicalFailure, CONNECT_FAILED)));
        assert_eq!(report.result(), v1::Result::Failed);
        assert_eq!(
            (report.code.as_str(), report.transport_event.as_str()),
            ("", "connect_refused")
        );
    }

    #[test]
    fn a_code_is_handed_on_verbatim() {
        let report = outcome(Some(&answer(OutcomeClass::SoftDecline, "DO_NOT_HONOR")));
        assert_eq!(report.result(), v1::Result::Declined);
        assert_eq!(
            (report.code.as_str(), report.provider.as_str()),
            ("DO_NOT_HONOR", PROVIDER)
        );
    }
}
