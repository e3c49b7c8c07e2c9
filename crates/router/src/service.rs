//! The gRPC face of the routing service.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use proto::v1::routing_service_server::RoutingService;
use proto::v1::{self, ReportError};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::error::CallError;
use crate::observe::Call;
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
        let call = Call::begin("payroute.v1.RoutingService/Route", request.metadata());
        let route = self.routing.route(request.into_inner());
        let answer = route.instrument(call.span.clone()).await;
        call.end(answer)
    }

    async fn report_outcome(
        &self,
        request: Request<v1::ReportOutcomeRequest>,
    ) -> Result<Response<v1::ReportOutcomeResponse>, Status> {
        let call = Call::begin("payroute.v1.RoutingService/ReportOutcome", request.metadata());
        let report = self.routing.report(request.into_inner(), call.trace_id.clone());
        let answer = report.instrument(call.span.clone()).await;
        call.end(answer)
    }

    type ReportOutcomesStream =
        Pin<Box<dyn Stream<Item = Result<v1::ReportOutcomesResponse, Status>> + Send>>;

    async fn report_outcomes(
        &self,
        request: Request<Streaming<v1::ReportOutcomeRequest>>,
    ) -> Result<Response<Self::ReportOutcomesStream>, Status> {
        let Call { span, trace_id, .. } =
            Call::begin("payroute.v1.RoutingService/ReportOutcomes", request.metadata());
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
        let call = Call::begin("payroute.v1.RoutingService/ResolveAttempt", request.metadata());
        let resolve = self.routing.resolve(request.into_inner());
        let answer = resolve.instrument(call.span.clone()).await;
        call.end(answer)
    }

    async fn get_payment(
        &self,
        request: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::GetPaymentResponse>, Status> {
        let call = Call::begin("payroute.v1.RoutingService/GetPayment", request.metadata());
        let look_up = self.routing.payment(request.into_inner());
        let answer = look_up.instrument(call.span.clone()).await;
        call.end(answer)
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
