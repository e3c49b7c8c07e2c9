//! A deployment of several processes, and what happens to it: real routers, monitors, Postgres and Redis, killed,
//! frozen, cut off and emptied. What was acknowledged is in the ledger once, and is counted once.

#![cfg(test)]

mod backlog;
mod cashier;
mod clock;
mod cluster;
mod control;
mod failover;
mod load;
mod postgres;
mod redis;
mod rolling;
mod streams;
mod support;
mod trouble;

use std::collections::HashSet;

use load::{Journal, Load};
use support::{Fleet, counted, eventually};

/// Waits until the ledger has everything in `journal`, compares the two name by name, and then as [`settled`].
pub(crate) async fn complete(fleet: &Fleet, journal: &Journal) {
    let acknowledged: HashSet<String> = journal.acknowledged().into_iter().collect();
    eventually(
        &format!("{} outcomes to be in the ledger", acknowledged.len()),
        async || (fleet.kept() >= acknowledged.len()).then_some(()),
    )
    .await;
    let kept = fleet.attempts();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and not kept: {lost:?}");
    settled(fleet, acknowledged.len()).await;
}

/// Waits until router 0 shows that everything in `journal` was counted, and says what is in the ledger.
pub(crate) async fn settled(fleet: &Fleet, acknowledged: usize) {
    let acknowledged = u64::try_from(acknowledged).unwrap();
    assert_eq!(
        fleet.count("select count(*) from attempt"),
        acknowledged,
        "in the ledger"
    );
    let address = fleet.addresses()[0];
    let mut last = 0;
    eventually(&format!("{acknowledged} outcomes to be counted"), async || {
        last = counted(address).await;
        (last == acknowledged).then_some(())
    })
    .await;
    // One that is counted twice would show by the next snapshots.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(counted(address).await, acknowledged, "counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_outcomes_reported_many_times_through_both_routers_count_once() {
    let fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 16, 3);
    load.reach(2_000).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    settled(&fleet, journal.len()).await;
}
