//! Clocks that are an hour off.

use std::collections::HashSet;

use crate::load::Load;
use crate::support::{Fleet, Plan, assert_healthy, counted, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_clocks_an_hour_off_trip_nothing_and_lose_nothing() {
    let mut fleet = Fleet::planned(&Plan {
        routers: 1,
        monitors: 1,
        ..Plan::default()
    });
    let (ahead, behind) = (fleet.router_off_by(1, "+3600"), fleet.monitor_off_by(1, "-3600"));
    fleet.routers.push(Some(ahead));
    fleet.monitors.push(Some(behind));
    fleet.shared_by(2).await;
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(500).await;
    for address in fleet.addresses() {
        assert_healthy(address).await;
    }
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    let acknowledged: HashSet<String> = journal.acknowledged().into_iter().collect();
    assert_eq!(fleet.attempts(), acknowledged);
    let all = u64::try_from(acknowledged.len()).unwrap();
    let mut seen = (0, 0);
    eventually("every outcome to be counted or late", async || {
        seen = (counted(fleet.addresses()[0]).await, fleet.total("late"));
        (seen.0 + seen.1 == all).then_some(())
    })
    .await;
    let (counted, late) = seen;
    assert!(counted > 0 && late > 0, "{counted} counted, {late} late");
    for address in fleet.addresses() {
        assert_healthy(address).await;
    }
}
