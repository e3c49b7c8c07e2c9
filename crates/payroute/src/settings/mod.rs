//! Settings of the services: where they listen, where they keep their data, how they log.
//!
//! Every key can come from the file `payroute.yaml`, from the environment and from a flag, in rising precedence; the
//! table in [`keys`] is the one list of them. What the shop routes by (channels, policy) is not here: it is data of
//! its own, in the files that `files.*` name.

pub(crate) mod flags;
pub(crate) mod keys;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use domain::id::MerchantId;
use router::guarded::ByDefault;
use serde::{Deserialize, Serialize};

/// Name of the settings file in the configuration folder.
pub(crate) const FILE: &str = "payroute.yaml";

/// Smallest bound on the ledger's size, in bytes: below it not even a start would fit.
const SMALLEST_LEDGER: u64 = 1 << 20;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// Who may call.
    pub(crate) auth: Auth,
    /// Decision tokens and receipts.
    pub(crate) token: Token,
    /// Who is guarded against a second charge.
    pub(crate) guard: Guard,
    /// The ledger.
    pub(crate) ledger: Ledger,
    /// What waits while the ledger is down.
    pub(crate) spool: Spool,
    /// Shared statistics.
    pub(crate) redis: Redis,
    /// What is kept for a start without the others.
    pub(crate) state: State,
    /// Health statistics.
    pub(crate) health: Health,
    /// What is unknown.
    pub(crate) compensation: Compensation,
    /// The console, as people reach it.
    pub(crate) console: Console,
    /// Logs and traces.
    pub(crate) log: Log,
    /// The shop's own files.
    pub(crate) files: Files,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// gRPC: routing, channel health, health check, reflection.
    pub(crate) grpc: SocketAddr,
    /// HTTP: metrics and probes.
    pub(crate) admin: SocketAddr,
    /// HTTP: the control plane.
    pub(crate) console: SocketAddr,
    /// Accept a wider address than loopback without bearer tokens.
    pub(crate) insecure: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            grpc: ([127, 0, 0, 1], 7433).into(),
            admin: ([127, 0, 0, 1], 7434).into(),
            console: ([127, 0, 0, 1], 7436).into(),
            insecure: false,
        }
    }
}

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// File of bearer tokens, one `NAME SHA256 [SCOPES]` a line; empty: no token is asked for.
    pub(crate) tokens_file: PathBuf,
}

/// Decision tokens and receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Token {
    /// File of signing keys, one `NUMBER HEX` a line, the signing key first; made when it is not there.
    pub(crate) keys_file: PathBuf,
    /// How long an outcome may be reported after its decision, in seconds, 60 to 604 800.
    pub(crate) ttl_secs: u32,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            keys_file: "data/token-keys".into(),
            ttl_secs: 86_400,
        }
    }
}

/// Who is guarded against a second charge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Guard {
    /// Merchants whose payments are guarded unasked, separated by commas; `*`: every one; empty: as each Route asks.
    pub(crate) merchants: String,
}

impl Guard {
    /// Whom that names.
    ///
    /// # Errors
    /// What is no name.
    pub(crate) fn by_default(&self) -> Result<ByDefault, String> {
        let names = self.merchants.trim();
        if names.is_empty() {
            return Ok(ByDefault::Nobody);
        }
        if names == "*" {
            return Ok(ByDefault::Everybody);
        }
        let merchant = |name: &str| MerchantId::new(name.trim());
        let merchants = names.split(',').map(merchant).collect::<Result<_, _>>();
        merchants
            .map(ByDefault::Merchants)
            .map_err(|error| format!("guard.merchants: a name in `{names}` {error}"))
    }
}

/// The ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ledger {
    /// The Postgres database; empty: the SQLite file.
    pub(crate) url: String,
    /// File that holds the password for it; empty: none.
    pub(crate) password_file: PathBuf,
    /// How many connections to Postgres a process opens at most, 4 to 100.
    pub(crate) connections: u32,
    /// How long Postgres keeps attempts and decisions, in days, 8 to 3 660.
    pub(crate) retention_days: u32,
    /// The SQLite file.
    pub(crate) path: PathBuf,
    /// How large the file may grow, in bytes, from 1 MiB; 0: as large as the disk allows.
    pub(crate) max_bytes: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            url: String::new(),
            password_file: PathBuf::new(),
            connections: 16,
            // A chargeback may come more than a year after its payment.
            retention_days: 400,
            path: "data/payroute.db".into(),
            max_bytes: 0,
        }
    }
}

/// What is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Compensation {
    /// The receiver that is told of open attempts; empty: whoever listens is.
    pub(crate) receiver: String,
}

impl Compensation {
    /// The receiver, if there is one.
    pub(crate) fn receiver(&self) -> Option<String> {
        (!self.receiver.is_empty()).then(|| self.receiver.clone())
    }
}

/// The console, as people reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Console {
    /// Its address, for links in pages; empty: they have none.
    pub(crate) url: String,
}

impl Console {
    /// Its address, if there is one.
    pub(crate) fn url(&self) -> Option<String> {
        (!self.url.is_empty()).then(|| self.url.clone())
    }
}

/// What waits while the ledger is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Spool {
    /// The folder.
    pub(crate) path: PathBuf,
    /// How many bytes may wait, from 1 MiB.
    pub(crate) max_bytes: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            path: "data/spool".into(),
            // An hour of 100 outcomes a second.
            max_bytes: 256 << 20,
        }
    }
}

/// Shared statistics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redis {
    /// Redis or Valkey; several nodes of a cluster separated by commas; empty: none.
    pub(crate) url: String,
    /// File that holds the password for it; empty: none.
    pub(crate) password_file: PathBuf,
    /// What every key begins with.
    pub(crate) prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: String::new(),
            password_file: PathBuf::new(),
            prefix: "payroute".to_owned(),
        }
    }
}

/// What is kept for a start without the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct State {
    /// The folder.
    pub(crate) path: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self {
            path: "data/state".into(),
        }
    }
}

/// Health statistics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Health {
    /// How often a snapshot is published, in milliseconds, 50 to 5 000.
    pub(crate) snapshot_ms: u32,
    /// How much of the ledger is read back at start, in seconds, 0 to 86 400.
    pub(crate) rebuild_secs: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            snapshot_ms: 250,
            rebuild_secs: 3_600,
        }
    }
}

/// Logs and traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// What to log: a level, or directives such as `info,payroute_router=debug`.
    pub(crate) filter: String,
    /// How to log.
    pub(crate) format: LogFormat,
    /// OTLP/gRPC endpoint for traces, such as `http://127.0.0.1:4317`; empty: none are sent.
    pub(crate) otlp_endpoint: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
            otlp_endpoint: String::new(),
        }
    }
}

/// How to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The shop's own files, relative to the configuration folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Files {
    /// The channels.
    pub(crate) channels: PathBuf,
    /// The routing policy.
    pub(crate) policy: PathBuf,
    /// The receivers of alerts, events and customer notices; need not be there.
    pub(crate) receivers: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            channels: "channels.yaml".into(),
            policy: "policy.yaml".into(),
            receivers: "receivers.yaml".into(),
        }
    }
}

/// Why the settings cannot be used: each entry names its file, variable or flag.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct InvalidSettings(pub(crate) Vec<String>);

impl Settings {
    /// The settings in `folder`, overridden by the environment variables `vars`, overridden by the flags `given`
    /// (pairs of key and value). A folder without [`FILE`] has the defaults.
    ///
    /// # Errors
    /// When a source cannot be read, names an unknown key, or holds a value that does not fit its key.
    pub(crate) fn load(
        folder: &Path,
        vars: impl IntoIterator<Item = (String, String)>,
        given: &[(String, String)],
    ) -> Result<Self, InvalidSettings> {
        let mut settings = config::Config::builder();
        let file = folder.join(FILE);
        if file.exists() {
            check_file(&file)?;
            settings = settings.add_source(config::File::from(file).format(config::FileFormat::Yaml));
        }
        for (name, value) in vars {
            let Some(key) = keys::of_variable(&name) else {
                continue;
            };
            let key =
                key.map_err(|name| InvalidSettings(vec![format!("{name}: is not a setting of payroute")]))?;
            settings = set(settings, key.path, &value, &name)?;
        }
        for (path, value) in given {
            settings = set(
                settings,
                path,
                value,
                &format!("--{}", path.replace(['.', '_'], "-")),
            )?;
        }
        let settings = settings.build().and_then(config::Config::try_deserialize);
        let settings: Self = settings.map_err(|error| InvalidSettings(vec![error.to_string()]))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), InvalidSettings> {
        let mut wrong = Vec::new();
        let mut within = |key: &str, value: u32, bounds: std::ops::RangeInclusive<u32>| {
            if !bounds.contains(&value) {
                wrong.push(format!(
                    "{key}: is {value}, expected {} to {}",
                    bounds.start(),
                    bounds.end()
                ));
            }
        };
        within("token.ttl_secs", self.token.ttl_secs, 60..=604_800);
        within("ledger.connections", self.ledger.connections, 4..=100);
        within("ledger.retention_days", self.ledger.retention_days, 8..=3_660);
        within("health.snapshot_ms", self.health.snapshot_ms, 50..=5_000);
        within("health.rebuild_secs", self.health.rebuild_secs, 0..=86_400);
        wrong.extend(self.guard.by_default().err());
        let max_bytes = self.ledger.max_bytes;
        if max_bytes != 0 && max_bytes < SMALLEST_LEDGER {
            wrong.push(format!(
                "ledger.max_bytes: is {max_bytes}, expected 0 or at least {SMALLEST_LEDGER}"
            ));
        }
        let spool = self.spool.max_bytes;
        if spool < SMALLEST_LEDGER {
            wrong.push(format!(
                "spool.max_bytes: is {spool}, expected at least {SMALLEST_LEDGER}"
            ));
        }
        // Either alone would be half of a deployment: nobody would read what the other side writes.
        if self.ledger.url.is_empty() != self.redis.url.is_empty() {
            wrong.push("ledger.url and redis.url: expected both or neither".to_owned());
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings(wrong))
        }
    }
}

type Builder = config::ConfigBuilder<config::builder::DefaultState>;

/// Sets one key from text, after checking that the text fits the key: the message then names where it came from.
fn set(settings: Builder, path: &str, value: &str, origin: &str) -> Result<Builder, InvalidSettings> {
    let refuse = |error: config::ConfigError| InvalidSettings(vec![format!("{origin}: {error}")]);
    let alone = config::Config::builder()
        .set_override(path, value)
        .and_then(Builder::build);
    alone
        .and_then(config::Config::try_deserialize::<Settings>)
        .map_err(refuse)?;
    settings.set_override(path, value).map_err(refuse)
}

/// Reads the file by itself, for messages with line and column: a merged configuration no longer knows them.
fn check_file(file: &Path) -> Result<(), InvalidSettings> {
    let name = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| InvalidSettings(vec![format!("{name}: {error}")]))?;
    if text.trim().is_empty() {
        return Ok(());
    }
    let wrong = |error| InvalidSettings(vec![place(&name, &error)]);
    serde_saphyr::from_str::<Option<Settings>>(&text)
        .map(drop)
        .map_err(wrong)
}

fn place(file: &str, error: &serde_saphyr::Error) -> String {
    let at = error
        .location()
        .map(|at| format!(":{}:{}", at.line(), at.column()))
        .unwrap_or_default();
    format!("{file}{at}: {}", error.without_snippet())
}
