//! A whole deployment on this machine: Postgres, Redis, routers, monitors, each a process of its own.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use proto::v1;
use proto::v1::channel_health_service_client::ChannelHealthServiceClient;
use proto::v1::routing_service_client::RoutingServiceClient;
use rig::{Postgres, Program, Redis};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// Partitions of the statistics.
const PARTITIONS: usize = 64;

/// A deployment. Dropping it takes everything down.
pub(crate) struct Fleet {
    /// The ledger's server.
    pub(crate) postgres: Postgres,
    /// The statistics' server.
    pub(crate) redis: Redis,
    /// The running routers; one that was killed is `None`.
    pub(crate) routers: Vec<Option<Router>>,
    /// The running monitors.
    pub(crate) monitors: Vec<Option<Program>>,
    database: String,
    redis_url: String,
    data: TempDir,
    _turn: Turn,
}

/// Whether a fleet is up. It has the machine's few cores for itself: with another one beside it, both would be late for
/// everything.
static UP: Mutex<bool> = Mutex::new(false);
static DOWN: Condvar = Condvar::new();

/// The right to have a fleet.
struct Turn;

impl Turn {
    /// Waits for its turn.
    fn wait() -> Self {
        let mut up = UP.lock();
        DOWN.wait_while(&mut up, |up| *up);
        *up = true;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *UP.lock() = false;
        DOWN.notify_one();
    }
}

/// A router.
pub(crate) struct Router {
    /// The process.
    pub(crate) program: Program,
    /// Where it answers gRPC.
    pub(crate) grpc: SocketAddr,
    /// Where it answers HTTP.
    pub(crate) admin: SocketAddr,
}

impl Router {
    fn start(command: &mut Command) -> Self {
        let labels = ["gRPC on", "probes on"];
        let program = Program::start(command, &labels).expect("a router starts");
        let [grpc, admin] = labels.map(|label| program.address(label));
        Self { program, grpc, admin }
    }
}

/// What a fleet is started with.
pub(crate) struct Plan {
    /// How many routers.
    pub(crate) routers: usize,
    /// How many monitors.
    pub(crate) monitors: usize,
    /// What Redis is started with.
    pub(crate) redis: Vec<&'static str>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            routers: 2,
            monitors: 2,
            redis: vec![
                "--save",
                "",
                "--appendonly",
                "no",
                "--maxmemory-policy",
                "noeviction",
            ],
        }
    }
}

impl Fleet {
    /// Two routers and two monitors.
    pub(crate) fn start() -> Self {
        Self::planned(&Plan::default())
    }

    /// As `plan` says.
    pub(crate) fn planned(plan: &Plan) -> Self {
        let redis = Redis::start_with(&plan.redis).expect("Redis starts");
        let url = redis.url();
        Self::on(plan, redis, url)
    }

    /// As `plan` says, with the services speaking to Redis at `redis_url`: a proxy, say.
    pub(crate) fn on(plan: &Plan, redis: Redis, redis_url: String) -> Self {
        let turn = Turn::wait();
        let postgres = Postgres::start().expect("Postgres starts");
        let database = postgres.database().expect("a database");
        let data = tempfile::tempdir().expect("a folder");
        let mut fleet = Self {
            postgres,
            redis,
            routers: Vec::new(),
            monitors: Vec::new(),
            database,
            redis_url,
            data,
            _turn: turn,
        };
        fleet.run(&["migrate"]);
        fleet.run(&[
            "config",
            "import",
            "--config",
            &example_config().display().to_string(),
        ]);
        for number in 0..plan.routers {
            let router = fleet.router(number, &[]);
            fleet.routers.push(Some(router));
        }
        for number in 0..plan.monitors {
            let monitor = fleet.monitor(number, &[]);
            fleet.monitors.push(Some(monitor));
        }
        fleet
    }

    /// Starts router `number`, on the data it had.
    pub(crate) fn router(&self, number: usize, flags: &[&str]) -> Router {
        let mut command = self.service("router", number);
        Router::start(command.args(flags))
    }

    /// Starts monitor `number`.
    pub(crate) fn monitor(&self, number: usize, flags: &[&str]) -> Program {
        let mut command = self.service("monitor", number);
        Program::start(command.args(flags), &["probes on"]).expect("a monitor starts")
    }

    /// Starts router `number` with a clock that is off by `by`, as in `+1h`; timers go on as they should.
    pub(crate) fn router_off_by(&self, number: usize, by: &str) -> Router {
        let mut command = self.service("router", number);
        self.set_clock("router", number, by);
        Router::start(by_clock(&mut command, &self.clock("router", number)))
    }

    /// Starts monitor `number` with a clock that is off by `by`.
    pub(crate) fn monitor_off_by(&self, number: usize, by: &str) -> Program {
        let mut command = self.service("monitor", number);
        self.set_clock("monitor", number, by);
        let command = by_clock(&mut command, &self.clock("monitor", number));
        Program::start(command, &["probes on"]).expect("a monitor starts")
    }

    /// Sets the clock of a process that was started with a wrong one; it goes by that within a second.
    pub(crate) fn set_clock(&self, service: &str, number: usize, by: &str) {
        std::fs::write(self.clock(service, number), by).expect("a clock can be set");
    }

    fn clock(&self, service: &str, number: usize) -> PathBuf {
        self.data.path().join(format!("clock-{service}-{number}"))
    }

    /// Starts a console; it answers at its address "REST on".
    pub(crate) fn console(&self) -> Program {
        let mut command = self.service("console", 0);
        Program::start(&mut command, &["REST on"]).expect("a console starts")
    }

    /// Kills router `number` as a power cut would.
    pub(crate) fn kill_router(&mut self, number: usize) {
        let router = self.routers[number].take().expect("it runs");
        router.program.kill().expect("it was running");
    }

    /// Starts router `number` again, on the data it had.
    pub(crate) fn restart_router(&mut self, number: usize) {
        self.routers[number] = Some(self.router(number, &[]));
    }

    /// Kills monitor `number` as a power cut would.
    pub(crate) fn kill_monitor(&mut self, number: usize) {
        let monitor = self.monitors[number].take().expect("it runs");
        monitor.kill().expect("it was running");
    }

    /// Starts monitor `number` again.
    pub(crate) fn restart_monitor(&mut self, number: usize) {
        self.monitors[number] = Some(self.monitor(number, &[]));
    }

    /// Runs a command against the deployment's stores to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let mut command = payroute();
        self.settings(&mut command, "once");
        let output = command.args(arguments).output().expect("payroute runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What service `name` says when it does not start.
    pub(crate) fn refused(&self, name: &str) -> String {
        let said = self.data.path().join("refused");
        let file = std::fs::File::create(&said).expect("a file");
        let mut command = self.service(name, 99);
        let ended = Program::start(command.stderr(file), &["probes on"]).expect_err("it is refused");
        assert!(!ended.to_string().contains("exit status: 0"), "{name}: {ended}");
        std::fs::read_to_string(said).expect("what it said")
    }

    fn service(&self, name: &str, number: usize) -> Command {
        let mut command = payroute();
        self.settings(&mut command, &format!("{name}-{number}"));
        command.arg(name);
        command
    }

    fn settings(&self, command: &mut Command, process: &str) {
        let data = self.data.path();
        let own = data.join(process);
        for variable in ["GRPC", "ADMIN", "CONSOLE"] {
            command.env(format!("PAYROUTE_LISTEN__{variable}"), "127.0.0.1:0");
        }
        command.env("PAYROUTE_LEDGER__URL", &self.database);
        command.env("PAYROUTE_REDIS__URL", &self.redis_url);
        command.env("PAYROUTE_TOKEN__KEYS_FILE", data.join("token-keys"));
        command.env("PAYROUTE_SPOOL__PATH", own.join("spool"));
        command.env("PAYROUTE_STATE__PATH", own.join("state"));
        command.env("PAYROUTE_LOG__FILTER", "warn");
        command.env("PAYROUTE_FILES__CHANNELS", example_config().join("channels.yaml"));
        command.env("PAYROUTE_FILES__POLICY", example_config().join("policy.yaml"));
    }

    /// Runs a statement in the ledger's database.
    pub(crate) fn execute(&self, sql: &str) {
        let name = self.database.rsplit('/').next().expect("a name");
        self.postgres.ask(name, sql).expect("Postgres answers");
    }

    /// A total over all partitions, such as `late` or `duplicates`.
    pub(crate) fn total(&self, name: &str) -> u64 {
        const SCRIPT: &str = "local total = 0 \
            for _, key in ipairs(redis.call('keys', 'payroute:1:st:*')) do \
                total = total + tonumber(redis.call('hget', key, ARGV[1]) or 0) \
            end \
            return total";
        let said = self.redis.ask(&["EVAL", SCRIPT, "0", name]);
        said.expect("Redis answers").parse().expect("a number")
    }

    /// How many outcomes are in the ledger.
    pub(crate) fn kept(&self) -> usize {
        usize::try_from(self.count("select count(*) from attempt")).expect("it fits")
    }

    /// The attempts whose outcomes are in the ledger.
    pub(crate) fn attempts(&self) -> HashSet<String> {
        let name = self.database.rsplit('/').next().expect("a name");
        let said = self.postgres.ask(name, "select attempt_id from attempt");
        said.expect("Postgres answers")
            .lines()
            .map(ToOwned::to_owned)
            .collect()
    }

    /// How many partitions each monitor owns, by its name.
    pub(crate) fn owners(&self) -> HashMap<String, usize> {
        const SCRIPT: &str = "local owners = {} \
            for number, key in ipairs(redis.call('keys', 'payroute:1:own:*')) do \
                owners[number] = redis.call('get', key) \
            end \
            return owners";
        let said = self.redis.ask(&["EVAL", SCRIPT, "0"]).expect("Redis answers");
        let mut owners = HashMap::new();
        for name in said.lines().filter(|line| !line.is_empty()) {
            *owners.entry(name.to_owned()).or_default() += 1;
        }
        owners
    }

    /// Waits until `monitors` monitors own all partitions between them, in fair shares.
    pub(crate) async fn shared_by(&self, monitors: usize) -> HashSet<String> {
        let share = PARTITIONS.div_ceil(monitors);
        eventually(
            &format!("{monitors} monitors to share the partitions"),
            async || {
                let owners = self.owners();
                let fair = owners.len() == monitors && owners.values().all(|owned| *owned <= share);
                (fair && owners.values().sum::<usize>() == PARTITIONS).then_some(())
            },
        )
        .await;
        self.owners().into_keys().collect()
    }

    /// Waits until all partitions are owned, and none by one of `monitors`.
    pub(crate) async fn taken_from(&self, monitors: &HashSet<String>) {
        eventually("the partitions to be taken over", async || {
            let owners = self.owners();
            let taken = owners.keys().all(|owner| !monitors.contains(owner));
            (taken && owners.values().sum::<usize>() == PARTITIONS).then_some(())
        })
        .await;
    }

    /// The addresses of the routers that run.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.routers.iter().flatten().map(|router| router.grpc).collect()
    }

    /// A number that the database answers with.
    pub(crate) fn count(&self, sql: &str) -> u64 {
        let name = self.database.rsplit('/').next().expect("a name");
        let said = self.postgres.ask(name, sql).expect("Postgres answers");
        said.parse().expect("a number")
    }
}

/// The built command.
fn payroute() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Has `command` go by a wall clock that is off by what stands in the file `clock`. The library is Debian's
/// `libfaketime`.
fn by_clock<'c>(command: &'c mut Command, clock: &Path) -> &'c mut Command {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let library = folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("libfaketime is installed");
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_CACHE_DURATION", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
}

/// The example configuration of the repository.
fn example_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// A client of the routing service at `address`, on a connection of its own.
pub(crate) async fn routing(
    address: SocketAddr,
) -> Result<RoutingServiceClient<Channel>, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(RoutingServiceClient::new(endpoint.connect().await?))
}

/// Outcomes of the last hour on all channels together, as the router at `address` knows them.
pub(crate) async fn counted(address: SocketAddr) -> u64 {
    let health = health(address).await;
    let windows = health.iter().flat_map(|channel| &channel.windows);
    windows
        .filter(|view| view.window_secs == 3_600)
        .map(|view| view.total)
        .sum()
}

/// What the router at `address` knows of the channels.
pub(crate) async fn health(address: SocketAddr) -> Vec<v1::ChannelHealth> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
    let channel = endpoint.connect().await.expect("it listens");
    let answer = ChannelHealthServiceClient::new(channel)
        .list_channel_health(v1::ListChannelHealthRequest::default())
        .await;
    answer.expect("health answers").into_inner().channels
}

/// Fails when a breaker of the router at `address` is not healthy.
pub(crate) async fn assert_healthy(address: SocketAddr) {
    for channel in health(address).await {
        assert_eq!(channel.breaker_state, "healthy", "{channel:?}");
    }
}

/// The sum of metric `name`, over its labels unless it says them, at the process that answers HTTP at `address`.
pub(crate) fn metered(address: SocketAddr, name: &str) -> u64 {
    let page = rig::program::get(address, "/metrics").expect("metrics answer");
    let of_it = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        (series == name || series.split('{').next() == Some(name))
            .then(|| value.parse::<u64>().expect("a count"))
    };
    page.lines().filter_map(of_it).sum()
}

/// How far ahead the machine's clock is for the process that answers HTTP at `address`, in seconds; 0 until it knows.
pub(crate) fn offset_secs(address: SocketAddr) -> f64 {
    let page = rig::program::get(address, "/metrics").expect("metrics answer");
    let offset = page
        .lines()
        .find_map(|line| line.strip_prefix("payroute_clock_offset_seconds "));
    offset.map_or(0.0, |offset| offset.parse().expect("a number"))
}

/// Waits until `probe` gives something, asking again and again; says what it waited for when it does not come.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited {PATIENCE:?} in vain for {what}");
}
