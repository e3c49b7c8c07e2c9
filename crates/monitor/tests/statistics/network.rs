//! What is counted when the network does what networks do.

use std::time::Duration;

use domain::window::Segment;
use payroute_monitor::partition::Partition;
use rig::{Proxy, Redis, RedisCluster, Trouble};
use stats::redis::{Applied, CALL_LIMIT, Changes, Settings, State, Step, Store, StreamId};
use tokio::time::Instant;

use crate::support::{begin, channel, known, outcome, overall, partition, patiently, settle, store, until};

/// A step that counts one success.
fn one_success(changes: &mut Changes) {
    let event = outcome();
    let sample = domain::window::Sample {
        at: event.received_at,
        class: event.class,
        latency_ms: Some(event.latency_ms),
    };
    changes.remember(event.id, event.received_at);
    changes.count(&channel("bank_a"), Segment::Overall, sample);
}

async fn state(store: &Store) -> State {
    let page = patiently(async || store.read(partition(), StreamId::START, 0).await).await;
    page.state.expect("a state")
}

/// Loses the reply of a step, and takes the step again.
async fn lose_a_reply(direct: &Store, through: &Store, proxies: &[Proxy]) {
    let from = state(through).await;
    let mut changes = Changes::default();
    one_success(&mut changes);
    let step = Step {
        from: &from,
        applied: from.applied,
        read: 0,
        changes: &changes,
        snapshot: None,
    };
    // The script is known to the server before, or the lost reply were that of loading it.
    let mut known = Changes::default();
    known.duplicates = 1;
    let before = Step {
        changes: &known,
        ..step
    };
    let Applied::Done(from) = through.apply(partition(), before).await.unwrap() else {
        panic!("nobody else is here");
    };
    let step = Step { from: &from, ..step };
    for proxy in proxies {
        proxy.set(Trouble::LoseNextReply);
    }
    let lost = through.apply(partition(), step).await.unwrap_err();
    assert!(lost.is_ambiguous(), "{lost:?}");
    assert!(
        proxies.iter().any(|proxy| proxy.trouble() == Trouble::None),
        "a reply was lost"
    );
    for proxy in proxies {
        proxy.set(Trouble::None);
    }
    let again = patiently(async || through.apply(partition(), step).await).await;
    assert_eq!(again, Applied::Stale, "it was taken the first time");
    assert_eq!(state(direct).await.seq, from.seq + 1);
    assert_eq!(overall(direct).await.total().success, 1);
}

#[tokio::test]
async fn f02_a_step_whose_reply_was_lost_is_taken_once() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let direct = store(&redis.url());
    let through = store(&format!("redis://127.0.0.1:{}", proxy.port()));
    begin(&direct, partition()).await;
    lose_a_reply(&direct, &through, &[proxy]).await;
}

#[tokio::test]
async fn f02_also_through_a_cluster() {
    let cluster = RedisCluster::start().unwrap();
    let direct = Store::open(&Settings::cluster(cluster.urls())).unwrap();
    patiently(async || direct.ping().await).await;
    begin(&direct, partition()).await;
    assert!(
        direct
            .load(partition(), domain::window::Caps::default())
            .await
            .unwrap()
            .is_some()
    );
    let proxies: Vec<Proxy> = cluster
        .nodes()
        .iter()
        .map(|node| Proxy::start(node.port()).unwrap())
        .collect();
    // Members tell their clients to come through the proxies.
    for (node, proxy) in cluster.nodes().iter().zip(&proxies) {
        let port = proxy.port().to_string();
        node.ask(&["CONFIG", "SET", "cluster-announce-port", &port])
            .unwrap();
    }
    until("every member to know the proxies", async || {
        cluster.nodes().iter().all(|node| {
            let slots = node.ask(&["CLUSTER", "SLOTS"]).unwrap();
            proxies
                .iter()
                .all(|proxy| slots.contains(&proxy.port().to_string()))
        })
    })
    .await;
    let urls = proxies
        .iter()
        .map(|proxy| format!("redis://127.0.0.1:{}", proxy.port()));
    let through = Store::open(&Settings::cluster(urls.collect())).unwrap();
    patiently(async || through.ping().await).await;
    lose_a_reply(&direct, &through, &proxies).await;
}

#[tokio::test]
async fn f12_every_call_ends_in_time_whatever_the_network_does() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let direct = store(&redis.url());
    let through = store(&format!("redis://127.0.0.1:{}", proxy.port()));
    begin(&direct, partition()).await;
    let mut owner = Partition::new(partition());
    owner.turn(&through, &known()).await.unwrap();
    for trouble in [
        Trouble::BlackHole,
        Trouble::Delay(Duration::from_secs(2)),
        Trouble::Cut,
        Trouble::Slice,
    ] {
        proxy.set(trouble);
        direct.append(&[outcome()]).await.unwrap();
        for _ in 0..3 {
            let began = Instant::now();
            let pinged = through.ping().await;
            // Half of the limit more for a machine that is busy with other tests.
            assert!(
                began.elapsed() < CALL_LIMIT * 3 / 2,
                "{trouble:?}: {:?}",
                began.elapsed()
            );
            assert!(pinged.is_err() || trouble == Trouble::Slice, "{trouble:?}");
            let began = Instant::now();
            let turned = owner.turn(&through, &known()).await;
            // A turn is up to five calls, and ends with the first that fails.
            assert!(
                turned.is_ok() || began.elapsed() < CALL_LIMIT * 3 / 2,
                "{trouble:?}: {:?}",
                began.elapsed()
            );
        }
        proxy.set(Trouble::Cut);
        proxy.set(Trouble::None);
        patiently(async || through.ping().await).await;
    }
    settle(&through, partition()).await;
    assert_eq!(overall(&direct).await.total().success, 4);
}

#[tokio::test]
async fn a_cluster_that_was_away_is_used_again_when_it_is_back() {
    let mut cluster = RedisCluster::start().unwrap();
    let store = Store::open(&Settings::cluster(cluster.urls())).unwrap();
    patiently(async || store.ping().await).await;
    for node in cluster.nodes_mut() {
        node.kill();
    }
    let began = Instant::now();
    assert!(store.append(&[outcome()]).await.is_err());
    assert!(began.elapsed() < CALL_LIMIT * 2);
    for node in cluster.nodes_mut() {
        node.restart().unwrap();
    }
    let back = outcome();
    patiently(async || store.append(std::slice::from_ref(&back)).await).await;
}
