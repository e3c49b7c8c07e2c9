//! The bar: a server that does nothing but gRPC.

use std::net::SocketAddr;

use proto::v1;
use proto::v1::routing_service_server::{RoutingService, RoutingServiceServer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::Empty;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// A running echo.
pub(super) struct Echo {
    /// Where it listens.
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Echo {
    /// Starts a server that answers every Route with `answer`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(super) async fn start(answer: v1::RouteResponse) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let stop = CancellationToken::new();
        let served = Server::builder()
            .add_service(RoutingServiceServer::new(Canned(answer)))
            .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        let task = tokio::spawn(served);
        Ok(Self { address, stop, task })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the transport has failed.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await??;
        Ok(())
    }
}

/// Answers `Route` as it always does, takes reports, and does nothing else.
struct Canned(v1::RouteResponse);

fn not_echoed<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the echo decides and reports only"))
}

#[tonic::async_trait]
impl RoutingService for Canned {
    async fn route(&self, _: Request<v1::RouteRequest>) -> Result<Response<v1::RouteResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn report_outcome(
        &self,
        _: Request<v1::ReportOutcomeRequest>,
    ) -> Result<Response<v1::ReportOutcomeResponse>, Status> {
        Ok(Response::new(v1::ReportOutcomeResponse::default()))
    }

    type ReportOutcomesStream = Empty<Result<v1::ReportOutcomesResponse, Status>>;

    async fn report_outcomes(
        &self,
        _: Request<Streaming<v1::ReportOutcomeRequest>>,
    ) -> Result<Response<Self::ReportOutcomesStream>, Status> {
        not_echoed()
    }

    async fn resolve_attempt(
        &self,
        _: Request<v1::ResolveAttemptRequest>,
    ) -> Result<Response<v1::ResolveAttemptResponse>, Status> {
        not_echoed()
    }

    async fn get_payment(
        &self,
        _: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::GetPaymentResponse>, Status> {
        not_echoed()
    }
}
