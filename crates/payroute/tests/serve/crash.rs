//! Killed in the middle of ten thousand reports: every acknowledged outcome is in the ledger once, and counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{self, Server};
use proto::v1;
use proto::v1::channel_health_service_client::ChannelHealthServiceClient;
use proto::v1::routing_service_client::RoutingServiceClient;
use tokio::sync::watch;
use tonic::transport::Channel;

const OUTCOMES: usize = 10_000;
const CONNECTIONS: usize = 16;
/// Reports that are acknowledged before the process is killed.
const BEFORE_THE_KILL: usize = 6_000;

type Client = RoutingServiceClient<Channel>;

/// The server of the moment: `None` while there is none.
type Current = watch::Receiver<Option<Arc<Server>>>;

async fn client(current: &mut Current) -> Client {
    let server = current
        .wait_for(Option::is_some)
        .await
        .expect("the test lives")
        .clone();
    server.expect("just seen").routing().await
}

/// Makes a call until it is answered, on the server of the moment.
async fn answered<T, F>(client: &mut Client, current: &mut Current, call: impl Fn(Client) -> F) -> T
where
    F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
{
    loop {
        match call(client.clone()).await {
            Ok(answer) => return answer.into_inner(),
            Err(status) => {
                let gone = [
                    tonic::Code::Unavailable,
                    tonic::Code::Unknown,
                    tonic::Code::Cancelled,
                ];
                assert!(gone.contains(&status.code()), "{status:?}");
                // The connection is of a server that was killed, or is about to be: wait for the next one.
                let _ = tokio::time::timeout(Duration::from_secs(30), current.changed()).await;
                *client = self::client(current).await;
            }
        }
    }
}

async fn report_all(worker: usize, mut current: Current, acknowledged: Arc<AtomicUsize>) {
    let mut client = client(&mut current).await;
    for number in (worker..OUTCOMES).step_by(CONNECTIONS) {
        let request = support::route_request(&format!("ord_{number}"));
        let decision = answered(&mut client, &mut current, |mut client| {
            let request = request.clone();
            async move { client.route(request).await }
        })
        .await;
        let report = support::report(&decision, &format!("attempt_{number}"), v1::Result::Succeeded);
        for again in [false, true] {
            let answer = answered(&mut client, &mut current, |mut client| {
                let report = report.clone();
                async move { client.report_outcome(report).await }
            })
            .await;
            assert_eq!(answer.state, "succeeded");
            // The first report may already be a duplicate: of one whose acknowledgement died with the server.
            assert!(
                answer.duplicate || !again,
                "the second report of attempt_{number} was taken for a first one"
            );
        }
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_in_the_ledger_once_and_counted_once() {
    let data = tempfile::tempdir().unwrap();
    let first = Arc::new(Server::start(data.path()));
    let (present, current) = watch::channel(Some(Arc::clone(&first)));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| tokio::spawn(report_all(worker, current.clone(), Arc::clone(&acknowledged))))
        .collect();

    while acknowledged.load(Ordering::SeqCst) < BEFORE_THE_KILL {
        tokio::task::yield_now().await;
    }
    present.send_replace(None);
    kill(first).await;
    present.send_replace(Some(Arc::new(Server::start(data.path()))));
    for worker in workers {
        worker.await.unwrap();
    }

    let server = present.borrow().clone().unwrap();
    let mut client = server.routing().await;
    for number in 0..OUTCOMES {
        let request = v1::GetPaymentRequest {
            merchant_id: "shop".into(),
            payment_id: format!("ord_{number}"),
        };
        let payment = client.get_payment(request).await.unwrap().into_inner();
        assert_eq!(payment.attempts.len(), 1, "ord_{number}");
    }
    let expected = u64::try_from(OUTCOMES).unwrap();
    assert_eq!(counted(&server, expected).await, expected);
}

/// Kills the server once nobody is connecting to it any more.
async fn kill(mut server: Arc<Server>) {
    loop {
        match Arc::try_unwrap(server) {
            Ok(server) => return server.kill(),
            Err(shared) => server = shared,
        }
        tokio::task::yield_now().await;
    }
}

/// What health counts, followed until it has reached `expected`, and for two snapshots more: those would show an outcome
/// that was counted twice.
async fn counted(server: &Server, expected: u64) -> u64 {
    let mut health = ChannelHealthServiceClient::new(server.connect().await);
    let request = v1::WatchChannelHealthRequest {
        min_interval_ms: 100,
        ..v1::WatchChannelHealthRequest::default()
    };
    let mut snapshots = health.watch_channel_health(request).await.unwrap().into_inner();
    let (mut total, mut further) = (0, 0);
    for _ in 0..100 {
        let snapshot = snapshots.message().await.unwrap().expect("it goes on");
        total = support::in_the_last_hour(&snapshot);
        further += u32::from(total >= expected);
        if further > 2 {
            break;
        }
    }
    total
}
