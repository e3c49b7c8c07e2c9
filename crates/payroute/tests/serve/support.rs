//! Starts the real `payroute serve` on free ports, and ends it in more or less friendly ways.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use proto::v1;
use proto::v1::channel_health_service_client::ChannelHealthServiceClient;
use proto::v1::routing_service_client::RoutingServiceClient;
use rig::Program;
use tonic::transport::{Channel, Endpoint};

/// The built command.
pub(crate) fn payroute() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// The example configuration of the repository.
pub(crate) fn example_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    program: Program,
    /// Where it answers gRPC.
    pub(crate) grpc: SocketAddr,
    /// Where it answers HTTP.
    pub(crate) admin: SocketAddr,
}

impl Server {
    /// Starts a server that keeps its data in `data`, and waits until it says where it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with further flags.
    pub(crate) fn start_with(data: &Path, flags: &[&str]) -> Self {
        let labels = ["gRPC on", "probes on", "REST on"];
        let program = Program::start(serve(data).args(flags), &labels).expect("payroute starts");
        let [grpc, admin, _] = labels.map(|label| program.address(label));
        Self { program, grpc, admin }
    }

    /// Where the control plane answers, as `payroute ctl` takes it.
    pub(crate) fn console(&self) -> String {
        format!("http://{}", self.program.address("REST on"))
    }

    /// What the control plane answers at `path`.
    pub(crate) fn rest(&self, path: &str) -> serde_json::Value {
        let answer = rig::program::get(self.program.address("REST on"), path).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(body).expect("it answers in JSON")
    }

    /// Kills it as a power cut would: no chance to finish anything.
    pub(crate) fn kill(self) {
        self.program.kill().expect("it was running");
    }

    /// Asks it to stop, without waiting.
    pub(crate) fn terminate(&self) {
        self.program.signal("TERM").expect("it is running");
    }

    /// Waits until it has ended.
    pub(crate) fn wait(self) -> ExitStatus {
        self.program.wait().expect("it ends")
    }

    /// A connection to it.
    pub(crate) async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).expect("an endpoint");
        endpoint.connect().await.expect("it listens")
    }

    /// A client of the routing service, on a connection of its own.
    pub(crate) async fn routing(&self) -> RoutingServiceClient<Channel> {
        RoutingServiceClient::new(self.connect().await)
    }

    /// Outcomes of the last hour on all channels together, as channel health counts them.
    pub(crate) async fn counted(&self) -> u64 {
        let mut health = ChannelHealthServiceClient::new(self.connect().await);
        let answer = health
            .list_channel_health(v1::ListChannelHealthRequest::default())
            .await;
        in_the_last_hour(&answer.expect("health answers").into_inner())
    }

    /// What HTTP answers at `path`.
    pub(crate) fn get(&self, path: &str) -> String {
        rig::program::get(self.admin, path).expect("it answers")
    }
}

/// Outcomes of the last hour on all channels together.
pub(crate) fn in_the_last_hour(snapshot: &v1::ListChannelHealthResponse) -> u64 {
    let windows = snapshot.channels.iter().flat_map(|channel| &channel.windows);
    windows
        .filter(|view| view.window_secs == 3_600)
        .map(|view| view.total)
        .sum()
}

fn serve(data: &Path) -> Command {
    let mut command = payroute();
    command.arg("serve");
    // As variables, so that a test may give other addresses as flags.
    for listener in ["GRPC", "ADMIN", "CONSOLE"] {
        command.env(format!("PAYROUTE_LISTEN__{listener}"), "127.0.0.1:0");
    }
    // A test that changes the configuration has its own beside its data.
    let own = data.join("config");
    let config = if own.exists() { own } else { example_config() };
    command.arg("--config").arg(config);
    command.arg("--ledger-path").arg(data.join("payroute.db"));
    command.arg("--token-keys-file").arg(data.join("token-keys"));
    command.args(["--log-filter", "warn"]);
    command
}

/// Runs `payroute serve` that is expected to refuse to start.
pub(crate) fn refuses(data: &Path, flags: &[&str]) -> Output {
    let output = serve(data).args(flags).output().expect("payroute runs");
    assert!(!output.status.success(), "it started");
    output
}

/// The least that Route asks for.
pub(crate) fn route_request(payment: &str) -> v1::RouteRequest {
    v1::RouteRequest {
        merchant_id: "shop".to_owned(),
        payment_id: payment.to_owned(),
        amount_minor: 1_999,
        currency: "CNY".to_owned(),
        method: "wechat_pay".to_owned(),
        country: "CN".to_owned(),
        ..v1::RouteRequest::default()
    }
}

/// A report on the channel that was decided.
pub(crate) fn report(
    decision: &v1::RouteResponse,
    attempt: &str,
    result: v1::Result,
) -> v1::ReportOutcomeRequest {
    v1::ReportOutcomeRequest {
        decision_token: decision.decision_token.clone(),
        attempt_id: attempt.to_owned(),
        channel_id: decision.channel.as_ref().expect("a channel").channel_id.clone(),
        result: result.into(),
        provider: "payroute".to_owned(),
        latency_ms: 250,
        ..v1::ReportOutcomeRequest::default()
    }
}
