//! Servers, outcomes, and ways to look at what was counted.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::amount_band::AmountBand;
use domain::clock::{Clock as _, SystemClock};
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::outcome_event::{OutcomeEvent, OutcomeId};
use domain::window::{Caps, Counts, Segment, Streaks, Windows};
use jiff::{SignedDuration, Timestamp};
use payroute_monitor::partition::{Partition, Turn};
use stats::redis::{PartitionId, Settings, StatsError, Store};

/// Time that nothing here takes unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Now, as the servers on this machine see it.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

pub(crate) fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

/// The channels that tests count on; the first two are of one partition.
pub(crate) fn channels() -> Vec<ChannelId> {
    let first = channel("bank_a");
    let partition = PartitionId::of(&first);
    let beside = (0..10_000)
        .map(|number| channel(&format!("bank_{number}")))
        .find(|channel| PartitionId::of(channel) == partition)
        .unwrap();
    vec![first, beside, channel("wechat_pay")]
}

pub(crate) fn known() -> HashSet<ChannelId> {
    channels().into_iter().collect()
}

/// The partition of the first two channels.
pub(crate) fn partition() -> PartitionId {
    PartitionId::of(&channel("bank_a"))
}

/// A success on the first channel now, with a name that no other has.
pub(crate) fn outcome() -> OutcomeEvent {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let at = now();
    OutcomeEvent {
        id: OutcomeId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        channel: channel("bank_a"),
        method: "card".to_owned(),
        issuer: Some("icbc".to_owned()),
        band: AmountBand::from_index(3).unwrap(),
        class: OutcomeClass::Success,
        corrects: None,
        key: number,
        attempt_no: 1,
        decided_at: at,
        started_at: at,
        received_at: at,
        latency_ms: 100,
    }
}

/// `outcome`, which was taken for `from` before.
pub(crate) fn correction(outcome: &OutcomeEvent, class: OutcomeClass) -> OutcomeEvent {
    OutcomeEvent {
        id: OutcomeId(!outcome.id.0),
        class,
        corrects: Some(outcome.class),
        ..outcome.clone()
    }
}

/// The way to a server at `url`.
pub(crate) fn store(url: &str) -> Store {
    Store::open(&Settings::single(url)).unwrap()
}

/// Makes a partition known and empty.
pub(crate) async fn begin(store: &Store, partition: PartitionId) {
    let rebuild = patiently(async || store.begin_rebuild(partition).await)
        .await
        .unwrap();
    assert!(store.finish_rebuild(rebuild).await.unwrap());
}

/// Asks until Redis answers.
pub(crate) async fn patiently<T>(ask: impl AsyncFn() -> Result<T, StatsError>) -> T {
    let answer = tokio::time::timeout(PATIENCE, async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(StatsError::Corrupt(what)) => panic!("{what}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    answer.await.expect("an answer")
}

/// Waits until `done`.
pub(crate) async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain for {what}");
}

/// Takes turns until nothing waits.
pub(crate) async fn settle(store: &Store, partition: PartitionId) {
    let mut owner = Partition::new(partition);
    let settled = tokio::time::timeout(PATIENCE, async {
        loop {
            match owner.turn(store, &known()).await {
                Ok(Turn::Done(report)) if report.waiting == 0 => break,
                Ok(Turn::Unknown) => panic!("the partition has no state"),
                _ => {}
            }
        }
    });
    settled.await.expect("a partition that is read to its end");
}

/// What is known of one segment: counts by bucket, and the marks beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) buckets: BTreeMap<i64, (Counts, u64)>,
    pub(crate) streaks: Streaks,
    pub(crate) last_success_at: Option<Timestamp>,
    pub(crate) late: u64,
}

impl Seen {
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for (counts, _) in self.buckets.values() {
            total.merge(counts);
        }
        total
    }
}

/// Everything that `windows` hold, by channel and segment. Marks are kept of whole channels only.
pub(crate) fn seen(windows: &Windows) -> BTreeMap<String, Seen> {
    let mut all = BTreeMap::new();
    for channel in windows.channels() {
        for (segment, window) in windows.segments(channel) {
            let buckets = window
                .buckets()
                .map(|(number, bucket)| (number, (bucket.counts, bucket.latencies.count())))
                .collect();
            let seen = if segment == Segment::Overall {
                Seen {
                    buckets,
                    streaks: window.streaks(),
                    last_success_at: window.last_success_at(),
                    late: window.late(),
                }
            } else {
                Seen {
                    buckets,
                    ..Seen::default()
                }
            };
            all.insert(format!("{channel} {segment:?}"), seen);
        }
    }
    all
}

/// Everything that Redis holds of a partition.
pub(crate) async fn stored(store: &Store, partition: PartitionId) -> BTreeMap<String, Seen> {
    let loaded = patiently(async || store.load(partition, Caps::default()).await).await;
    seen(&loaded.expect("a state").windows)
}

/// What Redis holds of the first channel as a whole.
pub(crate) async fn overall(store: &Store) -> Seen {
    let all = stored(store, partition()).await;
    all.get("bank_a Overall").cloned().unwrap_or_default()
}

/// A key of the partition of the first two channels.
pub(crate) fn key(kind: &str) -> String {
    format!("payroute:1:{kind}:{{{}}}", partition())
}

/// A field of the partition's state, as a number.
pub(crate) fn total(redis: &rig::Redis, field: &str) -> u64 {
    let said = redis.ask(&["HGET", &key("st"), field]).unwrap();
    said.parse().unwrap_or(0)
}

/// Adds an entry at a time of the stream's own.
pub(crate) async fn add_at(url: &str, at: Timestamp, bytes: &[u8]) {
    add_field_at(url, at, "e", bytes).await;
}

/// Adds an entry with any field.
pub(crate) async fn add_field_at(url: &str, at: Timestamp, field: &str, bytes: &[u8]) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let id = format!("{}-*", at.as_millisecond());
    let mut add = redis::cmd("XADD");
    add.arg(key("oc")).arg(id).arg(field).arg(bytes);
    add.exec_async(&mut connection).await.unwrap();
}
