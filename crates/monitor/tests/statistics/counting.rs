//! What is counted, and what is not.

use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeEvent;
use domain::window::{Caps, Segment, bucket_number};
use futures_util::future::join_all;
use jiff::Timestamp;
use payroute_monitor::partition::{Partition, Turn};
use proto::outcome_event::encode;
use rig::{Redis, RedisCluster};
use stats::redis::{Eviction, Settings, StatsError, Store};

use crate::support::{
    add_at, add_field_at, begin, channel, correction, known, now, outcome, overall, partition, patiently,
    seconds, settle, store, stored, total,
};

async fn f01_on(stores: &[Store]) {
    begin(&stores[0], partition()).await;
    let outcomes: Vec<OutcomeEvent> = (0..40).map(|_| outcome()).collect();
    let deliveries = (2..=52).map(|number| stores[number % stores.len()].append(&outcomes));
    for delivered in join_all(deliveries).await {
        delivered.unwrap();
    }
    settle(&stores[0], partition()).await;
    assert_eq!(overall(&stores[0]).await.total().success, 40);
}

#[tokio::test]
async fn f01_an_outcome_that_comes_fifty_times_in_parallel_counts_once() {
    let redis = Redis::start().unwrap();
    let stores: Vec<Store> = (0..4).map(|_| store(&redis.url())).collect();
    f01_on(&stores).await;
    assert_eq!(total(&redis, "duplicates"), 50 * 40);
    assert_eq!(total(&redis, "read"), 51 * 40);
}

#[tokio::test]
async fn f01_also_in_a_cluster_and_on_valkey() {
    let cluster = RedisCluster::start().unwrap();
    let stores: Vec<Store> = (0..2)
        .map(|_| Store::open(&Settings::cluster(cluster.urls())).unwrap())
        .collect();
    patiently(async || stores[0].ping().await).await;
    patiently(async || stores[1].ping().await).await;
    assert_eq!(stores[0].check_eviction().await.unwrap(), Eviction::Refuses);
    f01_on(&stores).await;
    // Partitions lie on all three members.
    let everywhere: Vec<OutcomeEvent> = (0..30)
        .map(|number| OutcomeEvent {
            channel: channel(&format!("channel_{number}")),
            ..outcome()
        })
        .collect();
    stores[0].append(&everywhere).await.unwrap();
    assert!(stores[0].snapshots().await.unwrap().len() <= 1);
    if let Some(valkey) = Redis::start_valkey().unwrap() {
        f01_on(&[store(&valkey.url())]).await;
    }
}

#[tokio::test]
async fn f04_of_two_owners_one_steps_down_and_every_outcome_counts_once() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    let (mut one, mut other) = (Partition::new(partition()), Partition::new(partition()));
    one.turn(&store, &known()).await.unwrap();
    other.turn(&store, &known()).await.unwrap();
    let outcomes: Vec<OutcomeEvent> = (0..100).map(|_| outcome()).collect();
    store.append(&outcomes).await.unwrap();
    let known = known();
    let mut turns = Vec::new();
    while turns
        .iter()
        .filter(|turn| matches!(turn, Turn::Done(done) if done.applied > 0))
        .count()
        == 0
    {
        let (a, b) = tokio::join!(one.turn(&store, &known), other.turn(&store, &known));
        turns.extend([a.unwrap(), b.unwrap()]);
    }
    assert!(turns.contains(&Turn::Stale), "{turns:?}");
    settle(&store, partition()).await;
    assert_eq!(overall(&store).await.total().success, 100);
    assert_eq!(total(&redis, "duplicates"), 0);
}

#[tokio::test]
async fn f05_the_order_within_two_minutes_changes_nothing_but_streaks() {
    let mut counted = Vec::new();
    let classes = [
        OutcomeClass::Success,
        OutcomeClass::Timeout,
        OutcomeClass::Timeout,
    ];
    let base = now();
    let mut outcomes: Vec<OutcomeEvent> = (0..24)
        .map(|number| OutcomeEvent {
            class: classes[number % 3],
            received_at: base - seconds(5 * i64::try_from(number).unwrap()),
            ..outcome()
        })
        .collect();
    for _ in 0..2 {
        let redis = Redis::start().unwrap();
        let store = store(&redis.url());
        begin(&store, partition()).await;
        store.append(&outcomes).await.unwrap();
        settle(&store, partition()).await;
        counted.push(overall(&store).await);
        outcomes.reverse();
    }
    assert_eq!(counted[0].buckets, counted[1].buckets);
    assert_eq!(counted[0].total().total(), 24);
    assert_eq!((counted[0].streaks.timeouts, counted[1].streaks.timeouts), (2, 0));
}

#[tokio::test]
async fn f06_what_is_an_hour_old_or_from_the_future_is_late_and_in_no_window() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    let away = |secs| OutcomeEvent {
        received_at: now() + seconds(secs),
        ..outcome()
    };
    for late in [-3_610, -86_400, 125, 86_400].map(away) {
        store.append(&[late.clone(), late]).await.unwrap();
    }
    // An hour's outage leaves no hole: what was kept back comes, and comes again, and counts once in its own bucket.
    let old = [-3_580, -1_800, -125].map(away);
    for _ in 0..2 {
        store.append(&old).await.unwrap();
        settle(&store, partition()).await;
    }
    store.append(&[outcome()]).await.unwrap();
    settle(&store, partition()).await;
    let seen = overall(&store).await;
    assert_eq!(seen.total().total(), 4);
    for event in &old {
        assert_eq!(seen.buckets[&bucket_number(event.received_at)].0.success, 1);
    }
    // What is late is late as often as it comes: its name is not kept.
    assert_eq!((seen.late, total(&redis, "late")), (8, 8));
    assert_eq!(total(&redis, "duplicates"), 3);
}

#[tokio::test]
async fn f07_a_timeout_that_proves_a_success_is_corrected_while_its_bucket_lives() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    let begun = now();
    let timed_out = |after| OutcomeEvent {
        class: OutcomeClass::Timeout,
        received_at: begun + seconds(after),
        ..outcome()
    };
    let (soon, never) = (timed_out(10), timed_out(20));
    let entries = [
        (10, encode(&soon)),
        (20, encode(&never)),
        (50, encode(&correction(&soon, OutcomeClass::Success))),
        (51, encode(&correction(&soon, OutcomeClass::Success))),
    ];
    for (after, bytes) in &entries {
        add_at(&redis.url(), begun + seconds(*after), bytes).await;
    }
    settle(&store, partition()).await;
    let seen = overall(&store).await;
    assert_eq!((seen.total().timeout, seen.total().success), (1, 1));
    assert_eq!(
        seen.last_success_at.map(Timestamp::as_second),
        Some(soon.received_at.as_second())
    );
    assert_eq!((seen.streaks.timeouts, total(&redis, "duplicates")), (2, 1));

    let late = encode(&correction(&never, OutcomeClass::Success));
    add_at(&redis.url(), begun + seconds(3 * 3_600), &late).await;
    settle(&store, partition()).await;
    assert_eq!(total(&redis, "late_revisions"), 1);
    // The minutes keep what was counted, and the correction that came in time.
    let minutes = store
        .minutes(
            &channel("bank_a"),
            Segment::Overall,
            begun - seconds(60)..begun + seconds(120),
        )
        .await
        .unwrap();
    let kept: u32 = minutes.iter().map(|(_, minute)| minute.counts.success).sum();
    assert_eq!((kept, overall(&store).await.total().total()), (1, 0));
}

#[tokio::test]
async fn what_was_late_is_remembered_though_nothing_else_came() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    for _ in 0..2 {
        let of_nothing = correction(&outcome(), OutcomeClass::Refusal);
        store.append(&[of_nothing]).await.unwrap();
        // Another owner each time.
        settle(&store, partition()).await;
    }
    assert_eq!(overall(&store).await.late, 2);
}

#[tokio::test]
async fn f08_entries_that_say_nothing_are_put_aside_and_the_others_are_counted() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    let long_ago = now() - seconds(10);
    let unknown = OutcomeEvent {
        channel: channel("nobody"),
        ..outcome()
    };
    let endless = OutcomeEvent {
        latency_ms: 600_001,
        ..outcome()
    };
    let nameless = OutcomeEvent {
        method: String::new(),
        ..outcome()
    };
    add_at(&redis.url(), long_ago, &encode(&unknown)).await;
    store.append(&[outcome()]).await.unwrap();
    for bytes in [
        &[0xff; 8][..],
        &vec![b'x'; 1 << 20],
        &encode(&endless),
        &encode(&nameless),
    ] {
        add_at(&redis.url(), now(), bytes).await;
    }
    add_field_at(&redis.url(), now(), "other", b"1").await;
    store.append(&[outcome()]).await.unwrap();
    settle(&store, partition()).await;
    assert_eq!(overall(&store).await.total().success, 2);
    assert_eq!(total(&redis, "dead"), 6);
    let letters = redis
        .ask(&["XRANGE", &crate::support::key("dlq"), "-", "+"])
        .unwrap();
    for reason in [
        "channel `nobody` is not configured",
        "the entry cannot be read",
        "the entry has 1048576 bytes",
        "field `latency_ms`",
        "field `method`",
        "no field `e`",
    ] {
        assert!(letters.contains(reason), "{reason}: {letters}");
    }
}

#[tokio::test]
async fn f08_an_outcome_of_a_channel_that_is_just_being_configured_waits_for_it() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    store.append(&[outcome()]).await.unwrap();
    let mut owner = Partition::new(partition());
    let turn = owner
        .turn(&store, &std::collections::HashSet::new())
        .await
        .unwrap();
    assert!(
        matches!(turn, Turn::Done(report) if report.waiting == 1 && report.applied == 0),
        "{turn:?}"
    );
    owner.turn(&store, &known()).await.unwrap();
    assert_eq!(
        (overall(&store).await.total().success, total(&redis, "dead")),
        (1, 0)
    );
}

#[tokio::test]
async fn f11_a_full_redis_refuses_loudly_and_counts_all_of_it_later() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    store.append(&[outcome()]).await.unwrap();
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let refused = |error: &StatsError| matches!(error, StatsError::Refused { code, .. } if code == "OOM");
    let full = store.append(&[outcome()]).await.unwrap_err();
    assert!(refused(&full), "{full:?}");
    let mut owner = Partition::new(partition());
    let full = owner.turn(&store, &known()).await.unwrap_err();
    assert!(refused(&full), "{full:?}");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    settle(&store, partition()).await;
    assert_eq!(overall(&store).await.total().success, 1);
}

#[tokio::test]
async fn f11_a_redis_that_deletes_keys_is_refused_at_the_start() {
    let redis = Redis::start_with(&["--save", "", "--maxmemory-policy", "allkeys-lru"]).unwrap();
    let refused = store(&redis.url()).check_eviction().await.unwrap_err();
    assert!(refused.to_string().contains("allkeys-lru"), "{refused}");
    let hosted = Redis::start_with(&["--save", "", "--rename-command", "CONFIG", ""]).unwrap();
    assert_eq!(
        store(&hosted.url()).check_eviction().await.unwrap(),
        Eviction::Refuses
    );
    hosted.ask(&["ACL", "SETUSER", "default", "-info"]).unwrap();
    assert_eq!(
        store(&hosted.url()).check_eviction().await.unwrap(),
        Eviction::Unknown
    );
}

#[tokio::test]
async fn f16_a_flood_of_names_is_folded_and_takes_no_more_room() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    let used = || {
        redis
            .ask(&["XTRIM", &crate::support::key("oc"), "MAXLEN", "0"])
            .unwrap();
        let info = redis.ask(&["INFO", "memory"]).unwrap();
        let used = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"))
            .unwrap();
        used.trim().parse::<u64>().unwrap()
    };
    let mut kept = Vec::new();
    let mut flood = 0_u64;
    for _ in 0..2 {
        for _ in 0..50 {
            let outcomes: Vec<OutcomeEvent> = (0..1_000)
                .map(|_| {
                    flood += 1;
                    OutcomeEvent {
                        method: format!("method {flood}"),
                        issuer: Some(format!("issuer {flood}")),
                        ..outcome()
                    }
                })
                .collect();
            store.append(&outcomes).await.unwrap();
            settle(&store, partition()).await;
        }
        kept.push(used());
    }
    assert_eq!(overall(&store).await.total().success, 100_000);
    let caps = Caps::default();
    let most = 1 + (caps.methods + 1) * (caps.issuers_per_method + 2) + caps.issuers + 1;
    let segments = stored(&store, partition()).await.len();
    assert!(segments <= most, "{segments} segments of at most {most}");
    // What grows are the names of counted outcomes, and buckets as time goes by: not the segments.
    let grown = kept[1].saturating_sub(kept[0]);
    assert!(grown < 12 << 20, "50 000 outcomes took {grown} bytes more");
}
