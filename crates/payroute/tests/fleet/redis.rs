//! A Redis that loses its answers, what it knows, its memory, or its life.

use std::time::Duration;

use proto::v1;
use rig::{Proxy, Redis, Trouble};
use stats::redis::CALL_LIMIT;
use tokio::time::sleep;

use crate::cashier::{Cashier, chosen};
use crate::load::Load;
use crate::settled;
use crate::support::{Fleet, Plan, counted, eventually, health};

/// A fleet that reaches Redis through a proxy.
fn behind_a_proxy() -> (Fleet, Proxy) {
    let plan = Plan::default();
    let redis = Redis::start_with(&plan.redis).unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    (Fleet::on(&plan, redis, url), proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f02_outcomes_count_once_when_answers_are_lost_after_the_work_was_done() {
    let (fleet, proxy) = behind_a_proxy();
    let load = Load::start(fleet.addresses(), 8, 0);
    for _ in 0..40 {
        proxy.set(Trouble::LoseNextReply);
        sleep(Duration::from_millis(100)).await;
        eventually("an answer to be lost", async || {
            (proxy.trouble() == Trouble::None).then_some(())
        })
        .await;
    }
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    settled(&fleet, journal.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_an_emptied_redis_is_refilled_and_no_router_forgets_anything_meanwhile() {
    let fleet = Fleet::start();
    let address = fleet.addresses()[0];
    let load = Load::start(fleet.addresses(), 4, 0);
    let mut most = 0;
    for _ in 0..2 {
        let before = load.journal.len();
        load.reach(before + 100).await;
        // Counted before the fall: what a router knows must not fall behind it.
        let known = u64::try_from(before).unwrap();
        eventually("outcomes to be counted", async || {
            (counted(address).await >= known).then_some(())
        })
        .await;
        fleet.redis.ask(&["FLUSHALL"]).unwrap();
        let upon = u64::try_from(load.journal.len()).unwrap();
        eventually("Redis to be refilled", async || {
            let now = counted(address).await;
            assert!(now >= most, "{now} outcomes are known, {most} were");
            most = now;
            (now > upon).then_some(())
        })
        .await;
    }
    let journal = load.finish().await;
    assert_eq!(journal.unrouted(), 0);
    settled(&fleet, journal.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_outcomes_wait_in_the_ledger_while_redis_has_no_memory() {
    let fleet = Fleet::start();
    let mut cashier = Cashier::at(fleet.addresses()[0], "full").await;
    cashier.pay(20).await;
    fleet.redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let refused = fleet.redis.ask(&["SET", "a", "1"]).unwrap();
    assert!(refused.starts_with("OOM"), "{refused}");
    cashier.pay(100).await;
    fleet.redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    settled(&fleet, cashier.acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_no_service_starts_on_a_redis_that_deletes_statistics() {
    let fleet = Fleet::start();
    let evicting = ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"];
    fleet.redis.ask(&evicting).unwrap();
    for service in ["router", "monitor"] {
        let said = fleet.refused(service);
        assert!(said.contains("maxmemory-policy"), "{service}: {said}");
        assert!(said.contains("allkeys-lru"), "{service}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_no_caller_waits_for_a_redis_that_is_slow_or_silent() {
    const CALLS: usize = 150;
    let (fleet, proxy) = behind_a_proxy();
    let mut cashier = Cashier::at(fleet.addresses()[0], "slow").await;
    cashier.pay(20).await;
    let slowest = |cashier: &mut Cashier, from: usize| {
        let mut waits = cashier.waits.split_at(from).1.to_vec();
        waits.sort_unstable();
        waits[waits.len() * 99 / 100 - 1]
    };
    let from = cashier.waits.len();
    cashier.pay(CALLS).await;
    let healthy = slowest(&mut cashier, from);
    // Whoever waited for Redis would wait for the whole limit of a call.
    let bearable = (10 * healthy).max(CALL_LIMIT / 2);
    let two_seconds = Trouble::Delay(Duration::from_secs(2));
    for trouble in [Trouble::BlackHole, two_seconds, Trouble::Slice] {
        proxy.set(trouble);
        // The services have calls under way by then.
        sleep(CALL_LIMIT).await;
        let from = cashier.waits.len();
        cashier.pay(CALLS).await;
        let p99 = slowest(&mut cashier, from);
        assert!(p99 <= bearable, "{trouble:?}: {p99:?}, {healthy:?} when healthy");
    }
    proxy.set(Trouble::Cut);
    proxy.set(Trouble::None);
    settled(&fleet, cashier.acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_a_router_starts_and_routes_without_redis() {
    let mut fleet = Fleet::start();
    fleet.redis.kill();
    let fresh = fleet.router(2, &[]);
    let ready = rig::program::get(fresh.admin, "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    eventually("the channels to be shown", async || {
        (health(fresh.grpc).await.len() > 1).then_some(())
    })
    .await;
    assert_eq!(counted(fresh.grpc).await, 0, "nothing is known yet");
    let mut cashier = Cashier::at(fresh.grpc, "alone").await;
    cashier.pay(50).await;
    fleet.redis.restart().unwrap();
    settled(&fleet, cashier.acknowledged).await;
    let expected = u64::try_from(cashier.acknowledged).unwrap();
    eventually("the new router to know what was counted", async || {
        (counted(fresh.grpc).await == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_breakers_trip_and_outcomes_are_acknowledged_while_redis_is_dead() {
    const VICTIM: &str = "wechat_direct";
    let mut fleet = Fleet::start();
    let address = fleet.addresses()[0];
    let mut cashier = Cashier::at(address, "dead").await;
    cashier.pay(30).await;
    fleet.redis.kill();
    eventually("the breaker to trip", async || {
        let decision = cashier.route().await;
        if chosen(&decision) == VICTIM {
            cashier
                .report(&decision, v1::Result::Failed, "connect_refused")
                .await;
        } else {
            cashier.report(&decision, v1::Result::Succeeded, "").await;
        }
        let channels = health(address).await;
        let victim = channels.iter().find(|channel| channel.channel_id == VICTIM);
        (victim.expect("it is configured").breaker_state == "tripped").then_some(())
    })
    .await;
    let mut avoided = 0;
    for _ in 0..30 {
        let decision = cashier.route().await;
        avoided += usize::from(chosen(&decision) != VICTIM);
        cashier.report(&decision, v1::Result::Succeeded, "").await;
    }
    // One probe may fall into it.
    assert!(avoided >= 28, "{avoided} of 30 avoided the tripped channel");
    fleet.redis.restart().unwrap();
    settled(&fleet, cashier.acknowledged).await;
}
