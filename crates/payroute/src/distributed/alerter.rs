//! The alerter as a process: it sends what the ledger holds for receivers.

use std::sync::Arc;

use alerter::dispatch::{Dispatcher, Parts};
use alerter::receivers::Receivers;

use super::stores::Stores;
use crate::running::Running;
use crate::serving::SENDING;

/// Adds the alerter's tasks.
pub(super) fn add(running: &mut Running, stores: &Stores, receivers: Receivers) {
    alerter::metric::describe();
    let dispatcher = Dispatcher::new(
        Parts {
            store: Arc::clone(&stores.ledger) as _,
            receivers: Arc::new(receivers),
            clock: Arc::clone(&stores.clock),
        },
        rand::make_rng(),
    );
    running.stage("deliveries under way", Some(SENDING));
    running.spawn(move |stop| dispatcher.run(stop));
}
