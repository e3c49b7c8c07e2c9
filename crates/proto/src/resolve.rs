//! `ResolveAttemptRequest` and `GetPaymentRequest`: from the wire.

use domain::id::{MerchantId, PaymentId};
use domain::money::Currency;
use domain::notice::Contact;
use domain::report::{Resolution, ResolutionReport, ResolutionSource};

use crate::contact::contact;
use crate::fields::{MAX_MESSAGE, Reader};
use crate::v1;
use crate::violation::Violations;

/// A resolution with the receipt it came with, checked but not yet verified.
#[derive(Clone, Debug)]
pub struct ResolveQuery {
    /// The receipt of the attempt.
    pub receipt: Vec<u8>,
    /// What is reported.
    pub report: ResolutionReport,
    /// How the customer can be told.
    pub contact: Contact,
}

impl TryFrom<v1::ResolveAttemptRequest> for ResolveQuery {
    type Error = Violations;

    fn try_from(request: v1::ResolveAttemptRequest) -> Result<Self, Violations> {
        let mut reader = Reader::default();
        let receipt = reader.token("receipt", request.receipt);
        let resolution = resolution(&mut reader, request.resolution);
        let source = source(&mut reader, request.source);
        let code = reader.text("code", request.code);
        let provider_reference = reader.text("provider_reference", request.provider_reference);
        let message = reader.bounded_text("message", request.message, MAX_MESSAGE);
        let locale = reader.text("locale", request.locale);
        let contact = contact(&mut reader, request.contact);
        let charged_minor = charged_minor(&mut reader, request.charged_minor);
        let charged_currency = charged_currency(&mut reader, &request.charged_currency);
        let report = resolution
            .zip(source)
            .map(|(resolution, source)| ResolutionReport {
                resolution,
                source,
                code,
                provider_reference,
                message,
                locale,
                charged_minor,
                charged_currency,
            });
        reader.finish(report.map(|report| Self {
            receipt,
            report,
            contact,
        }))
    }
}

fn resolution(reader: &mut Reader, value: i32) -> Option<Resolution> {
    match v1::Resolution::try_from(value) {
        Ok(v1::Resolution::Succeeded) => Some(Resolution::Succeeded),
        Ok(v1::Resolution::Declined) => Some(Resolution::Declined),
        Ok(v1::Resolution::NotProcessed) => Some(Resolution::NotProcessed),
        Ok(v1::Resolution::Reversed) => Some(Resolution::Reversed),
        Ok(v1::Resolution::Closed) => Some(Resolution::Closed),
        Ok(v1::Resolution::StillUnknown) => Some(Resolution::StillUnknown),
        Ok(v1::Resolution::Refunded) => Some(Resolution::Refunded),
        Ok(v1::Resolution::RefundFailed) => Some(Resolution::RefundFailed),
        Ok(v1::Resolution::ReversalRefused) => Some(Resolution::ReversalRefused),
        Ok(v1::Resolution::Unspecified) => {
            reader.refuse("resolution", "is required");
            None
        }
        Err(_) => {
            reader.refuse("resolution", format!("{value} is not a resolution"));
            None
        }
    }
}

fn source(reader: &mut Reader, value: i32) -> Option<ResolutionSource> {
    match v1::ResolutionSource::try_from(value) {
        Ok(v1::ResolutionSource::Query) => Some(ResolutionSource::Query),
        Ok(v1::ResolutionSource::Notice) => Some(ResolutionSource::Notice),
        Ok(v1::ResolutionSource::Reversal) => Some(ResolutionSource::Reversal),
        Ok(v1::ResolutionSource::Settlement) => Some(ResolutionSource::Settlement),
        Ok(v1::ResolutionSource::Operator) => Some(ResolutionSource::Operator),
        Ok(v1::ResolutionSource::Refund) => Some(ResolutionSource::Refund),
        Ok(v1::ResolutionSource::Unspecified) => {
            reader.refuse("source", "is required");
            None
        }
        Err(_) => {
            reader.refuse("source", format!("{value} is not a source"));
            None
        }
    }
}

fn charged_minor(reader: &mut Reader, minor: Option<i64>) -> Option<i64> {
    let wrong = minor.is_some_and(|minor| minor <= 0);
    if wrong {
        reader.refuse("charged_minor", "must be above zero");
    }
    minor.filter(|_| !wrong)
}

fn charged_currency(reader: &mut Reader, code: &str) -> Option<Currency> {
    if code.is_empty() {
        return None;
    }
    let parsed = code.parse();
    if parsed.is_err() {
        reader.refuse("charged_currency", "is not an ISO 4217 code in capitals");
    }
    parsed.ok()
}

/// A payment to look up, checked.
#[derive(Clone, Debug)]
pub struct PaymentQuery {
    /// Whose payment it is.
    pub merchant: MerchantId,
    /// Which payment.
    pub payment: PaymentId,
}

impl TryFrom<v1::GetPaymentRequest> for PaymentQuery {
    type Error = Violations;

    fn try_from(request: v1::GetPaymentRequest) -> Result<Self, Violations> {
        let mut reader = Reader::default();
        let merchant = reader.name("merchant_id", &request.merchant_id);
        let payment = reader.name("payment_id", &request.payment_id);
        reader.finish(
            merchant
                .zip(payment)
                .map(|(merchant, payment)| Self { merchant, payment }),
        )
    }
}
