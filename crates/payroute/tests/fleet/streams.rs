//! What comes through the streams: out of order, out of time, corrected, or saying nothing.

use std::collections::HashMap;

use domain::amount_band::AmountBand;
use domain::clock::{Clock as _, SystemClock};
use domain::id::ChannelId;
use domain::money::Money;
use domain::outcome::OutcomeClass;
use domain::outcome_event::{OutcomeEvent, OutcomeId};
use jiff::SignedDuration;
use proto::v1;
use stats::redis::{PartitionId, Settings, Store};

use crate::cashier::Cashier;
use crate::settled;
use crate::support::{Fleet, eventually, health, metered};

const LATE: &str = "payroute_outcome_late_total";
const DEAD: &str = "payroute_stats_dead_letters_total";
const REFUSED: &str = "payroute_stats_snapshots_refused_total";

/// The way to the fleet's statistics, once all of them are counted: a partition that has yet to be filled from the ledger
/// begins at the end of its stream, and the ledger does not have what these tests append.
async fn store(fleet: &Fleet) -> Store {
    let store = Store::open(&Settings::single(fleet.redis.url())).unwrap();
    let all = PartitionId::all().count();
    eventually("every partition to be counted", async || {
        let published = store.snapshots().await.ok()?;
        (published.len() == all).then_some(())
    })
    .await;
    store
}

/// Outcome number `number` of `channel`, received `ago` before now: a success, with every fifth one timed out.
fn outcome(channel: &str, number: u64, ago: SignedDuration) -> OutcomeEvent {
    let received_at = SystemClock.now() - ago;
    OutcomeEvent {
        id: OutcomeId(number),
        channel: ChannelId::new(channel).unwrap(),
        method: "wechat_pay".to_owned(),
        issuer: None,
        band: AmountBand::of(Money::new(1_999, "CNY".parse().unwrap()).unwrap()),
        class: if number.is_multiple_of(5) {
            OutcomeClass::Timeout
        } else {
            OutcomeClass::Success
        },
        corrects: None,
        key: number,
        attempt_no: 1,
        decided_at: received_at,
        started_at: received_at,
        received_at,
        latency_ms: 100 + u32::try_from(number % 100).unwrap(),
    }
}

/// The last hour of `channel`, as router 0 knows it.
async fn hour(fleet: &Fleet, channel: &str) -> v1::WindowView {
    let channels = health(fleet.addresses()[0]).await;
    let of_it = channels.into_iter().find(|health| health.channel_id == channel);
    let mut windows = of_it.expect("it is configured").windows.into_iter();
    windows.find(|view| view.window_secs == 3_600).expect("an hour")
}

/// Waits until router 0 knows `total` outcomes of the last hour on `channel`.
async fn reached(fleet: &Fleet, channel: &str, total: u64) -> v1::WindowView {
    let what = format!("{total} outcomes on {channel}");
    eventually(&what, async || {
        let view = hour(fleet, channel).await;
        (view.total == total).then_some(view)
    })
    .await
}

/// What the monitors' counters `name` come to together.
fn monitors(fleet: &Fleet, name: &str) -> u64 {
    let running = fleet.monitors.iter().flatten();
    running
        .map(|monitor| metered(monitor.address("probes on"), name))
        .sum()
}

/// Waits until the monitors' counters `name` come to `count` together.
async fn came_to(fleet: &Fleet, name: &str, count: u64) {
    eventually(&format!("{name} to be {count}"), async || {
        (monitors(fleet, name) == count).then_some(())
    })
    .await;
}

/// The key of `kind` that the partition of `channel` has.
fn key(kind: &str, channel: &str) -> String {
    let partition = PartitionId::of(&ChannelId::new(channel).unwrap());
    format!("payroute:1:{kind}:{{{partition}}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_outcomes_out_of_order_make_the_same_window() {
    let fleet = Fleet::start();
    let store = store(&fleet).await;
    let ago = |number: u64| SignedDuration::from_secs(i64::try_from(110 - number).unwrap());
    let in_order: Vec<_> = (0..110)
        .map(|number| outcome("wechat_direct", number, ago(number)))
        .collect();
    // 37 has no factor in common with 110, so every number comes once.
    let shuffled: Vec<_> = (0..110)
        .map(|number| number * 37 % 110)
        .map(|number| outcome("alipay_direct", 1_000 + number, ago(number)))
        .collect();
    store.append(&in_order).await.unwrap();
    for portion in shuffled.chunks(30) {
        store.append(portion).await.unwrap();
    }
    let expected = reached(&fleet, "wechat_direct", 110).await;
    assert_eq!(expected.by_class["timeout"], 22);
    assert_eq!(reached(&fleet, "alipay_direct", 110).await, expected);
    assert_eq!(monitors(&fleet, LATE), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f06_an_outcome_of_yesterday_or_tomorrow_is_late_and_in_no_window() {
    const CHANNEL: &str = "wechat_direct";
    let fleet = Fleet::start();
    let day = SignedDuration::from_hours(24);
    let ages = [
        day,
        -day,
        SignedDuration::from_mins(61),
        -SignedDuration::from_secs(180),
    ];
    let late: Vec<_> = (1..)
        .zip(ages)
        .map(|(id, ago)| outcome(CHANNEL, id, ago))
        .collect();
    let store = store(&fleet).await;
    store.append(&late).await.unwrap();
    came_to(&fleet, LATE, 4).await;
    store
        .append(&[outcome(CHANNEL, 9, SignedDuration::ZERO)])
        .await
        .unwrap();
    let view = reached(&fleet, CHANNEL, 1).await;
    assert_eq!(view.by_class["success"], 1);
    assert_eq!(monitors(&fleet, DEAD), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f07_a_timeout_that_proves_a_success_changes_sides_while_its_bucket_is_there() {
    let fleet = Fleet::start();
    let mut cashier = Cashier::at(fleet.addresses()[0], "late").await;
    let decision = cashier.route().await;
    let channel = crate::cashier::chosen(&decision).to_owned();
    let answer = cashier
        .report(&decision, v1::Result::TimedOut, "read_timeout")
        .await;
    let before = reached(&fleet, &channel, 1).await;
    assert_eq!(before.by_class, HashMap::from([("timeout".to_owned(), 1)]));
    let resolved = cashier.resolve(answer.receipt).await;
    assert_eq!(resolved.state, "succeeded");
    eventually("the bucket to be corrected", async || {
        let view = hour(&fleet, &channel).await;
        // None at all while the first shared snapshot, taken before it was counted, follows what the router saw itself.
        assert!(view.total <= 1, "one attempt counts {} times", view.total);
        (view.by_class == HashMap::from([("success".to_owned(), 1)])).then_some(())
    })
    .await;
    // Three hours later its bucket is gone.
    let too_late = OutcomeEvent {
        class: OutcomeClass::Success,
        corrects: Some(OutcomeClass::Timeout),
        ..outcome(&channel, 5, SignedDuration::from_hours(3))
    };
    store(&fleet).await.append(&[too_late]).await.unwrap();
    came_to(&fleet, LATE, 1).await;
    settled(&fleet, cashier.acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f08_what_says_nothing_goes_to_the_dead_letters_and_holds_nobody_up() {
    const CHANNEL: &str = "wechat_direct";
    let fleet = Fleet::start();
    let (store, stream) = (store(&fleet).await, key("oc", CHANNEL));
    let add = |field: &str, value: &str| fleet.redis.ask(&["XADD", &stream, "*", field, value]).unwrap();
    let good = |id: u64| outcome(CHANNEL, id, SignedDuration::ZERO);
    store.append(&[good(1)]).await.unwrap();
    add("e", "\u{1}garbage");
    add("another", "field");
    // Latency of ten thousand million years, which is what -1 ms is to an unsigned reader: field 13, all bits set.
    let long =
        "redis.call('XADD', KEYS[1], '*', 'e', '\\104\\255\\255\\255\\255\\255\\255\\255\\255\\255\\1')";
    let megabyte = "redis.call('XADD', KEYS[1], '*', 'e', string.rep('x', 1048576))";
    for script in [long, megabyte] {
        fleet.redis.ask(&["EVAL", script, "1", &stream]).unwrap();
    }
    let partition = PartitionId::of(&ChannelId::new(CHANNEL).unwrap());
    let neighbour = (0..100_000)
        .map(|number| ChannelId::new(format!("nobody-{number}")).unwrap())
        .find(|name| PartitionId::of(name) == partition)
        .unwrap();
    let nobody = outcome(neighbour.as_str(), 2, SignedDuration::ZERO);
    store.append(&[nobody, good(3)]).await.unwrap();
    came_to(&fleet, DEAD, 5).await;
    assert_eq!(reached(&fleet, CHANNEL, 2).await.total, 2);
    let letters = fleet
        .redis
        .ask(&["XRANGE", &key("dlq", CHANNEL), "-", "+"])
        .unwrap();
    let reason = format!("channel `{neighbour}` is not configured");
    for reason in [&reason, "has no field `e`", "1048576 bytes"] {
        assert!(letters.contains(reason), "{reason}: {letters}");
    }
    store.append(&[good(4)]).await.unwrap();
    reached(&fleet, CHANNEL, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_a_snapshot_that_is_damaged_foreign_or_older_changes_nothing() {
    const CHANNEL: &str = "wechat_direct";
    let fleet = Fleet::start();
    let store = store(&fleet).await;
    let (snapshot, kept) = (key("snap", CHANNEL), key("kept", CHANNEL));
    let ask = |command: &[&str]| fleet.redis.ask(command).unwrap();
    let one = |id: u64| [outcome(CHANNEL, id, SignedDuration::ZERO)];
    store.append(&one(1)).await.unwrap();
    reached(&fleet, CHANNEL, 1).await;
    ask(&["COPY", &snapshot, &kept]);
    store.append(&one(2)).await.unwrap();
    reached(&fleet, CHANNEL, 2).await;
    for monitor in fleet.monitors.iter().flatten() {
        monitor.signal("STOP").unwrap();
    }
    let admin = fleet.routers[0].as_ref().unwrap().admin;
    let refused = |reason: &'static str| metered(admin, &format!("{REFUSED}{{reason=\"{reason}\"}}"));
    let damages: [(&str, &[&str]); 3] = [
        ("older", &["COPY", &kept, &snapshot, "REPLACE"]),
        ("corrupt", &["SETRANGE", &snapshot, "12", "damaged"]),
        ("schema", &["SETRANGE", &snapshot, "0", "\t"]),
    ];
    for (reason, damage) in damages {
        let before = refused(reason);
        ask(damage);
        eventually(&format!("a refusal as {reason}"), async || {
            (refused(reason) > before).then_some(())
        })
        .await;
        assert_eq!(hour(&fleet, CHANNEL).await.total, 2, "{reason}");
    }
    for monitor in fleet.monitors.iter().flatten() {
        monitor.signal("CONT").unwrap();
    }
    store.append(&one(3)).await.unwrap();
    reached(&fleet, CHANNEL, 3).await;
}
