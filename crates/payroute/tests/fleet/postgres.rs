//! The ledger's server dies, hangs and comes back: payments go on, and what was acknowledged meanwhile is kept.

use proto::v1;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::complete;
use crate::load::{Load, route_request};
use crate::support::{Fleet, Plan, routing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_go_on_while_the_ledger_is_dead() {
    let mut fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 8, 0);
    load.reach(300).await;
    fleet.postgres.kill();
    load.reach(load.journal.len() + 500).await;
    fleet.postgres.restart().unwrap();
    load.reach(load.journal.len() + 300).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    complete(&fleet, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_go_on_while_the_ledger_hangs() {
    let fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 8, 0);
    load.reach(300).await;
    fleet.postgres.freeze().unwrap();
    load.reach(load.journal.len() + 500).await;
    fleet.postgres.thaw().unwrap();
    load.reach(load.journal.len() + 300).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    complete(&fleet, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_killed_with_a_spool_drains_it_in_its_next_life() {
    let mut fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 8, 0);
    load.reach(200).await;
    fleet.postgres.kill();
    load.reach(load.journal.len() + 500).await;
    fleet.kill_router(0);
    *load.addresses.lock() = fleet.addresses();
    load.reach(load.journal.len() + 100).await;
    let journal = load.finish().await;
    fleet.postgres.restart().unwrap();
    assert!(fleet.kept() < journal.len(), "some are nowhere but in the spools");
    fleet.restart_router(0);
    complete(&fleet, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_starts_without_the_ledger_on_what_it_knew() {
    let mut fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(100).await;
    fleet.kill_router(0);
    fleet.kill_router(1);
    fleet.postgres.kill();
    fleet.restart_router(0);
    let ready = rig::program::get(fleet.routers[0].as_ref().unwrap().admin, "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    *load.addresses.lock() = fleet.addresses();
    load.reach(load.journal.len() + 200).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    fleet.postgres.restart().unwrap();
    complete(&fleet, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_is_said_and_loses_nothing() {
    let mut fleet = Fleet::planned(&Plan {
        routers: 0,
        ..Plan::default()
    });
    let router = fleet.router(0, &["--spool-max-bytes", "1048576"]);
    fleet.routers.push(Some(router));
    let load = Load::start(fleet.addresses(), 1, 0);
    load.reach(20).await;
    fleet.postgres.kill();
    let mut payers: JoinSet<(Vec<String>, Status)> = JoinSet::new();
    for number in 0..8 {
        payers.spawn(until_refused(fleet.addresses()[0], number));
    }
    let mut acknowledged = Vec::new();
    while let Some(payer) = payers.join_next().await {
        let (kept, status) = payer.unwrap();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let retry = status.get_details_retry_info().expect("when to come again");
        assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()));
        acknowledged.extend(kept);
    }
    assert!(
        acknowledged.len() > 100,
        "there was room for some: {}",
        acknowledged.len()
    );
    fleet.postgres.restart().unwrap();
    let journal = load.finish().await;
    journal.also(acknowledged);
    complete(&fleet, &journal).await;
}

/// Pays until a report is refused; what was acknowledged before, and the refusal.
async fn until_refused(address: std::net::SocketAddr, number: usize) -> (Vec<String>, Status) {
    let mut client = routing(address).await.unwrap();
    let mut acknowledged = Vec::new();
    loop {
        let payment = format!("spool-{number}-{}", acknowledged.len());
        let decision = client.route(route_request(&payment)).await.unwrap().into_inner();
        let report = v1::ReportOutcomeRequest {
            decision_token: decision.decision_token,
            attempt_id: format!("{payment}-1"),
            channel_id: decision.channel.expect("Route needs no ledger").channel_id,
            result: v1::Result::Succeeded.into(),
            latency_ms: 250,
            ..v1::ReportOutcomeRequest::default()
        };
        match client.report_outcome(report).await {
            Ok(_) => acknowledged.push(format!("{payment}-1")),
            Err(status) => return (acknowledged, status),
        }
    }
}
