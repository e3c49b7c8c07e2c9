//! From the outcome to the page, and to its end.

use domain::alert::Matcher;
use domain::outcome::OutcomeClass::{Success, TechnicalFailure};
use jiff::SignedDuration;
use ledger::alert::{Acted, Book, Deed, Silence};
use uuid::Uuid;

use crate::stand::{RULES, Stand};

#[tokio::test]
async fn what_breaks_is_told_within_twelve_seconds_and_its_end_as_well() {
    let stand = Stand::on_file(2).await;
    let mut evaluator = stand.evaluator(RULES);
    stand.report("c0", Success, 200).await;
    evaluator.tick().await;
    assert_eq!(stand.incidents().await.len(), 0);
    stand.report("c0", TechnicalFailure, 40).await;
    let mut waited = 0;
    while stand.told("oncall").await.is_empty() {
        stand.pass(1);
        waited += 1;
        evaluator.tick().await;
        assert!(waited < 60);
    }
    assert!(waited <= 11, "{waited} s");
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert_eq!((incident.rule.as_str(), incident.resolved), ("Overall", None));
    assert_eq!(incident.impact["failed"], 40);
    assert_eq!(incident.impact["reasons"][0]["name"], "provider_unavailable");
    // It is over once what failed has left the window, and more than the line went through.
    for _ in 0..30 {
        stand.pass(5);
        stand.report("c0", Success, 20).await;
        evaluator.tick().await;
    }
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert_eq!(incident.resolved.as_ref().unwrap().1, "recovered");
    for receiver in ["oncall", "chat"] {
        let told = stand.told(receiver).await;
        assert_eq!(told.iter().map(|one| one.ends).collect::<Vec<_>>(), [false, true]);
        assert_eq!(told[0].order_key, told[1].order_key);
    }
    let kinds = stand.kinds(&incident).await;
    for kind in ["fired", "recovering", "resolved"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind} in {kinds:?}");
    }
}

#[tokio::test]
async fn failures_in_a_row_are_told_with_the_next_look() {
    let stand = Stand::on_file(2).await;
    let mut evaluator = stand.evaluator(RULES);
    stand.report("c1", TechnicalFailure, 5).await;
    evaluator.tick().await;
    stand.health(&[("c1", 5)]);
    stand.pass(1);
    evaluator.tick().await;
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert_eq!(incident.labels["channel"], "c1");
    assert_eq!(stand.told("oncall").await.len(), 1);
}

#[tokio::test]
async fn clocks_survive_whoever_looks_at_them() {
    let stand = Stand::on_file(1).await;
    stand.report("c0", TechnicalFailure, 60).await;
    stand.evaluator(RULES).tick().await;
    stand.pass(10);
    // Another process, which finds the clock running.
    stand.evaluator(RULES).tick().await;
    assert_eq!(stand.incidents().await.len(), 1);
}

#[tokio::test]
async fn f42_an_alert_whose_rule_is_gone_ends_and_is_told_to_end() {
    let stand = Stand::on_file(1).await;
    let mut evaluator = stand.evaluator(RULES);
    stand.report("c0", TechnicalFailure, 60).await;
    evaluator.tick().await;
    stand.pass(10);
    evaluator.tick().await;
    assert_eq!(stand.told("oncall").await.len(), 1);
    let without = "{version: 2, rules: [{name: Failing, metric: failure_streak, by: channel, at_least: 5, severity: error}]}";
    let put = Deed::Put {
        book: Book::Rules,
        text: without.to_owned(),
        note: "too loud".to_owned(),
        expected: None,
    };
    assert_eq!(stand.act(put).await, Acted::Done { version: 1 });
    stand.pass(1);
    evaluator.tick().await;
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert_eq!(incident.resolved.unwrap().1, "rule_deleted");
    let told = stand.told("oncall").await;
    assert_eq!(told.iter().map(|one| one.ends).collect::<Vec<_>>(), [false, true]);
    let entries = stand.control.audit(None, 10).await.unwrap();
    assert_eq!(entries[0].action, "activate_alert_rules");
}

#[tokio::test]
async fn f42_a_threshold_that_is_edited_is_judged_by_anew() {
    let stand = Stand::on_file(1).await;
    let mut evaluator = stand.evaluator(RULES);
    stand.report("c0", Success, 80).await;
    stand.report("c0", TechnicalFailure, 20).await;
    evaluator.tick().await;
    stand.pass(10);
    evaluator.tick().await;
    assert_eq!(stand.told("oncall").await.len(), 1);
    let put = Deed::Put {
        book: Book::Rules,
        text: RULES.replace("below: 95%", "below: 70%"),
        note: String::new(),
        expected: None,
    };
    stand.act(put).await;
    for _ in 0..8 {
        stand.pass(5);
        evaluator.tick().await;
    }
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert_eq!(incident.resolved.unwrap().1, "recovered");
    assert_eq!(stand.told("oncall").await.len(), 2);
}

#[tokio::test]
async fn f43_what_is_silenced_is_kept_and_told_when_the_silence_ends() {
    let stand = Stand::on_file(1).await;
    let mut evaluator = stand.evaluator(RULES);
    stand.report("c0", TechnicalFailure, 60).await;
    evaluator.tick().await;
    stand.pass(9);
    let silence = Silence {
        id: Uuid::from_u128(7),
        matchers: vec![Matcher::is("alertname", "Overall")],
        reason: "known".to_owned(),
        author: domain::control::Actor::new("ann").unwrap(),
        created_at: stand.now(),
        from: stand.now(),
        until: stand.now() + SignedDuration::from_secs(20),
        ended: None,
    };
    assert_eq!(
        stand.act(Deed::Silence(silence)).await,
        Acted::Done { version: 0 }
    );
    stand.pass(1);
    evaluator.tick().await;
    assert_eq!(stand.incidents().await.len(), 1, "it is evaluated and kept");
    for _ in 0..18 {
        stand.pass(1);
        evaluator.tick().await;
    }
    assert_eq!(stand.told("oncall").await.len(), 0);
    stand.pass(1);
    evaluator.tick().await;
    assert_eq!(stand.told("oncall").await.len(), 1);
}

#[tokio::test]
async fn what_somebody_has_taken_on_is_not_told_again() {
    let stand = Stand::on_file(1).await;
    let rules = RULES.replace(
        "    severity: critical\n",
        "    severity: critical\n    repeat_every: 1m\n",
    );
    let mut evaluator = stand.evaluator(&rules);
    let repeats = async |evaluator: &mut payroute_alerter::evaluator::Evaluator, times: u32| {
        for _ in 0..times {
            stand.report("c0", TechnicalFailure, 60).await;
            stand.pass(10);
            evaluator.tick().await;
        }
        stand.told("oncall").await.len()
    };
    let before = repeats(&mut evaluator, 15).await;
    assert!(before >= 2, "{before}");
    let [incident] = stand.incidents().await.try_into().unwrap();
    let acknowledge = Deed::Acknowledge {
        incident: incident.id,
    };
    assert_eq!(stand.act(acknowledge).await, Acted::Done { version: 0 });
    assert_eq!(repeats(&mut evaluator, 15).await, before);
}
