//! What the whole fleet does as one: follows what operators change, and sends no crowd to a channel that may be back.

use std::net::SocketAddr;
use std::time::Duration;

use proto::v1;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::load::route_request;
use crate::support::{Fleet, Plan, health, routing};

/// How soon a change is live everywhere.
const SOON: Duration = Duration::from_secs(2);

/// Waits until `probe` is content with every router, and fails when that takes longer than promised.
async fn soon(fleet: &Fleet, what: &str, probe: impl AsyncFn(SocketAddr) -> bool) {
    let began = Instant::now();
    for address in fleet.addresses() {
        while !probe(address).await {
            assert!(began.elapsed() < SOON, "{what}: not live at {address}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn routed(address: SocketAddr, request: v1::RouteRequest) -> v1::RouteResponse {
    let mut client = routing(address).await.unwrap();
    client.route(request).await.unwrap().into_inner()
}

/// Whether `channel` takes payments.
async fn takes(address: SocketAddr, channel: &str) -> bool {
    let request = v1::RouteRequest {
        candidates: vec![channel.to_owned()],
        ..route_request("probe")
    };
    routed(address, request).await.channel.is_some()
}

/// Asks the console, and expects that it agrees.
async fn asked(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let said = answer.text().await.unwrap();
    assert!(status.is_success(), "{status}: {said}");
    serde_json::from_str(&said).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_and_a_policy_are_live_on_every_router_within_two_seconds() {
    let fleet = Fleet::start();
    let console = fleet.console();
    let http = reqwest::Client::new();
    let at = |path: &str| format!("http://{}/api/v1/{path}", console.address("REST on"));

    let suspension = json!({"scope": {"channel": "wechat_direct"}, "reason": "a test"});
    let suspended = asked(http.post(at("suspensions")).json(&suspension)).await;
    soon(&fleet, "a suspension", async |address| {
        !takes(address, "wechat_direct").await
    })
    .await;
    let id = suspended["id"].as_u64().unwrap();
    asked(http.delete(at(&format!("suspensions/{id}")))).await;
    soon(&fleet, "its end", async |address| {
        takes(address, "wechat_direct").await
    })
    .await;

    let listed = asked(http.get(at("policies"))).await;
    let active = listed["active"].as_u64().unwrap();
    let stored = asked(http.get(at(&format!("policies/{active}")))).await;
    let text = stored["text"]
        .as_str()
        .unwrap()
        .replacen("version: 1 ", "version: 2 ", 1);
    let before = routed(fleet.addresses()[0], route_request("probe"))
        .await
        .policy_version;
    let post = http
        .post(at("policies?note=next"))
        .header("content-type", "application/yaml");
    let added = asked(post.body(text)).await["version"].as_u64().unwrap();
    asked(http.post(at(&format!("policies/{added}/activate")))).await;
    soon(&fleet, "a policy", async |address| {
        routed(address, route_request("probe")).await.policy_version != before
    })
    .await;
    asked(http.post(at("policies/rollback"))).await;
    soon(&fleet, "the policy before", async |address| {
        routed(address, route_request("probe")).await.policy_version == before
    })
    .await;
}

/// The channel that trips in this test.
const SICK: &str = "alipay_direct";

/// A payment that two channels could take.
fn alipay(payment: &str) -> v1::RouteRequest {
    v1::RouteRequest {
        method: "alipay".to_owned(),
        ..route_request(payment)
    }
}

/// Lets payments time out on the channel until every router has left it.
async fn trip(fleet: &Fleet) {
    let began = Instant::now();
    let mut client = routing(fleet.addresses()[0]).await.unwrap();
    for number in 0.. {
        let mut left = 0;
        for address in fleet.addresses() {
            let health = health(address).await;
            let sick = health.iter().find(|channel| channel.channel_id == SICK).unwrap();
            left += usize::from(sick.breaker_state != "healthy");
        }
        if left == fleet.addresses().len() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it does not trip");
        if left > 0 {
            // One has left it, and the others are about to hear.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let payment = format!("sick-{number}");
        let request = v1::RouteRequest {
            candidates: vec![SICK.to_owned()],
            ..alipay(&payment)
        };
        let decision = client.route(request).await.unwrap().into_inner();
        let report = v1::ReportOutcomeRequest {
            decision_token: decision.decision_token,
            attempt_id: format!("{payment}-1"),
            channel_id: SICK.to_owned(),
            result: v1::Result::TimedOut.into(),
            latency_ms: 8_000,
            ..v1::ReportOutcomeRequest::default()
        };
        client.report_outcome(report).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_a_crowd_at_half_open_sends_a_probe_from_each_router_at_most() {
    const ROUTERS: usize = 3;
    let fleet = Fleet::planned(&Plan {
        routers: ROUTERS,
        ..Plan::default()
    });
    trip(&fleet).await;
    // The first probe is due a second after the trip, and nobody pays until then.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let mut clients = Vec::new();
    for address in fleet.addresses() {
        clients.push(routing(address).await.unwrap());
    }
    let mut crowd = JoinSet::new();
    for number in 0..300 {
        let mut client = clients[number % ROUTERS].clone();
        crowd.spawn(async move { client.route(alipay(&format!("crowd-{number}"))).await });
    }
    let mut probes = 0;
    while let Some(answer) = crowd.join_next().await {
        let answer = answer.unwrap().unwrap().into_inner();
        let channel = answer.channel.expect("the other channel works");
        probes += usize::from(channel.channel_id == SICK);
    }
    assert!(
        (1..=ROUTERS).contains(&probes),
        "{probes} in flight to a channel that may be back"
    );
}
