//! Checkout services: they pay, and write down every outcome that was acknowledged to them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proto::v1;
use proto::v1::routing_service_client::RoutingServiceClient;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::support::routing;

/// How long a checkout service waits before it turns to another router.
const PAUSE: Duration = Duration::from_millis(20);

/// What was acknowledged, by the name of its attempt.
#[derive(Default)]
pub(crate) struct Journal {
    acknowledged: Mutex<Vec<String>>,
    refused: AtomicUsize,
}

impl Journal {
    /// How many outcomes were acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.acknowledged.lock().len()
    }

    /// Writes down what was acknowledged to somebody else.
    pub(crate) fn also(&self, attempts: Vec<String>) {
        self.acknowledged.lock().extend(attempts);
    }

    /// The attempts whose outcomes were acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().clone()
    }

    /// How many Route calls were not answered with a channel.
    pub(crate) fn unrouted(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Where the routers are at the moment: a router that comes back has another port.
pub(crate) type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// Checkout services that are paying.
pub(crate) struct Load {
    /// What was acknowledged to them.
    pub(crate) journal: Arc<Journal>,
    /// Where they find routers.
    pub(crate) addresses: Addresses,
    stop: CancellationToken,
    workers: JoinSet<()>,
}

impl Load {
    /// Starts `workers` checkout services that pay through the routers at `addresses`, each in turn, until told to
    /// stop. Every outcome is reported until it is acknowledged, and `again` times more.
    pub(crate) fn start(addresses: Vec<SocketAddr>, workers: usize, again: usize) -> Self {
        Self::paying(route_request, addresses, workers, again)
    }

    /// As [`Load::start`], with what Route is asked for each payment.
    pub(crate) fn paying(
        request: fn(&str) -> v1::RouteRequest,
        addresses: Vec<SocketAddr>,
        workers: usize,
        again: usize,
    ) -> Self {
        let mut load = Self {
            journal: Arc::default(),
            addresses: Arc::new(Mutex::new(addresses)),
            stop: CancellationToken::new(),
            workers: JoinSet::new(),
        };
        for number in 0..workers {
            let worker = Worker {
                number,
                again,
                request,
                journal: Arc::clone(&load.journal),
                addresses: Arc::clone(&load.addresses),
                stop: load.stop.clone(),
                client: None,
                turn: number,
            };
            load.workers.spawn(worker.run());
        }
        load
    }

    /// Waits until `count` outcomes were acknowledged.
    pub(crate) async fn reach(&self, count: usize) {
        crate::support::eventually(&format!("{count} acknowledged outcomes"), async || {
            (self.journal.len() >= count).then_some(())
        })
        .await;
    }

    /// Lets everyone finish what they are at.
    pub(crate) async fn finish(mut self) -> Arc<Journal> {
        self.stop.cancel();
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("a worker ends well");
        }
        self.journal
    }
}

struct Worker {
    number: usize,
    again: usize,
    request: fn(&str) -> v1::RouteRequest,
    journal: Arc<Journal>,
    addresses: Addresses,
    stop: CancellationToken,
    client: Option<RoutingServiceClient<Channel>>,
    turn: usize,
}

impl Worker {
    async fn run(mut self) {
        let mut payment = 0;
        while !self.stop.is_cancelled() {
            payment += 1;
            self.pay(&format!("ord-{}-{payment}", self.number)).await;
        }
    }

    async fn pay(&mut self, payment: &str) {
        let asked = (self.request)(payment);
        let decision = self
            .answered(|mut client| {
                let request = asked.clone();
                async move { client.route(request).await }
            })
            .await;
        let Some(channel) = decision.channel.as_ref() else {
            self.journal.refused.fetch_add(1, Ordering::SeqCst);
            return;
        };
        let report = v1::ReportOutcomeRequest {
            decision_token: decision.decision_token.clone(),
            attempt_id: format!("{payment}-1"),
            channel_id: channel.channel_id.clone(),
            result: v1::Result::Succeeded.into(),
            provider: "payroute".to_owned(),
            latency_ms: 250,
            ..v1::ReportOutcomeRequest::default()
        };
        let answer = self
            .answered(|mut client| {
                let report = report.clone();
                async move { client.report_outcome(report).await }
            })
            .await;
        assert_eq!(answer.state, "succeeded");
        self.journal.acknowledged.lock().push(report.attempt_id.clone());
        for _ in 0..self.again {
            let again = self
                .answered(|mut client| {
                    let report = report.clone();
                    async move { client.report_outcome(report).await }
                })
                .await;
            assert_eq!(again.state, "succeeded");
        }
    }

    /// Makes a call until it is answered, on one router after the other.
    async fn answered<T, F>(&mut self, call: impl Fn(RoutingServiceClient<Channel>) -> F) -> T
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        loop {
            let Some(client) = self.client().await else {
                continue;
            };
            match call(client.clone()).await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => {
                    use tonic::Code::{Cancelled, DeadlineExceeded, Unavailable, Unknown};
                    let passing = [Unavailable, Unknown, Cancelled, DeadlineExceeded];
                    assert!(passing.contains(&status.code()), "{status:?}");
                    self.client = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn client(&mut self) -> Option<&mut RoutingServiceClient<Channel>> {
        if self.client.is_none() {
            self.turn += 1;
            let address = {
                let addresses = self.addresses.lock();
                addresses.get(self.turn % addresses.len().max(1)).copied()
            };
            self.client = match address {
                Some(address) => routing(address).await.ok(),
                None => None,
            };
            if self.client.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.client.as_mut()
    }
}

/// The least that Route asks for.
pub(crate) fn route_request(payment: &str) -> v1::RouteRequest {
    v1::RouteRequest {
        merchant_id: "shop".to_owned(),
        payment_id: payment.to_owned(),
        attempt_no: 1,
        amount_minor: 1_999,
        currency: "CNY".to_owned(),
        method: "wechat_pay".to_owned(),
        country: "CN".to_owned(),
        ..v1::RouteRequest::default()
    }
}
