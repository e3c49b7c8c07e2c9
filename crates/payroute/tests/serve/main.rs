//! `payroute serve` as an operator meets it: how it starts, how it refuses to, and how it stops.

#![cfg(test)]

mod card_numbers;
mod codes;
mod crash;
mod notices;
mod sdk;
mod shoppers;
mod support;
mod trouble;
mod unknown;

use std::time::Duration;

use proto::v1;
use support::{Server, payroute, refuses};
use tokio::time::Instant;

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_payment_goes_from_route_to_the_ledger() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.routing().await;
    let decision = client
        .route(support::route_request("ord_1"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(decision.action(), v1::Action::Submit);
    let report = support::report(&decision, "ord_1-1", v1::Result::Succeeded);
    let answer = client.report_outcome(report).await.unwrap().into_inner();
    assert_eq!((answer.state.as_str(), answer.duplicate), ("succeeded", false));

    let request = v1::GetPaymentRequest {
        merchant_id: "shop".into(),
        payment_id: "ord_1".into(),
    };
    let payment = client.get_payment(request).await.unwrap().into_inner();
    assert_eq!(payment.attempts[0].state, "succeeded");
    assert_eq!(
        payment.attempts[0].channel_id,
        decision.channel.unwrap().channel_id
    );
}

#[tokio::test]
async fn a_second_report_with_another_content_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.routing().await;
    let decision = client
        .route(support::route_request("ord_1"))
        .await
        .unwrap()
        .into_inner();
    client
        .report_outcome(support::report(&decision, "a", v1::Result::Succeeded))
        .await
        .unwrap();
    let contradiction = support::report(&decision, "a", v1::Result::Declined);
    let refused = client.report_outcome(contradiction).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::AlreadyExists);
}

#[tokio::test]
async fn a_forged_token_and_another_channel_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.routing().await;
    let decision = client
        .route(support::route_request("ord_1"))
        .await
        .unwrap()
        .into_inner();
    let good = support::report(&decision, "a", v1::Result::Succeeded);

    let mut forged = good.clone();
    *forged.decision_token.last_mut().unwrap() ^= 1;
    let other = v1::ReportOutcomeRequest {
        channel_id: "adyen".into(),
        ..good
    };
    for request in [forged, other] {
        let refused = client.report_outcome(request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
    }
    assert_eq!(server.counted().await, 0);
}

#[tokio::test]
async fn every_violation_comes_back_with_its_field() {
    use tonic_types::StatusExt;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let refused = server
        .routing()
        .await
        .route(v1::RouteRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let details = refused.get_error_details();
    let fields: Vec<_> = details
        .bad_request()
        .unwrap()
        .field_violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(
        fields,
        ["merchant_id", "payment_id", "currency", "amount_minor", "method"]
    );
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_ends_with_zero() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.routing().await;
    let mut acknowledged = Vec::new();
    let mut asked = None;
    for number in 0.. {
        let payment = format!("ord_{number}");
        let Ok(decision) = client.route(support::route_request(&payment)).await else {
            break;
        };
        let report = support::report(&decision.into_inner(), &payment, v1::Result::Succeeded);
        if client.report_outcome(report).await.is_ok() {
            acknowledged.push(payment);
        }
        if number == 200 {
            server.terminate();
            asked = Some(Instant::now());
        }
    }
    let status = server.wait();
    assert!(status.success(), "{status:?}");
    assert!(asked.unwrap().elapsed() < Duration::from_secs(5));

    let server = Server::start(data.path());
    let mut client = server.routing().await;
    for payment_id in acknowledged {
        let request = v1::GetPaymentRequest {
            merchant_id: "shop".into(),
            payment_id,
        };
        assert_eq!(
            client
                .get_payment(request)
                .await
                .unwrap()
                .into_inner()
                .attempts
                .len(),
            1
        );
    }
}

#[test]
fn probes_and_metrics_answer() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    assert!(server.get("/livez").starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/metrics").contains("payroute_"));
}

#[test]
fn the_probe_says_whether_the_service_is_ready() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let probe = |flags: &[&str]| payroute().arg("probe").args(flags).output().unwrap();
    let config = support::example_config();
    let config = config.to_str().unwrap();
    let admin = server.admin.to_string();
    let ready = probe(&["--config", config, "--listen-admin", &admin]);
    assert!(ready.status.success(), "{}", stderr(&ready));
    assert!(ready.stdout.starts_with(b"{\"ready\":true,"), "{ready:?}");

    let elsewhere = probe(&["--url", &format!("http://{admin}/elsewhere")]);
    assert!(!elsewhere.status.success() && stderr(&elsewhere).contains("404"));
    server.kill();
    let gone = probe(&["--config", config, "--listen-admin", &admin]);
    assert!(!gone.status.success(), "{gone:?}");
    assert!(stderr(&gone).contains("does not answer"), "{}", stderr(&gone));
}

#[tokio::test]
async fn every_metric_that_is_served_is_in_the_readme() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.routing().await;
    let request = support::route_request("ord_1");
    let decision = client.route(request).await.unwrap().into_inner();
    let report = support::report(&decision, "ord_1-1", v1::Result::Succeeded);
    client.report_outcome(report).await.unwrap();
    let readme = include_str!("../../../../README.md");
    let text = server.get("/metrics");
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(names.contains(&"payroute_decisions_total"), "{text}");
    for name in names {
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn a_wide_address_is_refused_without_tokens() {
    let data = tempfile::tempdir().unwrap();
    for flag in ["--listen-grpc", "--listen-admin", "--listen-console"] {
        let output = refuses(data.path(), &[flag, "0.0.0.0:0"]);
        let said = stderr(&output);
        assert!(
            said.contains("0.0.0.0") && said.contains("auth.tokens_file"),
            "{said}"
        );
    }
}

#[test]
fn a_taken_port_is_named() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = stderr(&refuses(data.path(), &["--listen-grpc", &address]));
    assert!(said.contains(&address) && said.contains("listen.grpc"), "{said}");
}

#[test]
fn a_ledger_that_another_process_holds_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let _first = Server::start(data.path());
    let said = stderr(&refuses(data.path(), &[]));
    assert!(said.contains("in use by another process"), "{said}");
}

#[test]
fn a_wrong_setting_is_named_by_its_origin() {
    let data = tempfile::tempdir().unwrap();
    let said = stderr(&refuses(data.path(), &["--token-ttl-secs", "soon"]));
    assert!(said.contains("--token-ttl-secs"), "{said}");

    let config = data.path().join("config");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(
        config.join("payroute.yaml"),
        "listen:\n  grpc: 127.0.0.1:0\n  gprc: 1\n",
    )
    .unwrap();
    let output = payroute()
        .arg("config")
        .arg("check")
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    let said = stderr(&output);
    assert!(
        said.contains("payroute.yaml:3:3") && said.contains("gprc"),
        "{said}"
    );
}

#[test]
fn the_example_configuration_is_good() {
    let output = payroute()
        .args(["config", "check", "--config"])
        .arg(support::example_config())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}
