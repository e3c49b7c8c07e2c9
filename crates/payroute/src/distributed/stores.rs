//! The stores that processes share: the ledger and the control state in Postgres, statistics in Redis.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use domain::catalogue::Shared as SharedCatalogue;
use domain::clock::SharedClock;
use domain::control::Control;
use ledger::control::ControlStore;
use ledger::{OpenError, PostgresLedger, PostgresSettings};
use router::control_file;
use stats::redis::{Settings as RedisSettings, StatsError, Store};
use url::Url;

use super::Services;
use super::time::FleetClock;
use crate::catalogue_files::{self, CatalogueFiles};
use crate::running::Running;
use crate::settings::Settings;

/// The file of the last control state, in `state.path`.
const CONTROL_FILE: &str = "control.json";

/// The stores, and what every service needs besides.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(super) settings: Settings,
    pub(super) ledger: Arc<PostgresLedger>,
    pub(super) control: Arc<dyn ControlStore>,
    pub(super) statistics: Store,
    pub(super) catalogue: SharedCatalogue,
    /// The configuration folder.
    pub(super) folder: PathBuf,
    /// The fleet's time.
    pub(super) clock: SharedClock,
    /// The same, to be told what the ledger's server shows.
    time: Arc<FleetClock>,
}

impl Stores {
    /// Opens them for `services`. A router alone goes on without Postgres, which its spool stands in for.
    pub(super) async fn open(services: Services, folder: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let ledger = open_ledger(services, settings).await?;
        let statistics = Store::open(&redis_settings(settings)?)?;
        match statistics.check_eviction().await {
            Ok(_) => {}
            Err(error @ StatsError::Evicts { .. }) => return Err(error).context("redis.url"),
            Err(error) => tracing::warn!(%error, "Redis does not answer yet: {error}"),
        }
        let state = &settings.state.path;
        std::fs::create_dir_all(state)
            .with_context(|| format!("state.path: cannot make the folder {}", state.display()))?;
        let time = Arc::new(FleetClock::default());
        time.ask(&*ledger).await;
        Ok(Self {
            control: Arc::new(ledger.control()),
            ledger,
            statistics,
            catalogue: SharedCatalogue::new(catalogue_files::of_folder(folder)?),
            folder: folder.to_owned(),
            clock: Arc::clone(&time) as SharedClock,
            time,
            settings: settings.clone(),
        })
    }

    /// Keeps the clock by the ledger's, and the catalogue by its files, in the present stage of `running`.
    pub(super) fn follow(&self, running: &mut Running) {
        let (time, ledger) = (Arc::clone(&self.time), Arc::clone(&self.ledger));
        running.spawn(move |stop| time.follow(ledger, stop));
        let files = CatalogueFiles::new(&self.folder, self.catalogue.clone());
        running.spawn(move |stop| files.follow(stop));
    }

    /// The file that the last control state is kept in.
    pub(super) fn control_file(&self) -> PathBuf {
        self.settings.state.path.join(CONTROL_FILE)
    }

    /// What operators have set: as the ledger has it, or as this process last knew it.
    pub(super) async fn last_control(&self) -> anyhow::Result<Control> {
        match self.control.control().await {
            Ok(Some(control)) => Ok(control),
            Ok(None) => {
                anyhow::bail!("the ledger has no configuration yet: run `payroute config import` first")
            }
            Err(error) => {
                let file = self.control_file();
                let kept = control_file::load(&file)?.with_context(|| {
                    format!(
                        "the ledger does not answer ({error}), and {} is not there",
                        file.display()
                    )
                })?;
                let revision = kept.revision;
                tracing::warn!(%error, revision, "starting with revision {revision}, the last that is known here");
                Ok(kept)
            }
        }
    }
}

async fn open_ledger(services: Services, settings: &Settings) -> anyhow::Result<Arc<PostgresLedger>> {
    let address = ledger_settings(settings)?;
    let opened = match PostgresLedger::open(&address).await {
        Err(error @ OpenError::Unreachable { .. }) if services == Services::ROUTER => {
            tracing::warn!(%error, "starting without the ledger: {error}");
            PostgresLedger::unopened(&address)
        }
        opened => opened,
    };
    Ok(Arc::new(opened.context("ledger.url")?))
}

/// The stores for a tool that runs once.
pub(crate) async fn open_for_tools(settings: &Settings) -> anyhow::Result<(Arc<PostgresLedger>, Store)> {
    let ledger = PostgresLedger::open(&ledger_settings(settings)?)
        .await
        .context("ledger.url")?;
    Ok((Arc::new(ledger), Store::open(&redis_settings(settings)?)?))
}

/// Where Postgres is.
pub(crate) fn ledger_settings(settings: &Settings) -> anyhow::Result<PostgresSettings> {
    let ledger = &settings.ledger;
    anyhow::ensure!(
        !ledger.url.is_empty(),
        "ledger.url: is empty, expected a Postgres database"
    );
    Ok(PostgresSettings {
        url: with_password("ledger", &ledger.url, &ledger.password_file)?,
        max_connections: ledger.connections,
        // Within its bounds by the check of the settings.
        retention_days: u16::try_from(ledger.retention_days).unwrap_or(u16::MAX),
    })
}

fn redis_settings(settings: &Settings) -> anyhow::Result<RedisSettings> {
    let redis = &settings.redis;
    let urls = redis.url.split(',').map(str::trim);
    let urls: Vec<String> = urls
        .map(|url| with_password("redis", url, &redis.password_file))
        .collect::<anyhow::Result<_>>()?;
    Ok(RedisSettings {
        cluster: urls.len() > 1,
        urls,
        prefix: redis.prefix.clone(),
    })
}

/// `url` with the password that `file` holds, if there is one.
fn with_password(what: &str, url: &str, file: &Path) -> anyhow::Result<String> {
    if file.as_os_str().is_empty() {
        return Ok(url.to_owned());
    }
    // What is wrong with an address is not repeated: it may hold a secret.
    let mut url = Url::parse(url).map_err(|error| anyhow::anyhow!("{what}.url: {error}"))?;
    let password = std::fs::read_to_string(file)
        .with_context(|| format!("{what}.password_file: cannot read {}", file.display()))?;
    url.set_password(Some(password.trim_end_matches(['\r', '\n'])))
        .map_err(|()| anyhow::anyhow!("{what}.url: takes no password"))?;
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "p@ss/word\n").unwrap();
        let url = with_password("ledger", "postgres://payroute@db:5432/payroute", &file).unwrap();
        assert_eq!(url, "postgres://payroute:p%40ss%2Fword@db:5432/payroute");
        let url = with_password("redis", "redis://cache:6379", &file).unwrap();
        assert_eq!(url, "redis://:p%40ss%2Fword@cache:6379");
    }
}
