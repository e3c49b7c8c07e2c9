//! Alerts on what waits to be settled and on what was given up.

use std::time::Duration;

use domain::outcome::OutcomeClass::TechnicalFailure;
use ledger::delivery::{Claim, Class, End, NewDelivery, Pace, Settlement};
use ledger::{Batch, Deliveries};
use uuid::Uuid;

use crate::stand::Stand;

const RULES: &str = "
version: 1
rules:
  - {name: Old, metric: compensation_age, above: 1h, for: 0s, severity: error}
  - {name: Letters, metric: dead_letters, above: 0, for: 0s, severity: error}
";

async fn firing(stand: &Stand) -> Vec<String> {
    let mut rules: Vec<_> = stand.incidents().await.into_iter().map(|one| one.rule).collect();
    rules.sort();
    rules
}

#[tokio::test]
async fn an_attempt_in_doubt_for_long_and_a_dead_letter_are_told() {
    let stand = Stand::on_file(1).await;
    let mut evaluator = stand.evaluator(RULES);
    let mut waiting = stand.attempt("c0", TechnicalFailure);
    waiting.verdict.state = "awaiting_customer".to_owned();
    let batch = |attempts| Batch {
        attempts,
        ..Batch::default()
    };
    stand.moody.store.commit(&batch(vec![waiting])).await.unwrap();
    stand.pass(1_800);
    let mut unknown = stand.attempt("c0", TechnicalFailure);
    unknown.verdict.state = "unknown".to_owned();
    stand.moody.store.commit(&batch(vec![unknown])).await.unwrap();
    // The customer who takes time is not in doubt, and the other one not for long.
    stand.pass(3_590);
    evaluator.tick().await;
    assert!(firing(&stand).await.is_empty());
    stand.pass(20);
    evaluator.tick().await;
    assert_eq!(firing(&stand).await, ["Old"]);

    let letter = NewDelivery {
        id: Uuid::from_u128(1),
        receiver: "shop".to_owned(),
        order_key: "a".to_owned(),
        dedup_key: "a".to_owned(),
        class: Class::Event,
        ends: false,
        message: serde_json::json!({}),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        due_at: jiff::Timestamp::UNIX_EPOCH,
    };
    stand.moody.store.enqueue(&[letter]).await.unwrap();
    let claim = Claim {
        receiver: "shop".to_owned(),
        token: Uuid::from_u128(2),
        limit: 1,
        lease: Duration::from_mins(1),
        pace: Pace::default(),
    };
    let store = &*stand.moody.store;
    let claimed = Deliveries::claim(store, &claim).await.unwrap();
    assert_eq!(claimed.unwrap().deliveries.len(), 1);
    let dead = Settlement::of(
        claim.token,
        vec![Uuid::from_u128(1)],
        End::Dead { uncertain: false },
    );
    assert_eq!(stand.moody.store.settle(&dead).await.unwrap(), 1);
    stand.pass(10);
    evaluator.tick().await;
    assert_eq!(firing(&stand).await, ["Letters", "Old"]);
}
