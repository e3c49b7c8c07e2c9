//! `ReportOutcomeRequest`: from the wire.

use domain::notice::Contact;
use domain::report::{OutcomeReport, Reported};

use crate::contact::contact;
use crate::fields::{MAX_MESSAGE, Reader};
use crate::v1;
use crate::violation::Violations;

/// Longest latency that is believed, in milliseconds: ten minutes.
pub const MAX_LATENCY_MS: u32 = 600_000;

/// A report with the token it came with, checked but not yet verified.
#[derive(Clone, Debug)]
pub struct OutcomeQuery {
    /// The decision token.
    pub token: Vec<u8>,
    /// The receipt of the report that asked for this retry; empty when this is none.
    pub retry_of: Vec<u8>,
    /// What is reported.
    pub report: OutcomeReport,
    /// How the customer can be told.
    pub contact: Contact,
}

impl TryFrom<v1::ReportOutcomeRequest> for OutcomeQuery {
    type Error = Violations;

    fn try_from(request: v1::ReportOutcomeRequest) -> Result<Self, Violations> {
        let mut reader = Reader::default();
        let token = reader.token("decision_token", request.decision_token);
        let retry_of = reader.optional_token("retry_of", request.retry_of);
        let attempt = reader.name("attempt_id", &request.attempt_id);
        let channel = reader.name("channel_id", &request.channel_id);
        let result = result(&mut reader, request.result);
        let provider = reader.word("provider", request.provider);
        let code = reader.text("code", request.code);
        let sub_code = reader.text("sub_code", request.sub_code);
        let http_status = request
            .http_status
            .map(|status| reader.within("http_status", status, 100..=599));
        let transport_event = reader.word("transport_event", request.transport_event);
        let message = reader.bounded_text("message", request.message, MAX_MESSAGE);
        let provider_reference = reader.text("provider_reference", request.provider_reference);
        let network_advice_code = reader.text("network_advice_code", request.network_advice_code);
        let started_at = reader.time("started_at", request.started_at.as_ref());
        let latency_ms = reader.within("latency_ms", request.latency_ms, 0..=MAX_LATENCY_MS);
        let locale = reader.text("locale", request.locale);
        let contact = contact(&mut reader, request.contact);
        let artefact_delivered = request.artefact_delivered;
        let report = (|| {
            Some(OutcomeReport {
                attempt: attempt?,
                channel: channel?,
                result: result?,
                provider,
                code,
                sub_code,
                http_status: http_status.and_then(|status| u16::try_from(status).ok()),
                transport_event,
                message,
                provider_reference,
                network_advice_code,
                artefact_delivered,
                started_at,
                latency_ms,
                locale,
            })
        })();
        reader.finish(report.map(|report| Self {
            token,
            retry_of,
            report,
            contact,
        }))
    }
}

fn result(reader: &mut Reader, value: i32) -> Option<Reported> {
    match v1::Result::try_from(value) {
        Ok(v1::Result::Succeeded) => Some(Reported::Succeeded),
        Ok(v1::Result::Declined) => Some(Reported::Declined),
        Ok(v1::Result::Failed) => Some(Reported::Failed),
        Ok(v1::Result::TimedOut) => Some(Reported::TimedOut),
        Ok(v1::Result::AwaitingCustomer) => Some(Reported::AwaitingCustomer),
        Ok(v1::Result::Unspecified) => {
            reader.refuse("result", "is required");
            None
        }
        Err(_) => {
            reader.refuse("result", format!("{value} is not a result"));
            None
        }
    }
}

/// The result on the wire.
#[must_use]
pub fn result_to_wire(result: Reported) -> v1::Result {
    match result {
        Reported::Succeeded => v1::Result::Succeeded,
        Reported::Declined => v1::Result::Declined,
        Reported::Failed => v1::Result::Failed,
        Reported::TimedOut => v1::Result::TimedOut,
        Reported::AwaitingCustomer => v1::Result::AwaitingCustomer,
    }
}
