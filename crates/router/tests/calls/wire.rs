//! What goes over a connection: streams.

use access::Guard;
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;
use payroute_router::server::{self, Services};
use proto::v1;
use proto::v1::channel_health_service_client::ChannelHealthServiceClient;
use proto::v1::routing_service_client::RoutingServiceClient;
use telemetry::probes::Readiness;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::shop::{Desk, report};

/// The service of a desk, listening.
struct Server {
    channel: Channel,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn of(desk: &Desk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let services = Services {
            routing: desk.routing.clone(),
            live: desk.live.clone(),
            guard: Guard::default(),
            readiness: Readiness::until(&[]),
        };
        let stop = CancellationToken::new();
        let serve = server::serve(listener, services, stop.clone());
        let task = tokio::spawn(async move { serve.await.unwrap() });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            channel: endpoint.connect().await.unwrap(),
            stop,
            task,
        }
    }

    async fn end(self) {
        drop(self.channel);
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_of_reports_is_answered_in_order_and_outlives_a_refusal() {
    let mut desk = Desk::open().await;
    let server = Server::of(&desk).await;
    let reports: Vec<_> = (0..50)
        .map(|number| {
            let name = format!("ord_{number}");
            let mut said = report(&desk.route(&name), &name, v1::Result::Succeeded);
            if number % 10 == 3 {
                said.decision_token = b"forged".to_vec();
            }
            said
        })
        .collect();
    let mut client = RoutingServiceClient::new(server.channel.clone());
    let answers = client
        .report_outcomes(stream::iter(reports))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.map(Result::unwrap).collect().await;
    assert_eq!(answers.len(), 50);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.attempt_id, format!("ord_{number}"));
        let refused = answer.error.as_ref().map(|error| error.code);
        let expected = (number % 10 == 3).then_some(tonic::Code::PermissionDenied as i32);
        assert_eq!(
            (refused, answer.response.is_none()),
            (expected, expected.is_some())
        );
    }
    assert_eq!(desk.counted().await.len(), 45);
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn whoever_watches_health_gets_every_newer_snapshot_and_an_end() {
    let desk = Desk::open().await;
    let server = Server::of(&desk).await;
    let mut client = ChannelHealthServiceClient::new(server.channel.clone());
    let request = v1::WatchChannelHealthRequest {
        min_interval_ms: 100,
        ..v1::WatchChannelHealthRequest::default()
    };
    let mut snapshots = client.watch_channel_health(request).await.unwrap().into_inner();
    assert_eq!(snapshots.message().await.unwrap().unwrap().seq, 0);
    let now = desk.pass(SignedDuration::from_secs(1));
    desk.live
        .publish(HealthSnapshot::take(1, now, &Windows::default(), []));
    let next = snapshots.message().await.unwrap().unwrap();
    assert_eq!((next.seq, next.as_of), (1, Some(proto::time::to_wire(now))));

    server.stop.cancel();
    assert!(snapshots.message().await.unwrap().is_none());
    drop((client, snapshots));
    server.end().await;
}

#[tokio::test]
async fn an_interval_out_of_bounds_is_refused() {
    let desk = Desk::open().await;
    let server = Server::of(&desk).await;
    let request = v1::WatchChannelHealthRequest {
        min_interval_ms: 1,
        ..v1::WatchChannelHealthRequest::default()
    };
    let mut client = ChannelHealthServiceClient::new(server.channel.clone());
    let refused = client.watch_channel_health(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    drop(client);
    server.end().await;
}
