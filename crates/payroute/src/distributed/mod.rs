//! Many processes: routers, monitors and the console as services of their own, on Postgres and Redis.
//!
//! Any number of each, in a process alone or together: `payroute serve` with both stores runs one of each in one
//! process. A router starts and goes on while either store is away; a monitor and the console need them.

mod alerter;
mod compensator;
mod console;
mod monitor;
mod router;
mod stores;
mod time;
mod watching;

use std::path::Path;
use std::sync::Arc;

use ::router::notice::Teller;
use anyhow::Context as _;
use telemetry::listen::bind;
use telemetry::probes::Readiness;
use tokio::net::TcpListener;

use crate::evaluating::Books;
use crate::listening::{access, guard};
use crate::running::{PROBES, Running};
use crate::settings::Settings;
use crate::{notice_files, receiver_files};

pub(crate) use stores::{ledger_settings, open_for_tools};

use stores::Stores;
use watching::Watching;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each service runs in a process or does not, whatever the others do"
)]
pub(crate) struct Services {
    /// Answers Route and `ReportOutcome`.
    pub(crate) router: bool,
    /// Counts outcomes and keeps the fleet's brain.
    pub(crate) monitor: bool,
    /// Answers the control plane.
    pub(crate) console: bool,
    /// Sends alerts, events and customer notices.
    pub(crate) alerter: bool,
    /// Settles what is unknown.
    pub(crate) compensator: bool,
}

impl Services {
    /// All of them.
    pub(crate) const ALL: Self = Self {
        router: true,
        monitor: true,
        console: true,
        alerter: true,
        compensator: true,
    };
    /// The router alone.
    pub(crate) const ROUTER: Self = Self {
        router: true,
        monitor: false,
        console: false,
        alerter: false,
        compensator: false,
    };
    /// The monitor alone.
    pub(crate) const MONITOR: Self = Self {
        router: false,
        monitor: true,
        console: false,
        alerter: false,
        compensator: false,
    };
    /// The console alone.
    pub(crate) const CONSOLE: Self = Self {
        router: false,
        monitor: false,
        console: true,
        alerter: false,
        compensator: false,
    };
    /// The alerter alone.
    pub(crate) const ALERTER: Self = Self {
        router: false,
        monitor: false,
        console: false,
        alerter: true,
        compensator: false,
    };
    /// The compensator alone.
    pub(crate) const COMPENSATOR: Self = Self {
        router: false,
        monitor: false,
        console: false,
        alerter: false,
        compensator: true,
    };
}

/// Starts `services`; when it returns, they answer.
///
/// # Errors
/// When a setting is wrong, an address is taken, or a store that a service cannot start without is away.
pub(crate) async fn start(
    services: Services,
    folder: &Path,
    settings: &Settings,
    telemetry: &telemetry::Guard,
) -> anyhow::Result<Running> {
    let guard = guard(settings)?;
    // A router is not to be kept from starting by a receiver's missing secret.
    let receivers = if services.alerter {
        Arc::new(receiver_files::load(folder, &settings.files)?)
    } else {
        Arc::default()
    };
    let tells = services.router || services.console || services.compensator;
    let notices = if tells {
        notice_files::load(folder, services.alerter.then_some(&*receivers))?
    } else {
        None
    };
    stats::redis::metric::describe();
    let stores = Stores::open(services, folder, settings).await?;
    let teller = Teller::new(notices, stores.catalogue.clone());
    let mut running = Running::new(Readiness::until(&[]));
    let watching = if services.router || services.console {
        Some(Watching::begin(&stores).await?)
    } else if services.alerter {
        watch_for_alerts(&stores).await
    } else {
        None
    };
    if let Some(watching) = watching.as_ref().filter(|_| services.alerter) {
        let books = Books::of_folder(folder, &receivers)?;
        running.stage("the evaluation of alerts", None);
        alerter::evaluate(&mut running, &stores, watching, books, &receivers);
    }
    if let Some(watching) = watching.as_ref().filter(|_| services.router) {
        router::add(&mut running, &stores, watching, guard.clone(), teller.clone()).await?;
    }
    if let Some(watching) = watching.as_ref().filter(|_| services.console) {
        console::add(&mut running, &stores, watching, guard.clone(), teller.clone()).await?;
    }
    if services.compensator {
        compensator::add(&mut running, &stores, teller)?;
    }
    running.stage("background tasks", None);
    if let Some(watching) = watching {
        watching.add(&mut running, &stores);
    }
    if services.monitor {
        monitor::add(&mut running, &stores).await?;
    }
    if services.alerter {
        alerter::add(&mut running, &stores, receivers);
    }
    stores.follow(&mut running);
    let admin = listen("listen.admin", settings.listen.admin, settings).await?;
    running.addresses.push((PROBES, admin.local_addr()?));
    let probes = crate::serving::probes(&running, telemetry, guard);
    running.serve_probes(admin, probes);
    Ok(running)
}

/// What the evaluation of alerts looks at. An alerter sends what there is also where nothing can be evaluated.
async fn watch_for_alerts(stores: &Stores) -> Option<Watching> {
    Watching::begin(stores)
        .await
        .inspect_err(|error| tracing::warn!("alert rules are not evaluated by this process: {error:#}"))
        .ok()
}

/// Listens where setting `name` says.
async fn listen(
    name: &'static str,
    address: std::net::SocketAddr,
    settings: &Settings,
) -> anyhow::Result<TcpListener> {
    bind(name, address, access(settings))
        .await
        .with_context(|| format!("{name}: cannot listen"))
}
