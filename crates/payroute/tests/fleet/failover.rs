//! A Redis whose place another server takes.

use rig::{Proxy, Redis, Trouble};

use crate::load::Load;
use crate::settled;
use crate::support::{Fleet, Plan, counted, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f09_what_a_replica_had_not_heard_when_it_took_over_is_made_up_for() {
    let plan = Plan::default();
    let primary = Redis::start_with(&plan.redis).unwrap();
    let follow = format!("127.0.0.1 {}", primary.port());
    let mut following = plan.redis.clone();
    following.extend(["--replicaof", &follow]);
    let replica = Redis::start_with(&following).unwrap();
    let proxy = Proxy::start(primary.port()).unwrap();
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let mut fleet = Fleet::on(&plan, primary, url);
    let address = fleet.addresses()[0];
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(200).await;
    eventually("outcomes to be counted", async || {
        (counted(address).await >= 100).then_some(())
    })
    .await;
    eventually("the replica to follow", async || {
        let said = replica.ask(&["INFO", "replication"]).unwrap();
        said.contains("master_link_status:up").then_some(())
    })
    .await;
    // From here on it hears nothing, and keeps what it has.
    replica.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let unheard = load.journal.len();
    load.reach(unheard + 100).await;
    let known = u64::try_from(unheard + 50).unwrap();
    eventually("what the replica lacks to be counted", async || {
        (counted(address).await >= known).then_some(())
    })
    .await;
    proxy.set(Trouble::Cut);
    fleet.redis.kill();
    replica.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    proxy.retarget(replica.port());
    proxy.set(Trouble::None);
    load.reach(load.journal.len() + 100).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    settled(&fleet, journal.len()).await;
}
