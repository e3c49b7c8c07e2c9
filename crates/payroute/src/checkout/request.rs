//! What the checkout says to Payroute: its payments and its providers' answers.

use client::{Payment, Submitted, TransportEvent, Violations};
use domain::id::PaymentId;
use domain::outcome::OutcomeClass;
use domain::payment::{Attributes, Card, Customer, Device, Operation, Stage};
use proto::v1;
use simulator::provider::Answer;

/// Whose codes the simulated channels answer with: Payroute's own, as a caller would who maps nothing.
pub(crate) const PROVIDER: &str = "payroute";

/// How a simulated channel says that it could not be reached.
const CONNECT_FAILED: &str = "CONNECT_FAILED";

/// A payment of the simulated world, under the `name` that Payroute knows it by.
///
/// # Errors
/// When the world has a payment that the contract does not take.
pub(crate) fn payment(name: &PaymentId, attributes: &Attributes) -> Result<Payment, Violations> {
    let mut request = route_request(attributes);
    request.payment_id = name.to_string();
    Payment::try_from(request)
}

fn route_request(payment: &Attributes) -> v1::RouteRequest {
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

/// What is reported of `answer`: the result, and the code verbatim or what happened on the way.
pub(crate) fn outcome(answer: &Answer) -> Submitted {
    let code = &*answer.code;
    let submitted = match answer.class {
        _ if code == CONNECT_FAILED => Submitted::broken(TransportEvent::ConnectRefused),
        OutcomeClass::Success => Submitted::succeeded().code(code),
        OutcomeClass::Refusal | OutcomeClass::SoftDecline => Submitted::declined(code),
        OutcomeClass::TechnicalFailure
        | OutcomeClass::Timeout
        | OutcomeClass::Busy
        | OutcomeClass::Maintenance
        | OutcomeClass::IssuerUnavailable => Submitted::failed(code),
    };
    submitted.provider(PROVIDER)
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
    fn a_channel_that_was_not_reached_has_no_code() {
        let said = outcome(&answer(OutcomeClass::TechnicalFailure, CONNECT_FAILED));
        assert_eq!(
            said,
            Submitted::broken(TransportEvent::ConnectRefused).provider(PROVIDER)
        );
    }

    #[test]
    fn a_code_is_handed_on_verbatim() {
        let said = outcome(&answer(OutcomeClass::SoftDecline, "DO_NOT_HONOR"));
        assert_eq!(said, Submitted::declined("DO_NOT_HONOR").provider(PROVIDER));
    }
}
