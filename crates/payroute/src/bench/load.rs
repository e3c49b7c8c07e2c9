//! Callers that ask again as soon as they are answered, and how long they waited.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use proto::v1;
use proto::v1::routing_service_client::RoutingServiceClient;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use super::route_request;

/// Which call is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    /// `Route`, each caller for a payment of its own.
    Route,
    /// `Route` with `guard`, each time for another payment. It is reported as well, so that the next one is not routed in
    /// an outage, and that is not part of what is waited for.
    Guarded,
    /// `ReportOutcome` of a success, each time of another attempt.
    Report,
    /// `ReportOutcome` of a success and then `Route`: the calls between a failure and the next submit.
    ReportAndRoute,
}

/// What is done to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// The server.
    pub(super) address: SocketAddr,
    /// The call.
    pub(super) call: Call,
    /// How many callers, each with one call at a time.
    pub(super) connections: u16,
    /// How long it is measured.
    pub(super) time: Duration,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// Calls answered in a second.
    pub(super) calls_per_sec: u64,
    /// Half of the calls were answered within this time, in microseconds.
    pub(super) p50_us: u32,
    /// 99 % of the calls were answered within this time, in microseconds.
    pub(super) p99_us: u32,
}

impl Load {
    /// How long callers call before it is measured: connections and caches are warm then.
    pub(super) const WARM_UP: Duration = Duration::from_millis(300);

    /// Makes the calls.
    ///
    /// # Errors
    /// When the server cannot be reached or a call is refused.
    pub(super) async fn run(self) -> anyhow::Result<Figures> {
        let mut callers = JoinSet::new();
        for number in 0..self.connections {
            callers.spawn(Caller::new(self, number).await?.call_for(self.time));
        }
        let mut waits_us = Vec::new();
        while let Some(caller) = callers.join_next().await {
            waits_us.extend(caller??);
        }
        Ok(Figures::of(waits_us, self.time))
    }
}

impl Figures {
    pub(super) fn of(mut waits_us: Vec<u32>, time: Duration) -> Self {
        waits_us.sort_unstable();
        let percentile = |percent: usize| {
            let place = waits_us.len().saturating_mul(percent).div_ceil(100);
            waits_us.get(place.saturating_sub(1)).copied().unwrap_or(0)
        };
        let calls = u64::try_from(waits_us.len()).unwrap_or(u64::MAX);
        Self {
            calls_per_sec: calls.checked_div(time.as_secs()).unwrap_or(0),
            p50_us: percentile(50),
            p99_us: percentile(99),
        }
    }
}

struct Caller {
    client: RoutingServiceClient<Channel>,
    call: Call,
    name: String,
    /// The decision about the caller's payment.
    decision: v1::RouteResponse,
}

impl Caller {
    async fn new(load: Load, number: u16) -> anyhow::Result<Self> {
        let name = format!("{:?}-{}-{number}", load.call, load.connections);
        Ok(Self {
            client: connect(load.address).await?,
            call: load.call,
            decision: decide(load.address, &name).await?,
            name,
        })
    }

    /// Calls until the time is over, and gives the wait of each measured call, in microseconds.
    async fn call_for(mut self, time: Duration) -> anyhow::Result<Vec<u32>> {
        let began = Instant::now() + Load::WARM_UP;
        let mut waits_us = Vec::new();
        let mut number = 0;
        while began.elapsed() < time {
            let asked = Instant::now();
            let waited = self.call_once(number).await?;
            if asked >= began {
                waits_us.push(u32::try_from(waited.as_micros()).unwrap_or(u32::MAX));
            }
            number += 1;
        }
        // Attempts that nobody hears of again would look like an outage to the next load.
        if !matches!(self.call, Call::Guarded) {
            self.report(number).await?;
        }
        Ok(waits_us)
    }

    /// Calls, and says how long it waited for the answer.
    async fn call_once(&mut self, number: u32) -> anyhow::Result<Duration> {
        let asked = Instant::now();
        match self.call {
            Call::Route => self.route(route_request(self.name.clone())).await?,
            Call::Guarded => {
                let guarded = v1::RouteRequest {
                    guard: true,
                    ..route_request(format!("{}-{number}", self.name))
                };
                self.route(guarded).await?;
                let waited = asked.elapsed();
                self.report(number).await?;
                return Ok(waited);
            }
            Call::Report => self.report(number).await?,
            Call::ReportAndRoute => {
                self.report(number).await?;
                let request = route_request(self.name.clone());
                self.client.route(request).await?;
            }
        }
        Ok(asked.elapsed())
    }

    async fn route(&mut self, request: v1::RouteRequest) -> anyhow::Result<()> {
        self.decision = self.client.route(request).await?.into_inner();
        Ok(())
    }

    async fn report(&mut self, number: u32) -> anyhow::Result<()> {
        let attempt = format!("{}-{number}", self.name);
        self.client
            .report_outcome(report(&self.decision, attempt))
            .await?;
        Ok(())
    }
}

/// The decision about a payment of that name.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub(super) async fn decide(address: SocketAddr, payment: &str) -> anyhow::Result<v1::RouteResponse> {
    let mut client = connect(address).await?;
    Ok(client
        .route(route_request(payment.to_owned()))
        .await?
        .into_inner())
}

/// A client of the server at `address`.
///
/// # Errors
/// When it cannot be reached.
pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<RoutingServiceClient<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let channel = endpoint.connect().await;
    let channel = channel.with_context(|| format!("cannot connect to {address}"))?;
    Ok(RoutingServiceClient::new(channel))
}

fn report(decision: &v1::RouteResponse, attempt_id: String) -> v1::ReportOutcomeRequest {
    let channel = decision.channel.as_ref();
    v1::ReportOutcomeRequest {
        decision_token: decision.decision_token.clone(),
        attempt_id,
        channel_id: channel
            .map(|channel| channel.channel_id.clone())
            .unwrap_or_default(),
        result: v1::Result::Succeeded.into(),
        provider_reference: "4200002026030212345678".to_owned(),
        latency_ms: 250,
        ..v1::ReportOutcomeRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_sorted_waits() {
        let waits_us = (1..=1_000).rev().collect();
        let figures = Figures {
            calls_per_sec: 500,
            p50_us: 500,
            p99_us: 990,
        };
        assert_eq!(Figures::of(waits_us, Duration::from_secs(2)), figures);
    }

    #[test]
    fn nothing_measured_is_nothing() {
        let nothing = Figures::of(Vec::new(), Duration::from_secs(1));
        assert_eq!((nothing.calls_per_sec, nothing.p99_us), (0, 0));
    }
}
