//! `payroute serve`: all services of the embedded mode in one process, until a signal.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::{Guard, Tokens};
use anyhow::Context as _;
use domain::clock::SystemClock;
use jiff::SignedDuration;
use ledger::SqliteSettings;
use telemetry::listen::{Access, bind};
use telemetry::shutdown;

use crate::catalogue_files;
use crate::embedded::{self, Listeners, Setup};
use crate::settings::flags::Flags;
use crate::settings::{LogFormat, Settings};
use crate::shop_files::ShopFiles;
use crate::token_keys;

/// Who is speaking, in logs, traces and probes.
pub(crate) const SERVICE: telemetry::Service = telemetry::Service {
    name: "payroute",
    version: env!("CARGO_PKG_VERSION"),
};

/// Serves until SIGTERM or SIGINT; says on `out` where it listens once it answers.
///
/// # Errors
/// When it cannot start, or cannot stop in time.
pub(crate) async fn run(flags: Flags, out: &mut impl Write) -> anyhow::Result<()> {
    let settings = flags.load()?;
    let telemetry = telemetry::init(SERVICE, &log_settings(&settings))?;
    ledger::metric::describe();
    let stop = shutdown::on_signal()?;
    let setup = setup(&flags.folder, &settings)?;
    let listeners = listeners(&settings).await?;
    let running = embedded::start(setup, listeners, &telemetry).await?;
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
    let catalogue = Arc::new(catalogue_files::of_folder(folder)?);
    Ok(Setup {
        shop: ShopFiles::load(folder, &settings.files, &catalogue)?,
        catalogue,
        ledger: SqliteSettings {
            path: settings.ledger.path.clone(),
            max_bytes: (settings.ledger.max_bytes != 0).then_some(settings.ledger.max_bytes),
        },
        keyring: token_keys::load_or_make(&settings.token.keys_file)?,
        guard: Guard::new(tokens(settings)?),
        token_ttl: SignedDuration::from_secs(i64::from(settings.token.ttl_secs)),
        snapshot_every: Duration::from_millis(u64::from(settings.health.snapshot_ms)),
        rebuild: SignedDuration::from_secs(i64::from(settings.health.rebuild_secs)),
        clock: Arc::new(SystemClock),
    })
}

fn tokens(settings: &Settings) -> anyhow::Result<Option<Tokens>> {
    let file = &settings.auth.tokens_file;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("auth.tokens_file: cannot read {}", file.display()))?;
    let tokens = Tokens::parse(&text).with_context(|| format!("auth.tokens_file: {}", file.display()))?;
    Ok(Some(tokens))
}

async fn listeners(settings: &Settings) -> anyhow::Result<Listeners> {
    let listen = &settings.listen;
    let access = if !settings.auth.tokens_file.as_os_str().is_empty() {
        Access::Tokens
    } else if listen.insecure {
        Access::Insecure
    } else {
        Access::Local
    };
    Ok(Listeners {
        grpc: bind("listen.grpc", listen.grpc, access).await?,
        admin: bind("listen.admin", listen.admin, access).await?,
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
