//! What customers are told, from the report to the vendor that checks the signature of what it gets.

use std::path::Path;
use std::time::Duration;

use domain::clock::{Clock as _, SystemClock};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proto::v1;
use rig::Zoo;
use rig::zoo::{ACCESS_KEY, Mood, OFFICIAL_ACCOUNT, Reply, Visit, WEBHOOK_KEYS};
use tokio::time::{Instant, sleep};

use crate::support::{self, Server};
use crate::unknown::{asked, comes_to, quick, watch};

/// How long a notice may take, a second try included.
const PATIENCE: Duration = Duration::from_secs(30);

const NOTICES: &str = "version: 1
timezone: UTC
receivers: {webhook: hook, sms: texts, wechat: account}
rules:
  - {name: failed, events: [failed], reasons: [insufficient_funds], send: [wechat, sms, webhook], template: failed}
  - {name: paid, events: [settled_paid], send: [wechat, sms, webhook], template: paid, urgent: true}
  - {name: back, events: [refund_started, refunded], send: [webhook], template: back}
templates:
  failed:
    sms: {en: {template: SMS_1, fields: {amount: '{amount}'}}}
    wechat: {en: {template: TM_1, fields: {thing1: '{amount}'}}}
    webhook: {en: {fields: {text: '{what}'}}}
  paid:
    sms: {en: {template: SMS_2, fields: {amount: '{amount}'}}}
    wechat: {en: {template: TM_2, fields: {thing1: '{amount}'}}}
    webhook: {en: {fields: {text: '{payment} is paid'}}}
  back:
    webhook: {en: {fields: {text: '{amount} comes back'}}}
";

/// A zoo, and a shop in `data` whose customers are told by it what `notices` say.
fn shop(data: &Path, notices: &str) -> Zoo {
    let zoo = Zoo::open(SystemClock.now()).unwrap();
    quick(data);
    let (port, at) = (zoo.address().port(), zoo.url("/"));
    let [key, _] = WEBHOOK_KEYS;
    let ((id, secret), (app, app_secret)) = (ACCESS_KEY, OFFICIAL_ACCOUNT);
    let receivers = format!(
        "guard: {{allow_networks: [127.0.0.1/32], allow_ports: [{port}], allow_http: true}}
receivers:
  - {{name: hook, to: {{webhook: {{url: '{at}hook', keys: [{key}]}}}}}}
  - {{name: texts, to: {{aliyun_sms: {{url: '{at}', access_key_id: {id}, access_key_secret: {secret}, sign_name: 商户}}}}}}
  - {{name: account, to: {{wechat: {{url: '{at}', app_id: {app}, app_secret: {app_secret}}}}}}}
"
    );
    let config = data.join("config");
    std::fs::write(config.join("receivers.yaml"), receivers).unwrap();
    std::fs::write(config.join("notices.yaml"), notices).unwrap();
    zoo
}

fn contact(phone: &str, open_id: &str) -> v1::CustomerContact {
    v1::CustomerContact {
        phone: phone.to_owned(),
        wechat_open_id: open_id.to_owned(),
        opted_out: false,
    }
}

/// The report of an attempt at `payment` that ended as `result`.
async fn said(
    server: &Server,
    payment: &str,
    result: v1::Result,
    contact: Option<v1::CustomerContact>,
) -> v1::ReportOutcomeRequest {
    let mut client = server.routing().await;
    let decision = client
        .route(support::route_request(payment))
        .await
        .unwrap()
        .into_inner();
    v1::ReportOutcomeRequest {
        code: match result {
            v1::Result::Failed => "INSUFFICIENT_FUNDS".to_owned(),
            _ => String::new(),
        },
        contact,
        ..support::report(&decision, &format!("{payment}-1"), result)
    }
}

async fn report(server: &Server, said: &v1::ReportOutcomeRequest) -> v1::ReportOutcomeResponse {
    let mut client = server.routing().await;
    client.report_outcome(said.clone()).await.unwrap().into_inner()
}

async fn resolve(server: &Server, receipt: &[u8], resolution: v1::Resolution, contact: v1::CustomerContact) {
    let request = v1::ResolveAttemptRequest {
        receipt: receipt.to_vec(),
        resolution: resolution.into(),
        source: v1::ResolutionSource::Query.into(),
        contact: Some(contact),
        ..v1::ResolveAttemptRequest::default()
    };
    server.routing().await.resolve_attempt(request).await.unwrap();
}

/// Deliveries as the control plane lists them.
fn listed(server: &Server, state: &str) -> Vec<serde_json::Value> {
    let listed = server.rest(&format!("/api/v1/deliveries?state={state}"));
    listed.as_array().expect("a list").clone()
}

async fn eventually(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The template, or the event and payment, of everything that the vendors were sent.
fn told(zoo: &Zoo) -> Vec<String> {
    let name = |visit: &Visit| match visit.path.as_str() {
        "/" => visit.parameter("TemplateCode"),
        "/cgi-bin/message/template/send" => visit.json()["template_id"].as_str().map(str::to_owned),
        "/hook" => {
            let data = &visit.json()["data"];
            Some(format!(
                "{} {}",
                data["event"].as_str()?,
                data["payment_id"].as_str()?
            ))
        }
        _ => None,
    };
    let mut told: Vec<String> = zoo.visits().iter().filter_map(name).collect();
    told.sort();
    told
}

#[tokio::test]
async fn every_event_is_told_once_whatever_is_repeated_and_whoever_dies() {
    let data = tempfile::tempdir().unwrap();
    let zoo = shop(data.path(), NOTICES);
    let server = Server::start(data.path());
    // The vendor is in trouble at the first try, and the process dies before the second.
    zoo.next(Mood::Reply(Reply::text(500, "")));
    let failed = said(
        &server,
        "ord_1",
        v1::Result::Failed,
        Some(contact("13800138000", "")),
    )
    .await;
    report(&server, &failed).await;
    eventually("the first try", || {
        listed(&server, "ready")
            .iter()
            .any(|waits| waits["attempts"] == 1)
    })
    .await;
    assert_eq!(told(&zoo), ["SMS_1"]);
    server.kill();

    let server = Server::start(data.path());
    assert!(report(&server, &failed).await.duplicate);
    let lost = said(&server, "ord_2", v1::Result::TimedOut, None).await;
    let receipt = report(&server, &lost).await.receipt;
    for _ in 0..2 {
        resolve(&server, &receipt, v1::Resolution::Succeeded, contact("", "oZoo1")).await;
    }
    eventually("all to be delivered", || listed(&server, "done").len() == 2).await;
    assert_eq!(told(&zoo), ["SMS_1", "SMS_1", "TM_2"]);
    assert!(listed(&server, "ready").is_empty() && listed(&server, "dead").is_empty());
}

#[tokio::test]
async fn what_payroute_changes_by_itself_is_told_to_the_shop() {
    let data = tempfile::tempdir().unwrap();
    let zoo = shop(data.path(), NOTICES);
    let server = Server::start(data.path());
    let mut requests = watch(&server).await;
    for (payment, charged_minor) in [("ord_1", 1_999), ("ord_2", 5)] {
        let declined = said(&server, payment, v1::Result::Declined, None).await;
        let request = v1::ResolveAttemptRequest {
            receipt: report(&server, &declined).await.receipt,
            resolution: v1::Resolution::Succeeded.into(),
            source: v1::ResolutionSource::Notice.into(),
            charged_minor: Some(charged_minor),
            ..v1::ResolveAttemptRequest::default()
        };
        server.routing().await.resolve_attempt(request).await.unwrap();
    }
    // The one is adopted, the other is of another amount and paid back.
    comes_to(&server, "ord_1", "succeeded").await;
    let refund = asked(&mut requests, v1::ResolutionAction::Refund).await;
    assert_eq!(refund.payment_id, "ord_2");
    for _ in 0..2 {
        resolve(
            &server,
            &refund.receipt,
            v1::Resolution::Refunded,
            contact("", ""),
        )
        .await;
    }
    eventually("all to be delivered", || listed(&server, "done").len() == 3).await;
    assert_eq!(
        told(&zoo),
        ["refund_started ord_2", "refunded ord_2", "settled_paid ord_1"]
    );
}

#[tokio::test]
async fn who_opted_out_hears_nothing_and_nobody_is_woken() {
    let data = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    let clock = |hours: i64| {
        let at: Timestamp = now + SignedDuration::from_hours(hours);
        TimeZone::UTC.to_datetime(at).strftime("%H:%M").to_string()
    };
    let quiet = format!(
        "quiet_hours: {{from: '{}', to: '{}'}}\nreceivers:",
        clock(-1),
        clock(2)
    );
    let zoo = shop(data.path(), &NOTICES.replacen("receivers:", &quiet, 1));
    let server = Server::start(data.path());
    let against = v1::CustomerContact {
        opted_out: true,
        ..contact("13800138000", "oZoo1")
    };
    for (payment, contact) in [
        ("ord_1", Some(against)),
        ("ord_2", Some(contact("13800138000", ""))),
        ("ord_3", None),
    ] {
        report(
            &server,
            &said(&server, payment, v1::Result::Failed, contact).await,
        )
        .await;
    }
    // A machine is told at once, a customer when the quiet hours are over.
    eventually("the shop to be told", || listed(&server, "done").len() == 1).await;
    assert_eq!(told(&zoo), ["failed ord_3"]);
    let waiting = listed(&server, "ready");
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["receiver"], "texts");
    let due: Timestamp = waiting[0]["due_at"].as_str().unwrap().parse().unwrap();
    let wait = due.duration_since(now);
    assert!(
        (SignedDuration::from_mins(119)..=SignedDuration::from_mins(121)).contains(&wait),
        "{wait}"
    );
}
