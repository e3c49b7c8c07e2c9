//! Trouble from outside: a ledger that is full, and a caller that stays when the service stops.

use std::time::Duration;

use proto::v1;
use proto::v1::channel_health_service_client::ChannelHealthServiceClient;
use tokio::time::Instant;
use tonic_types::StatusExt;

use crate::support::{self, Server};

#[tokio::test]
async fn a_full_ledger_refuses_reports_and_routes_on() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--ledger-max-bytes", "1048576"]);
    let mut client = server.routing().await;
    let mut kept = 0;
    let refused = loop {
        let request = support::route_request("ord_1");
        let decision = client.route(request).await.unwrap().into_inner();
        let mut report = support::report(&decision, &format!("a_{kept}"), v1::Result::Failed);
        report.message = "x".repeat(1_000);
        match client.report_outcome(report).await {
            Ok(_) => kept += 1,
            Err(status) => break status,
        }
        assert!(kept < 10_000, "it never fills");
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "LEDGER_FULL");
    assert!(details.retry_info().is_some());
    assert!(client.route(support::route_request("ord_2")).await.is_ok());

    let request = v1::GetPaymentRequest {
        merchant_id: "shop".to_owned(),
        payment_id: "ord_1".to_owned(),
    };
    let payment = client.get_payment(request).await.unwrap().into_inner();
    assert_eq!(
        payment.attempts.len(),
        kept,
        "what was acknowledged is there, and nothing else"
    );
}

#[tokio::test]
async fn a_caller_that_follows_health_does_not_keep_it_from_stopping() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut health = ChannelHealthServiceClient::new(server.connect().await);
    let request = v1::WatchChannelHealthRequest::default();
    let mut snapshots = health.watch_channel_health(request).await.unwrap().into_inner();
    assert!(snapshots.message().await.unwrap().is_some());

    server.terminate();
    let asked = Instant::now();
    while let Ok(Some(_)) = snapshots.message().await {}
    let status = server.wait();
    assert!(status.success(), "{status:?}");
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn with_tokens_a_stranger_learns_only_that_it_lives() {
    let data = tempfile::tempdir().unwrap();
    let made = support::payroute()
        .args(["token", "new", "checkout"])
        .output()
        .unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    let after = |label: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(label))
            .unwrap()
            .trim()
            .to_owned()
    };
    let (token, line) = (
        after("token, shown this once:"),
        after("line for auth.tokens_file:"),
    );
    let tokens = data.path().join("tokens");
    std::fs::write(&tokens, line).unwrap();
    let server = Server::start_with(data.path(), &["--auth-tokens-file", tokens.to_str().unwrap()]);

    let mut client = server.routing().await;
    let refused = client.route(support::route_request("ord_1")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let mut request = tonic::Request::new(support::route_request("ord_1"));
    let header = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", header);
    assert!(client.route(request).await.is_ok());

    assert!(server.get("/livez").starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/metrics").starts_with("HTTP/1.1 401"));
}
