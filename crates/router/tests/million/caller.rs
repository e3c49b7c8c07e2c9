//! The calls of a checkout, and what it remembers of a payment.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::OutcomeClass;
use payroute_router::routing::Routing;
use proto::v1;
use simulator::shopper::Shopper;
use tonic::Status;
use tonic_types::StatusExt as _;

/// A submit that a worker has made or is about to make.
#[derive(Clone, Debug, Default)]
pub(crate) struct Submit {
    /// Which attempt.
    pub(crate) attempt_no: u32,
    /// Whether it is the retry on the same channel.
    pub(crate) retry: bool,
    /// The channel.
    pub(crate) channel: String,
    /// The provider's key.
    pub(crate) key: String,
    /// The decision's token.
    pub(crate) token: Vec<u8>,
    /// The receipt that allowed the retry.
    pub(crate) retry_of: Vec<u8>,
    /// Who made it.
    pub(crate) worker: u32,
}

impl Submit {
    /// The name that it is reported by.
    pub(crate) fn name(&self, payment: &str) -> String {
        let retry = if self.retry { "r" } else { "" };
        format!("{payment}-{}{retry}-{}", self.attempt_no, self.worker)
    }
}

/// A call to a router.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few of them at a time")]
pub(crate) enum Call {
    Route(v1::RouteRequest),
    Report(v1::ReportOutcomeRequest),
    Resolve(v1::ResolveAttemptRequest),
}

/// What it is answered.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few of them at a time")]
pub(crate) enum Answer {
    Route(Result<v1::RouteResponse, String>),
    Report(v1::ReportOutcomeResponse),
    /// `None` when the state does not allow what is said: something better is known.
    Resolve(Option<v1::ResolveAttemptResponse>),
}

impl Call {
    /// Makes the call.
    pub(crate) async fn make(self, router: Arc<Routing>) -> Answer {
        match self {
            Self::Route(request) => Answer::Route(router.route(request).await.map_err(|error| {
                let status = Status::from(error);
                let details = status.get_error_details();
                details.error_info().map(|info| info.reason.clone()).unwrap()
            })),
            Self::Report(request) => Answer::Report(router.report(request, None).await.unwrap()),
            Self::Resolve(request) => Answer::Resolve(match router.resolve(request).await {
                Ok(answer) => Some(answer),
                Err(error) => {
                    assert_eq!(error.code(), tonic::Code::FailedPrecondition, "{error}");
                    None
                }
            }),
        }
    }
}

/// Asks for attempt `attempt_no`, as worker `worker`.
pub(crate) fn route(shopper: &Shopper, attempt_no: u32, worker: u32, guard: bool) -> v1::RouteRequest {
    let payment = &shopper.payment;
    v1::RouteRequest {
        merchant_id: payment.merchant.to_string(),
        payment_id: payment.payment.to_string(),
        attempt_no,
        amount_minor: payment.amount.minor(),
        currency: "CNY".to_owned(),
        method: payment.method.clone(),
        issuer: payment.issuer.clone().unwrap_or_default(),
        guard,
        explain: true,
        request_id: format!("w{worker}"),
        ..v1::RouteRequest::default()
    }
}

/// Reports what came of `submit`; `None` when nothing came in time.
pub(crate) fn report(
    payment: &str,
    submit: &Submit,
    told: Option<(OutcomeClass, &str)>,
    latency: Duration,
) -> v1::ReportOutcomeRequest {
    let result = match told {
        None => v1::Result::TimedOut,
        Some((OutcomeClass::Success, _)) => v1::Result::Succeeded,
        Some((OutcomeClass::Refusal | OutcomeClass::SoftDecline, _)) => v1::Result::Declined,
        Some(_) => v1::Result::Failed,
    };
    v1::ReportOutcomeRequest {
        decision_token: submit.token.clone(),
        attempt_id: submit.name(payment),
        channel_id: submit.channel.clone(),
        result: result.into(),
        code: told.map(|(_, code)| code.to_owned()).unwrap_or_default(),
        transport_event: told.map_or("read_timeout", |_| "").to_owned(),
        latency_ms: u32::try_from(latency.as_millis()).unwrap(),
        retry_of: submit.retry_of.clone(),
        ..v1::ReportOutcomeRequest::default()
    }
}

/// Tells what was found about the attempt of `receipt`.
pub(crate) fn resolve(
    receipt: &[u8],
    resolution: v1::Resolution,
    source: v1::ResolutionSource,
) -> v1::ResolveAttemptRequest {
    v1::ResolveAttemptRequest {
        receipt: receipt.to_vec(),
        resolution: resolution.into(),
        source: source.into(),
        ..v1::ResolveAttemptRequest::default()
    }
}
