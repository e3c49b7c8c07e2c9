//! A checkout that pays one payment after the other through one router. Every call must be answered, at the first try.

use std::net::SocketAddr;
use std::time::Duration;

use proto::v1;
use proto::v1::routing_service_client::RoutingServiceClient;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::load::route_request;
use crate::support::routing;

/// A checkout with a name that its payments begin with.
pub(crate) struct Cashier {
    /// How many outcomes were acknowledged to it.
    pub(crate) acknowledged: usize,
    /// How long each Route took.
    pub(crate) waits: Vec<Duration>,
    client: RoutingServiceClient<Channel>,
    name: &'static str,
}

impl Cashier {
    /// One at the router at `address`.
    pub(crate) async fn at(address: SocketAddr, name: &'static str) -> Self {
        Self {
            acknowledged: 0,
            waits: Vec::new(),
            client: routing(address).await.expect("the router listens"),
            name,
        }
    }

    /// Asks where to submit the next payment.
    pub(crate) async fn route(&mut self) -> v1::RouteResponse {
        let payment = format!("{}-{}", self.name, self.waits.len());
        let began = Instant::now();
        let decision = self.client.route(route_request(&payment)).await;
        self.waits.push(began.elapsed());
        decision.expect("Route answers").into_inner()
    }

    /// Reports what became of the payment that `decision` was for.
    pub(crate) async fn report(
        &mut self,
        decision: &v1::RouteResponse,
        result: v1::Result,
        transport_event: &str,
    ) -> v1::ReportOutcomeResponse {
        let report = v1::ReportOutcomeRequest {
            decision_token: decision.decision_token.clone(),
            attempt_id: format!("{}-{}", self.name, self.waits.len()),
            channel_id: chosen(decision).to_owned(),
            result: result.into(),
            transport_event: transport_event.to_owned(),
            latency_ms: 250,
            ..v1::ReportOutcomeRequest::default()
        };
        let answer = self.client.report_outcome(report).await;
        self.acknowledged += 1;
        answer.expect("ReportOutcome answers").into_inner()
    }

    /// Says that the attempt of `receipt` has succeeded after all.
    pub(crate) async fn resolve(&mut self, receipt: Vec<u8>) -> v1::ResolveAttemptResponse {
        let resolved = v1::ResolveAttemptRequest {
            receipt,
            resolution: v1::Resolution::Succeeded.into(),
            source: v1::ResolutionSource::Query.into(),
            ..v1::ResolveAttemptRequest::default()
        };
        let answer = self.client.resolve_attempt(resolved).await;
        answer.expect("ResolveAttempt answers").into_inner()
    }

    /// Pays `count` payments.
    pub(crate) async fn pay(&mut self, count: usize) {
        for _ in 0..count {
            let decision = self.route().await;
            let answer = self.report(&decision, v1::Result::Succeeded, "").await;
            assert_eq!(answer.state, "succeeded");
        }
    }
}

/// The channel of `decision`.
pub(crate) fn chosen(decision: &v1::RouteResponse) -> &str {
    &decision.channel.as_ref().expect("a channel").channel_id
}
