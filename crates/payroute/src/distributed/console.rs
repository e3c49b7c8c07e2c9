//! The console as a process: the control plane.

use std::sync::Arc;

use access::Guard;
use ledger::Ledger;
use router::notice::Teller;

use super::listen;
use super::stores::Stores;
use super::watching::Watching;
use crate::clerk::Herald;
use crate::receiver_files;
use crate::running::{IN_FLIGHT, REST, Running};

/// Adds the console's tasks.
pub(super) async fn add(
    running: &mut Running,
    stores: &Stores,
    watching: &Watching,
    guard: Guard,
    teller: Teller,
) -> anyhow::Result<()> {
    let settings = &stores.settings;
    let listener = listen("listen.console", settings.listen.console, settings).await?;
    running.addresses.push((REST, listener.local_addr()?));
    let parts = console::Parts {
        control: Arc::clone(&stores.control),
        ledger: Arc::clone(&stores.ledger) as Arc<dyn Ledger>,
        cases: Arc::clone(&stores.ledger) as _,
        observations: Arc::clone(&stores.ledger) as _,
        alerts: Arc::clone(&stores.ledger) as _,
        deliveries: Arc::clone(&stores.ledger) as _,
        receivers: receiver_files::names(&stores.folder, &settings.files)?.into(),
        herald: Arc::new(Herald(teller)),
        live: Arc::clone(&watching.live),
        catalogue: stores.catalogue.clone(),
        clock: Arc::clone(&stores.clock),
        guard,
    };
    running.stage("calls of the control plane", Some(IN_FLIGHT));
    running.spawn(|stop| crate::serving::rest(listener, parts, stop));
    Ok(())
}
