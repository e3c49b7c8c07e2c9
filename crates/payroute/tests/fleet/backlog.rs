//! Too much at once: outcomes that waited while nobody counted, and segments without end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::amount_band::AmountBand;
use domain::clock::{Clock as _, SystemClock};
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::outcome_event::{OutcomeEvent, OutcomeId};
use jiff::{SignedDuration, Timestamp};
use proto::v1;

use crate::complete;
use crate::load::{Load, route_request};
use crate::support::{Fleet, assert_healthy, eventually};

/// Timeouts of two hours ago.
const OLD: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_backlog_is_caught_up_and_what_is_old_trips_nothing() {
    let mut fleet = Fleet::start();
    let load = Load::start(fleet.addresses(), 4, 0);
    load.reach(100).await;
    fleet.kill_monitor(0);
    fleet.kill_monitor(1);
    let at = SystemClock.now() - SignedDuration::from_hours(2);
    let events: Vec<OutcomeEvent> = (0..OLD).map(|number| timeout(number, at)).collect();
    let bytes = STANDARD.encode(proto::outcome_event::encode_batch(&events));
    fleet.execute(&format!(
        "insert into outbox (events) values (decode('{bytes}', 'base64'))"
    ));
    load.reach(load.journal.len() + 500).await;
    fleet.restart_monitor(0);
    fleet.restart_monitor(1);
    eventually("what is old to be put aside", async || {
        (fleet.total("late") >= OLD).then_some(())
    })
    .await;
    for address in fleet.addresses() {
        assert_healthy(address).await;
    }
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    complete(&fleet, &journal).await;
    assert_eq!(fleet.total("late"), OLD);
}

fn timeout(number: u64, at: Timestamp) -> OutcomeEvent {
    OutcomeEvent {
        id: OutcomeId(number),
        channel: ChannelId::new("wechat_direct").unwrap(),
        method: "wechat_pay".to_owned(),
        issuer: None,
        band: AmountBand::from_index(1).unwrap(),
        class: OutcomeClass::Timeout,
        corrects: None,
        key: number,
        attempt_no: 1,
        decided_at: at,
        started_at: at,
        received_at: at,
        latency_ms: 8_000,
    }
}

/// A payment of a bank that nobody has heard of.
fn unheard(payment: &str) -> v1::RouteRequest {
    v1::RouteRequest {
        issuer: format!("bank-{payment}"),
        ..route_request(payment)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f16_a_thousand_banks_share_the_room_of_a_few() {
    // A channel, its one method, and of each as many issuers as there is room for, and the rest as one.
    const SEGMENTS: usize = 3 * (2 + 65 + 9);
    const SCRIPT: &str = "local all = 0 \
        for _, key in ipairs(redis.call('keys', 'payroute:1:ix:*')) do all = all + redis.call('hlen', key) end \
        return all";
    let fleet = Fleet::start();
    let load = Load::paying(unheard, fleet.addresses(), 8, 0);
    load.reach(1_000).await;
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    complete(&fleet, &journal).await;
    let segments: usize = fleet.redis.ask(&["EVAL", SCRIPT, "0"]).unwrap().parse().unwrap();
    assert!(segments > 66 && segments <= SEGMENTS, "{segments} segments");
    let memory = fleet.redis.ask(&["INFO", "memory"]).unwrap();
    let used = memory
        .lines()
        .find_map(|line| line.trim().strip_prefix("used_memory:"));
    let used: u64 = used.unwrap().parse().unwrap();
    assert!(used < 32 << 20, "{used} bytes");
}
