//! What receivers refuse, what we refuse to send to, and what must not be believed.

use ledger::Deliveries as _;
use ledger::delivery::State;
use rig::zoo::{Mood, Reply};

use crate::support::{House, eventually, page, resolve};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f31_a_refusal_with_status_200_is_not_believed_and_told_to_the_fallback() {
    // The robot signs with a secret that is not its own, so DingTalk answers 200 and error 310000.
    let receivers = "receivers:
  - {name: robot, fallback: chat, to: {dingtalk: {url: 'ZOO/robot/send?access_token=zoo-token', secret: SECRET}}}
  - {name: chat, rate: {messages: 100, per_secs: 1}, to: {slack: {url: ZOO/services/T0/B0/zoo}}}
";
    let house = House::open(&receivers.replace("SECRET", "SECwrong")).await;
    let now = house.ledger.clock().await.unwrap();
    let alerter = house.alerter();
    house
        .enqueue(&[page("robot", "al_1", "bank_a is down", now)])
        .await;
    house.all("robot", State::Dead).await;
    eventually(
        "the fallback to have the page and the news of the robot",
        async || (house.states("chat").await == [State::Done; 2]).then_some(()),
    )
    .await;
    let said: Vec<String> = house
        .zoo
        .visits()
        .iter()
        .filter(|visit| visit.path.starts_with("/services"))
        .map(|visit| visit.json().to_string())
        .collect();
    assert!(
        said.iter().any(|text| text.contains("bank_a is down")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|text| text.contains("Receiver robot does not take")),
        "{said:?}"
    );
    // The end of it goes to whoever heard of the beginning.
    house.enqueue(&[resolve("robot", "al_1", now)]).await;
    eventually("the fallback to have the end", async || {
        (house.states("chat").await == [State::Done; 3]).then_some(())
    })
    .await;
    assert_eq!(house.states("robot").await, [State::Dead, State::Superseded]);
    // With the right secret the dead letter goes out, and the robot is well again.
    alerter.kill().unwrap();
    house.configure(&receivers.replace("SECRET", "SECzoo-dingtalk"));
    let dead = house
        .deliveries()
        .await
        .into_iter()
        .find(|record| record.state == State::Dead)
        .unwrap();
    house.ledger.replay(dead.id).await.unwrap();
    let _alerter = house.alerter();
    eventually("the robot to have it, and the fallback to know", async || {
        let chat = house.states("chat").await;
        (house.states("robot").await.contains(&State::Done) && chat == [State::Done; 4]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f38_an_address_inside_the_network_is_refused_before_a_byte_is_sent() {
    let house = House::open(
        "guard: {allow_ports: [443, PORT], allow_http: true}
receivers:
  - {name: loopback, to: {slack: {url: 'ZOO/services/x'}}}
  - {name: decimal, to: {slack: {url: 'http://2130706433:PORT/services/x'}}}
  - {name: octal, to: {slack: {url: 'http://0177.0.0.1:PORT/services/x'}}}
  - {name: mapped, to: {slack: {url: 'http://[::ffff:127.0.0.1]:PORT/services/x'}}}
  - {name: named, to: {slack: {url: 'http://localhost:PORT/services/x'}}}
  - {name: metadata, to: {slack: {url: 'http://169.254.169.254:PORT/services/x'}}}
",
    )
    .await;
    let now = house.ledger.clock().await.unwrap();
    let _alerter = house.alerter();
    let receivers = ["loopback", "decimal", "octal", "mapped", "named", "metadata"];
    let pages: Vec<_> = receivers
        .iter()
        .map(|name| page(name, "al_1", "a", now))
        .collect();
    house.enqueue(&pages).await;
    for receiver in receivers {
        house.all(receiver, State::Dead).await;
    }
    assert_eq!(house.zoo.connections(), 0);
    for record in house.deliveries().await {
        let error = record.last_error.unwrap();
        assert!(error.contains("the address guard refuses"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f40_a_key_exchanged_between_two_tries_signs_beside_the_old_one() {
    let receivers = |keys: &str| {
        format!("receivers:\n  - {{name: hook, to: {{webhook: {{url: ZOO/hook, keys: [{keys}]}}}}}}\n")
    };
    let [old, new] = rig::zoo::WEBHOOK_KEYS;
    let house = House::open(&receivers(old)).await;
    let now = house.ledger.clock().await.unwrap();
    house.zoo.next(Mood::Reply(Reply::text(503, "")));
    let alerter = house.alerter();
    house.enqueue(&[page("hook", "al_1", "a", now)]).await;
    house.tried("hook", 1).await;
    alerter.kill().unwrap();
    house.configure(&receivers(&format!("{new}, {old}")));
    let _alerter = house.alerter();
    house.hurry();
    house.all("hook", State::Done).await;
    let visits = house.zoo.visits();
    let [first, second] = [&visits[0], &visits[1]];
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.header("webhook-signature").split(' ').count(), 1);
    assert_eq!(second.header("webhook-signature").split(' ').count(), 2);
    let sent: i64 = second.header("webhook-timestamp").parse().unwrap();
    let age = house.ledger.clock().await.unwrap().as_second() - sent;
    assert!((0..60).contains(&age), "{age}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f41_a_name_that_would_be_markup_is_shown_and_calls_nobody() {
    let house = House::open(
        "receivers:
  - {name: chat, to: {slack: {url: ZOO/services/T0/B0/zoo}}}
  - {name: robot, template: '## {{ what }}', to: {dingtalk: {url: 'ZOO/robot/send?access_token=zoo-token', secret: SECzoo-dingtalk}}}
",
    )
    .await;
    let now = house.ledger.clock().await.unwrap();
    let _alerter = house.alerter();
    let evil = "<!channel> <@all> \"}],\"x\":[{ [gift](http://evil.example) {{ what }}";
    house
        .enqueue(&[page("chat", "al_1", evil, now), page("robot", "al_1", evil, now)])
        .await;
    house.all("chat", State::Done).await;
    house.all("robot", State::Done).await;
    for visit in house.zoo.visits() {
        let body = visit.json().to_string();
        assert!(
            !body.contains("<!channel>") && !body.contains("](http://evil"),
            "{body}"
        );
    }
}
