//! Route.

use jiff::SignedDuration;
use proto::fields::MAX_TOKEN;
use proto::v1;
use tonic::Code;

use crate::shop::{Desk, TOKEN_TTL, failure, refusal, report, request};

#[tokio::test]
async fn a_decision_names_a_channel_its_fallbacks_and_why() {
    let desk = Desk::open().await;
    let decision = desk.route("ord_1");
    let channel = decision.channel.as_ref().unwrap();
    assert_eq!(
        (channel.channel_id.as_str(), channel.account.as_str()),
        ("a", "main")
    );
    let fallbacks: Vec<_> = decision
        .fallbacks
        .iter()
        .map(|fallback| fallback.channel.as_ref().unwrap().channel_id.as_str())
        .collect();
    assert_eq!(fallbacks, ["b", "c"]);
    assert_eq!(
        (decision.policy_version.as_str(), decision.matched_rule.as_str()),
        ("7", "default")
    );
    assert!(decision.explanation.is_none());
}

#[tokio::test]
async fn an_attempt_that_may_have_charged_is_queried_before_another() {
    let desk = Desk::open().await;
    let decision = desk.route("ord_1");
    let timed_out = desk
        .report(report(&decision, "ord_1-1", v1::Result::TimedOut))
        .await
        .unwrap();
    let again = v1::RouteRequest {
        attempt_no: 2,
        previous_attempts: vec![timed_out.receipt],
        explain: true,
        ..request("ord_1")
    };
    let decision = desk.routing.route(again).await.unwrap();
    assert_eq!(decision.action(), v1::Action::WaitAndQuery);
    assert!(decision.channel.is_none() && decision.decision_token.is_empty());
    assert_eq!(decision.explanation.unwrap().halted_because, "unsettled");
}

#[tokio::test]
async fn after_a_failure_that_moved_no_money_another_channel_is_tried() {
    let desk = Desk::open().await;
    let failed = desk
        .report(failure(&desk.route("ord_1"), "ord_1-1", "SYSTEM_BUSY"))
        .await
        .unwrap();
    let again = v1::RouteRequest {
        attempt_no: 2,
        exclude_channels: vec!["a".to_owned()],
        previous_attempts: vec![failed.receipt],
        ..request("ord_1")
    };
    let decision = desk.routing.route(again).await.unwrap();
    assert_eq!(decision.channel.unwrap().channel_id, "b");
}

#[tokio::test]
async fn a_receipt_of_another_payment_is_refused() {
    let desk = Desk::open().await;
    let failed = desk
        .report(failure(&desk.route("ord_1"), "ord_1-1", "SYSTEM_BUSY"))
        .await
        .unwrap();
    let other = v1::RouteRequest {
        previous_attempts: vec![failed.receipt],
        ..request("ord_2")
    };
    assert_eq!(
        refusal(desk.routing.route(other).await),
        (Code::PermissionDenied, "TOKEN_MISMATCH".to_owned())
    );
}

#[tokio::test]
async fn a_token_expires_and_says_when() {
    let desk = Desk::open().await;
    let decision = desk.route("ord_1");
    let expires_at = proto::time::from_wire(decision.expires_at.as_ref().unwrap()).unwrap();
    let last = desk.pass(TOKEN_TTL - SignedDuration::from_micros(1));
    assert_eq!(expires_at, last + SignedDuration::from_micros(1));
    desk.report(report(&decision, "in_time", v1::Result::Succeeded))
        .await
        .unwrap();
    desk.pass(SignedDuration::from_micros(1));
    let late = desk
        .report(report(&decision, "late", v1::Result::Succeeded))
        .await;
    assert_eq!(
        refusal(late),
        (Code::PermissionDenied, "TOKEN_EXPIRED".to_owned())
    );
}

#[tokio::test]
async fn the_longest_names_and_texts_fit_in_a_token_and_a_receipt() {
    let desk = Desk::open().await;
    // Names are up to 128 bytes, texts up to 256.
    let (name, text) = ("n".repeat(128), "t".repeat(256));
    let longest = v1::RouteRequest {
        merchant_id: name.clone(),
        issuer: text.clone(),
        region: text.clone(),
        locale: text.clone(),
        ..request(&name)
    };
    let decision = desk.routing.route(longest).await.unwrap();
    assert!(decision.decision_token.len() <= MAX_TOKEN);
    let answer = desk
        .report(report(&decision, &name, v1::Result::TimedOut))
        .await
        .unwrap();
    assert!(answer.receipt.len() <= MAX_TOKEN);
    let query = (v1::Resolution::StillUnknown, v1::ResolutionSource::Query);
    desk.resolve(&answer.receipt, query.0, query.1).await.unwrap();
}

#[tokio::test]
async fn what_was_decided_can_be_looked_up_with_every_attempt_and_change() {
    let desk = Desk::open().await;
    let first = desk.route("ord_1");
    let timed_out = desk
        .report(report(&first, "ord_1-1", v1::Result::TimedOut))
        .await
        .unwrap();
    desk.pass(SignedDuration::from_secs(5));
    let query = v1::ResolutionSource::Query;
    let settled = desk
        .resolve(&timed_out.receipt, v1::Resolution::NotProcessed, query)
        .await
        .unwrap();
    let again = v1::RouteRequest {
        attempt_no: 2,
        exclude_channels: vec!["a".to_owned()],
        previous_attempts: vec![settled.receipt],
        ..request("ord_1")
    };
    let second = desk.routing.route(again).await.unwrap();
    desk.report(report(&second, "ord_1-2", v1::Result::Succeeded))
        .await
        .unwrap();

    let payment = desk.payment("ord_1").await;
    let decided: Vec<_> = payment
        .decisions
        .iter()
        .map(|decision| {
            (
                decision.decision_id.as_str(),
                decision.attempt_no,
                decision.channel_id.as_str(),
            )
        })
        .collect();
    assert_eq!(
        decided,
        [
            (first.decision_id.as_str(), 1, "a"),
            (second.decision_id.as_str(), 2, "b")
        ]
    );
    let states: Vec<_> = payment
        .attempts
        .iter()
        .map(|attempt| attempt.state.as_str())
        .collect();
    assert_eq!(states, ["failed_not_processed", "succeeded"]);
    let changes: Vec<_> = payment.attempts[0]
        .changes
        .iter()
        .map(|change| (change.from.as_str(), change.to.as_str(), change.source.as_str()))
        .collect();
    assert_eq!(
        changes,
        [
            ("", "unknown", "reply"),
            ("unknown", "failed_not_processed", "query")
        ]
    );
}
