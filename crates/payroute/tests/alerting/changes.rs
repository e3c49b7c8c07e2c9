//! What people change while an alert fires, by `payroute ctl`: rules, silences, incidents, receivers, deliveries.

use domain::outcome::OutcomeClass::{Success, TechnicalFailure};
use ledger::Deliveries as _;
use ledger::delivery::State;
use rig::zoo::{Mood, Reply};

use crate::shop::{FIRING, RESOLVED, RULES, Shop};
use crate::support::eventually;

const CONSOLE: [&str; 1] = ["REST on"];

/// A document of one rule that finds nothing here.
const OTHER: &str = "version: 1
rules:
  - {name: Letters, metric: dead_letters, above: 1000, severity: error}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f42_an_alert_whose_rule_is_deleted_ends_and_is_told_to_end() {
    let shop = Shop::open(1, RULES).await;
    let console = shop.house.start("console", &CONSOLE);
    let _alerters = [shop.house.alerter(), shop.house.alerter()];
    shop.report(&[0], TechnicalFailure, 20).await;
    eventually("the page", async || {
        (shop.pages() == (1, 0) && shop.heard().len() == 1).then_some(())
    })
    .await;
    let said = shop.ctl(&console, &["alert", "list"]);
    assert!(
        said.starts_with("firing ") && said.contains("channel=c0"),
        "{said}"
    );
    let file = shop.house.write("other.yaml", OTHER);
    let file = file.to_str().unwrap();
    assert!(
        shop.ctl(&console, &["rules", "check", file])
            .ends_with("is good\n")
    );
    let said = shop.ctl(
        &console,
        &["rules", "set", file, "--note", "too loud", "--replaces", "0"],
    );
    assert_eq!(said, "version 1 is in force\n");
    assert_eq!(shop.ctl(&console, &["rules", "show"]), OTHER);
    eventually("its end", async || {
        (shop.pages() == (0, 1) && shop.heard().len() == 2).then_some(())
    })
    .await;
    assert_eq!(shop.heard(), [FIRING, RESOLVED]);
    let said = shop.ctl(&console, &["incident", "list"]);
    assert!(said.contains("rule_deleted"), "{said}");
    let said = shop.ctl(&console, &["audit"]);
    assert!(said.contains("activate_alert_rules"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f42_an_alert_is_judged_anew_by_a_threshold_that_is_edited() {
    let shop = Shop::open(1, RULES).await;
    let console = shop.house.start("console", &CONSOLE);
    let _alerters = [shop.house.alerter(), shop.house.alerter()];
    let mixed = async || {
        shop.report(&[0], TechnicalFailure, 1).await;
        shop.report(&[0], Success, 4).await;
    };
    for _ in 0..4 {
        mixed().await;
    }
    eventually("the page", async || {
        mixed().await;
        (shop.pages() == (1, 0) && shop.heard().len() == 1).then_some(())
    })
    .await;
    let file = shop
        .house
        .write("edited.yaml", &RULES.replace("below: 95%", "below: 50%"));
    shop.ctl(&console, &["rules", "set", file.to_str().unwrap()]);
    shop.thrive(&[0], "its end", async || {
        shop.report(&[0], TechnicalFailure, 1).await;
        shop.report(&[0], Success, 3).await;
        (shop.pages() == (0, 1) && shop.heard().len() == 2).then_some(())
    })
    .await;
    assert_eq!(shop.heard(), [FIRING, RESOLVED]);
    let [incident] = shop.incidents().await.try_into().unwrap();
    assert_eq!(incident.resolved.unwrap().1, "recovered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f43_what_is_silenced_is_kept_and_told_once_the_silence_is_over() {
    let shop = Shop::open(2, RULES).await;
    let console = shop.house.start("console", &CONSOLE);
    let _alerters = [shop.house.alerter(), shop.house.alerter()];
    let made = shop.ctl(
        &console,
        &[
            "silence",
            "create",
            "channel=c0",
            "--reason",
            "known",
            "--for-secs",
            "10",
        ],
    );
    let until: jiff::Timestamp = made.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
    let ended = shop.ctl(
        &console,
        &[
            "silence",
            "create",
            "channel=c*",
            "alertname!=Other",
            "--reason",
            "by mistake",
        ],
    );
    shop.ctl(&console, &["silence", "end", ended.split(' ').next().unwrap()]);
    shop.report(&[0], TechnicalFailure, 20).await;
    eventually("the incident", async || {
        (shop.incidents().await.len() == 1).then_some(())
    })
    .await;
    eventually("the page", async || {
        let heard = !shop.heard().is_empty() || shop.pages() != (0, 0);
        let now = shop.house.ledger.clock().await.unwrap();
        assert!(!heard || now >= until, "it is told at {now}, before {until}");
        (shop.pages() == (1, 0) && shop.heard().len() == 1).then_some(())
    })
    .await;
    let said = shop.ctl(&console, &["silence", "list"]);
    assert!(
        said.contains("channel=c* alertname!=Other") && said.contains("ended by"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_taken_on_noted_closed_found_and_exported_by_ctl() {
    let shop = Shop::open(1, RULES).await;
    let console = shop.house.start("console", &CONSOLE);
    let _alerter = shop.house.alerter();
    shop.report(&[0], TechnicalFailure, 20).await;
    eventually("the incident", async || {
        (shop.incidents().await.len() == 1).then_some(())
    })
    .await;
    let id = shop.incidents().await[0].id.to_string();
    let ctl = |arguments: &[&str]| shop.ctl(&console, &[&["incident"], arguments].concat());
    ctl(&["ack", &id]);
    ctl(&["note", &id, "the bank is called"]);
    let said = ctl(&["show", &id]);
    assert!(
        said.contains("taken on by") && said.contains("the bank is called"),
        "{said}"
    );
    let file = shop.house.write("other.yaml", OTHER);
    shop.ctl(&console, &["rules", "set", file.to_str().unwrap()]);
    eventually("its end", async || shop.all_over(1).await).await;
    ctl(&[
        "close",
        &id,
        "--cause",
        "a cable",
        "--lesson",
        "two cables",
        "--tag",
        "network",
    ]);
    assert!(ctl(&["list", "cable", "network"]).contains(&id));
    assert_eq!(ctl(&["list", "--open"]), "");
    assert_eq!(ctl(&["similar", &id]), "");
    let page = ctl(&["export", &id]);
    assert!(page.starts_with("# ") && page.contains("two cables"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_are_tried_and_dead_letters_are_sent_again_by_ctl() {
    let shop = Shop::open(1, RULES).await;
    let console = shop.house.start("console", &CONSOLE);
    let _alerter = shop.house.alerter();
    assert_eq!(shop.ctl(&console, &["receiver", "test", "hook"]), "hook has it\n");
    // Gone for good: a dead letter.
    shop.house.zoo.next(Mood::Reply(Reply::text(410, "")));
    let refused = shop.house.refused(&[
        "ctl",
        "--console",
        &format!("http://{}", console.address("REST on")),
        "receiver",
        "test",
        "hook",
    ]);
    assert!(refused.contains("410"), "{refused}");
    let said = shop.ctl(&console, &["receiver", "list"]);
    assert!(
        said.lines()
            .any(|line| line.starts_with("hook ") && line.contains("1 dead")),
        "{said}"
    );
    let said = shop.ctl(
        &console,
        &["delivery", "list", "--state", "dead", "--receiver", "hook"],
    );
    let id = said.split(' ').next().unwrap();
    shop.ctl(&console, &["delivery", "replay", id]);
    shop.house.all("hook", State::Done).await;
    assert_eq!(shop.house.zoo.webhooks_taken(id), 1);
}
