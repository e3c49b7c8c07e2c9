//! The shoppers of the demo: who comes when, each with a checkout of its own.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use domain::outcome::OutcomeClass;
use simulator::counterfactual::FixedChannels;
use simulator::live::LiveProviders;
use simulator::shopper::{Arrivals, Shopper};
use tokio_util::sync::CancellationToken;

use super::record::{Payment, Records};
use crate::checkout::Checkout;
use crate::checkout::door::{self, Door};

/// How long payments that are under way may take once nobody comes any more, or once somebody pressed Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);
const GRACE_INTERRUPTED: Duration = Duration::from_secs(2);

/// The shop, as its customers find it.
pub(super) struct Shop {
    /// Payroute.
    pub(super) payroute: Client,
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
        let shoppers = Arrivals::of(Arc::clone(world));
        let serve = |shopper: Shopper| {
            // Asked in the order of arrival, as a channel's load wants it.
            let alone = fixed.outcome(&shopper);
            let paid_on_fixed = alone.is_some_and(|alone| alone.class == OutcomeClass::Success);
            let lag = pace.now().saturating_sub(shopper.arrives_at);
            self.records.arrive(lag);
            serve(
                self.checkout(&shopper),
                Arc::clone(&self.records),
                shopper,
                paid_on_fixed,
            )
        };
        let under_way = Door::until(stop.clone()).admit(shoppers, pace, serve).await;
        // Whoever is not done by then is counted as not finished.
        let grace = if stop.is_cancelled() {
            GRACE_INTERRUPTED
        } else {
            GRACE
        };
        door::finish(under_way, tokio::time::sleep(grace)).await;
        // Nobody looks at what is told after the end.
        self.payroute.close(GRACE_INTERRUPTED).await;
    }

    fn checkout(&self, shopper: &Shopper) -> Checkout {
        Checkout {
            payroute: self.payroute.clone(),
            providers: self.providers.clone(),
            notes: Arc::clone(&self.records) as _,
            name: shopper.payment.payment.clone(),
        }
    }
}

/// Serves one shopper, and writes down how it ended.
async fn serve(checkout: Checkout, records: Arc<Records>, shopper: Shopper, paid_on_fixed: bool) {
    let (end, submits) = checkout.serve(&shopper.payment).await;
    records.open().payments.push(Payment {
        id: shopper.payment.payment,
        method: shopper.payment.method,
        submits,
        end,
        paid_on_fixed,
    });
}
