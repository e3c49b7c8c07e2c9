//! The alerter as a process: it evaluates alert rules and sends what the ledger holds for receivers.

use std::sync::Arc;

use alerter::dispatch::{Dispatcher, Parts};
use alerter::receivers::Receivers;

use super::stores::Stores;
use super::watching::Watching;
use crate::evaluating::{Books, Sources, evaluator};
use crate::running::Running;
use crate::serving::SENDING;

/// Adds the alerter's tasks.
pub(super) fn add(running: &mut Running, stores: &Stores, receivers: Arc<Receivers>) {
    alerter::metric::describe();
    let dispatcher = Dispatcher::new(
        Parts {
            store: Arc::clone(&stores.ledger) as _,
            receivers,
            clock: Arc::clone(&stores.clock),
        },
        rand::make_rng(),
    );
    running.stage("deliveries under way", Some(SENDING));
    running.spawn(move |stop| dispatcher.run(stop));
}

/// Adds the evaluation of alert rules: of any number of processes one does it.
pub(super) fn evaluate(
    running: &mut Running,
    stores: &Stores,
    watching: &Watching,
    books: Books,
    receivers: &Arc<Receivers>,
) {
    let sources = Sources {
        ledger: Arc::clone(&stores.ledger),
        control: Arc::clone(&stores.control),
        live: Arc::clone(&watching.live),
        board: Some(Arc::clone(&watching.board)),
        catalogue: stores.catalogue.clone(),
        clock: Arc::clone(&stores.clock),
        console: stores.settings.console.url(),
    };
    let evaluator = evaluator(sources, books, receivers);
    running.spawn(|stop| evaluator.run(stop));
}
