//! Channel health: the snapshot, on the wire.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::outcome::OutcomeClass;
use domain::snapshot::{ChannelHealth, HealthSnapshot, ViewHealth};
use domain::success_rate::SuccessRate;
use futures_util::StreamExt as _;
use proto::v1::channel_health_service_server::ChannelHealthService;
use proto::violation::Violations;
use proto::{time, v1};
use stats::live::Live;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Bounds of `min_interval_ms`.
const INTERVAL_MS: std::ops::RangeInclusive<u32> = 100..=60_000;
/// What `min_interval_ms` is when it is not given.
const DEFAULT_INTERVAL_MS: u32 = 1_000;

/// Serves the published snapshots.
#[derive(Clone, Debug)]
pub struct Health {
    live: Arc<Live>,
    stop: CancellationToken,
}

impl Health {
    /// The service over `live`. What is followed ends when `stop` is cancelled: a stop would wait for it for ever.
    #[must_use]
    pub fn new(live: Arc<Live>, stop: CancellationToken) -> Self {
        Self { live, stop }
    }
}

#[tonic::async_trait]
impl ChannelHealthService for Health {
    async fn list_channel_health(
        &self,
        request: Request<v1::ListChannelHealthRequest>,
    ) -> Result<Response<v1::ListChannelHealthResponse>, Status> {
        let asked = request.into_inner().channel_ids;
        Ok(Response::new(to_wire(&self.live.snapshot(), &asked)))
    }

    type WatchChannelHealthStream =
        Pin<Box<dyn Stream<Item = Result<v1::ListChannelHealthResponse, Status>> + Send>>;

    async fn watch_channel_health(
        &self,
        request: Request<v1::WatchChannelHealthRequest>,
    ) -> Result<Response<Self::WatchChannelHealthStream>, Status> {
        let v1::WatchChannelHealthRequest {
            channel_ids,
            min_interval_ms,
        } = request.into_inner();
        let interval = match min_interval_ms {
            0 => DEFAULT_INTERVAL_MS,
            given if INTERVAL_MS.contains(&given) => given,
            given => {
                let range = format!(
                    "is {given}, must be {} to {}",
                    INTERVAL_MS.start(),
                    INTERVAL_MS.end()
                );
                return Err(Status::from(&Violations::one("min_interval_ms", range)));
            }
        };
        let snapshots = WatchStream::new(self.live.watch());
        let paced = tokio_stream::StreamExt::throttle(snapshots, Duration::from_millis(u64::from(interval)));
        let answers =
            futures_util::StreamExt::map(paced, move |snapshot| Ok(to_wire(&snapshot, &channel_ids)));
        let until = self.stop.clone().cancelled_owned();
        Ok(Response::new(Box::pin(answers.take_until(until))))
    }
}

fn to_wire(snapshot: &HealthSnapshot, asked: &[String]) -> v1::ListChannelHealthResponse {
    let wanted =
        |health: &&ChannelHealth| asked.is_empty() || asked.iter().any(|id| id == health.channel.as_str());
    v1::ListChannelHealthResponse {
        seq: snapshot.seq,
        as_of: Some(time::to_wire(snapshot.as_of)),
        channels: snapshot.channels.iter().filter(wanted).map(channel).collect(),
    }
}

fn channel(health: &ChannelHealth) -> v1::ChannelHealth {
    v1::ChannelHealth {
        channel_id: health.channel.to_string(),
        breaker_state: health.breaker.state.as_str().to_owned(),
        since: Some(time::to_wire(health.breaker.since)),
        allowance_bp: u32::from(health.breaker.allowance_bp),
        reason: health.breaker.reason.as_deref().unwrap_or_default().to_owned(),
        windows: health.views.iter().map(view).collect(),
        timeout_streak: health.timeout_streak,
        failure_streak: health.failure_streak,
        last_success_at: health.last_success_at.map(time::to_wire),
    }
}

fn view(health: &ViewHealth) -> v1::WindowView {
    let bp = |rate: SuccessRate| u32::from(rate.basis_points());
    let by_class = OutcomeClass::ALL.map(|class| {
        let count = u64::from(health.counts.of(class));
        (class.as_str().to_owned(), count)
    });
    v1::WindowView {
        window_secs: u32::try_from(health.view.secs()).unwrap_or(0),
        total: u64::from(health.counts.total()),
        by_class: by_class.into_iter().filter(|(_, count)| *count > 0).collect(),
        technical_success_bp: health.technical_success.map(bp),
        success_bp: health.business_success.map(bp),
        latency_ms_p50: health.latency_ms_p50.map(f64::from),
        latency_ms_p95: health.latency_ms_p95.map(f64::from),
        latency_ms_p99: health.latency_ms_p99.map(f64::from),
        share_bp: u32::from(health.share_bp),
    }
}
