//! The gRPC face of the routing service.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use proto::v1::routing_service_server::RoutingService;
use proto::v1::{self, ReportError};
use telemetry::trace;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, Span, info_span};

use crate::error::CallError;
use crate::routing::Routing;

/// How many reports of one stream are on their way to the ledger at once: enough to fill a group commit.
const STREAM_WINDOW: usize = 256;

/// Serves [`Routing`] over gRPC.
#[derive(Clone, Debug)]
pub struct Service {
    routing: Arc<Routing>,
    stop: CancellationToken,
}

impl Service {
    /// The service over `routing`. Streams of reports take no more when `stop` is cancelled; what they took is
    /// answered.
    #[must_use]
    pub fn new(routing: Arc<Routing>, stop: CancellationToken) -> Self {
        Self { routing, stop }
    }
}

#[tonic::async_trait]
impl RoutingService for Service {
    async fn route(&self, request: Request<v1::RouteRequest>) -> Result<Response<v1::RouteResponse>, Status> {
        let (span, _) = span("Route", request.metadata());
        let answer = span.in_scope(|| self.routing.route(request.into_inner()));
        answer.map(Response::new).map_err(Status::from)
    }

    async fn report_outcome(
        &self,
        request: Request<v1::ReportOutcomeRequest>,
    ) -> Result<Response<v1::ReportOutcomeResponse>, Status> {
        let (span, trace_id) = span("ReportOutcome", request.metadata());
        let answer = self
            .routing
            .report(request.into_inner(), trace_id)
            .instrument(span)
            .await;
        answer.map(Response::new).map_err(Status::from)
    }

    type ReportOutcomesStream =
        Pin<Box<dyn Stream<Item = Result<v1::ReportOutcomesResponse, Status>> + Send>>;

    async fn report_outcomes(
        &self,
        request: Request<Streaming<v1::ReportOutcomeRequest>>,
    ) -> Result<Response<Self::ReportOutcomesStream>, Status> {
        let (span, trace_id) = span("ReportOutcomes", request.metadata());
        let routing = Arc::clone(&self.routing);
        let until = self.stop.clone().cancelled_owned();
        let answers = request.into_inner().take_until(until).map(move |report| {
            let (routing, trace_id) = (Arc::clone(&routing), trace_id.clone());
            async move {
                let report = report?;
                let attempt_id = report.attempt_id.clone();
                Ok(match routing.report(report, trace_id).await {
                    Ok(response) => v1::ReportOutcomesResponse {
                        attempt_id,
                        response: Some(response),
                        error: None,
                    },
                    Err(error) => refused(attempt_id, error),
                })
            }
            .instrument(span.clone())
        });
        Ok(Response::new(Box::pin(answers.buffered(STREAM_WINDOW))))
    }

    async fn resolve_attempt(
        &self,
        request: Request<v1::ResolveAttemptRequest>,
    ) -> Result<Response<v1::ResolveAttemptResponse>, Status> {
        let (span, _) = span("ResolveAttempt", request.metadata());
        let answer = self.routing.resolve(request.into_inner()).instrument(span).await;
        answer.map(Response::new).map_err(Status::from)
    }

    async fn get_payment(
        &self,
        request: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::GetPaymentResponse>, Status> {
        let (span, _) = span("GetPayment", request.metadata());
        let answer = self.routing.payment(request.into_inner()).instrument(span).await;
        answer.map(Response::new).map_err(Status::from)
    }
}

fn refused(attempt_id: String, error: CallError) -> v1::ReportOutcomesResponse {
    let status = Status::from(error);
    v1::ReportOutcomesResponse {
        // A name that was refused may hold a card number.
        attempt_id: if status.code() == tonic::Code::InvalidArgument {
            String::new()
        } else {
            attempt_id
        },
        response: None,
        error: Some(ReportError {
            code: status.code().into(),
            message: status.message().to_owned(),
        }),
    }
}

/// A span for the call, in the caller's trace, and the id of that trace.
fn span(method: &'static str, metadata: &MetadataMap) -> (Span, Option<String>) {
    let span = info_span!("call", "rpc.method" = method);
    let trace_id = trace::join(&span, metadata.as_ref());
    (span, trace_id)
}
