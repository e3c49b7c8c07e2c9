//! Guarded calls: at most one attempt of a payment can be in a state that may charge.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::outage::{DOWN, UP};
use crate::shop::{Desk, failure, refusal, report, request};

/// Asks for an attempt of a guarded payment.
fn guarded(payment: &str, attempt_no: u32) -> v1::RouteRequest {
    v1::RouteRequest {
        attempt_no,
        guard: true,
        explain: true,
        ..request(payment)
    }
}

async fn route(desk: &Desk, asked: v1::RouteRequest) -> v1::RouteResponse {
    desk.routing.route(asked).await.unwrap()
}

fn halted(decision: &v1::RouteResponse) -> (v1::Action, &str) {
    let explanation = decision.explanation.as_ref().unwrap();
    (decision.action(), explanation.halted_because.as_str())
}

#[tokio::test]
async fn a_guarded_attempt_is_for_one_channel() {
    let desk = Desk::open().await;
    let decision = route(&desk, guarded("ord_1", 1)).await;
    assert_eq!(decision.action(), v1::Action::Submit);
    assert_eq!(decision.channel.as_ref().unwrap().channel_id, "a");
    assert!(decision.fallbacks.is_empty());
    let elsewhere = v1::ReportOutcomeRequest {
        channel_id: "b".to_owned(),
        ..report(&decision, "ord_1-1", v1::Result::Succeeded)
    };
    assert_eq!(
        refusal(desk.report(elsewhere).await),
        (Code::PermissionDenied, "TOKEN_MISMATCH".to_owned())
    );
    let paid = report(&decision, "ord_1-1", v1::Result::Succeeded);
    assert_eq!(desk.report(paid).await.unwrap().state, "succeeded");
    let again = route(&desk, guarded("ord_1", 2)).await;
    assert_eq!(halted(&again), (v1::Action::Stop, "paid"));
}

#[tokio::test]
async fn a_second_click_is_told_what_is_open_and_never_submits() {
    let desk = Desk::open().await;
    let first = route(&desk, guarded("ord_1", 1)).await;
    for attempt_no in [1, 2] {
        let second = route(&desk, guarded("ord_1", attempt_no)).await;
        assert_eq!(halted(&second), (v1::Action::WaitAndQuery, "unsettled"));
        assert!(second.channel.is_none() && second.decision_token.is_empty());
        let open = second.open_attempt.unwrap();
        assert_eq!((open.attempt_no, open.state.as_str()), (1, "submitted"));
        let key = &first.channel.as_ref().unwrap().attempt_key;
        assert_eq!(&open.channel.unwrap().attempt_key, key);
        assert!(open.decision_token.is_empty() && open.receipt.is_empty());
        assert!(!open.query_at.is_empty());
    }
}

#[tokio::test]
async fn only_who_registered_an_attempt_is_given_it_again() {
    let desk = Desk::open().await;
    let named = |name: &str| v1::RouteRequest {
        request_id: name.to_owned(),
        ..guarded("ord_1", 1)
    };
    let first = route(&desk, named("worker-1")).await;
    let again = route(&desk, named("worker-1")).await;
    assert_eq!(again.action(), v1::Action::Submit);
    assert_eq!(again.decision_id, first.decision_id);
    let keys = [&first, &again].map(|decision| decision.channel.as_ref().unwrap().attempt_key.clone());
    assert_eq!(keys[0], keys[1]);
    let other = route(&desk, named("worker-2")).await;
    assert_eq!(halted(&other), (v1::Action::WaitAndQuery, "unsettled"));
    let paid = report(&again, "ord_1-1", v1::Result::Succeeded);
    desk.report(paid).await.unwrap();
    let late = route(&desk, named("worker-1")).await;
    assert_eq!(halted(&late), (v1::Action::Stop, "paid"));
}

#[tokio::test]
async fn the_ledger_knows_the_earlier_attempts_by_itself() {
    let desk = Desk::open().await;
    for (attempt_no, channel) in [(1, "a"), (2, "b"), (3, "c")] {
        let decision = route(&desk, guarded("ord_1", attempt_no)).await;
        assert_eq!(decision.channel.as_ref().unwrap().channel_id, channel);
        let failed = failure(&decision, &format!("ord_1-{attempt_no}"), "SYSTEM_BUSY");
        desk.report(failed).await.unwrap();
    }
    let fourth = route(&desk, guarded("ord_1", 4)).await;
    assert_eq!(halted(&fourth), (v1::Action::Stop, "too_many"));
    let again = desk.routing.route(guarded("ord_1", 3)).await;
    assert_eq!(
        refusal(again),
        (Code::FailedPrecondition, "ATTEMPT_TAKEN".to_owned())
    );
}

#[tokio::test]
async fn a_refusal_that_forbids_the_card_stops_the_payment_without_a_receipt() {
    let desk = Desk::open().await;
    let decision = route(&desk, guarded("ord_1", 1)).await;
    desk.report(failure(&decision, "ord_1-1", "LOST_OR_STOLEN"))
        .await
        .unwrap();
    let next = route(&desk, guarded("ord_1", 2)).await;
    assert_eq!(halted(&next), (v1::Action::Stop, "forbidden"));
}

#[tokio::test]
async fn an_unknown_outcome_blocks_until_a_query_has_settled_it() {
    let desk = Desk::open().await;
    let decision = route(&desk, guarded("ord_1", 1)).await;
    desk.report(report(&decision, "ord_1-1", v1::Result::TimedOut))
        .await
        .unwrap();
    let blocked = route(&desk, guarded("ord_1", 2)).await;
    assert_eq!(halted(&blocked), (v1::Action::WaitAndQuery, "unsettled"));
    let open = blocked.open_attempt.unwrap();
    assert_eq!(open.state, "unknown");
    // Whoever asks can settle it, also when the first caller has lost its receipt.
    let query = v1::ResolutionSource::Query;
    desk.resolve(&open.receipt, v1::Resolution::NotProcessed, query)
        .await
        .unwrap();
    let next = route(&desk, guarded("ord_1", 2)).await;
    assert_eq!(next.action(), v1::Action::Submit);
    assert_eq!(next.channel.unwrap().channel_id, "b");
}

#[tokio::test]
async fn an_attempt_whose_caller_has_gone_is_settled_by_another() {
    let desk = Desk::open().await;
    route(&desk, guarded("ord_1", 1)).await;
    // The channel's timeout is 5 s; its caller has 10 s more to report.
    desk.pass(SignedDuration::from_secs(15));
    let blocked = route(&desk, guarded("ord_1", 2)).await;
    let open = blocked.open_attempt.unwrap();
    let lost = v1::ReportOutcomeRequest {
        decision_token: open.decision_token,
        attempt_id: "ord_1-1".to_owned(),
        channel_id: open.channel.unwrap().channel_id,
        result: v1::Result::TimedOut.into(),
        ..v1::ReportOutcomeRequest::default()
    };
    let receipt = desk.report(lost).await.unwrap().receipt;
    let reversal = v1::ResolutionSource::Reversal;
    desk.resolve(&receipt, v1::Resolution::Reversed, reversal)
        .await
        .unwrap();
    let next = route(&desk, guarded("ord_1", 2)).await;
    assert_eq!(next.action(), v1::Action::Submit);
}

#[tokio::test]
async fn a_retry_is_registered_before_it_is_offered() {
    let desk = Desk::open().await;
    let decision = route(&desk, guarded("ord_1", 1)).await;
    let busy = failure(&decision, "ord_1-1", "RATE_LIMITED");
    let answer = desk.report(busy.clone()).await.unwrap();
    let action = |answer: &v1::ReportOutcomeResponse| answer.next.as_ref().unwrap().action();
    assert_eq!(action(&answer), v1::NextAction::RetrySame);
    let blocked = route(&desk, guarded("ord_1", 2)).await;
    assert_eq!(halted(&blocked), (v1::Action::WaitAndQuery, "unsettled"));
    // The answer was lost, and the report comes again.
    let again = desk.report(busy.clone()).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(action(&again), v1::NextAction::RetrySame);
    let retried = v1::ReportOutcomeRequest {
        attempt_id: "ord_1-1r".to_owned(),
        retry_of: answer.receipt.clone(),
        ..busy.clone()
    };
    let answer = desk.report(retried).await.unwrap();
    assert_eq!(action(&answer), v1::NextAction::Switch);
    // A third submit is not offered, however often the first report comes.
    let late = desk.report(busy).await.unwrap();
    assert_ne!(action(&late), v1::NextAction::RetrySame);
    let next = route(&desk, guarded("ord_1", 2)).await;
    assert_eq!(next.channel.unwrap().channel_id, "b");
}

#[tokio::test]
async fn a_prepared_order_that_nobody_received_blocks_nothing() {
    let desk = Desk::open().await;
    let prepare = |attempt_no| v1::RouteRequest {
        stage: v1::Stage::Prepare.into(),
        ..guarded("ord_1", attempt_no)
    };
    let decision = route(&desk, prepare(1)).await;
    let lost = v1::ReportOutcomeRequest {
        artefact_delivered: Some(false),
        ..report(&decision, "ord_1-1", v1::Result::TimedOut)
    };
    assert_eq!(desk.report(lost).await.unwrap().state, "failed_not_processed");
    let next = route(&desk, prepare(2)).await;
    assert_eq!(next.channel.unwrap().channel_id, "b");
}

#[tokio::test]
async fn without_the_ledger_nothing_is_submitted_and_nothing_stays_blocked() {
    let (desk, outage) = Desk::with_spool(1024 * 1024).await;
    let decision = route(&desk, guarded("ord_1", 1)).await;
    outage.turn(DOWN);
    let away = desk.routing.route(guarded("ord_2", 1)).await;
    let status = Status::from(away.unwrap_err());
    let details = status.get_error_details();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(details.error_info().unwrap().reason, "LEDGER_UNAVAILABLE");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    // An unguarded payment goes on, and an outcome is taken.
    assert_eq!(desk.route("ord_3").action(), v1::Action::Submit);
    let busy = desk.report(failure(&decision, "ord_1-1", "RATE_LIMITED")).await;
    assert_eq!(busy.unwrap().next.unwrap().action(), v1::NextAction::Switch);
    outage.turn(UP);
    let next = loop {
        // What waits in the spool leaves its payment blocked.
        match desk.routing.route(guarded("ord_1", 2)).await {
            Ok(next) if next.action() == v1::Action::Submit => break next,
            Ok(next) => assert_eq!(next.action(), v1::Action::WaitAndQuery),
            Err(error) => assert_eq!(error.code(), Code::Unavailable),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(next.channel.unwrap().channel_id, "b");
    assert_eq!(
        route(&desk, guarded("ord_2", 1)).await.action(),
        v1::Action::Submit
    );
}

#[tokio::test]
async fn a_merchant_can_be_guarded_unasked() {
    let desk = Desk::open().await;
    let asked = |merchant: &str| v1::RouteRequest {
        merchant_id: merchant.to_owned(),
        ..request("ord_1")
    };
    for (merchant, second) in [
        ("shop", v1::Action::Submit),
        ("guarded_shop", v1::Action::WaitAndQuery),
    ] {
        assert_eq!(route(&desk, asked(merchant)).await.action(), v1::Action::Submit);
        assert_eq!(route(&desk, asked(merchant)).await.action(), second, "{merchant}");
    }
}

#[tokio::test]
async fn another_amount_under_the_same_payment_is_refused() {
    let desk = Desk::open().await;
    route(&desk, guarded("ord_1", 1)).await;
    let other = v1::RouteRequest {
        amount_minor: 1,
        ..guarded("ord_1", 1)
    };
    assert_eq!(
        refusal(desk.routing.route(other).await),
        (Code::AlreadyExists, "PAYMENT_CONFLICT".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_ask_at_once_one_submits() {
    let desk = Arc::new(Desk::open().await);
    let asked = (0..32).map(|number| {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move { desk.routing.route(guarded("ord_1", number % 3 + 1)).await })
    });
    let asked: Vec<_> = asked.collect();
    let mut submits = BTreeSet::new();
    for answer in asked {
        match answer.await.unwrap() {
            Ok(decision) if decision.action() == v1::Action::Submit => {
                assert!(submits.insert(decision.decision_id));
            }
            Ok(_) => {}
            Err(error) => assert_eq!(error.code(), Code::FailedPrecondition, "{error}"),
        }
    }
    assert_eq!(submits.len(), 1);
}
