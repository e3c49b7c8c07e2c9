//! One submit to a channel: what the caller is given for it, and what it says became of it.

use std::time::Duration;

use domain::clock::Clock;
use jiff::Timestamp;
use proto::outcome::OutcomeQuery;
use proto::v1;

/// What the caller needs to submit an attempt, or to ask for its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    /// Whose payment it is.
    pub merchant_id: String,
    /// The payment.
    pub payment_id: String,
    /// Where to submit.
    pub channel_id: String,
    /// The merchant account to use there.
    pub account: String,
    /// The idempotency key or order number to give to the provider: the same when the same submit is made again.
    pub attempt_key: String,
    /// The name of this submit at Payroute.
    pub attempt_id: String,
    /// Which attempt at the payment it is, from 1.
    pub attempt_no: u32,
    /// Whether this channel is tried once more, after a fault that was provably not acted on.
    pub is_retry: bool,
    /// How long its answer is waited for. After that it is unknown what became of it.
    pub timeout: Duration,
}

/// What broke on the way, where there was no answer. The first four prove that nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportEvent {
    /// The name of the channel's host was not resolved.
    DnsFailure,
    /// Nobody listened.
    ConnectRefused,
    /// The connection did not come about in time.
    ConnectTimeout,
    /// TLS was not finished.
    TlsFailure,
    /// It broke while the request was written.
    WriteIncomplete,
    /// The request was sent, and no answer came in time.
    ReadTimeout,
    /// The request was sent, and the connection ended.
    ResetAfterSend,
    /// There was an answer that nobody can read.
    BodyUnreadable,
    /// There was an answer that is not the provider's.
    SignatureInvalid,
}

impl TransportEvent {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsFailure => "dns_failure",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::TlsFailure => "tls_failure",
            Self::WriteIncomplete => "write_incomplete",
            Self::ReadTimeout => "read_timeout",
            Self::ResetAfterSend => "reset_after_send",
            Self::BodyUnreadable => "body_unreadable",
            Self::SignatureInvalid => "signature_invalid",
        }
    }
}

/// What became of a submit, as the provider said it: codes are handed on unread.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an outcome that nobody hears of is lost"]
pub struct Submitted(pub(crate) v1::ReportOutcomeRequest);

macro_rules! details {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, $name: impl Into<String>) -> Self {
                self.0.$name = $name.into();
                self
            }
        )*
    };
}

impl Submitted {
    fn of(result: v1::Result) -> Self {
        Self(v1::ReportOutcomeRequest {
            result: result.into(),
            ..v1::ReportOutcomeRequest::default()
        })
    }

    /// Paid, or authorised.
    pub fn succeeded() -> Self {
        Self::of(v1::Result::Succeeded)
    }

    /// A definite no, with the provider's code.
    pub fn declined(code: impl Into<String>) -> Self {
        Self::of(v1::Result::Declined).code(code)
    }

    /// An error that the provider answered with, and its code.
    pub fn failed(code: impl Into<String>) -> Self {
        Self::of(v1::Result::Failed).code(code)
    }

    /// There was no answer: what broke on the way.
    pub fn broken(event: TransportEvent) -> Self {
        let result = match event {
            TransportEvent::ReadTimeout => v1::Result::TimedOut,
            _ => v1::Result::Failed,
        };
        let mut submitted = Self::of(result);
        event.as_str().clone_into(&mut submitted.0.transport_event);
        submitted
    }

    /// There was no answer in time.
    pub fn timed_out() -> Self {
        Self::broken(TransportEvent::ReadTimeout)
    }

    /// Something payable was handed to the customer, or a password is awaited.
    pub fn awaiting_customer() -> Self {
        Self::of(v1::Result::AwaitingCustomer)
    }

    details! {
        /// Whose codes `code` is from; not given: the channel's own provider. With it, the client can judge a failure
        /// even while no router answers.
        provider,
        /// The provider's code, verbatim.
        code,
        /// The provider's sub code, verbatim.
        sub_code,
        /// The provider's message, for the operator; never shown to the customer.
        message,
        /// The provider's own number for the attempt.
        provider_reference,
        /// The card network's advice code, two characters.
        network_advice_code,
    }

    /// HTTP status of the answer.
    pub const fn http_status(mut self, status: u16) -> Self {
        // From u16 to u32, which `From` would do if it could in a const fn.
        self.0.http_status = Some(status as u32);
        self
    }

    /// Prepare stage: whether the customer received what can be paid; not given: assumed received.
    pub const fn artefact_delivered(mut self, delivered: bool) -> Self {
        self.0.artefact_delivered = Some(delivered);
        self
    }
}

/// The decision and the time behind a submit.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) decision_token: Vec<u8>,
    pub(crate) retry_of: Vec<u8>,
    pub(crate) started_at: Timestamp,
}

impl Origin {
    /// The report of `submit`, which ended as `submitted` says after `took`.
    pub(crate) fn report(
        &self,
        submit: &Submit,
        submitted: Submitted,
        took: Duration,
    ) -> v1::ReportOutcomeRequest {
        acceptable(self.fill(submit, submitted, took))
    }

    /// What is reported of `submit` should nobody ever say what became of it.
    pub(crate) fn unknown(&self, submit: &Submit) -> v1::ReportOutcomeRequest {
        self.fill(
            submit,
            Submitted::broken(TransportEvent::ResetAfterSend),
            Duration::ZERO,
        )
    }

    fn fill(&self, submit: &Submit, submitted: Submitted, took: Duration) -> v1::ReportOutcomeRequest {
        v1::ReportOutcomeRequest {
            decision_token: self.decision_token.clone(),
            retry_of: self.retry_of.clone(),
            attempt_id: submit.attempt_id.clone(),
            channel_id: submit.channel_id.clone(),
            started_at: Some(proto::time::to_wire(self.started_at)),
            latency_ms: u32::try_from(took.as_millis())
                .unwrap_or(u32::MAX)
                .min(proto::outcome::MAX_LATENCY_MS),
            ..submitted.0
        }
    }

    /// That `submit` begins now, by `clock`.
    pub(crate) fn begin(decision_token: &[u8], retry_of: Vec<u8>, clock: &dyn Clock) -> Self {
        Self {
            decision_token: decision_token.to_vec(),
            retry_of,
            started_at: clock.now(),
        }
    }
}

/// The report without the details that the contract refuses (too long, or with a card number in them): they are worth
/// less than the outcome, which would be lost with them.
fn acceptable(mut report: v1::ReportOutcomeRequest) -> v1::ReportOutcomeRequest {
    let Err(violations) = OutcomeQuery::try_from(report.clone()) else {
        return report;
    };
    for violation in violations.list() {
        let field = match violation.field.as_str() {
            "provider" => &mut report.provider,
            "code" => &mut report.code,
            "sub_code" => &mut report.sub_code,
            "transport_event" => &mut report.transport_event,
            "message" => &mut report.message,
            "provider_reference" => &mut report.provider_reference,
            "network_advice_code" => &mut report.network_advice_code,
            "http_status" => {
                report.http_status = None;
                continue;
            }
            _ => continue,
        };
        field.clear();
        let (field, problem) = (&violation.field, &violation.description);
        tracing::warn!(field, "a report goes without its `{field}`, which {problem}");
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit() -> Submit {
        Submit {
            merchant_id: "shop".to_owned(),
            payment_id: "ord_1".to_owned(),
            channel_id: "wechat_direct".to_owned(),
            account: String::new(),
            attempt_key: "k".to_owned(),
            attempt_id: "k-1".to_owned(),
            attempt_no: 1,
            is_retry: false,
            timeout: Duration::from_secs(1),
        }
    }

    fn report(submitted: Submitted, took: Duration) -> v1::ReportOutcomeRequest {
        let origin = Origin {
            decision_token: b"token".to_vec(),
            retry_of: Vec::new(),
            started_at: Timestamp::UNIX_EPOCH,
        };
        origin.report(&submit(), submitted, took)
    }

    #[test]
    fn what_the_provider_said_is_reported_verbatim() {
        let said = Submitted::declined("51").provider("unionpay").http_status(200);
        let report = report(said, Duration::from_millis(250));
        assert_eq!(report.result(), v1::Result::Declined);
        assert_eq!((&*report.code, &*report.provider), ("51", "unionpay"));
        assert_eq!((report.http_status, report.latency_ms), (Some(200), 250));
    }

    #[test]
    fn silence_is_a_timeout_and_a_refused_connection_is_a_failure() {
        assert_eq!(Submitted::timed_out().0.result(), v1::Result::TimedOut);
        let refused = Submitted::broken(TransportEvent::ConnectRefused);
        assert_eq!(refused.0.result(), v1::Result::Failed);
        assert_eq!(refused.0.transport_event, "connect_refused");
    }

    #[test]
    fn a_detail_that_would_be_refused_does_not_cost_the_outcome() {
        let said = Submitted::failed("SYSTEMERROR")
            .message("card 4111111111111111 was refused")
            .provider_reference("x".repeat(300))
            .http_status(7);
        let report = report(said, Duration::from_hours(1));
        assert_eq!(report.code, "SYSTEMERROR");
        assert_eq!((&*report.message, &*report.provider_reference), ("", ""));
        assert_eq!(report.http_status, None);
        assert!(OutcomeQuery::try_from(report).is_ok());
    }
}
