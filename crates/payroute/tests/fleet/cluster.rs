//! A Redis Cluster whose slots move and whose members die.

use std::time::Duration;

use domain::id::ChannelId;
use rig::{Redis, RedisCluster};
use stats::redis::PartitionId;
use tokio::time::sleep;

use crate::load::Load;
use crate::settled;
use crate::support::{Fleet, Plan, counted, eventually};

/// A fleet on `cluster`.
fn on_a_cluster(cluster: &RedisCluster) -> Fleet {
    // A fleet has a single server; this one is left alone.
    Fleet::on(
        &Plan::default(),
        Redis::start().unwrap(),
        cluster.urls().join(","),
    )
}

/// The slot that everything of `channel` is in.
fn slot(cluster: &RedisCluster, channel: &str) -> String {
    let partition = PartitionId::of(&ChannelId::new(channel).unwrap());
    let key = format!("{{{partition}}}");
    cluster.nodes()[0].ask(&["CLUSTER", "KEYSLOT", &key]).unwrap()
}

/// The member that answers for `slot`.
fn holder(cluster: &RedisCluster, slot: &str) -> usize {
    let mut answers = cluster.nodes().iter().map(|node| {
        let asked = node.ask(&["CLUSTER", "COUNTKEYSINSLOT", slot]).unwrap();
        asked.parse::<u64>().unwrap()
    });
    answers.position(|keys| keys > 0).expect("somebody holds it")
}

/// Moves `slot` with all its keys from member `from` to member `to`, a few keys at a time.
async fn migrate(cluster: &RedisCluster, slot: &str, from: usize, to: usize) {
    let (source, target) = (&cluster.nodes()[from], &cluster.nodes()[to]);
    let name = |node: &Redis| node.ask(&["CLUSTER", "MYID"]).unwrap();
    let (source_name, target_name, port) = (name(source), name(target), target.port().to_string());
    let did = |node: &Redis, command: &[&str]| assert_eq!(node.ask(command).unwrap(), "OK", "{command:?}");
    did(target, &["CLUSTER", "SETSLOT", slot, "IMPORTING", &source_name]);
    did(source, &["CLUSTER", "SETSLOT", slot, "MIGRATING", &target_name]);
    loop {
        let keys = source.ask(&["CLUSTER", "GETKEYSINSLOT", slot, "20"]).unwrap();
        if keys.is_empty() {
            break;
        }
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "2000", "KEYS"];
        command.extend(keys.lines());
        // A key that ran out meanwhile is no failure.
        let said = source.ask(&command).unwrap();
        assert!(["OK", "NOKEY"].contains(&said.as_str()), "{said}");
        sleep(Duration::from_millis(20)).await;
    }
    for node in [target, source].into_iter().chain(cluster.nodes()) {
        did(node, &["CLUSTER", "SETSLOT", slot, "NODE", &target_name]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_slots_move_and_members_die_and_nothing_is_lost_or_counted_twice() {
    const CHANNELS: [&str; 3] = ["wechat_direct", "wechat_partner", "wechat_aggregator"];
    let mut cluster = RedisCluster::start().unwrap();
    let fleet = on_a_cluster(&cluster);
    let address = fleet.addresses()[0];
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(200).await;
    eventually("outcomes to be counted", async || {
        (counted(address).await >= 100).then_some(())
    })
    .await;
    for channel in CHANNELS {
        let slot = slot(&cluster, channel);
        let from = holder(&cluster, &slot);
        migrate(&cluster, &slot, from, (from + 1) % 3).await;
    }
    let moved = load.journal.len();
    load.reach(moved + 100).await;
    let known = u64::try_from(moved).unwrap();
    eventually("outcomes to be counted after the move", async || {
        (counted(address).await >= known).then_some(())
    })
    .await;
    // It comes back knowing who it is, and nothing else.
    let victim = holder(&cluster, &slot(&cluster, CHANNELS[0]));
    cluster.nodes_mut()[victim].kill();
    load.reach(load.journal.len() + 100).await;
    cluster.nodes_mut()[victim].restart().unwrap();
    load.reach(load.journal.len() + 100).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    settled(&fleet, journal.len()).await;
}
