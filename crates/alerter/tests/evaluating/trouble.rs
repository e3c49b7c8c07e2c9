//! Sources that fail, a store that is away, and alerts that go to and fro.

use std::sync::atomic::Ordering;

use delivery::message::Status;
use domain::outcome::OutcomeClass::{Success, TechnicalFailure};
use payroute_alerter::evaluator::Evaluator;

use crate::stand::{RULES, Stand};

async fn seconds(stand: &Stand, evaluator: &mut Evaluator, secs: u32, step: u32) {
    for _ in 0..secs / step {
        stand.pass(i64::from(step));
        evaluator.tick().await;
    }
}

#[tokio::test]
async fn f33_nothing_is_resolved_while_nothing_is_known() {
    let stand = Stand::on_file(1).await;
    let mut evaluator = stand.evaluator(RULES);
    stand.report("c0", TechnicalFailure, 60).await;
    evaluator.tick().await;
    seconds(&stand, &mut evaluator, 10, 1).await;
    assert_eq!(stand.incidents().await.len(), 1);
    // The source fails for an hour, and then has nothing at all.
    stand.moody.is_blind.store(true, Ordering::SeqCst);
    seconds(&stand, &mut evaluator, 3_600, 30).await;
    stand.moody.is_blind.store(false, Ordering::SeqCst);
    seconds(&stand, &mut evaluator, 7_200, 60).await;
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert_eq!(incident.resolved, None);
    let kinds = stand.kinds(&incident).await;
    for kind in ["read_failed", "read_back", "data_lost"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind} in {kinds:?}");
    }
    let ends = stand.told("oncall").await.iter().filter(|one| one.ends).count();
    assert_eq!(ends, 0);
}

#[tokio::test]
async fn f34_while_the_store_is_away_the_emergency_receiver_is_told_and_afterwards_everybody() {
    let stand = Stand::on_file(2).await;
    let mut evaluator = stand.evaluator(RULES);
    stand.report("c0", Success, 60).await;
    evaluator.tick().await;
    stand.moody.is_away.store(true, Ordering::SeqCst);
    seconds(&stand, &mut evaluator, 20, 1).await;
    let heard = || stand.heard.0.lock().clone();
    assert_eq!(heard().len(), 1, "once");
    assert_eq!(
        (heard()[0].alert.as_str(), heard()[0].status),
        ("AlertStoreDown", Status::Firing)
    );
    // What is known without the store is evaluated in memory, and told the same way.
    stand.health(&[("c1", 5)]);
    seconds(&stand, &mut evaluator, 20, 1).await;
    assert!(
        heard()
            .last()
            .unwrap()
            .done
            .iter()
            .any(|line| line.contains("channel c1"))
    );
    seconds(&stand, &mut evaluator, 540, 30).await;
    assert_eq!(heard().len(), 2);
    assert_eq!(stand.incidents().await.len(), 0);
    stand.moody.is_away.store(false, Ordering::SeqCst);
    stand.pass(1);
    evaluator.tick().await;
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert_eq!(incident.labels["channel"], "c1");
    assert_eq!(stand.told("oncall").await.len(), 1);
    assert_eq!(heard().last().unwrap().status, Status::Resolved);
}

#[tokio::test]
async fn f35_a_sign_of_life_is_owed_every_minute_whoever_evaluates_and_no_longer() {
    let stand = Stand::on_file(1).await;
    let mut evaluators = [stand.watched(RULES), stand.watched(RULES)];
    for _ in 0..30 {
        stand.pass(6);
        for evaluator in &mut evaluators {
            evaluator.tick().await;
        }
    }
    let signs = stand.told("outside").await.len();
    assert!((3..=4).contains(&signs), "{signs}");
    drop(evaluators);
    stand.pass(600);
    assert_eq!(stand.told("outside").await.len(), signs);
}

#[tokio::test]
async fn f36_an_alert_that_goes_to_and_fro_for_an_hour_is_told_three_times_at_most() {
    let stand = Stand::on_file(1).await;
    let rules = RULES
        .replace("keep_firing_for: 30s", "keep_firing_for: 5m")
        .replace(
            "{window: 1m, min_volume: 50, mode: wilson, for: 10s}",
            "{window: 10s, min_volume: 50, for: 0s}",
        )
        .replace("window: 1m, min_volume: 50}", "window: 10s, min_volume: 50}");
    let mut evaluator = stand.evaluator(&rules);
    for quarter in 0..240 {
        let class = if quarter % 2 == 0 {
            TechnicalFailure
        } else {
            Success
        };
        stand.pass(15);
        stand.report("c0", class, 60).await;
        evaluator.tick().await;
    }
    let told = stand.told("oncall").await;
    assert!(!told.is_empty() && told.len() <= 3, "{}", told.len());
    assert_eq!(stand.incidents().await.len(), 1);
}
