//! A provider's code that nobody knows: it is listed, somebody maps it, and it means something at once.

use std::fs;
use std::time::Duration;

use proto::v1;
use tokio::time::Instant;

use crate::support::{self, Server};

/// What the catalogue is told of the code, whose provider is the one of the reports.
const MAPPED: &str = "version: 1
codes:
  - provider: payroute
    code: E77
    meaning: balance too low
    reason: insufficient_funds
    certainty: declined
    side: customer
    health_scope: none
    advice: ask_customer
";

/// Reports E77 for attempt `number`, and gives what it was taken for.
async fn reported(server: &Server, number: usize) -> v1::Failure {
    let mut client = server.routing().await;
    let request = support::route_request(&format!("ord_{number}"));
    let decision = client.route(request).await.unwrap().into_inner();
    let mut report = support::report(&decision, &format!("a_{number}"), v1::Result::Declined);
    report.code = "E77".to_owned();
    report.message = "no money".to_owned();
    client
        .report_outcome(report)
        .await
        .unwrap()
        .into_inner()
        .failure
        .unwrap()
}

fn unmapped(server: &Server) -> String {
    let listed = support::payroute()
        .args(["ctl", "--console", &server.console(), "unmapped-codes"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).unwrap()
}

#[tokio::test]
async fn a_code_that_is_not_known_is_listed_until_it_is_mapped() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("config");
    fs::create_dir_all(config.join("catalogue")).unwrap();
    for file in fs::read_dir(support::example_config()).unwrap() {
        let file = file.unwrap();
        if file.path().is_file() {
            fs::copy(file.path(), config.join(file.file_name())).unwrap();
        }
    }
    let server = Server::start(data.path());
    assert_eq!(unmapped(&server), "");
    let failure = reported(&server, 0).await;
    assert_eq!(
        (failure.known_code, failure.certainty.as_str()),
        (false, "unknown")
    );
    let listed = unmapped(&server);
    assert!(
        listed.starts_with("payroute ") && listed.contains("E77"),
        "{listed}"
    );
    assert!(
        listed.contains("1 times") && listed.contains("no money"),
        "{listed}"
    );
    let metric = "payroute_unmapped_codes_total{provider=\"payroute\"} 1";
    assert!(server.get("/metrics").contains(metric));

    fs::write(config.join("catalogue/own.yaml"), MAPPED).unwrap();
    let began = Instant::now();
    let mut number = 0;
    let failure = loop {
        number += 1;
        let failure = reported(&server, number).await;
        if failure.known_code {
            break failure;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the document is not taken"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(
        (failure.reason.as_str(), failure.certainty.as_str()),
        ("insufficient_funds", "declined")
    );
    assert_eq!(unmapped(&server), "");
}
