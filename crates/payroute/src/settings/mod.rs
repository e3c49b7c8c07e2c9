//! Settings of the services: where they listen, where they keep their data, how they log.
//!
//! Every key can come from the file `payroute.yaml`, from the environment and from a flag, in rising precedence; the
//! table in [`keys`] is the one list of them. What the shop routes by (channels, policy) is not here: it is data of
//! its own, in the files that `files.*` name.

pub mod flags;
pub mod keys;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use domain::diagnostic::Diagnostic;
use serde::{Deserialize, Serialize};

/// Name of the settings file in the configuration folder.
pub const FILE: &str = "payroute.yaml";

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: Listen,
    /// Who may call.
    pub auth: Auth,
    /// Decision tokens and receipts.
    pub token: Token,
    /// The ledger.
    pub ledger: Ledger,
    /// Health statistics.
    pub health: Health,
    /// Logs and traces.
    pub log: Log,
    /// The shop's own files.
    pub files: Files,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// gRPC: routing, channel health, health check, reflection.
    pub grpc: SocketAddr,
    /// HTTP: metrics and probes.
    pub admin: SocketAddr,
    /// Accept a wider address than loopback without bearer tokens.
    pub insecure: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self { grpc: ([127, 0, 0, 1], 7433).into(), admin: ([127, 0, 0, 1], 7434).into(), insecure: false }
    }
}

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// File of bearer tokens, one `NAME SHA256` a line; empty: no token is asked for.
    pub tokens_file: PathBuf,
}

/// Decision tokens and receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Token {
    /// File of signing keys, one `NUMBER HEX` a line, the signing key first; made when it is not there.
    pub keys_file: PathBuf,
    /// How long an outcome may be reported after its decision, in seconds, 60 to 604 800.
    pub ttl_secs: u32,
}

impl Default for Token {
    fn default() -> Self {
        Self { keys_file: "data/token-keys".into(), ttl_secs: 86_400 }
    }
}

/// The ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// The SQLite file.
    pub path: PathBuf,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { path: "data/payroute.db".into() }
    }
}

/// Health statistics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// How often a snapshot is published, in milliseconds, 50 to 5 000.
    pub snapshot_ms: u32,
    /// How much of the ledger is read back at start, in seconds, 0 to 86 400.
    pub rebuild_secs: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self { snapshot_ms: 250, rebuild_secs: 3_600 }
    }
}

/// Logs and traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What to log: a level, or directives such as `info,router=debug`.
    pub filter: String,
    /// How to log.
    pub format: LogFormat,
    /// OTLP/gRPC endpoint for traces, such as `http://127.0.0.1:4317`; empty: none are sent.
    pub otlp_endpoint: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text, otlp_endpoint: String::new() }
    }
}

/// How to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The shop's own files, relative to the configuration folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// The channels.
    pub channels: PathBuf,
    /// The routing policy.
    pub policy: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self { channels: "channels.yaml".into(), policy: "policy.yaml".into() }
    }
}

/// Why the settings cannot be used: each entry names its file, variable or flag.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct InvalidSettings(pub Vec<String>);

impl Settings {
    /// The settings in `folder`, overridden by the environment variables `vars`, overridden by the flags `given`
    /// (pairs of key and value). A folder without [`FILE`] has the defaults.
    ///
    /// # Errors
    /// When a source cannot be read, names an unknown key, or holds a value that does not fit its key.
    pub fn load(
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
        let vars: Vec<(String, String)> =
            vars.into_iter().filter_map(|(name, value)| Some((keys::of_variable(&name)?, value))).collect();
        for (key, value) in vars {
            let key = key.map_err(|name| InvalidSettings(vec![format!("{name}: is not a setting of payroute")]))?;
            settings = set(settings, key.path, &value, &key.variable())?;
        }
        for (path, value) in given {
            settings = set(settings, path, value, &format!("--{}", path.replace(['.', '_'], "-")))?;
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
                wrong.push(format!("{key}: is {value}, expected {} to {}", bounds.start(), bounds.end()));
            }
        };
        within("token.ttl_secs", self.token.ttl_secs, 60..=604_800);
        within("health.snapshot_ms", self.health.snapshot_ms, 50..=5_000);
        within("health.rebuild_secs", self.health.rebuild_secs, 0..=86_400);
        if wrong.is_empty() { Ok(()) } else { Err(InvalidSettings(wrong)) }
    }
}

type Builder = config::ConfigBuilder<config::builder::DefaultState>;

/// Sets one key from text, after checking that the text fits the key: the message then names where it came from.
fn set(settings: Builder, path: &str, value: &str, origin: &str) -> Result<Builder, InvalidSettings> {
    let refuse = |error: config::ConfigError| InvalidSettings(vec![format!("{origin}: {error}")]);
    let alone = config::Config::builder().set_override(path, value).and_then(config::ConfigBuilder::build);
    alone.and_then(config::Config::try_deserialize::<Settings>).map_err(refuse)?;
    settings.set_override(path, value).map_err(refuse)
}

/// Reads the file by itself, for messages with line and column: a merged configuration no longer knows them.
fn check_file(file: &Path) -> Result<(), InvalidSettings> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| InvalidSettings(vec![format!("{name}: {error}")]))?;
    if text.trim().is_empty() {
        return Ok(());
    }
    let wrong = |error| InvalidSettings(vec![Diagnostic::from_yaml(&name, &error).to_string()]);
    serde_saphyr::from_str::<Option<Settings>>(&text).map(drop).map_err(wrong)
}
