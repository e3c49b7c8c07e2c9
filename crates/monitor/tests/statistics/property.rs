//! The rule of all rules: whatever comes how often in whatever batches, and whoever counts it and crashes when, the
//! statistics are those of one plain count.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeEvent;
use domain::window::{Place, Recorded, Revision, Sample, Segment, Windows};
use jiff::Timestamp;
use payroute_monitor::partition::{Partition, Turn};
use proptest::prelude::*;
use rig::{Redis, RedisCluster};
use stats::redis::{Settings, Store, StreamId};

use crate::support::{
    Seen, begin, channels, correction, known, now, outcome, partition, patiently, seconds, seen, settle,
    store, stored, total,
};

const OWNERS: usize = 6;

/// What is told of one attempt.
#[derive(Clone, Debug)]
struct Told {
    channel: usize,
    method: u8,
    issuer: Option<u8>,
    class: OutcomeClass,
    ago_secs: i64,
    corrected: Option<OutcomeClass>,
    deliveries: usize,
}

fn told() -> impl Strategy<Value = Told> {
    let class = || proptest::sample::select(&OutcomeClass::ALL[..]);
    (
        0..2_usize,
        0..20_u8,
        proptest::option::of(0..12_u8),
        class(),
        prop_oneof![-30..140_i64, 140..3_300_i64],
        proptest::option::weighted(0.2, class()),
        1..4_usize,
    )
        .prop_map(
            |(channel, method, issuer, class, ago_secs, corrected, deliveries)| Told {
                channel,
                method,
                issuer,
                class,
                ago_secs,
                corrected,
                deliveries,
            },
        )
}

/// The outcomes of `told`, with every delivery, in an order in which corrections may come first.
fn deliveries(told: &[Told], shuffle: u64) -> Vec<OutcomeEvent> {
    let channels = channels();
    let base = now();
    let mut all = Vec::new();
    for one in told {
        let event = OutcomeEvent {
            channel: channels[one.channel].clone(),
            method: format!("m{}", one.method),
            issuer: one.issuer.map(|issuer| format!("bank {issuer}")),
            class: one.class,
            received_at: base - seconds(one.ago_secs),
            ..outcome()
        };
        for _ in 0..one.deliveries {
            all.push(event.clone());
            all.extend(one.corrected.map(|class| correction(&event, class)));
        }
    }
    all.sort_by_key(|event| (event.id.0 ^ shuffle).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40);
    all
}

/// What a plain count of the stream comes to.
async fn counted(store: &Store) -> (BTreeMap<String, Seen>, u64) {
    let mut windows = Windows::default();
    let (mut names, mut duplicates) = (HashSet::new(), 0);
    let mut after = StreamId::START;
    let begun = store.read(partition(), after, 0).await.unwrap().state.unwrap();
    let mut clock = Timestamp::from_millisecond(i64::try_from(begun.epoch.0).unwrap()).unwrap();
    loop {
        let page = store.read(partition(), after, 500).await.unwrap();
        let Some(last) = page.entries.last() else {
            return (seen(&windows), duplicates);
        };
        after = last.id;
        for entry in &page.entries {
            let event = entry.outcome.as_ref().unwrap();
            clock = clock.max(entry.id.time());
            if !names.insert(event.id) {
                duplicates += 1;
                continue;
            }
            count(&mut windows, event, clock);
        }
    }
}

fn count(windows: &mut Windows, event: &OutcomeEvent, clock: Timestamp) {
    let place = Place {
        channel: &event.channel,
        method: &event.method,
        issuer: event.issuer.as_deref(),
    };
    if let Some(from) = event.corrects {
        let revision = Revision {
            at: event.received_at,
            from,
            to: event.class,
        };
        windows.revise(place, revision, clock);
    } else if event.received_at.duration_since(clock) > seconds(120) {
        windows.note_late(&event.channel);
    } else {
        let sample = Sample {
            at: event.received_at,
            class: event.class,
            latency_ms: (event.class != OutcomeClass::Timeout).then_some(event.latency_ms),
        };
        let _counted_or_late: Recorded = windows.record(place, sample, clock);
    }
}

/// Owners that all believe they are the only one, and crash now and then between two steps.
async fn owners(stores: Vec<Store>, seed: u64, stop: tokio_util::sync::CancellationToken) -> usize {
    let mut tasks = tokio::task::JoinSet::new();
    for (number, store) in stores.into_iter().enumerate() {
        let stop = stop.clone();
        tasks.spawn(async move {
            let mut chance = seed ^ (u64::try_from(number).unwrap() << 32);
            let mut owner = Partition::new(partition());
            let mut applied = 0;
            while !stop.is_cancelled() {
                chance = chance
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let patience = Duration::from_micros(200 + (chance >> 33) % 20_000);
                match tokio::time::timeout(patience, owner.turn(&store, &known())).await {
                    Ok(Ok(Turn::Done(report))) => applied += usize::from(report.applied > 0),
                    Ok(_) => {}
                    Err(_) => owner = Partition::new(partition()),
                }
            }
            applied
        });
    }
    tasks.join_all().await.into_iter().sum()
}

async fn holds(stores: Vec<Store>, told: &[Told], shuffle: u64) -> u64 {
    let store = stores[0].clone();
    begin(&store, partition()).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let working = tokio::spawn(owners(stores, shuffle, stop.clone()));
    let all = deliveries(told, shuffle);
    let mut rest = all.as_slice();
    let mut size = 1;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(size.min(rest.len()));
        patiently(async || store.append(batch).await).await;
        rest = later;
        size = size * 7 % 23 + 1;
    }
    settle(&store, partition()).await;
    stop.cancel();
    working.await.unwrap();
    let (expected, duplicates) = counted(&store).await;
    let kept = stored(&store, partition()).await;
    assert_eq!(kept, expected);
    let since = now() - seconds(3_900);
    for channel in &channels()[..2] {
        let minutes = store
            .minutes(channel, Segment::Overall, since..now() + seconds(120))
            .await
            .unwrap();
        let total: u32 = minutes.iter().map(|(_, minute)| minute.counts.total()).sum();
        let overall = expected
            .get(&format!("{channel} Overall"))
            .map_or(0, |seen| seen.total().total());
        assert_eq!(total, overall, "{channel} by the minute");
    }
    duplicates
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn six_owners_that_crash_count_like_one_that_does_not(
        told in proptest::collection::vec(told(), 1..200),
        shuffle in any::<u64>(),
    ) {
        let redis = Redis::start().unwrap();
        run(async {
            let stores = (0..OWNERS).map(|_| store(&redis.url())).collect();
            let duplicates = holds(stores, &told, shuffle).await;
            assert_eq!(total(&redis, "duplicates"), duplicates);
        });
    }
}

#[test]
fn six_owners_count_exactly_in_a_cluster_too() {
    let cluster = RedisCluster::start().unwrap();
    let told: Vec<Told> = (0..150_u8)
        .map(|number| Told {
            channel: usize::from(number % 2),
            method: number % 20,
            issuer: Some(number % 9),
            class: OutcomeClass::ALL[usize::from(number) % 8],
            ago_secs: i64::from(number) % 130,
            corrected: (number % 5 == 0).then_some(OutcomeClass::Success),
            deliveries: 1 + usize::from(number % 3),
        })
        .collect();
    run(async {
        let mut stores = Vec::new();
        for _ in 0..OWNERS {
            let store = Store::open(&Settings::cluster(cluster.urls())).unwrap();
            patiently(async || store.ping().await).await;
            stores.push(store);
        }
        assert!(holds(stores, &told, 7).await > 0);
    });
}
