//! Payments against a Payroute and providers that tests set up, in a time that only tests move.

mod world;

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::sleep;

use crate::conclusion::{Conclusion, Doubt};
use crate::confirming::Waiting;
use crate::error::PayError;
use world::{Channel, Router, World};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const GOOD: Channel = Channel::answering("OK", 20);
const DOWN: Channel = Channel::answering("CHANNEL_MAINTENANCE", 20);
const BUSY: Channel = Channel::answering("RATE_LIMITED", 20);
const NO_MONEY: Channel = Channel::answering("INSUFFICIENT_FUNDS", 20);

#[tokio::test(start_paused = true)]
async fn a_payment_that_goes_through_is_paid_and_told() {
    let world = World::with([GOOD, GOOD, GOOD]);
    let conclusion = world.pay().await.unwrap();
    assert!(conclusion.is_paid());
    assert_eq!(conclusion.tried().len(), 1);
    assert_eq!(world.close().await, 0);
    assert_eq!(world.told(), ["a: OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_down_is_left_within_the_budget() {
    let world = World::with([DOWN, GOOD, GOOD]);
    let conclusion = world.pay().await.unwrap();
    assert!(conclusion.is_paid());
    let failover = conclusion.tried()[1].failover.unwrap();
    assert!(failover < ms(50), "{failover:?}");
    world.close().await;
    assert_eq!(world.told(), ["a: CHANNEL_MAINTENANCE", "b: OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_fault_is_tried_once_more_with_the_same_key_and_then_left() {
    let world = World::with([BUSY, GOOD, GOOD]);
    let conclusion = world.pay().await.unwrap();
    let tried: Vec<_> = conclusion.tried().iter().map(|tried| &tried.submit).collect();
    assert_eq!(tried.len(), 3);
    assert_eq!(tried[0].attempt_key, tried[1].attempt_key);
    assert_ne!(tried[0].attempt_id, tried[1].attempt_id);
    assert!(tried[1].is_retry && tried[2].channel_id == "b");
    let waited = conclusion.tried()[1].failover.unwrap();
    assert!((ms(50)..ms(250)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_customers_is_for_the_customer() {
    let world = World::with([NO_MONEY, GOOD, GOOD]);
    match world.pay().await.unwrap() {
        Conclusion::NotPaid(not_paid) => {
            assert!(!not_paid.stop && !not_paid.message.what.is_empty());
            assert_eq!(not_paid.tried.len(), 1);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_confirming_within_a_second_and_settled_by_a_query() {
    let world = World::with([Channel::silent(true), GOOD, GOOD]);
    let began = tokio::time::Instant::now();
    let Conclusion::Confirming(confirming) = world.pay().await.unwrap() else {
        panic!("it may have charged");
    };
    // The channel's own time limit is a second.
    assert!(began.elapsed() < ms(1_600), "{:?}", began.elapsed());
    assert_eq!(confirming.waiting(), Waiting::ForTheProvider);
    assert!(!confirming.message().what.is_empty());
    let conclusion = confirming.settled().await.unwrap();
    assert!(conclusion.is_paid());
    assert_eq!(conclusion.tried()[0].doubt, Some(Doubt::Paid));
    world.close().await;
    assert_eq!(world.told(), ["a: read_timeout", "a resolved: Succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_that_did_not_charge_goes_on_with_the_next_channel_while_somebody_waits() {
    let world = World::with([Channel::silent(false), GOOD, GOOD]);
    let Conclusion::Confirming(confirming) = world.pay().await.unwrap() else {
        panic!("it may have charged");
    };
    let conclusion = confirming.settled().await.unwrap();
    assert!(conclusion.is_paid());
    let tried: Vec<_> = conclusion
        .tried()
        .iter()
        .map(|tried| &*tried.submit.channel_id)
        .collect();
    assert_eq!(tried, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_submitted_for_a_caller_who_has_gone() {
    let world = World::with([Channel::silent(false), GOOD, GOOD]);
    drop(world.pay().await.unwrap());
    sleep(Duration::from_mins(10)).await;
    world.close().await;
    assert_eq!(world.told(), ["a: read_timeout", "a resolved: NotProcessed"]);
    assert_eq!(world.submits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_dropped_in_the_middle_of_a_submit_is_told_whole() {
    let world = World::with([DOWN, GOOD, GOOD]);
    let dropped = tokio::time::timeout(ms(10), world.pay()).await;
    assert!(dropped.is_err());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.close().await, 0);
    assert_eq!(world.told(), ["a: CHANNEL_MAINTENANCE"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_caller_is_an_unknown_outcome() {
    let world = World::with([Channel::panicking(), GOOD, GOOD]);
    assert!(matches!(world.pay().await, Err(PayError::Broken)));
    assert_eq!(world.close().await, 0);
    assert_eq!(world.told(), ["a: reset_after_send"]);
    assert_eq!(world.submits(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_any_answer_nothing_is_submitted() {
    let world = World::with([GOOD, GOOD, GOOD]);
    world.set(Router::Gone);
    assert!(matches!(world.pay().await, Err(PayError::Unanswered(_))));
    assert_eq!(world.submits(), 0);
}

#[tokio::test(start_paused = true)]
async fn when_routers_vanish_the_last_decision_is_gone_on_with_and_all_is_told_later() {
    let world = World::with([DOWN, DOWN, GOOD]);
    world.vanish_after_route();
    let conclusion = world.pay().await.unwrap();
    assert!(conclusion.is_paid(), "{conclusion:?}");
    for tried in &conclusion.tried()[1..] {
        let failover = tried.failover.unwrap();
        assert!(failover <= ms(500), "{failover:?}");
    }
    assert_eq!(world.told(), Vec::<String>::new());
    world.set(Router::Prompt);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.close().await, 0);
    assert_eq!(
        world.told(),
        ["a: CHANNEL_MAINTENANCE", "b: CHANNEL_MAINTENANCE", "c: OK"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_blocks_also_while_no_router_answers() {
    let world = World::with([Channel::silent(true), GOOD, GOOD]);
    world.vanish_after_route();
    let Conclusion::Confirming(confirming) = world.pay().await.unwrap() else {
        panic!("it may have charged");
    };
    let conclusion = confirming.settled().await.unwrap();
    assert!(conclusion.is_paid());
    assert_eq!(world.submits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_router_does_not_break_the_budget() {
    let world = World::with([DOWN, GOOD, GOOD]);
    world.set(Router::Slow(ms(1_500)));
    let conclusion = world.pay().await.unwrap();
    assert!(conclusion.is_paid(), "{conclusion:?}");
    let failover = conclusion.tried()[1].failover.unwrap();
    assert!(failover <= ms(500), "{failover:?}");
}

#[tokio::test(start_paused = true)]
async fn a_guarded_payment_takes_no_fallback_that_nobody_registered() {
    let world = World::with([DOWN, GOOD, GOOD]).guarded();
    world.vanish_after_route();
    let conclusion = world.pay().await.unwrap();
    assert!(matches!(conclusion, Conclusion::NotPaid(_)), "{conclusion:?}");
    assert_eq!(world.submits(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_no_payment_is_begun() {
    let world = World::with([GOOD, GOOD, GOOD]).of_capacity(1);
    world.vanish_after_route();
    assert!(world.pay().await.unwrap().is_paid());
    world.set(Router::Reads);
    assert!(matches!(world.pay().await, Err(PayError::Full { capacity: 1 })));
    assert_eq!(world.submits(), 1);
    assert_eq!(world.close().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_has_to_act_is_told_at_once() {
    let world = World::with([Channel::answering("AWAITING", 20), GOOD, GOOD]);
    let began = tokio::time::Instant::now();
    let Conclusion::Confirming(confirming) = world.pay().await.unwrap() else {
        panic!("the customer has to pay");
    };
    assert!(began.elapsed() < ms(100));
    assert_eq!(confirming.waiting(), Waiting::ForTheCustomer);
    assert!(confirming.settled().await.unwrap().is_paid());
}

fn any_channel() -> impl Strategy<Value = Channel> {
    let code = prop::sample::select(vec![
        "OK",
        "CHANNEL_MAINTENANCE",
        "RATE_LIMITED",
        "INSUFFICIENT_FUNDS",
        "SYSTEM_BUSY",
        "NEVER_HEARD_OF",
        "AWAITING",
    ]);
    prop_oneof![
        3 => (code, 0..1_500_u64).prop_map(|(code, ms)| Channel::answering(code, ms)),
        1 => any::<bool>().prop_map(Channel::silent),
    ]
}

fn any_router() -> impl Strategy<Value = Router> {
    prop_oneof![
        3 => Just(Router::Prompt),
        2 => (0..900_u64).prop_map(|delay| Router::Slow(ms(delay))),
        1 => Just(Router::Gone),
        1 => Just(Router::Reads),
    ]
}

/// What happens to the routers, and when.
fn any_weather() -> impl Strategy<Value = Vec<(u64, Router)>> {
    prop::collection::vec((0..2_500_u64, any_router()), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_payment_never_has_two_submits_that_may_charge_and_every_failover_is_within_the_budget(
        channels in [any_channel(), any_channel(), any_channel()],
        weather in any_weather(),
        leaves_after in prop::option::of(0..4_000_u64),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::with(channels);
            let conclusion = {
                let weather = world.weather(weather);
                let paying = async {
                    let paying = async {
                        match world.pay().await {
                            Ok(Conclusion::Confirming(confirming)) => confirming.settled().await,
                            other => other,
                        }
                    };
                    match leaves_after {
                        Some(after) => tokio::time::timeout(ms(after), paying).await.ok(),
                        None => Some(paying.await),
                    }
                };
                tokio::join!(weather, paying).1
            };
            world.set(Router::Prompt);
            sleep(Duration::from_hours(2)).await;
            prop_assert_eq!(world.close().await, 0, "everything is delivered");
            world.check_books(conclusion.as_ref());
            Ok(())
        })?;
    }
}
