//! Processes that are told to stop in the middle of everything, and replaced one after the other.

use rig::Program;
use tokio::task::block_in_place;

use crate::complete;
use crate::load::Load;
use crate::support::Fleet;

/// Tells `program` to stop, and waits until it has done so in good order.
fn stopped(program: Program) {
    program.signal("TERM").unwrap();
    let ended = block_in_place(|| program.wait()).unwrap();
    assert_eq!(ended.code(), Some(0), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f44_a_rolling_restart_of_everything_fails_no_decision() {
    let mut fleet = Fleet::start();
    let console = fleet.console();
    fleet.shared_by(2).await;
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(200).await;
    for number in 0..2 {
        stopped(fleet.routers[number].take().unwrap().program);
        fleet.restart_router(number);
        *load.addresses.lock() = fleet.addresses();
        load.reach(load.journal.len() + 100).await;
    }
    for number in 0..2 {
        fleet.shared_by(2).await;
        stopped(fleet.monitors[number].take().unwrap());
        assert_eq!(fleet.owners().len(), 1, "it gave back what it owned, and left");
        fleet.shared_by(1).await;
        fleet.restart_monitor(number);
        load.reach(load.journal.len() + 100).await;
    }
    stopped(console);
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    complete(&fleet, &journal).await;
}
