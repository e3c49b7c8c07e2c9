//! The embedded mode: routing, ledger, monitor and probes in one process.

use std::sync::Arc;
use std::time::Duration;

use access::Guard;
use alerter::dispatch::Dispatcher;
use alerter::evaluator::Evaluator;
use alerter::receivers::Receivers;
use anyhow::Context as _;
use compensator::Compensator;
use domain::brain::{Brain, Params};
use domain::catalogue::Shared as SharedCatalogue;
use domain::clock::SharedClock;
use domain::control::{Control, assemble};
use domain::decision::Shop;
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use jiff::SignedDuration;
use ledger::control::{ControlStore as _, Editor, Follower};
use ledger::{Limits, SqliteLedger, SqliteSettings, Writer};
use monitor::Monitor;
use router::adopt::Adopter;
use router::guarded::ByDefault;
use router::notice::Teller;
use router::routing::{Parts, Routing};
use router::server::Services;
use router::token::Keyring;
use stats::live::Live;
use stats::stream::{CAPACITY, stream};
use telemetry::probes::Readiness;
use tokio::net::TcpListener;

use crate::catalogue_files::CatalogueFiles;
use crate::clerk::{Clerk, Herald};
use crate::evaluating::{Books, Sources, evaluator};
use crate::running::{GRPC, IN_FLIGHT, PROBES, REST, Running};
use crate::serving::{self, SENDING};
use crate::shop_files::{InvalidShop, ShopFiles, Texts};

/// What an embedded Payroute is started with.
pub(crate) struct Setup {
    /// What the shop routes by.
    pub(crate) shop: Source,
    /// What failures mean.
    pub(crate) catalogue: SharedCatalogue,
    /// The files that it is kept by; `None`: it stays as it is.
    pub(crate) catalogue_files: Option<CatalogueFiles>,
    /// The ledger's file, and how large it may grow.
    pub(crate) ledger: SqliteSettings,
    /// The keys of tokens and receipts.
    pub(crate) keyring: Keyring,
    /// Who may call.
    pub(crate) guard: Guard,
    /// Whom alerts, events and customer notices are sent to.
    pub(crate) receivers: Arc<Receivers>,
    /// What customers are told; `None`: nothing.
    pub(crate) notices: Option<domain::notice::Rules>,
    /// The alert rules and runbooks that hold until others are put into force.
    pub(crate) books: Books,
    /// Where people reach the console, for links in pages.
    pub(crate) console_url: Option<String>,
    /// Whose payments are guarded unasked.
    pub(crate) guarded: ByDefault,
    /// How long an outcome may be reported after its decision.
    pub(crate) token_ttl: SignedDuration,
    /// How often health is published.
    pub(crate) snapshot_every: Duration,
    /// How much of the ledger is read back.
    pub(crate) rebuild: SignedDuration,
    /// The receiver that is told of open attempts; `None`: whoever listens is.
    pub(crate) compensation_receiver: Option<String>,
    /// The time.
    pub(crate) clock: SharedClock,
}

/// Where what the shop routes by comes from.
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub(crate) enum Source {
    /// It is this for as long as the process lives.
    Fixed(ShopFiles),
    /// It is kept in the ledger, imported from these files whenever they have changed.
    Ledger(Texts),
}

/// Where to listen.
pub(crate) struct Listeners {
    /// For gRPC.
    pub(crate) grpc: TcpListener,
    /// For metrics and probes.
    pub(crate) admin: TcpListener,
    /// For the control plane; `None`: there is none.
    pub(crate) console: Option<TcpListener>,
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
    let mut brain = Brain::new(Params::default());
    let (shop, control) = open_shop(&setup, &ledger, &mut brain).await?;
    let live = nothing_seen(brain, &setup.clock);
    let monitor = monitor(&setup, &ledger, &live).await?;
    let (publisher, consumer) = stream(CAPACITY);
    let outcomes = publisher.clone();
    let writer = Writer::spawn(Arc::clone(&ledger) as _, Limits::default(), move |record| {
        serving::publish(&outcomes, record);
    });
    let teller = Teller::new(setup.notices.clone(), setup.catalogue.clone());
    let plane = plane(&setup, &ledger, &live, teller.clone());
    let compensator = compensator(&setup, &ledger, teller.clone());
    let dispatcher = dispatcher(&setup, &ledger);
    let evaluator = alerting(&setup, &ledger, &live);
    let routing = Routing::new(Parts {
        shop,
        live: Arc::clone(&live),
        catalogue: setup.catalogue,
        keyring: setup.keyring,
        writer: writer.clone(),
        ledger: Arc::clone(&ledger) as _,
        cases: Arc::clone(&ledger) as _,
        outcomes: publisher,
        clock: setup.clock,
        token_ttl: setup.token_ttl,
        rng: rand::make_rng(),
        guarding: serving::guarding(Arc::clone(&ledger) as _, setup.guarded)?,
    })?;
    let routing = Arc::new(routing.telling(teller));

    let mut running = Running::new(Readiness::until(&[]));
    running.addresses = vec![(GRPC, grpc), (PROBES, admin)];
    let services = Services {
        routing: Arc::clone(&routing),
        live,
        guard: setup.guard.clone(),
        readiness: running.readiness().clone(),
    };
    // A caller that never reads its answer must not keep the ledger from being closed.
    running.stage("calls in flight", Some(IN_FLIGHT));
    running.spawn(|stop| serving::grpc(listeners.grpc, services, stop));
    if let Some(listener) = listeners.console {
        running.addresses.push((REST, listener.local_addr()?));
        running.spawn(|stop| serving::rest(listener, plane, stop));
    }
    if let Some(control) = control {
        let follower = Follower::new(ledger, control.revision);
        let adopter = Adopter::new(routing, None);
        // The overrides of breakers come with it.
        adopter.adopt(control).await;
        running.spawn(move |stop| adopter.follow(follower, stop));
    }
    if let Some(files) = setup.catalogue_files {
        running.spawn(move |stop| files.follow(stop));
    }
    // Before the ledger is closed, which it works with.
    running.spawn(|stop| compensator.run(stop));
    send(&mut running, dispatcher);
    if let Some(evaluator) = evaluator {
        running.spawn(|stop| evaluator.run(stop));
    }
    running.stage("the ledger", None);
    running.spawn(|stop| serving::close(writer, stop));
    running.stage("the monitor", None);
    running.spawn(|stop| monitor.run(consumer, setup.snapshot_every, stop));
    let probes = serving::probes(&running, telemetry, setup.guard);
    running.serve_probes(listeners.admin, probes);
    Ok(running)
}

/// `brain` beside the health of channels that nobody has used yet.
fn nothing_seen(brain: Brain, clock: &SharedClock) -> Arc<Live> {
    let health = HealthSnapshot::take(0, clock.now(), &Windows::default(), []);
    Arc::new(Live::new(brain, health))
}

/// The monitor, which has counted what the ledger has of the time before.
async fn monitor(setup: &Setup, ledger: &SqliteLedger, live: &Arc<Live>) -> anyhow::Result<Monitor> {
    let mut monitor = Monitor::new(Arc::clone(live), Arc::clone(&setup.clock));
    let since = monitor::rebuild::since(setup.clock.now(), setup.rebuild);
    let counted = monitor
        .rebuild(ledger, since)
        .await
        .context("cannot read the ledger back")?;
    tracing::info!(counted, "{counted} outcomes were read back from the ledger");

    // The monitor calls with every snapshot; twice that without a call is a stall of our own.
    let heartbeat = SignedDuration::try_from(2 * setup.snapshot_every)?;
    live.with_brain(|brain| brain.expect_calls_every(heartbeat));
    Ok(monitor)
}

/// What sends alerts, events and customer notices.
fn dispatcher(setup: &Setup, ledger: &Arc<SqliteLedger>) -> Dispatcher {
    alerter::metric::describe();
    let parts = alerter::dispatch::Parts {
        store: Arc::clone(ledger) as _,
        receivers: Arc::clone(&setup.receivers),
        clock: Arc::clone(&setup.clock),
    };
    Dispatcher::new(parts, rand::make_rng())
}

/// Lets `dispatcher` send until the process ends.
fn send(running: &mut Running, dispatcher: Dispatcher) {
    running.stage("deliveries under way", Some(SENDING));
    running.spawn(move |stop| dispatcher.run(stop));
}

/// Settles what is unknown.
fn compensator(setup: &Setup, ledger: &Arc<SqliteLedger>, teller: Teller) -> Compensator {
    Compensator::new(compensator::Parts {
        cases: Arc::clone(ledger) as _,
        ledger: Arc::clone(ledger) as _,
        guards: Arc::clone(ledger) as _,
        control: Arc::clone(ledger) as _,
        catalogue: setup.catalogue.clone(),
        clerk: Arc::new(Clerk::new(setup.keyring.clone(), setup.catalogue.clone(), teller)),
        receiver: setup.compensation_receiver.clone(),
        clock: Arc::clone(&setup.clock),
    })
}

/// What evaluates alert rules; nothing where the shop cannot change, as in the demo.
fn alerting(setup: &Setup, ledger: &Arc<SqliteLedger>, live: &Arc<Live>) -> Option<Evaluator> {
    let Source::Ledger(_) = &setup.shop else {
        return None;
    };
    let sources = Sources {
        ledger: Arc::clone(ledger),
        control: Arc::clone(ledger) as _,
        live: Arc::clone(live),
        board: None,
        catalogue: setup.catalogue.clone(),
        clock: Arc::clone(&setup.clock),
        console: setup.console_url.clone(),
    };
    Some(evaluator(sources, setup.books.clone(), &setup.receivers))
}

/// What the control plane works with.
fn plane(setup: &Setup, ledger: &Arc<SqliteLedger>, live: &Arc<Live>, teller: Teller) -> console::Parts {
    console::Parts {
        control: Arc::clone(ledger) as _,
        cases: Arc::clone(ledger) as _,
        ledger: Arc::clone(ledger) as _,
        observations: Arc::clone(ledger) as _,
        alerts: Arc::clone(ledger) as _,
        deliveries: Arc::clone(ledger) as _,
        receivers: setup.receivers.names().map(ToOwned::to_owned).collect(),
        herald: Arc::new(Herald(teller)),
        live: Arc::clone(live),
        catalogue: setup.catalogue.clone(),
        clock: Arc::clone(&setup.clock),
        guard: setup.guard.clone(),
    }
}

/// What the shop routes by, and the control state that it was assembled from, if it was.
async fn open_shop(
    setup: &Setup,
    ledger: &Arc<SqliteLedger>,
    brain: &mut Brain,
) -> anyhow::Result<(Shop, Option<Control>)> {
    let texts = match &setup.shop {
        Source::Fixed(files) => {
            let (configuration, policy) = (files.configuration.clone(), files.policy.clone());
            return Ok((Shop::open(configuration, policy, brain), None));
        }
        Source::Ledger(texts) => texts,
    };
    let editor = Editor::new(
        Arc::clone(ledger) as _,
        setup.catalogue.clone(),
        Arc::clone(&setup.clock),
    );
    editor.import(&texts.channels, &texts.policy).await?;
    let control = ledger
        .control()
        .await?
        .context("the configuration was just imported")?;
    let assembled = assemble(&control, &setup.catalogue.load().providers()).map_err(InvalidShop::Wrong)?;
    let shop = assembled.open(&control.breakers, brain);
    Ok((shop, Some(control)))
}

async fn open_ledger(settings: &SqliteSettings) -> anyhow::Result<Arc<SqliteLedger>> {
    let path = &settings.path;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Ok(Arc::new(SqliteLedger::open(settings).await?))
}
