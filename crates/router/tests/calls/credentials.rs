//! The card networks' limits on trying a credential again.

use jiff::SignedDuration;
use proto::v1;

use crate::shop::{Desk, failure, report, request};

fn with(payment: &str, fingerprint: &str, brand: &str) -> v1::RouteRequest {
    v1::RouteRequest {
        guard: true,
        explain: true,
        credential_fingerprint: fingerprint.to_owned(),
        card: Some(v1::Card {
            brand: brand.to_owned(),
            ..v1::Card::default()
        }),
        ..request(payment)
    }
}

fn advised(decision: &v1::RouteResponse, attempt: &str, advice: &str) -> v1::ReportOutcomeRequest {
    v1::ReportOutcomeRequest {
        network_advice_code: advice.to_owned(),
        result: v1::Result::Declined.into(),
        ..failure(decision, attempt, "INSUFFICIENT_FUNDS")
    }
}

fn halted(decision: &v1::RouteResponse) -> (v1::Action, &str) {
    let explanation = decision.explanation.as_ref().unwrap();
    (decision.action(), explanation.halted_because.as_str())
}

#[tokio::test]
async fn a_card_that_the_network_forbids_is_not_tried_by_another_payment() {
    let desk = Desk::open().await;
    let ask = |payment: &str, card: &str| desk.routing.route(with(payment, card, "mastercard"));
    let decision = ask("ord_1", "fp_4f1c2ab9").await.unwrap();
    // Advice 03: never try again.
    let answer = desk.report(advised(&decision, "ord_1-1", "03")).await.unwrap();
    assert_eq!(answer.next.unwrap().action(), v1::NextAction::Stop);
    let again = ask("ord_2", "fp_4f1c2ab9").await.unwrap();
    assert_eq!(halted(&again), (v1::Action::Stop, "forbidden"));
    let other = ask("ord_3", "fp_00000000").await.unwrap();
    assert_eq!(other.action(), v1::Action::Submit);
}

#[tokio::test]
async fn a_wait_that_the_network_asks_for_says_until_when() {
    let desk = Desk::open().await;
    let ask = |payment: &str| desk.routing.route(with(payment, "fp_4f1c2ab9", "mastercard"));
    let decision = ask("ord_1").await.unwrap();
    // Advice 24: not within an hour.
    desk.report(advised(&decision, "ord_1-1", "24")).await.unwrap();
    let soon = ask("ord_2").await.unwrap();
    assert_eq!(halted(&soon), (v1::Action::Stop, "too_soon"));
    let not_before = proto::time::from_wire(&soon.not_before.unwrap()).unwrap();
    let now = desk.pass(SignedDuration::from_mins(59));
    assert_eq!(now.duration_until(not_before), SignedDuration::from_mins(1));
    assert_eq!(ask("ord_2").await.unwrap().action(), v1::Action::Stop);
    desk.pass(SignedDuration::from_mins(1));
    let later = ask("ord_2").await.unwrap();
    assert_eq!(later.action(), v1::Action::Submit);
    assert!(later.not_before.is_none());
}

#[tokio::test]
async fn a_visa_card_is_declined_fifteen_times_in_thirty_days_and_no_more() {
    let desk = Desk::open().await;
    let ask = |payment: String| desk.routing.route(with(&payment, "fp_4f1c2ab9", "visa"));
    for number in 0..15 {
        let decision = ask(format!("ord_{number}")).await.unwrap();
        assert_eq!(decision.action(), v1::Action::Submit, "{number}");
        let declined = v1::ReportOutcomeRequest {
            code: "DO_NOT_HONOR".to_owned(),
            ..report(&decision, &format!("a_{number}"), v1::Result::Declined)
        };
        let answer = desk.report(declined).await.unwrap();
        let last = number == 14;
        let switches = answer.next.unwrap().action() == v1::NextAction::Switch;
        assert_eq!(switches, !last, "{number}");
        desk.pass(SignedDuration::from_hours(1));
    }
    let spent = ask("ord_15".to_owned()).await.unwrap();
    assert_eq!(halted(&spent), (v1::Action::Stop, "too_soon"));
    desk.pass(SignedDuration::from_hours(30 * 24 - 15));
    let later = ask("ord_15".to_owned()).await.unwrap();
    assert_eq!(later.action(), v1::Action::Submit);
}
