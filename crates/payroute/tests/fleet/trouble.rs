//! Routers and monitors that die, freeze and come back while payments go on.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::complete;
use crate::load::Load;
use crate::support::{Fleet, Plan, counted, eventually};

/// Waits until router 0 shows at least what was acknowledged by now.
async fn caught_up(fleet: &Fleet, load: &Load) {
    let acknowledged = u64::try_from(load.journal.len()).unwrap();
    let address = fleet.addresses()[0];
    eventually(&format!("{acknowledged} outcomes to be shown"), async || {
        (counted(address).await >= acknowledged).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_a_monitor_killed_in_the_middle_leaves_no_gap_and_no_double() {
    let mut fleet = Fleet::start();
    let both = fleet.shared_by(2).await;
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(300).await;
    fleet.kill_monitor(0);
    let left = fleet.shared_by(1).await;
    assert!(left.is_subset(&both), "the other one took over");
    caught_up(&fleet, &load).await;
    // The one that dies now owns every partition, so whatever is being written is in its hands.
    fleet.kill_monitor(1);
    load.reach(load.journal.len() + 300).await;
    fleet.restart_monitor(0);
    fleet.taken_from(&left).await;
    caught_up(&fleet, &load).await;
    let journal = load.finish().await;
    complete(&fleet, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_a_router_killed_in_the_middle_leaves_nothing_uncounted() {
    let mut fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 8, 0);
    load.reach(500).await;
    // It never comes back: what it did not relay is found by the sweep.
    fleet.kill_router(0);
    *load.addresses.lock() = fleet.addresses();
    load.reach(load.journal.len() + 300).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    complete(&fleet, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_routers_killed_at_ten_moments_keep_and_count_everything_once() {
    let mut fleet = Fleet::start();
    let mut moments = StdRng::seed_from_u64(44);
    let load = Load::start(fleet.addresses(), 8, 1);
    load.reach(200).await;
    for number in (0..2).cycle().take(10) {
        // Within a few commits: before one, within one, between it and the answer, before it is relayed.
        tokio::time::sleep(Duration::from_micros(moments.random_range(50_000..300_000))).await;
        fleet.kill_router(number);
        *load.addresses.lock() = fleet.addresses();
        fleet.restart_router(number);
        *load.addresses.lock() = fleet.addresses();
    }
    load.reach(load.journal.len() + 100).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    complete(&fleet, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f04_a_monitor_frozen_beyond_its_lease_steps_down_and_counts_nothing_twice() {
    let mut fleet = Fleet::planned(&Plan {
        monitors: 1,
        ..Plan::default()
    });
    let frozen = fleet.shared_by(1).await;
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(300).await;
    // It owned everything, and believes so when it wakes up.
    fleet.monitors[0].as_ref().unwrap().signal("STOP").unwrap();
    let second = fleet.monitor(1, &[]);
    fleet.monitors.push(Some(second));
    fleet.taken_from(&frozen).await;
    caught_up(&fleet, &load).await;
    fleet.monitors[0].as_ref().unwrap().signal("CONT").unwrap();
    load.reach(load.journal.len() + 300).await;
    assert!(
        fleet.shared_by(2).await.is_superset(&frozen),
        "it has a share again"
    );
    let journal = load.finish().await;
    complete(&fleet, &journal).await;
}
