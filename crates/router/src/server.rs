//! Listening: the gRPC server with health check and reflection.

use std::sync::Arc;

use access::Guard;
use proto::FILE_DESCRIPTOR_SET;
use proto::v1::channel_health_service_server::ChannelHealthServiceServer;
use proto::v1::compensation_service_server::CompensationServiceServer;
use proto::v1::routing_service_server::RoutingServiceServer;
use stats::live::Live;
use telemetry::probes::Readiness;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Layer as _;

use crate::auth::Doorman;
use crate::health::Health;
use crate::routing::Routing;
use crate::service::Service;
use crate::watch::Watching;

/// Largest message that is read, in bytes: a request with twenty of the longest receipts and room to spare.
const MAX_MESSAGE: usize = 128 * 1_024;
/// Most calls at once on one connection.
const MAX_STREAMS: u32 = 1_024;
/// Most resets of a connection's streams that are waiting to be seen: an attack floods them.
const MAX_PENDING_RESETS: usize = 64;

/// Why the server ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("the gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
    /// The contract that is part of the program cannot be reflected.
    #[error("the contract cannot be reflected")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What is served.
#[derive(Debug)]
pub struct Services {
    /// Route, report, resolve, look up.
    pub routing: Arc<Routing>,
    /// Channel health.
    pub live: Arc<Live>,
    /// Who may call.
    pub guard: Guard,
    /// What the health check answers.
    pub readiness: Readiness,
}

/// Serves gRPC on `listener` until `stop` is cancelled and every call is answered.
///
/// The health check follows the readiness, which turns before the listener closes, so that a balancer looks elsewhere
/// while calls are still taken. It needs no token: an orchestrator has none.
///
/// # Errors
/// When the transport fails.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let Services {
        routing,
        live,
        guard,
        readiness,
    } = services;
    let (reporter, health_check) = tonic_health::server::health_reporter();
    let follow = tokio::spawn(follow(reporter, readiness));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let guarded = InterceptorLayer::new(Doorman(guard));
    let requests = Arc::new(routing.requests());
    let routing =
        RoutingServiceServer::new(Service::new(routing, stop.clone())).max_decoding_message_size(MAX_MESSAGE);
    let requests = CompensationServiceServer::new(Watching::new(requests, stop.clone()))
        .max_decoding_message_size(MAX_MESSAGE);
    let health = ChannelHealthServiceServer::new(Health::new(live, stop.clone()))
        .max_decoding_message_size(MAX_MESSAGE);
    let served = Server::builder()
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .max_concurrent_streams(MAX_STREAMS)
        .add_service(health_check)
        .add_service(guarded.layer(reflection))
        .add_service(guarded.layer(routing))
        .add_service(guarded.layer(health))
        .add_service(guarded.layer(requests))
        // An incoming of our own does not take the server's setting: without this, each answer waits 40 ms.
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stop.cancelled_owned(),
        )
        .await;
    follow.abort();
    served.map_err(ServeError::from)
}

/// Keeps the health check at what the readiness says.
async fn follow(reporter: tonic_health::server::HealthReporter, readiness: Readiness) {
    loop {
        readiness.reached(true).await;
        reporter.set_serving::<RoutingServiceServer<Service>>().await;
        reporter
            .set_service_status("", tonic_health::ServingStatus::Serving)
            .await;
        readiness.reached(false).await;
        reporter.set_not_serving::<RoutingServiceServer<Service>>().await;
        reporter
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
    }
}
