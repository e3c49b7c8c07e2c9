//! `payroute shoppers` in front of a real service: what it says at its end, and what its journal is worth.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proto::v1;
use serde_json::Value;

use crate::support::{Server, payroute};

/// A channel of the example shop that answers everything at once, so that no payment outlasts its test.
const SCENARIO: &str = "\
name: brisk
duration_s: 4
channels:
  - id: wechat_direct
    methods: [wechat_pay]
    success: {base: 0.8}
    latency: {median_ms: 20, sigma: 0.2}
    timeout_ms: 5000
    failures: {soft_declines: 1, errors: 0, timeouts: 0}
  - id: wechat_partner
    methods: [wechat_pay]
    success: {base: 0.9}
    latency: {median_ms: 20, sigma: 0.2}
    timeout_ms: 5000
    failures: {soft_declines: 1, errors: 0, timeouts: 0}
  - id: wechat_aggregator
    methods: [wechat_pay]
    success: {base: 0.9}
    latency: {median_ms: 20, sigma: 0.2}
    timeout_ms: 5000
    failures: {soft_declines: 1, errors: 0, timeouts: 0}
traffic:
  merchant: shop
  currency: CNY
  country: CN
  payments_per_s: 60
  methods: [{name: wechat_pay, presentments: [h5]}]
  amounts: {median_minor: 15000, sigma: 1.2, min_minor: 400, max_minor: 900000}
";

/// Shoppers on their way, with a journal and a scenario in `data`.
fn shoppers(data: &Path, routers: &[&str], flags: &[&str]) -> Command {
    let scenario = data.join("brisk.yaml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let mut command = payroute();
    command.arg("shoppers").arg("--scenario").arg(scenario);
    command.arg("--journal").arg(data.join("journal")).arg("--json");
    for router in routers {
        command.args(["--router", router]);
    }
    command.args(flags);
    command
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn summary(shoppers: Child) -> Value {
    let output = shoppers.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn count(summary: &Value, key: &str) -> u64 {
    summary[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} in {summary}"))
}

/// The lines of the journal in `data`, as they come.
fn journal(data: &Path) -> impl Iterator<Item = Value> {
    let file = File::open(data.join("journal")).unwrap();
    let lines = BufReader::new(file).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Every attempt of the journal is in the ledger once, in the state that was acknowledged last.
async fn assert_kept(server: &Server, journal: &[Value]) {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let mut attempts = BTreeMap::new();
    for line in journal {
        let names = [text(line, "payment"), text(line, "attempt_id")];
        attempts.insert(names, [text(line, "channel"), text(line, "state")]);
    }
    let mut client = server.routing().await;
    for ([payment_id, attempt_id], acknowledged) in attempts {
        let request = v1::GetPaymentRequest {
            merchant_id: "shop".to_owned(),
            payment_id,
        };
        let payment = client.get_payment(request).await.unwrap().into_inner();
        let kept = payment.attempts.into_iter();
        let kept = kept.filter(|attempt| attempt.attempt_id == attempt_id);
        let kept: Vec<_> = kept.map(|attempt| [attempt.channel_id, attempt.state]).collect();
        assert_eq!(kept, [acknowledged], "{attempt_id}");
    }
}

#[tokio::test]
async fn shoppers_pay_and_every_line_of_their_journal_is_in_the_ledger() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let flags = ["--seconds", "3", "--rate", "40"];
    let summary = summary(started(shoppers(
        data.path(),
        &[&server.grpc.to_string()],
        &flags,
    )));
    assert!(count(&summary, "payments") > 60, "{summary}");
    assert!(
        count(&summary, "paid") * 10 > count(&summary, "payments") * 8,
        "{summary}"
    );
    for none in [
        "unrouted",
        "unfinished",
        "unacknowledged",
        "double_charges",
        "duplicates",
    ] {
        assert_eq!(count(&summary, none), 0, "{none} in {summary}");
    }
    let journal: Vec<_> = journal(data.path()).collect();
    assert_eq!(
        u64::try_from(journal.len()).unwrap(),
        count(&summary, "acknowledged")
    );
    assert_kept(&server, &journal).await;
}

#[tokio::test]
async fn shoppers_go_on_when_the_router_dies_and_keep_what_it_had_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let (grpc, admin) = (server.grpc.to_string(), server.admin.to_string());
    // A pipe, so that the test can follow the journal.
    run(Command::new("mkfifo").arg(data.path().join("journal")));
    // The first of the two is a router that is gone: port 1 is nobody's.
    let shoppers = started(shoppers(
        data.path(),
        &["127.0.0.1:1", &grpc],
        &["--seconds", "0"],
    ));
    let mut journal = journal(data.path());
    let mut acknowledged: Vec<Value> = journal.by_ref().take(100).collect();
    server.kill();
    let server = Server::start_with(data.path(), &["--listen-grpc", &grpc, "--listen-admin", &admin]);
    acknowledged.extend(journal.by_ref().take(300));
    run(Command::new("kill").args(["-TERM", &shoppers.id().to_string()]));
    acknowledged.extend(journal);

    let summary = summary(shoppers);
    for none in ["unrouted", "unfinished", "unacknowledged", "double_charges"] {
        assert_eq!(count(&summary, none), 0, "{none} in {summary}");
    }
    assert_kept(&server, &acknowledged).await;
}

#[test]
fn a_refusal_is_not_repeated_and_counts_as_unrouted() {
    let data = tempfile::tempdir().unwrap();
    let tokens = data.path().join("tokens");
    std::fs::write(&tokens, format!("somebody {}\n", "ab".repeat(32))).unwrap();
    let server = Server::start_with(data.path(), &["--auth-tokens-file", tokens.to_str().unwrap()]);
    let flags = ["--seconds", "1", "--rate", "20"];
    let summary = summary(started(shoppers(
        data.path(),
        &[&server.grpc.to_string()],
        &flags,
    )));
    assert!(count(&summary, "payments") > 0, "{summary}");
    assert_eq!(
        count(&summary, "unrouted"),
        count(&summary, "payments"),
        "{summary}"
    );
}

#[test]
fn shoppers_pay_with_the_secrets_that_the_compose_file_gets() {
    let data = tempfile::tempdir().unwrap();
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/compose/init");
    // Twice: what is there stays, or a second call would lock everybody out.
    for _ in 0..2 {
        run(Command::new(&init).arg(data.path()).stdout(Stdio::null()));
    }
    let file = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let server = Server::start_with(data.path(), &["--auth-tokens-file", &file("tokens")]);
    for (token, admitted) in [("checkout-token", true), ("operator-token", false)] {
        let flags = ["--token-file", &file(token), "--seconds", "1", "--rate", "20"];
        let said = summary(started(shoppers(
            data.path(),
            &[&server.grpc.to_string()],
            &flags,
        )));
        let [payments, unrouted] = ["payments", "unrouted"].map(|key| count(&said, key));
        assert!(payments > 0, "{said}");
        assert_eq!(unrouted, if admitted { 0 } else { payments }, "{token}: {said}");
    }
}
