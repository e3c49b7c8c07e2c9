//! The one list of settings: what each is for, and how file, environment and flags name it.

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its path in the file, as in `listen.grpc`.
    pub(crate) path: &'static str,
    /// What to write where a value stands, as in `ADDRESS`.
    pub(crate) value: &'static str,
    /// What it is for, with unit and range.
    pub(crate) about: &'static str,
}

impl Key {
    /// The environment variable: `listen.grpc` is `PAYROUTE_LISTEN__GRPC`.
    #[must_use]
    pub(crate) fn variable(&self) -> String {
        format!("PAYROUTE_{}", self.path.replace('.', "__").to_uppercase())
    }

    /// The flag without its dashes: `listen.grpc` is `listen-grpc`.
    #[must_use]
    pub(crate) fn flag(&self) -> String {
        self.path.replace(['.', '_'], "-")
    }
}

const fn key(path: &'static str, value: &'static str, about: &'static str) -> Key {
    Key { path, value, about }
}

/// Every setting, in the order of the documentation.
pub(crate) const KEYS: [Key; 30] = [
    key(
        "listen.grpc",
        "ADDRESS",
        "where gRPC listens: routing, channel health, health check, reflection",
    ),
    key(
        "listen.admin",
        "ADDRESS",
        "where HTTP listens: /metrics, /livez, /readyz",
    ),
    key(
        "listen.console",
        "ADDRESS",
        "where the control plane's REST API listens",
    ),
    key(
        "listen.insecure",
        "BOOL",
        "accept an address wider than loopback without bearer tokens",
    ),
    key(
        "auth.tokens_file",
        "FILE",
        "bearer tokens, one `NAME SHA256 [SCOPES]` a line (`payroute token new`); empty: none asked for",
    ),
    key(
        "token.keys_file",
        "FILE",
        "keys that sign decision tokens, one `NUMBER HEX` a line, the signing key first; made if missing",
    ),
    key(
        "token.ttl_secs",
        "SECONDS",
        "how long an outcome may be reported after its decision, 60 to 604800",
    ),
    key(
        "guard.merchants",
        "NAMES",
        "merchants all of whose payments are guarded, separated by commas; `*`: every one; empty: as each Route asks",
    ),
    key(
        "ledger.url",
        "URL",
        "the Postgres database of the ledger, `postgres://USER@HOST/NAME`; empty: the SQLite file",
    ),
    key(
        "ledger.password_file",
        "FILE",
        "file that holds the password of ledger.url; empty: none",
    ),
    key(
        "ledger.connections",
        "COUNT",
        "how many connections to Postgres a process opens at most, 4 to 100",
    ),
    key(
        "ledger.retention_days",
        "DAYS",
        "how long Postgres keeps attempts and decisions, 8 to 3660",
    ),
    key("ledger.path", "FILE", "the SQLite file of the ledger"),
    key(
        "ledger.max_bytes",
        "BYTES",
        "how large the ledger may grow before outcomes are refused, from 1048576; 0: as large as the disk allows",
    ),
    key(
        "spool.path",
        "FOLDER",
        "where outcomes wait while Postgres is down",
    ),
    key(
        "spool.max_bytes",
        "BYTES",
        "how many bytes may wait before outcomes are refused, from 1048576",
    ),
    key(
        "redis.url",
        "URL",
        "Redis or Valkey, `redis://HOST:PORT`; several nodes of a cluster separated by commas; empty: none",
    ),
    key(
        "redis.password_file",
        "FILE",
        "file that holds the password of redis.url; empty: none",
    ),
    key(
        "redis.prefix",
        "NAME",
        "what every key in Redis begins with, so that installations can share one",
    ),
    key(
        "state.path",
        "FOLDER",
        "where a process keeps the last it knew, for a start without Postgres or Redis",
    ),
    key(
        "health.snapshot_ms",
        "MILLISECONDS",
        "how often channel health is published, 50 to 5000",
    ),
    key(
        "health.rebuild_secs",
        "SECONDS",
        "how much of the ledger is read back at start, 0 to 86400",
    ),
    key(
        "compensation.receiver",
        "NAME",
        "the receiver that events about open attempts are sent to; empty: they are handed to listeners only",
    ),
    key(
        "console.url",
        "URL",
        "where people reach the console, for links in pages, `https://pay.example`; empty: pages have none",
    ),
    key(
        "log.filter",
        "DIRECTIVES",
        "what to log: a level, or directives such as `info,payroute_router=debug`",
    ),
    key("log.format", "FORMAT", "how to log: `text` or `json`"),
    key(
        "log.otlp_endpoint",
        "URL",
        "OTLP/gRPC endpoint for traces; empty: none are sent",
    ),
    key(
        "files.channels",
        "FILE",
        "the channels, relative to the configuration folder",
    ),
    key(
        "files.policy",
        "FILE",
        "the routing policy, relative to the configuration folder",
    ),
    key(
        "files.receivers",
        "FILE",
        "the receivers of alerts, events and customer notices, relative to the configuration folder; need not be there",
    ),
];

/// The setting that an environment variable names: `None` for a variable that is not ours, `Err` with its name for
/// one that looks like ours and is no setting.
#[must_use]
pub(crate) fn of_variable(name: &str) -> Option<Result<Key, String>> {
    name.strip_prefix("PAYROUTE_")?;
    let known = KEYS.iter().find(|key| key.variable() == name);
    Some(known.copied().ok_or_else(|| name.to_owned()))
}
