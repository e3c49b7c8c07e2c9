//! `ReportOutcome`.

use domain::outcome::OutcomeClass;
use jiff::SignedDuration;
use proto::v1;
use tonic::Code;

use crate::shop::{Desk, failure, refusal, report};

#[tokio::test]
async fn a_channel_that_was_not_decided_is_refused() {
    let mut desk = Desk::open().await;
    let elsewhere = v1::ReportOutcomeRequest {
        channel_id: "d".to_owned(),
        ..report(&desk.route("ord_1"), "ord_1-1", v1::Result::Succeeded)
    };
    let refused = refusal(desk.report(elsewhere).await);
    assert_eq!(refused, (Code::PermissionDenied, "TOKEN_MISMATCH".to_owned()));
    assert!(desk.counted().await.is_empty());
}

#[tokio::test]
async fn a_fallback_of_the_decision_may_be_reported() {
    let mut desk = Desk::open().await;
    let fallback = v1::ReportOutcomeRequest {
        channel_id: "b".to_owned(),
        ..report(&desk.route("ord_1"), "ord_1-1", v1::Result::Succeeded)
    };
    desk.report(fallback).await.unwrap();
    assert_eq!(desk.counted().await[0].channel.as_str(), "b");
}

#[tokio::test]
async fn a_transient_failure_is_retried_once_and_then_switched() {
    let desk = Desk::open().await;
    let decision = desk.route("ord_1");
    let first = desk
        .report(failure(&decision, "ord_1-1", "RATE_LIMITED"))
        .await
        .unwrap();
    let next = first.next.unwrap();
    assert_eq!(
        (next.action(), next.channel.as_str()),
        (v1::NextAction::RetrySame, "a")
    );
    assert!(next.not_before.is_some());
    let again = v1::ReportOutcomeRequest {
        retry_of: first.receipt,
        ..failure(&decision, "ord_1-1b", "RATE_LIMITED")
    };
    let next = desk.report(again).await.unwrap().next.unwrap();
    assert_eq!(
        (next.action(), next.channel.as_str()),
        (v1::NextAction::Switch, "b")
    );
}

#[tokio::test]
async fn a_retry_of_another_decision_is_refused() {
    let desk = Desk::open().await;
    let first = desk
        .report(failure(&desk.route("ord_1"), "ord_1-1", "RATE_LIMITED"))
        .await
        .unwrap();
    let other = v1::ReportOutcomeRequest {
        retry_of: first.receipt,
        ..failure(&desk.route("ord_2"), "ord_2-1", "RATE_LIMITED")
    };
    let refused = refusal(desk.report(other).await);
    assert_eq!(refused, (Code::PermissionDenied, "TOKEN_MISMATCH".to_owned()));
}

#[tokio::test]
async fn the_same_report_again_is_answered_alike_and_counted_once() {
    let mut desk = Desk::open().await;
    let said = failure(&desk.route("ord_1"), "ord_1-1", "SYSTEM_BUSY");
    let first = desk.report(said.clone()).await.unwrap();
    let second = desk.report(said).await.unwrap();
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(
        v1::ReportOutcomeResponse {
            duplicate: true,
            ..first
        },
        second
    );
    assert_eq!(desk.counted().await.len(), 1);
}

#[tokio::test]
async fn the_same_report_again_tells_what_is_known_by_now() {
    let desk = Desk::open().await;
    for (resolution, state, next) in [
        (v1::Resolution::Succeeded, "succeeded", v1::NextAction::None),
        (
            v1::Resolution::NotProcessed,
            "failed_not_processed",
            v1::NextAction::Switch,
        ),
    ] {
        let said = report(&desk.route(state), state, v1::Result::TimedOut);
        let first = desk.report(said.clone()).await.unwrap();
        assert_eq!(
            (first.state.as_str(), first.next.unwrap().action()),
            ("unknown", v1::NextAction::QueryFirst)
        );
        desk.resolve(&first.receipt, resolution, v1::ResolutionSource::Query)
            .await
            .unwrap();

        let again = desk.report(said).await.unwrap();
        assert!(again.duplicate);
        assert_eq!(
            (again.state.as_str(), again.next.unwrap().action()),
            (state, next)
        );
        assert_eq!(again.customer_message.is_none(), next == v1::NextAction::None);
        let known = desk
            .resolve(&again.receipt, resolution, v1::ResolutionSource::Notice)
            .await
            .unwrap();
        assert!(known.duplicate, "the receipt is of the same attempt");
    }
}

#[tokio::test]
async fn a_receipt_of_a_repeated_report_proves_the_present_state() {
    let desk = Desk::open().await;
    let said = report(&desk.route("ord_1"), "ord_1-1", v1::Result::TimedOut);
    let first = desk.report(said.clone()).await.unwrap();
    let paid = v1::Resolution::Succeeded;
    desk.resolve(&first.receipt, paid, v1::ResolutionSource::Query)
        .await
        .unwrap();
    let again = v1::RouteRequest {
        attempt_no: 2,
        previous_attempts: vec![desk.report(said).await.unwrap().receipt],
        ..crate::shop::request("ord_1")
    };
    assert_eq!(
        desk.routing.route(again).await.unwrap().action(),
        v1::Action::Stop
    );
}

#[tokio::test]
async fn another_content_under_the_same_name_is_a_conflict() {
    let mut desk = Desk::open().await;
    let decision = desk.route("ord_1");
    desk.report(report(&decision, "ord_1-1", v1::Result::Succeeded))
        .await
        .unwrap();
    let contradiction = desk
        .report(report(&decision, "ord_1-1", v1::Result::Declined))
        .await;
    assert_eq!(
        refusal(contradiction),
        (Code::AlreadyExists, "ATTEMPT_CONFLICT".to_owned())
    );
    assert_eq!(desk.counted().await.len(), 1);
}

#[tokio::test]
async fn a_submit_lies_between_the_decision_and_its_report() {
    let desk = Desk::open().await;
    for (name, told_secs, kept_secs) in [("before", -60, 0), ("between", 4, 4), ("after", 3_600, 10)] {
        let decided_at = domain::clock::Clock::now(&*desk.clock);
        let decision = desk.route(name);
        desk.pass(SignedDuration::from_secs(10));
        let told = decided_at + SignedDuration::from_secs(told_secs);
        let said = v1::ReportOutcomeRequest {
            started_at: Some(proto::time::to_wire(told)),
            ..report(&decision, name, v1::Result::Succeeded)
        };
        desk.report(said).await.unwrap();
        let kept = desk.payment(name).await.attempts.remove(0).started_at;
        let expected = decided_at + SignedDuration::from_secs(kept_secs);
        assert_eq!(kept, Some(proto::time::to_wire(expected)), "{name}");
    }
}

#[tokio::test]
async fn a_card_number_in_a_message_is_refused_and_not_kept() {
    let mut desk = Desk::open().await;
    let said = v1::ReportOutcomeRequest {
        message: "card 4111 1111 1111 1111 declined".to_owned(),
        ..report(&desk.route("ord_1"), "ord_1-1", v1::Result::Declined)
    };
    let refused = refusal(desk.report(said).await);
    assert_eq!(refused, (Code::InvalidArgument, "message".to_owned()));
    assert!(desk.counted().await.is_empty());
}

#[tokio::test]
async fn each_result_counts_for_what_it_says_about_the_channel() {
    let mut desk = Desk::open().await;
    for (result, code, class) in [
        (v1::Result::Succeeded, "", Some(OutcomeClass::Success)),
        (
            v1::Result::Declined,
            "INSUFFICIENT_FUNDS",
            Some(OutcomeClass::Refusal),
        ),
        (v1::Result::Failed, "SYSTEM_BUSY", Some(OutcomeClass::Busy)),
        (v1::Result::TimedOut, "", Some(OutcomeClass::Timeout)),
        (v1::Result::AwaitingCustomer, "", None),
    ] {
        let name = format!("ord_{}", result as i32);
        let said = v1::ReportOutcomeRequest {
            code: code.to_owned(),
            ..report(&desk.route(&name), &name, result)
        };
        desk.report(said).await.unwrap();
        let counted: Vec<_> = desk.counted().await.iter().map(|event| event.class).collect();
        assert_eq!(counted, Vec::from_iter(class), "{result:?}");
    }
}
