//! The embedded mode: routing, ledger, monitor and probes in one process.

use access::{Guard, Scope};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::brain::{Brain, Params};
use domain::catalogue::Catalogue;
use domain::clock::SharedClock;
use domain::decision::Shop;
use domain::id::ChannelId;
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use jiff::SignedDuration;
use ledger::{Ledger, Limits, SqliteLedger, SqliteSettings, Writer};
use monitor::Monitor;
use router::routing::{Parts, Routing};
use router::server::{self, Services};
use router::token::Keyring;
use stats::live::Live;
use stats::stream::{CAPACITY, Publisher, stream};
use telemetry::probes::{Probes, Readers, Readiness};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::running::Running;
use crate::shop_files::ShopFiles;

/// What the operator is told of an address.
pub(crate) const GRPC: &str = "gRPC";
/// As above.
pub(crate) const PROBES: &str = "probes";

/// How long calls in flight may take to be answered, within the time that stopping may take.
const IN_FLIGHT: Duration = Duration::from_secs(3);

/// What an embedded Payroute is started with.
pub(crate) struct Setup {
    /// What the shop routes by.
    pub(crate) shop: ShopFiles,
    /// What failures mean.
    pub(crate) catalogue: Arc<Catalogue>,
    /// The ledger's file, and how large it may grow.
    pub(crate) ledger: SqliteSettings,
    /// The keys of tokens and receipts.
    pub(crate) keyring: Keyring,
    /// Who may call.
    pub(crate) guard: Guard,
    /// How long an outcome may be reported after its decision.
    pub(crate) token_ttl: SignedDuration,
    /// How often health is published.
    pub(crate) snapshot_every: Duration,
    /// How much of the ledger is read back.
    pub(crate) rebuild: SignedDuration,
    /// The time.
    pub(crate) clock: SharedClock,
}

/// Where to listen.
pub(crate) struct Listeners {
    /// For gRPC.
    pub(crate) grpc: TcpListener,
    /// For HTTP.
    pub(crate) admin: TcpListener,
}

/// Starts everything; when it returns, calls are answered. `telemetry` tells who is speaking and has the metrics.
///
/// # Errors
/// When the ledger cannot be opened or read back.
pub(crate) async fn start(
    setup: Setup,
    listeners: Listeners,
    telemetry: &telemetry::Guard,
) -> anyhow::Result<Running> {
    let (grpc, admin) = (listeners.grpc.local_addr()?, listeners.admin.local_addr()?);
    let ledger = open_ledger(&setup.ledger).await?;
    let now = setup.clock.now();
    let mut brain = Brain::new(Params::default());
    let shop = Shop::open(setup.shop.configuration, setup.shop.policy, &mut brain);
    let channels: Vec<ChannelId> = shop
        .channels
        .iter()
        .map(|(_, channel)| channel.id.clone())
        .collect();
    let live = Arc::new(Live::new(
        brain,
        HealthSnapshot::take(0, now, &Windows::default(), []),
    ));

    let mut monitor = Monitor::new(Arc::clone(&live), channels, Arc::clone(&setup.clock));
    let since = monitor::rebuild::since(now, setup.rebuild);
    let counted = monitor
        .rebuild(&*ledger, since)
        .await
        .context("cannot read the ledger back")?;
    tracing::info!(counted, "{counted} outcomes were read back from the ledger");

    // The monitor calls with every snapshot; twice that without a call is a stall of our own.
    let heartbeat = SignedDuration::try_from(2 * setup.snapshot_every)?;
    live.with_brain(|brain| brain.expect_calls_every(heartbeat));
    let (publisher, consumer) = stream(CAPACITY);
    let writer = spawn_writer(Arc::clone(&ledger), publisher.clone());
    let routing = Arc::new(Routing::new(Parts {
        shop,
        live: Arc::clone(&live),
        catalogue: setup.catalogue,
        keyring: setup.keyring,
        writer: writer.clone(),
        ledger,
        outcomes: publisher,
        clock: setup.clock,
        token_ttl: setup.token_ttl,
        rng: rand::make_rng(),
    })?);

    let readiness = Readiness::until(&[]);
    let guard = setup.guard.clone();
    let services = Services {
        routing,
        live,
        guard: setup.guard,
        readiness: readiness.clone(),
    };
    let probes = Probes {
        service: telemetry.service(),
        metrics: telemetry.metrics(),
        readiness: readiness.clone(),
        readers: Readers::of(move |header| guard.admit(header, Scope::Read).is_ok()),
    };
    let mut running = Running::new(readiness);
    running.addresses = vec![(GRPC, grpc), (PROBES, admin)];
    // A caller that never reads its answer must not keep the ledger from being closed.
    running.stage("calls in flight", Some(IN_FLIGHT));
    running.spawn(|stop| serve_grpc(listeners.grpc, services, stop));
    running.stage("the ledger", None);
    running.spawn(|stop| close(writer, stop));
    running.stage("the monitor", None);
    running.spawn(|stop| monitor.run(consumer, setup.snapshot_every, stop));
    running.serve_probes(listeners.admin, probes);
    Ok(running)
}

/// Closes the ledger once nobody writes any more: everything that was accepted is durable then.
async fn close(writer: Writer, stop: CancellationToken) {
    stop.cancelled().await;
    if let Err(error) = writer.close().await {
        tracing::error!(%error, "the ledger was not closed: {error}");
    }
}

async fn open_ledger(settings: &SqliteSettings) -> anyhow::Result<Arc<dyn Ledger>> {
    let path = &settings.path;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Ok(Arc::new(SqliteLedger::open(settings).await?))
}

/// The writer hands every outcome on at the moment it is durable, whether or not its caller is still there.
fn spawn_writer(ledger: Arc<dyn Ledger>, outcomes: Publisher) -> Writer {
    Writer::spawn(ledger, Limits::default(), move |record| {
        let Some(event) = record.outcome() else { return };
        if let Err(error) = outcomes.publish(event) {
            tracing::error!(%error, "an outcome is missing in the statistics until the next start: {error}");
        }
    })
}

async fn serve_grpc(listener: TcpListener, services: Services, stop: CancellationToken) {
    if let Err(error) = server::serve(listener, services, stop).await {
        tracing::error!(%error, "gRPC ended: {error}");
    }
}
