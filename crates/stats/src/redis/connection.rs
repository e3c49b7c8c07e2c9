//! The way to Redis: one server (or Valkey, or whatever answers for one), or a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, FromRedisValue, Pipeline, RedisFuture, ScriptInvocation, Value};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::StatsError;
use super::keys::{DEFAULT_PREFIX, Keys};

/// No call takes longer, whatever happens to the network: with the crate's own settings one blocked for nine seconds.
pub const CALL_LIMIT: Duration = Duration::from_millis(250);

/// Redis is given up for an answer after this long, so that the connection itself knows.
const RESPONSE_LIMIT: Duration = Duration::from_millis(200);
/// One attempt to connect.
const CONNECT_LIMIT: Duration = Duration::from_millis(300);
/// Shortest pause between two new connections to a cluster whose calls fail.
const RENEWAL_PAUSE: Duration = Duration::from_secs(2);
/// Shortest and longest pause between two attempts to connect.
const RECONNECT_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// Where Redis is.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Addresses as in `redis://user:password@host:6379/0`: one server, or some nodes of a cluster.
    pub urls: Vec<String>,
    /// Whether the addresses are nodes of a cluster.
    pub cluster: bool,
    /// What every key begins with.
    pub prefix: String,
}

impl Settings {
    /// One server, with the usual prefix.
    #[must_use]
    pub fn single(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            cluster: false,
            prefix: DEFAULT_PREFIX.to_owned(),
        }
    }

    /// A cluster that these nodes belong to, with the usual prefix.
    #[must_use]
    pub fn cluster(urls: Vec<String>) -> Self {
        Self {
            urls,
            cluster: true,
            prefix: DEFAULT_PREFIX.to_owned(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands before the `@` is a secret.
        let host = |url: &str| {
            let after = url.rsplit_once('@').or_else(|| url.split_once("://"));
            let host = after.and_then(|(_, rest)| rest.split('/').next());
            host.unwrap_or("***").to_owned()
        };
        let hosts: Vec<String> = self.urls.iter().map(|url| host(url)).collect();
        f.debug_struct("Settings")
            .field("hosts", &hosts)
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .finish()
    }
}

/// What Redis does when its memory is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// It refuses writes: nothing is lost silently.
    Refuses,
    /// It would not say: its administrator has to know.
    Unknown,
}

/// The statistics in Redis. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Store {
    way: Way,
    pub(crate) keys: Keys,
}

#[derive(Clone)]
enum Way {
    Single(ConnectionManager),
    Cluster(Arc<Cluster>),
}

/// A cluster's client cannot be made without the cluster, so it is made by the first calls that find it.
struct Cluster {
    client: ClusterClient,
    connection: Mutex<Option<Made>>,
    connecting: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// The way to Redis. Connects with the first call, so a process starts without Redis.
    ///
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn open(settings: &Settings) -> Result<Self, StatsError> {
        let wrong = |error: &dyn fmt::Display| StatsError::Settings(error.to_string());
        let keys = Keys::new(&settings.prefix).map_err(|error| wrong(&format!("the prefix {error}")))?;
        let way = if settings.cluster {
            let client = ClusterClient::builder(settings.urls.iter().map(String::as_str))
                // To follow a redirection is a retry, and only that makes a connection to a member that is back. What
                // is sent twice counts once.
                .retries(2)
                .response_timeout(RESPONSE_LIMIT)
                .connection_timeout(CONNECT_LIMIT)
                .build()
                .map_err(|error| wrong(&error))?;
            Way::Cluster(Arc::new(Cluster {
                client,
                connection: Mutex::new(None),
                connecting: Arc::default(),
            }))
        } else {
            let [url] = settings.urls.as_slice() else {
                return Err(wrong(&"one server has one address"));
            };
            let client = Client::open(url.as_str()).map_err(|error| wrong(&error))?;
            let config = ConnectionManagerConfig::new()
                .set_min_delay(RECONNECT_PAUSE.0)
                .set_max_delay(RECONNECT_PAUSE.1)
                .set_response_timeout(Some(RESPONSE_LIMIT))
                .set_connection_timeout(Some(CONNECT_LIMIT));
            Way::Single(
                ConnectionManager::new_lazy_with_config(client, config).map_err(|error| wrong(&error))?,
            )
        };
        Ok(Self { way, keys })
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StatsError> {
        self.query::<String>(&redis::cmd("PING")).await.map(drop)
    }

    /// Checks that Redis does not delete keys when its memory is full. Asks by `INFO`, which hosted servers that forbid
    /// `CONFIG` still answer.
    ///
    /// # Errors
    /// [`StatsError::Evicts`] when it does, others when Redis does not answer.
    pub async fn check_eviction(&self) -> Result<Eviction, StatsError> {
        let asked = self.query::<Value>(redis::cmd("INFO").arg("memory")).await;
        let said = match asked {
            Ok(said) => said,
            Err(StatsError::Refused { .. }) => return Ok(Eviction::Unknown),
            Err(error) => return Err(error),
        };
        let mut policies = Vec::new();
        collect_policies(&said, &mut policies);
        match policies.iter().find(|policy| *policy != "noeviction") {
            Some(policy) => Err(StatsError::Evicts {
                policy: policy.clone(),
            }),
            None if policies.is_empty() => Ok(Eviction::Unknown),
            None => Ok(Eviction::Refuses),
        }
    }

    /// One command.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StatsError> {
        let mut link = self.link().await?;
        let answer = bounded(command.query_async(&mut link)).await;
        self.heed(answer)
    }

    /// Commands on keys of one partition, in one go.
    pub(crate) async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StatsError> {
        let mut link = self.link().await?;
        let answer = bounded(commands.query_async(&mut link)).await;
        self.heed(answer)
    }

    /// One script on keys of one partition.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, StatsError> {
        let mut link = self.link().await?;
        let answer = bounded(call.invoke_async(&mut link)).await;
        self.heed(answer)
    }

    /// Looks at how a call ended.
    fn heed<T>(&self, answer: Result<T, StatsError>) -> Result<T, StatsError> {
        if let (Way::Cluster(cluster), Err(StatsError::Unavailable(_) | StatsError::TimedOut)) =
            (&self.way, &answer)
        {
            cluster.renew();
        }
        answer
    }

    async fn link(&self) -> Result<Link, StatsError> {
        match &self.way {
            Way::Single(manager) => Ok(Link::Single(manager.clone())),
            Way::Cluster(cluster) => cluster.link().await,
        }
    }
}

/// A connection to a cluster, and since when it is the one.
struct Made {
    connection: ClusterConnection,
    since: Instant,
}

impl Cluster {
    /// The connection, made when there is none. The attempt goes on when its caller has no more time to wait, so that a
    /// cluster that takes longer to reach than a call may last is reached all the same; there is only one at a time.
    async fn link(self: &Arc<Self>) -> Result<Link, StatsError> {
        if let Some(made) = &*self.connection.lock() {
            return Ok(Link::Cluster(made.connection.clone()));
        }
        let Ok(turn) = Arc::clone(&self.connecting).try_lock_owned() else {
            return Err(StatsError::Unavailable(None));
        };
        match tokio::time::timeout(CALL_LIMIT, self.connect(turn)).await {
            Ok(Ok(connected)) => Ok(Link::Cluster(connected?)),
            Ok(Err(_)) => Err(StatsError::Unavailable(None)),
            Err(_) => Err(StatsError::TimedOut),
        }
    }

    /// After a call that failed: makes a new connection beside the present one and takes it in its place. The crate's
    /// own recovery does not always find a member that died and came back.
    fn renew(self: &Arc<Self>) {
        let Ok(turn) = Arc::clone(&self.connecting).try_lock_owned() else {
            return;
        };
        let mut present = self.connection.lock();
        let Some(made) = present
            .as_mut()
            .filter(|made| made.since.elapsed() >= RENEWAL_PAUSE)
        else {
            return;
        };
        // Whether or not it succeeds, the next attempt waits.
        made.since = Instant::now();
        drop(self.connect(turn));
    }

    fn connect(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
    ) -> JoinHandle<redis::RedisResult<ClusterConnection>> {
        let own = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = turn;
            let connection = own.client.get_async_connection().await?;
            *own.connection.lock() = Some(Made {
                connection: connection.clone(),
                since: Instant::now(),
            });
            Ok(connection)
        })
    }
}

async fn bounded<T>(call: impl Future<Output = redis::RedisResult<T>>) -> Result<T, StatsError> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StatsError::TimedOut),
    }
}

/// One server names its policy once, the nodes of a cluster each in their part of the answer.
fn collect_policies(said: &Value, policies: &mut Vec<String>) {
    let mut lines = |text: &str| {
        let named = text
            .lines()
            .filter_map(|line| line.strip_prefix("maxmemory_policy:"));
        policies.extend(named.map(|policy| policy.trim().to_owned()));
    };
    match said {
        Value::BulkString(bytes) => lines(&String::from_utf8_lossy(bytes)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => lines(text),
        Value::Array(parts) => parts.iter().for_each(|part| collect_policies(part, policies)),
        Value::Map(parts) => parts
            .iter()
            .for_each(|(_, part)| collect_policies(part, policies)),
        _ => {}
    }
}

/// Either connection, for what the crate does with any.
enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(link) => link.req_packed_command(cmd),
            Self::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(link) => link.req_packed_commands(pipeline, offset, count),
            Self::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(link) => link.get_db(),
            Self::Cluster(link) => link.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let settings = Settings::single("redis://user:s3cr3t@db.example:6379/1");
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("db.example:6379") && !shown.contains("s3cr3t"),
            "{shown}"
        );
        let shown = format!("{:?}", Settings::single("redis://:pa/s3@cr3t@host"));
        assert!(!shown.contains("s3") && !shown.contains("cr3t"), "{shown}");
    }

    #[tokio::test]
    async fn a_process_starts_without_redis_and_is_told_so_in_time() {
        let store = Store::open(&Settings::single("redis://127.0.0.1:1")).unwrap();
        let began = tokio::time::Instant::now();
        assert!(store.ping().await.is_err());
        assert!(began.elapsed() < 2 * CALL_LIMIT);
        let cluster = Store::open(&Settings::cluster(vec!["redis://127.0.0.1:1".to_owned()])).unwrap();
        assert!(cluster.ping().await.is_err());
    }

    #[tokio::test]
    async fn settings_that_cannot_be_used_are_refused() {
        let mut settings = Settings::single("redis://127.0.0.1:1");
        settings.prefix = "{".to_owned();
        assert!(matches!(Store::open(&settings), Err(StatsError::Settings(_))));
        assert!(matches!(
            Store::open(&Settings::single("http://x")),
            Err(StatsError::Settings(_))
        ));
    }
}
