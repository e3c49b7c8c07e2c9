//! Workers that die, receivers that are slow or away, and what becomes of the order of messages.

use std::time::Duration;

use jiff::SignedDuration;
use ledger::Deliveries as _;
use ledger::delivery::State;
use rig::zoo::{Mood, Reply};
use tokio::time::{Instant, timeout};

use crate::support::{House, eventually, page, resolve};

const RECEIVERS: &str = "receivers:
  - {name: hook, to: {webhook: {url: ZOO/hook, keys: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}}
  - {name: duty, to: {pagerduty: {url: ZOO/v2/enqueue, routing_keys: [R0000000000000000000000000000NEW]}}}
  - {name: chat, rate: {messages: 100, per_secs: 1}, to: {slack: {url: ZOO/services/T0/B0/zoo}}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_a_worker_killed_between_the_answer_and_its_note_sends_once_more_under_the_same_id() {
    let house = House::open(RECEIVERS).await;
    let now = house.ledger.clock().await.unwrap();
    let (hook, duty) = (page("hook", "al_1", "a", now), page("duty", "al_1", "a", now));
    house.stall_at(State::Done);
    let alerter = house.alerter();
    house.enqueue(&[hook.clone(), duty]).await;
    eventually("both receivers to have it", async || {
        let taken = house.zoo.webhooks_taken(&hook.id.to_string());
        (taken == 1 && house.zoo.incidents().len() == 1).then_some(())
    })
    .await;
    alerter.kill().unwrap();
    house.expire();
    house.unstall();
    let _alerter = house.alerter();
    house.all("hook", State::Done).await;
    house.all("duty", State::Done).await;
    assert_eq!(house.zoo.webhooks_taken(&hook.id.to_string()), 2);
    let [incident] = house.zoo.incidents().try_into().unwrap();
    assert!(incident.open);
    assert!(house.deliveries().await.iter().all(|record| record.attempts == 2));
}

/// Where three workers are killed at once.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// A claim is not committed.
    Claiming,
    /// The receiver has the request and has not answered.
    Sending,
    /// It has answered, and that is not noted.
    Noting,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_three_workers_killed_at_every_point_lose_nothing_and_double_no_incident() {
    const INCIDENTS: usize = 6;
    let house = House::open(RECEIVERS).await;
    let now = house.ledger.clock().await.unwrap();
    for (round, point) in [Point::Claiming, Point::Sending, Point::Noting]
        .into_iter()
        .enumerate()
    {
        let names: Vec<String> = (0..INCIDENTS)
            .map(|number| format!("al_{round}_{number}"))
            .collect();
        let triggers: Vec<_> = names.iter().map(|name| page("duty", name, "a", now)).collect();
        match point {
            Point::Claiming => house.stall_at(State::Leased),
            Point::Sending => (0..INCIDENTS).for_each(|_| house.zoo.next(Mood::Silence)),
            Point::Noting => house.stall_at(State::Done),
        }
        let visits = house.zoo.visits().len();
        let workers = [house.alerter(), house.alerter(), house.alerter()];
        house.enqueue(&triggers).await;
        eventually(&format!("{point:?}"), async || match point {
            Point::Claiming => (house.sql(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
            ) != "0")
                .then_some(()),
            Point::Sending | Point::Noting => (house.zoo.visits().len() >= visits + INCIDENTS).then_some(()),
        })
        .await;
        for worker in workers {
            worker.kill().unwrap();
        }
        house.expire();
        if !matches!(point, Point::Sending) {
            house.unstall();
        }
        let _alerter = house.alerter();
        house.all("duty", State::Done).await;
        let resolves: Vec<_> = names.iter().map(|name| resolve("duty", name, now)).collect();
        house.enqueue(&resolves).await;
        house.all("duty", State::Done).await;
    }
    let incidents = house.zoo.incidents();
    assert_eq!(incidents.len(), 3 * INCIDENTS);
    assert!(incidents.iter().all(|incident| !incident.open), "{incidents:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f30_a_receiver_that_fails_twenty_times_gets_it_and_holds_nobody_up() {
    let house = House::open(RECEIVERS).await;
    let now = house.ledger.clock().await.unwrap();
    for _ in 0..20 {
        house.zoo.next(Mood::Reply(Reply::text(500, "")));
    }
    let _alerter = house.alerter();
    let hook = page("hook", "al_1", "a", now);
    house.enqueue(std::slice::from_ref(&hook)).await;
    for attempts in 1..=20 {
        house.tried("hook", attempts).await;
        if attempts == 20 {
            house
                .zoo
                .next(Mood::Reply(Reply::text(429, "").with("retry-after", "120")));
        }
        house.hurry();
    }
    let limited = house.tried("hook", 21).await;
    let wait = limited.due_at.duration_since(house.ledger.clock().await.unwrap());
    assert!(wait > SignedDuration::from_secs(100), "{wait}");
    // Asked for silence, the receiver has it, and the others have their pages.
    house.enqueue(&[page("chat", "al_2", "b", now)]).await;
    house.all("chat", State::Done).await;
    assert_eq!(house.zoo.webhooks_taken(&hook.id.to_string()), 0);
    house.sql("delete from delivery_pace where receiver = 'hook'");
    house.hurry();
    house.all("hook", State::Done).await;
    assert_eq!(house.zoo.webhooks_taken(&hook.id.to_string()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f32_a_resolve_never_overtakes_its_trigger_and_never_stands_alone() {
    let house = House::open(RECEIVERS).await;
    let now = house.ledger.clock().await.unwrap();
    let _alerter = house.alerter();
    // Refused with certainty: nobody heard of it, so nobody hears of its end.
    house.zoo.next(Mood::Reply(Reply::text(500, "")));
    house.enqueue(&[page("duty", "al_1", "a", now)]).await;
    house.tried("duty", 1).await;
    house.enqueue(&[resolve("duty", "al_1", now)]).await;
    assert_eq!(house.states("duty").await, [State::Superseded; 2]);
    // Taken, and the answer lost: the end follows in its order.
    house.sql("delete from delivery");
    house.zoo.next(Mood::ResetHalfWay);
    house.enqueue(&[page("duty", "al_2", "a", now)]).await;
    house.tried("duty", 1).await;
    house.enqueue(&[resolve("duty", "al_2", now)]).await;
    house.hurry();
    house.all("duty", State::Done).await;
    let incidents = house.zoo.incidents();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert!(!incidents[0].open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_five_hundred_pages_keep_the_limits_of_a_robot_and_none_is_lost() {
    let house = House::open(
        "receivers:
  - {name: robot, to: {dingtalk: {url: 'ZOO/robot/send?access_token=zoo-token', secret: SECzoo-dingtalk}}}
",
    )
    .await;
    let now = house.ledger.clock().await.unwrap();
    let pages: Vec<_> = (0..500)
        .map(|number| {
            page(
                "robot",
                &format!("al_{number}"),
                &format!("channel {number} is down"),
                now,
            )
        })
        .collect();
    let _workers = [house.alerter(), house.alerter(), house.alerter()];
    house.enqueue(&pages).await;
    house.all("robot", State::Done).await;
    let sent = house.zoo.visits().len();
    assert!(sent <= 20, "{sent} messages in a minute");
    // Nothing was refused: not one of them came to its second try.
    assert!(house.deliveries().await.iter().all(|record| record.attempts == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f39_a_receiver_that_never_ends_its_answer_frees_the_worker_in_time() {
    let house = House::open(RECEIVERS).await;
    let now = house.ledger.clock().await.unwrap();
    house.zoo.next(Mood::SlowHead);
    let _alerter = house.alerter();
    let began = Instant::now();
    house.enqueue(&[page("hook", "al_1", "a", now)]).await;
    eventually("the slow receiver to be spoken to", async || {
        (house.zoo.visits().len() == 1).then_some(())
    })
    .await;
    for mood in [Mood::EndlessBody, Mood::GzipBomb] {
        house.zoo.next(mood.clone());
        house.sql("delete from delivery where receiver = 'chat'");
        house.enqueue(&[page("chat", "al_2", "b", now)]).await;
        // Not what Slack answers, so not delivered, and not waited for.
        house.tried("chat", 1).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(14),
        "nobody waits for the slow one"
    );
    let slow = house.tried("hook", 1).await;
    assert!(slow.last_error.unwrap().contains("no answer in time"));
    assert!(began.elapsed() < Duration::from_secs(40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_told_to_stop_ends_in_time_and_leaves_what_it_was_sending() {
    let house = House::open(RECEIVERS).await;
    let now = house.ledger.clock().await.unwrap();
    house.zoo.next(Mood::Silence);
    let alerter = house.alerter();
    house.enqueue(&[page("hook", "al_1", "a", now)]).await;
    eventually("the receiver to be spoken to", async || {
        (house.zoo.visits().len() == 1).then_some(())
    })
    .await;
    alerter.signal("TERM").unwrap();
    let ended = timeout(
        Duration::from_secs(20),
        tokio::task::spawn_blocking(move || alerter.wait().unwrap()),
    );
    assert!(ended.await.unwrap().unwrap().success());
    house.expire();
    let _alerter = house.alerter();
    house.all("hook", State::Done).await;
}
