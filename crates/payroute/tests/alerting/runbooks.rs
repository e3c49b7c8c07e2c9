//! Runbooks as operators meet them: real processes, a channel that fails, and what Route does about it.

use std::net::SocketAddr;
use std::process::Command;

use proto::v1;
use proto::v1::routing_service_client::RoutingServiceClient;
use rig::{Postgres, Program, Redis};
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::support::eventually;

const CHANNELS: &str = "
channels:
  - {id: a, provider: alipay, methods: [card], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: b, provider: alipay, methods: [card], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: c, provider: alipay, methods: [wallet], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
limits:
  - {id: cap, count: 20000, window_secs: 600}
";
const POLICY: &str = "{version: 1, name: usual, timezone: UTC, default: {priority: [a, b, c]}}";
const STANDBY: &str = "{version: 1, name: standby, timezone: UTC, default: {priority: [b, c, a]}}";
const ALERTS: &str = "
version: 1
rules:
  - name: Failing
    metric: business_success
    by: channel
    below: 50%
    checks: [{window: 1m, min_volume: 10, mode: naive, for: 0s}]
    severity: critical
";
const RUNBOOKS: &str = "
version: 1
runbooks:
  - name: leave
    on: [Failing]
    run: automatically
    steps:
      - {suspend: {channel: '{channel}', issuer: icbc}, for: 1m}
      - {suspend: {channel: c}, for: 1m}
      - {activate_policy: standby, for: 1m}
      - {lower_limit: {limit: cap, to: 50%}, for: 1m}
";

/// A deployment of a router, a console and alerters.
struct Office {
    database: String,
    redis: Redis,
    folder: TempDir,
    router: Option<SocketAddr>,
    console: Option<SocketAddr>,
    running: Vec<Program>,
}

impl Office {
    async fn open() -> Self {
        let started =
            tokio::task::spawn_blocking(|| (Postgres::shared().database().unwrap(), Redis::start().unwrap()));
        let (database, redis) = started.await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("channels.yaml", CHANNELS),
            ("policy.yaml", POLICY),
            ("alerts.yaml", ALERTS),
            ("runbooks.yaml", RUNBOOKS),
            ("standby.yaml", STANDBY),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut office = Self {
            database,
            redis,
            folder,
            router: None,
            console: None,
            running: Vec::new(),
        };
        for arguments in [&["migrate"][..], &["config", "import"]] {
            let output = office.command(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        }
        let router = Program::start(&mut office.command(&["router"]), &["gRPC on"]).unwrap();
        office.router = Some(router.address("gRPC on"));
        let console = Program::start(&mut office.command(&["console"]), &["REST on"]).unwrap();
        office.console = Some(console.address("REST on"));
        office.running.extend([router, console]);
        office.ctl(&["add-policy", &office.path("standby.yaml")]);
        office
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
        let own = self.folder.path().join(Uuid::now_v7().to_string());
        command.args(arguments);
        if arguments != ["migrate"] {
            command.arg("--config").arg(self.folder.path());
        }
        for variable in ["GRPC", "ADMIN", "CONSOLE"] {
            command.env(format!("PAYROUTE_LISTEN__{variable}"), "127.0.0.1:0");
        }
        command
            .env("PAYROUTE_LEDGER__URL", &self.database)
            .env("PAYROUTE_REDIS__URL", self.redis.url())
            .env("PAYROUTE_TOKEN__KEYS_FILE", self.folder.path().join("token-keys"))
            .env("PAYROUTE_SPOOL__PATH", own.join("spool"))
            .env("PAYROUTE_STATE__PATH", own.join("state"))
            .env("PAYROUTE_LOG__FILTER", "warn");
        command
    }

    fn alerter(&self) -> Program {
        Program::start(&mut self.command(&["alerter"]), &["probes on"]).expect("an alerter starts")
    }

    /// What `payroute ctl` says.
    fn ctl(&self, arguments: &[&str]) -> String {
        let console = format!("http://{}", self.console.unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
        command.args(["ctl", "--console", &console]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn rest(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1{path}", self.console.unwrap());
        let answer = reqwest::get(url).await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn routing(&self) -> RoutingServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.router.unwrap())).unwrap();
        RoutingServiceClient::new(endpoint.connect().await.unwrap())
    }

    /// The channel that a payment of `issuer` gets, of those in `candidates`.
    async fn channel(&self, issuer: &str, candidates: &[&str]) -> Option<String> {
        let request = v1::RouteRequest {
            issuer: issuer.to_owned(),
            candidates: candidates.iter().map(|name| (*name).to_owned()).collect(),
            ..payment(&Uuid::now_v7().to_string())
        };
        let answer = self.routing().await.route(request).await.unwrap().into_inner();
        answer.channel.map(|channel| channel.channel_id)
    }

    /// Lets channel `a` fail so often.
    async fn fail(&self, times: usize) {
        let mut client = self.routing().await;
        for _ in 0..times {
            let name = Uuid::now_v7().to_string();
            let request = v1::RouteRequest {
                candidates: vec!["a".to_owned()],
                ..payment(&name)
            };
            let decision = client.route(request).await.unwrap().into_inner();
            let report = v1::ReportOutcomeRequest {
                decision_token: decision.decision_token,
                attempt_id: format!("{name}-1"),
                channel_id: "a".to_owned(),
                result: v1::Result::Failed.into(),
                provider: "alipay".to_owned(),
                code: "ACQ.SYSTEM_ERROR".to_owned(),
                latency_ms: 250,
                ..v1::ReportOutcomeRequest::default()
            };
            client.report_outcome(report).await.unwrap();
        }
    }
}

fn payment(name: &str) -> v1::RouteRequest {
    v1::RouteRequest {
        merchant_id: "shop".to_owned(),
        payment_id: name.to_owned(),
        attempt_no: 1,
        amount_minor: 1_999,
        currency: "CNY".to_owned(),
        method: "card".to_owned(),
        country: "CN".to_owned(),
        ..v1::RouteRequest::default()
    }
}

/// What holds now: suspensions, the active policy, and what the limit allows.
async fn holding(office: &Office) -> (usize, Value, Value) {
    let suspensions = office.rest("/suspensions").await;
    let hold = suspensions.as_array().unwrap().iter();
    let hold = hold.filter(|one| one["holds"] == true).count();
    let policies = office.rest("/policies").await;
    let limits = office.rest("/limits").await;
    let text = limits.to_string();
    let most = if text.contains("10000") { 10_000 } else { 20_000 };
    (hold, policies["active"].clone(), most.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_channel_is_left_for_a_bank_by_its_runbook_once_and_comes_back_by_itself() {
    let office = Office::open().await;
    let mut alerters: Vec<Program> = (0..3).map(|_| office.alerter()).collect();
    assert_eq!(office.channel("icbc", &["a"]).await.as_deref(), Some("a"));
    office.fail(12).await;
    let incident = eventually("an incident", async || {
        let incidents = office.rest("/incidents").await;
        incidents[0]["id"].as_str().map(ToOwned::to_owned)
    })
    .await;
    // Whoever works on it may be the one that dies; the others go on.
    alerters.pop().unwrap().kill().unwrap();
    eventually("the runbook to be applied", async || {
        (holding(&office).await == (1, 2.into(), 10_000.into())).then_some(())
    })
    .await;
    eventually("Route to leave the channel for that bank", async || {
        let left = office.channel("icbc", &["a"]).await.is_none();
        (left && office.channel("boc", &["a"]).await.is_some()).then_some(())
    })
    .await;
    assert_eq!(office.channel("icbc", &["a", "b"]).await.as_deref(), Some("b"));
    let plans = office.ctl(&["incident", "plans", &incident]);
    assert!(
        plans.contains("made      suspend channel a, issuer icbc, until"),
        "{plans}"
    );
    assert!(
        plans.contains("not_done  method `wallet` would have no channel left"),
        "{plans}"
    );
    let done = async || {
        let audit = office.rest("/audit").await;
        let entries = audit.as_array().unwrap().clone().into_iter();
        let by = format!("runbook leave, incident {incident}");
        entries.filter(|entry| entry["actor"] == by.as_str()).count()
    };
    assert_eq!(done().await, 3, "each change once");
    eventually("everything to end", async || {
        (holding(&office).await == (0, 1.into(), 20_000.into())).then_some(())
    })
    .await;
    eventually("Route to come back", async || {
        office.channel("icbc", &["a"]).await
    })
    .await;
    assert_eq!(
        done().await,
        5,
        "a suspension ends by itself, the others are set back once"
    );
    drop(alerters);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runbook_is_let_go_and_taken_back_by_one_command_each() {
    let office = Office::open().await;
    let runbooks = RUNBOOKS
        .replace("automatically", "on_approval")
        .replace("1m}", "1h}");
    std::fs::write(office.path("runbooks.yaml"), runbooks).unwrap();
    let _alerter = office.alerter();
    office.fail(12).await;
    let incident = eventually("an incident", async || {
        let incidents = office.rest("/incidents").await;
        incidents[0]["id"].as_str().map(ToOwned::to_owned)
    })
    .await;
    let offered = office.ctl(&["incident", "plans", &incident]);
    assert!(offered.starts_with("leave offered"), "{offered}");
    assert_eq!(holding(&office).await, (0, 1.into(), 20_000.into()));
    office.ctl(&["incident", "apply", &incident, "leave"]);
    eventually("it to be applied", async || {
        (holding(&office).await == (1, 2.into(), 10_000.into())).then_some(())
    })
    .await;
    office.ctl(&["incident", "revert", &incident, "leave"]);
    eventually("it to be taken back", async || {
        (holding(&office).await == (0, 1.into(), 20_000.into())).then_some(())
    })
    .await;
    // The line is written after the change.
    eventually("it to be over", async || {
        let plans = office.ctl(&["incident", "plans", &incident]);
        plans.starts_with("leave over").then_some(())
    })
    .await;
}
