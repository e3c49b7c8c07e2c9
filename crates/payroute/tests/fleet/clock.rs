//! Clocks that are an hour off, and clocks that are set while their process runs.

use std::collections::HashSet;

use crate::load::Load;
use crate::support::{Fleet, Plan, assert_healthy, counted, eventually, offset_secs};

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
    load.reach(300).await;
    fleet.set_clock("router", 1, "-3600");
    fleet.set_clock("monitor", 1, "+3600");
    let admin = fleet.routers[1].as_ref().unwrap().admin;
    eventually("the router's clock to be set", async || {
        (offset_secs(admin) < -3_000.0).then_some(())
    })
    .await;
    load.reach(load.journal.len() + 300).await;
    for address in fleet.addresses() {
        assert_healthy(address).await;
    }
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    let acknowledged: HashSet<String> = journal.acknowledged().into_iter().collect();
    assert_eq!(fleet.attempts(), acknowledged);
    let all = u64::try_from(acknowledged.len()).unwrap();
    eventually("every outcome to be counted", async || {
        (counted(fleet.addresses()[0]).await == all).then_some(())
    })
    .await;
    assert_eq!(fleet.total("late"), 0);
    for address in fleet.addresses() {
        assert_healthy(address).await;
    }
}
