//! `ResolveAttempt`.

use domain::outcome::OutcomeClass;
use proto::v1;
use tonic::Code;

use crate::shop::{Desk, refusal, report};

/// The receipt of an attempt that was reported so.
async fn reported(desk: &Desk, payment: &str, result: v1::Result) -> Vec<u8> {
    let said = report(&desk.route(payment), payment, result);
    desk.report(said).await.unwrap().receipt
}

#[tokio::test]
async fn what_the_customer_paid_later_counts_as_one_success() {
    let mut desk = Desk::open().await;
    let receipt = reported(&desk, "ord_1", v1::Result::AwaitingCustomer).await;
    assert!(desk.counted().await.is_empty());
    for duplicate in [false, true] {
        let (paid, notice) = (v1::Resolution::Succeeded, v1::ResolutionSource::Notice);
        let answer = desk.resolve(&receipt, paid, notice).await.unwrap();
        assert_eq!(
            (answer.state.as_str(), answer.duplicate),
            ("succeeded", duplicate)
        );
        assert_eq!(answer.next.unwrap().action(), v1::NextAction::None);
    }
    let counted: Vec<_> = desk
        .counted()
        .await
        .iter()
        .map(|event| (event.class, event.corrects))
        .collect();
    assert_eq!(counted, [(OutcomeClass::Success, None)]);
}

#[tokio::test]
async fn a_timeout_that_proves_a_success_is_corrected_where_it_was_counted() {
    let mut desk = Desk::open().await;
    let receipt = reported(&desk, "ord_1", v1::Result::TimedOut).await;
    let reported = desk.counted().await.remove(0);
    desk.pass(jiff::SignedDuration::from_secs(30));
    let query = v1::ResolutionSource::Query;
    desk.resolve(&receipt, v1::Resolution::Succeeded, query)
        .await
        .unwrap();
    let corrected = desk.counted().await;
    assert_eq!(corrected.len(), 1);
    assert_eq!(
        (corrected[0].class, corrected[0].corrects),
        (OutcomeClass::Success, Some(OutcomeClass::Timeout))
    );
    assert_eq!(corrected[0].received_at, reported.received_at);
}

#[tokio::test]
async fn what_was_never_processed_may_be_switched() {
    let mut desk = Desk::open().await;
    let receipt = reported(&desk, "ord_1", v1::Result::TimedOut).await;
    let query = v1::ResolutionSource::Query;
    let answer = desk
        .resolve(&receipt, v1::Resolution::NotProcessed, query)
        .await
        .unwrap();
    let next = answer.next.unwrap();
    assert_eq!(
        (next.action(), next.channel.as_str()),
        (v1::NextAction::Switch, "b")
    );
    assert_eq!(desk.counted().await.len(), 1, "the timeout stays what it was");
}

#[tokio::test]
async fn what_is_still_unknown_is_queried_again() {
    let desk = Desk::open().await;
    let receipt = reported(&desk, "ord_1", v1::Result::TimedOut).await;
    let query = v1::ResolutionSource::Query;
    let answer = desk
        .resolve(&receipt, v1::Resolution::StillUnknown, query)
        .await
        .unwrap();
    let next = answer.next.unwrap();
    assert_eq!(
        (answer.state.as_str(), next.action()),
        ("unknown", v1::NextAction::QueryFirst)
    );
    assert!(!next.query_at.is_empty());
}

#[tokio::test]
async fn a_paid_attempt_stays_paid() {
    let desk = Desk::open().await;
    let receipt = reported(&desk, "ord_1", v1::Result::Succeeded).await;
    let refused = desk
        .resolve(&receipt, v1::Resolution::Declined, v1::ResolutionSource::Query)
        .await;
    assert_eq!(
        refusal(refused),
        (Code::FailedPrecondition, "STATE_REFUSED".to_owned())
    );
    assert_eq!(desk.payment("ord_1").await.attempts[0].state, "succeeded");
}

#[tokio::test]
async fn a_decision_token_is_no_receipt() {
    let desk = Desk::open().await;
    let token = desk.route("ord_1").decision_token;
    let refused = desk
        .resolve(&token, v1::Resolution::Succeeded, v1::ResolutionSource::Query)
        .await;
    assert_eq!(refusal(refused), (Code::PermissionDenied, "BAD_TOKEN".to_owned()));
}
