//! An unknown outcome through all it may come to: asked for, taken back, left to a person, adopted, paid back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proto::v1;
use proto::v1::compensation_service_client::CompensationServiceClient;
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use crate::support::{self, Server};

/// Every provider's schedule in fractions of a second.
const FAST: &str = "version: 1
profiles:
  default: &fast
    query_delays_ms: [200, 700]
    reverse_not_before_ms: 300
    reverse_retry_ms: 300
    reverse_tries: 2
    close_not_before_ms: 200
    refund_retry_ms: 300
    refund_tries: 2
    customer_query_delays_ms: [200]
";

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration with quick providers, in `data`.
pub(crate) fn quick(data: &Path) {
    let config = data.join("config");
    fs::create_dir_all(config.join("catalogue")).unwrap();
    for file in fs::read_dir(support::example_config()).unwrap() {
        let file = file.unwrap();
        if file.path().is_file() {
            fs::copy(file.path(), config.join(file.file_name())).unwrap();
        }
    }
    let (head, table) = FAST.split_once("  default: &fast\n").unwrap();
    let profiles =
        ["default", "wechatpay", "alipay", "unionpay", "stripe"].map(|name| format!("  {name}:\n{table}"));
    fs::write(
        config.join("catalogue/quick.yaml"),
        format!("{head}{}", profiles.concat()),
    )
    .unwrap();
}

/// Reports an attempt at `payment` as `result`, and gives what it is answered.
async fn report(server: &Server, payment: &str, result: v1::Result) -> v1::ReportOutcomeResponse {
    let mut client = server.routing().await;
    let decision = client
        .route(support::route_request(payment))
        .await
        .unwrap()
        .into_inner();
    let report = support::report(&decision, &format!("{payment}-1"), result);
    client.report_outcome(report).await.unwrap().into_inner()
}

pub(crate) async fn watch(server: &Server) -> Streaming<v1::WatchResolutionsResponse> {
    let mut client = CompensationServiceClient::new(server.connect().await);
    let request = v1::WatchResolutionsRequest {
        merchant_id: "shop".to_owned(),
    };
    client.watch_resolutions(request).await.unwrap().into_inner()
}

/// The next request to do `action`.
pub(crate) async fn asked(
    stream: &mut Streaming<v1::WatchResolutionsResponse>,
    action: v1::ResolutionAction,
) -> v1::WatchResolutionsResponse {
    let next = async {
        loop {
            let request = stream.message().await.unwrap().expect("the stream goes on");
            if request.action() == action {
                return request;
            }
        }
    };
    timeout(PATIENCE, next).await.expect("it is asked for")
}

pub(crate) async fn answer(
    server: &Server,
    receipt: Vec<u8>,
    resolution: v1::Resolution,
    source: v1::ResolutionSource,
) -> v1::ResolveAttemptResponse {
    let request = v1::ResolveAttemptRequest {
        receipt,
        resolution: resolution.into(),
        source: source.into(),
        ..v1::ResolveAttemptRequest::default()
    };
    let mut client = server.routing().await;
    client.resolve_attempt(request).await.unwrap().into_inner()
}

/// Waits until the attempt of `payment` is in `state`.
pub(crate) async fn comes_to(server: &Server, payment: &str, state: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut client = server.routing().await;
    loop {
        let request = v1::GetPaymentRequest {
            merchant_id: "shop".to_owned(),
            payment_id: payment.to_owned(),
        };
        let payment = client.get_payment(request).await.unwrap().into_inner();
        let is = &payment.attempts[0].state;
        if is == state {
            return;
        }
        assert!(Instant::now() < deadline, "it is {is}, expected {state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_unknown_is_asked_for_taken_back_and_survives_a_crash() {
    let data = tempfile::tempdir().unwrap();
    quick(data.path());
    let server = Server::start(data.path());
    let reported = report(&server, "ord_1", v1::Result::TimedOut).await;
    assert_eq!(reported.state, "unknown");
    let mut requests = watch(&server).await;
    let first = asked(&mut requests, v1::ResolutionAction::Query).await;
    assert_eq!((first.attempt_id.as_str(), first.times), ("ord_1-1", 1));
    assert_eq!(first.attempt_key.len(), 32);
    server.kill();

    let server = Server::start(data.path());
    let mut requests = watch(&server).await;
    let reverse = asked(&mut requests, v1::ResolutionAction::Reverse).await;
    assert_eq!(reverse.state, "reversal_pending");
    let reversal = v1::ResolutionSource::Reversal;
    let answered = answer(&server, reverse.receipt, v1::Resolution::Reversed, reversal).await;
    assert_eq!((answered.state.as_str(), answered.duplicate), ("reversed", false));

    // Somebody paid after all: nothing else satisfied the order, so it is its payment.
    let notice = v1::ResolutionSource::Notice;
    let late = answer(&server, answered.receipt, v1::Resolution::Succeeded, notice).await;
    assert_eq!(late.state, "late_success");
    comes_to(&server, "ord_1", "succeeded").await;
}

#[tokio::test]
async fn a_late_success_of_another_amount_is_paid_back() {
    let data = tempfile::tempdir().unwrap();
    quick(data.path());
    let server = Server::start(data.path());
    let reported = report(&server, "ord_1", v1::Result::Declined).await;
    let request = v1::ResolveAttemptRequest {
        receipt: reported.receipt,
        resolution: v1::Resolution::Succeeded.into(),
        source: v1::ResolutionSource::Notice.into(),
        charged_minor: Some(5),
        ..v1::ResolveAttemptRequest::default()
    };
    let mut client = server.routing().await;
    let late = client.resolve_attempt(request).await.unwrap().into_inner();
    assert_eq!(late.state, "late_success");
    let mut requests = watch(&server).await;
    let refund = asked(&mut requests, v1::ResolutionAction::Refund).await;
    let source = v1::ResolutionSource::Refund;
    let answered = answer(&server, refund.receipt, v1::Resolution::Refunded, source).await;
    assert_eq!(answered.state, "refunded");
}

#[tokio::test]
async fn an_unknown_that_nobody_answers_for_is_left_to_a_person() {
    let data = tempfile::tempdir().unwrap();
    quick(data.path());
    let server = Server::start(data.path());
    report(&server, "ord_1", v1::Result::TimedOut).await;
    comes_to(&server, "ord_1", "needs_review").await;
    let console = server.console();
    let ctl = |arguments: &[&str]| {
        let mut command = support::payroute();
        let output = command
            .args(["ctl", "--console", &console, "compensation"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = ctl(&["list", "--review"]);
    assert!(listed.contains("ord_1-1"), "{listed}");
    ctl(&[
        "resolve",
        "shop",
        "ord_1-1",
        "declined",
        "--reason",
        "the bank says so by telephone",
    ]);
    comes_to(&server, "ord_1", "declined").await;
    let audit = server.rest("/api/v1/audit");
    assert_eq!(audit[0]["action"], "settle_attempt", "{audit}");
    assert_eq!(
        audit[0]["after"]["attempt shop ord_1-1"],
        serde_json::json!({"state": "declined", "because": "the bank says so by telephone"})
    );
    let deadline = Instant::now() + PATIENCE;
    while ctl(&["list"]).contains("ord_1-1") {
        assert!(Instant::now() < deadline, "the case stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
