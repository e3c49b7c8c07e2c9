//! `payroute serve`: all services of the embedded mode in one process, until a signal.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::catalogue::Shared as SharedCatalogue;
use domain::clock::SystemClock;
use jiff::SignedDuration;
use ledger::SqliteSettings;
use telemetry::listen::bind;
use telemetry::shutdown;

use crate::catalogue_files::{self, CatalogueFiles};
use crate::distributed;
use crate::embedded::{self, Listeners, Setup, Source};
use crate::evaluating::Books;
use crate::listening::{access, guard};
use crate::notice_files;
use crate::receiver_files;
use crate::running::Running;
use crate::settings::flags::Flags;
use crate::settings::{LogFormat, Settings};
use crate::shop_files::{ShopFiles, Texts};
use crate::token_keys;

/// Who is speaking, in logs, traces and probes.
pub(crate) const SERVICE: telemetry::Service = telemetry::Service {
    name: "payroute",
    version: env!("CARGO_PKG_VERSION"),
};

/// Runs all services in one process until SIGTERM or SIGINT; says on `out` where it listens once it answers.
///
/// # Errors
/// When it cannot start, or cannot stop in time.
pub(crate) async fn run(flags: Flags, out: &mut impl Write) -> anyhow::Result<()> {
    if !flags.load()?.ledger.url.is_empty() {
        return run_services(distributed::Services::ALL, flags, out).await;
    }
    until_stopped(&flags, out, async |settings, telemetry| {
        let setup = setup(&flags.folder, settings)?;
        embedded::start(setup, listeners(settings).await?, telemetry).await
    })
    .await
}

/// Runs `services` of a deployment of several processes, as [`run`] does.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_services(
    services: distributed::Services,
    flags: Flags,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    until_stopped(&flags, out, async |settings, telemetry| {
        distributed::start(services, &flags.folder, settings, telemetry).await
    })
    .await
}

async fn until_stopped(
    flags: &Flags,
    out: &mut impl Write,
    start: impl AsyncFnOnce(&Settings, &telemetry::Guard) -> anyhow::Result<Running>,
) -> anyhow::Result<()> {
    let settings = flags.load()?;
    let telemetry = telemetry::init(SERVICE, &log_settings(&settings))?;
    ledger::metric::describe();
    let stop = shutdown::on_signal()?;
    let running = start(&settings, &telemetry).await?;
    for (what, address) in &running.addresses {
        writeln!(out, "{what} on {address}")?;
    }
    out.flush()?;
    let failed = tokio::select! {
        () = stop.cancelled() => false,
        () = running.failed() => true,
    };
    running.stop().await?;
    anyhow::ensure!(!failed, "a service ended by itself; the log says why");
    Ok(())
}

/// Reads everything that a start needs, so that nothing is begun with a bad configuration.
pub(crate) fn setup(folder: &Path, settings: &Settings) -> anyhow::Result<Setup> {
    let catalogue = SharedCatalogue::new(catalogue_files::of_folder(folder)?);
    // With the names of the files, which what is imported no longer has.
    ShopFiles::load(folder, &settings.files, &catalogue.load())?;
    let texts = Texts::load(folder, &settings.files)?;
    let receivers = Arc::new(receiver_files::load(folder, &settings.files)?);
    Ok(Setup {
        shop: Source::Ledger(texts),
        catalogue_files: Some(CatalogueFiles::new(folder, catalogue.clone())),
        catalogue,
        ledger: SqliteSettings {
            path: settings.ledger.path.clone(),
            max_bytes: (settings.ledger.max_bytes != 0).then_some(settings.ledger.max_bytes),
        },
        keyring: token_keys::load_or_make(&settings.token.keys_file)?,
        guard: guard(settings)?,
        notices: notice_files::load(folder, Some(&receivers))?,
        books: Books::of_folder(folder, &receivers)?,
        receivers,
        console_url: settings.console.url(),
        guarded: settings.guard.by_default().map_err(anyhow::Error::msg)?,
        token_ttl: SignedDuration::from_secs(i64::from(settings.token.ttl_secs)),
        snapshot_every: Duration::from_millis(u64::from(settings.health.snapshot_ms)),
        rebuild: SignedDuration::from_secs(i64::from(settings.health.rebuild_secs)),
        compensation_receiver: settings.compensation.receiver(),
        clock: Arc::new(SystemClock),
    })
}

async fn listeners(settings: &Settings) -> anyhow::Result<Listeners> {
    let (listen, access) = (&settings.listen, access(settings));
    Ok(Listeners {
        grpc: bind("listen.grpc", listen.grpc, access).await?,
        admin: bind("listen.admin", listen.admin, access).await?,
        console: Some(bind("listen.console", listen.console, access).await?),
    })
}

fn log_settings(settings: &Settings) -> telemetry::Settings {
    let log = &settings.log;
    telemetry::Settings {
        log_filter: log.filter.clone(),
        log_format: match log.format {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        },
        otlp_endpoint: (!log.otlp_endpoint.is_empty()).then(|| log.otlp_endpoint.clone()),
        ..telemetry::Settings::default()
    }
}
