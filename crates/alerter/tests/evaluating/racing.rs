//! Many evaluators at once, and evaluators that die.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::outcome::OutcomeClass::{Success, TechnicalFailure};
use futures_util::future::join_all;
use payroute_alerter::evaluator::Evaluator;

use crate::stand::{RULES, Stand};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_eight_evaluators_open_one_incident_and_tell_each_receiver_once() {
    let stand = Stand::on_server(2).await;
    let mut evaluators: Vec<_> = (0..8).map(|_| stand.evaluator(RULES)).collect();
    stand.report("c0", TechnicalFailure, 60).await;
    for secs in [0, 10, 1, 1] {
        stand.pass(secs);
        // Nobody waits for a lease: all of them see the same in the same millisecond.
        join_all(evaluators.iter_mut().map(Evaluator::tick)).await;
    }
    assert_eq!(stand.incidents().await.len(), 1);
    for receiver in ["oncall", "chat"] {
        assert_eq!(stand.told(receiver).await.len(), 1, "{receiver}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_an_evaluator_that_dies_at_any_moment_leaves_no_incident_untold() {
    let stand = Stand::on_server(60).await;
    let failing: Vec<String> = (0..60).map(|number| format!("c{number}")).collect();
    let mut micros = 0;
    let mut died = 0;
    // Each round one more channel fails, and the evaluator is dropped a little later than the one before.
    for round in 1..=60 {
        let names: Vec<(&str, u32)> = failing
            .iter()
            .take(round)
            .map(|name| (name.as_str(), 5))
            .collect();
        stand.health(&names);
        let mut evaluator = stand.evaluator(RULES);
        let limit = Duration::from_micros(micros);
        if tokio::time::timeout(limit, evaluator.tick()).await.is_err() {
            died += 1;
        }
        micros += 600;
        stand.pass(11);
        stand.health(&names);
    }
    assert!(died > 0);
    let mut last = stand.evaluator(RULES);
    for _ in 0..3 {
        stand.pass(11);
        last.tick().await;
    }
    let incidents = stand.incidents().await;
    let about: BTreeSet<_> = incidents
        .iter()
        .map(|one| one.labels["channel"].clone())
        .collect();
    assert_eq!((incidents.len(), about.len()), (60, 60));
    // Every incident is in a message, and no message is there twice.
    let told = stand.told("oncall").await;
    let keys: BTreeSet<_> = told.iter().map(|one| one.dedup_key.clone()).collect();
    assert_eq!(keys.len(), told.len());
    let groups: BTreeSet<_> = told.iter().map(|one| one.order_key.clone()).collect();
    assert_eq!(groups.len(), 2, "one for each provider");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_five_hundred_alerts_at_once_are_one_message_for_each_group() {
    // As many channels as a configuration may have, nearly, and two rules about each.
    let rules = format!(
        "{RULES}{}",
        RULES
            .split_once("  - name: Failing")
            .unwrap()
            .1
            .replacen("", "  - name: Again", 1)
    );
    let stand = Stand::on_server(250).await;
    let names: Vec<String> = (0..250).map(|number| format!("c{number}")).collect();
    let failing: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 5)).collect();
    stand.report("c0", Success, 1).await;
    let mut evaluators: Vec<_> = (0..3).map(|_| stand.evaluator(&rules)).collect();
    join_all(evaluators.iter_mut().map(Evaluator::tick)).await;
    stand.health(&failing);
    let began = tokio::time::Instant::now();
    join_all(evaluators.iter_mut().map(Evaluator::tick)).await;
    let took = began.elapsed();
    assert_eq!(stand.incidents().await.len(), 500);
    for receiver in ["oncall", "chat"] {
        assert_eq!(
            stand.told(receiver).await.len(),
            4,
            "one for each rule and provider"
        );
    }
    assert!(took < Duration::from_secs(15), "{took:?}");
}
