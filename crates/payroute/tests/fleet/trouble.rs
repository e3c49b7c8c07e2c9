//! Processes and servers that die, freeze and come back.

use crate::load::Load;
use crate::settled;
use crate::support::Fleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_a_monitor_killed_in_the_middle_leaves_no_gap_and_no_double() {
    let mut fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 8, 0);
    for _ in 0..3 {
        load.reach(load.journal.len() + 500).await;
        fleet.kill_monitor(0);
        load.reach(load.journal.len() + 500).await;
        fleet.restart_monitor(0);
    }
    let journal = load.finish().await;
    settled(&fleet, journal.len()).await;
}
