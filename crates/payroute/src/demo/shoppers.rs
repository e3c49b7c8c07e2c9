//! The shoppers of the demo: who comes when, each with a checkout of its own.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::OutcomeClass;
use proto::v1::routing_service_client::RoutingServiceClient;
use simulator::counterfactual::FixedChannels;
use simulator::live::LiveProviders;
use simulator::shopper::{Arrivals, Shopper};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::checkout::Checkout;
use super::record::{End, Payment, Records};

/// Most payments under way at once; at this bound shoppers queue at the door. An outage holds some 150.
const MOST: usize = 2_000;

/// How long payments that are under way may take once nobody comes any more, or once somebody pressed Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);
const GRACE_INTERRUPTED: Duration = Duration::from_secs(2);

/// The shop, as its customers find it.
pub(super) struct Shop {
    /// Connections to Payroute, used in turn.
    pub(super) connections: Vec<Channel>,
    /// The simulated providers.
    pub(super) providers: LiveProviders,
    /// Where everything is written down.
    pub(super) records: Arc<Records>,
}

impl Shop {
    /// Serves every shopper of the world, until the last one is done or `stop` is cancelled.
    pub(super) async fn serve(self, stop: CancellationToken) {
        let (world, pace) = (self.providers.world(), self.providers.pace());
        let mut fixed = FixedChannels::as_listed(Arc::clone(world));
        let mut under_way = JoinSet::new();
        let connections = self.connections.iter().cycle();
        for (shopper, connection) in Arrivals::of(Arc::clone(world)).zip(connections) {
            tokio::select! {
                () = stop.cancelled() => break,
                () = pace.wait_until(shopper.arrives_at) => {}
            }
            while under_way.len() >= MOST {
                under_way.join_next().await;
            }
            while under_way.try_join_next().is_some() {}
            // Asked in the order of arrival, as a channel's load wants it.
            let alone = fixed.outcome(&shopper);
            let paid_on_fixed = alone.is_some_and(|alone| alone.class == OutcomeClass::Success);
            let lag = pace.now().saturating_sub(shopper.arrives_at);
            self.records.arrive(lag);
            under_way.spawn(self.checkout(connection).serve(shopper, paid_on_fixed));
        }
        let grace = if stop.is_cancelled() {
            GRACE_INTERRUPTED
        } else {
            GRACE
        };
        // Whoever is not done by then is counted as not finished, and goes with the set.
        let _ = tokio::time::timeout(grace, async { while under_way.join_next().await.is_some() {} }).await;
    }

    fn checkout(&self, connection: &Channel) -> Checkout {
        Checkout {
            payroute: RoutingServiceClient::new(connection.clone()),
            providers: self.providers.clone(),
            records: Arc::clone(&self.records),
            submits: Vec::new(),
        }
    }
}

impl Checkout {
    /// Serves one shopper, and writes down how it ended.
    async fn serve(mut self, shopper: Shopper, paid_on_fixed: bool) {
        let end = match self.pay(&shopper.payment).await {
            Ok(end) => end,
            Err(status) => {
                tracing::error!(%status, "a checkout was not answered: {status}");
                End::Unrouted
            }
        };
        self.records.open().payments.push(Payment {
            id: shopper.payment.payment,
            method: shopper.payment.method,
            submits: self.submits,
            end,
            paid_on_fixed,
        });
    }
}
