//! A ledger with deliveries, alerters on it, and the receivers that they send to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use delivery::locale::Locale;
use delivery::message::{Message, Page, Severity, Status};
use jiff::Timestamp;
use ledger::delivery::{Class, Filter, Record, State};
use ledger::{Deliveries as _, NewDelivery, PostgresLedger, PostgresSettings};
use rig::{Postgres, Program, Zoo};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A ledger of its own on the shared server or on one of its own, a zoo, and a configuration folder.
pub(crate) struct House {
    pub(crate) zoo: Zoo,
    pub(crate) ledger: PostgresLedger,
    /// The server that is its own, if it has one.
    pub(crate) server: Option<Postgres>,
    /// Where its processes look for Redis. Nobody listens at the address that it begins with.
    pub(crate) redis: String,
    database: String,
    folder: TempDir,
}

impl House {
    /// With the receivers of a file, in which `ZOO` stands for the zoo's address.
    pub(crate) async fn open(receivers: &str) -> Self {
        let database = tokio::task::spawn_blocking(|| Postgres::shared().database().unwrap())
            .await
            .unwrap();
        Self::on(None, database, receivers).await
    }

    /// The same on a server of its own, which a test may stop.
    pub(crate) async fn apart(receivers: &str) -> Self {
        let started = tokio::task::spawn_blocking(|| {
            let server = Postgres::start().unwrap();
            let database = server.database().unwrap();
            (server, database)
        });
        let (server, database) = started.await.unwrap();
        Self::on(Some(server), database, receivers).await
    }

    async fn on(server: Option<Postgres>, database: String, receivers: &str) -> Self {
        let settings = PostgresSettings {
            url: database.clone(),
            max_connections: 4,
            retention_days: 30,
        };
        let ledger = PostgresLedger::open(&settings).await.unwrap();
        let now = ledger.clock().await.unwrap();
        let house = Self {
            zoo: Zoo::open(now).unwrap(),
            ledger,
            server,
            redis: "redis://127.0.0.1:1".to_owned(),
            database,
            folder: tempfile::tempdir().unwrap(),
        };
        house.configure(receivers);
        house
    }

    /// Writes the receivers file anew.
    pub(crate) fn configure(&self, receivers: &str) {
        let address = self.zoo.address();
        let guard = format!(
            "guard: {{allow_networks: [127.0.0.1/32], allow_ports: [443, {}], allow_http: true}}\n",
            address.port()
        );
        let guard = if receivers.contains("guard:") {
            String::new()
        } else {
            guard
        };
        let text = receivers
            .replace("ZOO", &format!("http://{address}"))
            .replace("PORT", &address.port().to_string());
        self.write("receivers.yaml", &format!("{guard}{text}"));
    }

    /// Writes a file of the configuration folder, and says where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts an alerter.
    pub(crate) fn alerter(&self) -> Program {
        self.start("alerter", &["probes on"])
    }

    /// Starts a service, which says where it listens under `labels`.
    pub(crate) fn start(&self, service: &str, labels: &[&str]) -> Program {
        let mut command = self.command(&[service, "--config"]);
        command.arg(self.folder.path());
        Program::start(&mut command, labels).expect("a service starts")
    }

    /// Runs a command to its end, and returns what it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("payroute runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a command says that is refused.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("payroute runs");
        assert!(!output.status.success(), "{arguments:?} is not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Puts the configuration folder into the ledger.
    pub(crate) fn import(&self) {
        self.run(&[
            "config",
            "import",
            "--config",
            self.folder.path().to_str().unwrap(),
        ]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
        let state: PathBuf = self.folder.path().join(Uuid::now_v7().to_string());
        command.args(arguments);
        for variable in ["GRPC", "ADMIN", "CONSOLE"] {
            command.env(format!("PAYROUTE_LISTEN__{variable}"), "127.0.0.1:0");
        }
        command
            .env("PAYROUTE_LEDGER__URL", &self.database)
            .env("PAYROUTE_LEDGER__CONNECTIONS", "8")
            .env("PAYROUTE_REDIS__URL", &self.redis)
            .env("PAYROUTE_STATE__PATH", state)
            .env("PAYROUTE_LOG__FILTER", "error");
        command
    }

    /// Leaves deliveries to be sent.
    pub(crate) async fn enqueue(&self, deliveries: &[NewDelivery]) {
        assert_eq!(self.ledger.enqueue(deliveries).await.unwrap(), deliveries.len());
    }

    /// Runs a statement in the ledger's database.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let name = self.database.rsplit('/').next().unwrap();
        let server = self.server.as_ref().unwrap_or_else(|| Postgres::shared());
        server.ask(name, sql).unwrap()
    }

    /// Makes what waits for its next try due, instead of waiting with it.
    pub(crate) fn hurry(&self) {
        self.sql("update delivery set due_at = clock_timestamp() where state = 'ready'");
    }

    /// Lets every lease run out, and ends whatever a killed worker has left on the server.
    pub(crate) fn expire(&self) {
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
             and pid <> pg_backend_pid() and query like '%pg_sleep%' or (datname = current_database() \
             and wait_event = 'PgSleep')",
        );
        self.sql("update delivery set due_at = clock_timestamp() where state = 'leased'");
    }

    /// Lets every change of a delivery to `state` stand still before it is made.
    pub(crate) fn stall_at(&self, state: State) {
        self.sql(&format!(
            "create function stall() returns trigger language plpgsql as $$ begin \
             if new.state = '{state}' and old.state <> new.state then perform pg_sleep(600); end if; \
             return new; end $$; \
             create trigger stall before update on delivery for each row execute function stall()"
        ));
    }

    /// Lets them go on again.
    pub(crate) fn unstall(&self) {
        self.sql("drop trigger stall on delivery; drop function stall()");
    }

    /// Every delivery, the oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<Record> {
        let filter = Filter {
            limit: 1000,
            ..Filter::default()
        };
        let mut all = self.ledger.list(&filter).await.unwrap();
        all.reverse();
        all
    }

    /// The states of what goes to `receiver`, the oldest first.
    pub(crate) async fn states(&self, receiver: &str) -> Vec<State> {
        let all = self.deliveries().await.into_iter();
        all.filter(|record| record.receiver == receiver)
            .map(|record| record.state)
            .collect()
    }

    /// Waits until everything that goes to `receiver` is in `state`.
    pub(crate) async fn all(&self, receiver: &str, state: State) {
        eventually(&format!("all for {receiver} to be {state}"), async || {
            let states = self.states(receiver).await;
            (!states.is_empty() && states.iter().all(|is| *is == state)).then_some(())
        })
        .await;
    }

    /// Waits until the only delivery to `receiver` was tried so often and waits again.
    pub(crate) async fn tried(&self, receiver: &str, attempts: u32) -> Record {
        eventually(&format!("{attempts} tries at {receiver}"), async || {
            let found = self
                .deliveries()
                .await
                .into_iter()
                .find(|record| record.receiver == receiver)?;
            (found.state == State::Ready && found.attempts == attempts).then_some(found)
        })
        .await
    }
}

/// Waits until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A page of the incident of that name for `receiver`.
pub(crate) fn page(receiver: &str, incident: &str, what: &str, now: Timestamp) -> NewDelivery {
    told(receiver, (incident, what), Status::Firing, now)
}

/// The end of it.
pub(crate) fn resolve(receiver: &str, incident: &str, now: Timestamp) -> NewDelivery {
    told(receiver, (incident, "it is over"), Status::Resolved, now)
}

fn told(receiver: &str, (incident, what): (&str, &str), status: Status, now: Timestamp) -> NewDelivery {
    let ends = status == Status::Resolved;
    let message = Message::Page(Box::new(Page {
        status,
        severity: Severity::Critical,
        dedup_key: incident.to_owned(),
        alert: "SuccessRateLow".to_owned(),
        what: what.to_owned(),
        since: now,
        until: ends.then_some(now),
        hits: Vec::new(),
        reasons: Vec::new(),
        done: Vec::new(),
        links: Vec::new(),
        labels: BTreeMap::from([("channel".to_owned(), incident.to_owned())]),
        members: Vec::new(),
        locale: Locale::En,
    }));
    NewDelivery {
        id: Uuid::now_v7(),
        receiver: receiver.to_owned(),
        order_key: incident.to_owned(),
        dedup_key: format!("{incident}:{}", status.as_str()),
        class: Class::Page,
        ends,
        message: serde_json::to_value(message).unwrap(),
        created_at: now,
        due_at: now,
    }
}
