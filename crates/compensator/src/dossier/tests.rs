//! What payments ask for: refunds, adoptions, and what is no attempt of its own.

use domain::attempt::payment::{RefundCause, Submit};
use ledger::attempt::{Report, Segment, Verdict};
use uuid::Uuid;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn attempt(name: &str, number: u32, state: State) -> AttemptRecord {
    AttemptRecord {
        merchant: "shop".parse().unwrap(),
        attempt: AttemptId::new(name).unwrap(),
        payment: "ord_1".parse().unwrap(),
        attempt_no: number,
        decision: Uuid::nil(),
        channel: "bank_a".parse().unwrap(),
        account: None,
        amount: Money::new(1_999, "CNY".parse().unwrap()).unwrap(),
        segment: Segment {
            method: "card".to_owned(),
            issuer: None,
            region: None,
        },
        report: Report {
            result: "timed_out".to_owned(),
            provider: "unionpay".to_owned(),
            code: None,
            sub_code: None,
            http_status: None,
            transport_event: None,
            message: None,
            provider_reference: None,
            network_advice_code: None,
        },
        verdict: Verdict {
            reason: None,
            certainty: String::new(),
            class: None,
            state: state.as_str().to_owned(),
        },
        decided_at: at(0),
        trace_id: None,
        started_at: at(0),
        received_at: at(number.into()),
        latency_ms: 1,
        digest: [0; 32],
        submit: None,
        credential: None,
        case: None,
        notices: Vec::new(),
    }
}

fn moved(name: &str, from: State, to: State, second: i64, content: serde_json::Value) -> Transition {
    Transition {
        attempt: AttemptId::new(name).unwrap(),
        from_state: from.as_str().to_owned(),
        to_state: to.as_str().to_owned(),
        source: "query".to_owned(),
        content,
        at: at(second),
    }
}

fn payment(attempts: Vec<AttemptRecord>, transitions: Vec<Transition>) -> PaymentRecord {
    PaymentRecord {
        decisions: Vec::new(),
        attempts,
        transitions,
    }
}

fn duty(payment: &PaymentRecord, name: &str) -> Option<Duty> {
    Dossier::of(payment, Order::Open).duty(&AttemptId::new(name).unwrap())
}

#[test]
fn the_later_of_two_successes_is_paid_back_whichever_is_looked_at() {
    let found_late = moved("a", State::Unknown, State::Succeeded, 50, serde_json::Value::Null);
    let both = vec![
        attempt("a", 1, State::Succeeded),
        attempt("b", 2, State::Succeeded),
    ];
    let payment = payment(both, vec![found_late]);
    assert!(matches!(
        duty(&payment, "a"),
        Some(Duty::Refund(_, RefundCause::PaidElsewhere))
    ));
    assert_eq!(duty(&payment, "b"), None);
    let dossier = Dossier::of(&payment, Order::Open);
    let others = dossier.others_to_refund(&AttemptId::new("b").unwrap());
    assert_eq!(others.len(), 1);
}

#[test]
fn a_late_success_of_another_amount_is_paid_back_and_one_of_the_same_adopted() {
    let late = |minor: i64| {
        let charged = serde_json::json!({ "charged": { "amount_minor": minor, "currency": "CNY" } });
        let found = moved("a", State::Declined, State::LateSuccess, 9, charged);
        payment(vec![attempt("a", 1, State::LateSuccess)], vec![found])
    };
    assert!(matches!(duty(&late(1_999), "a"), Some(Duty::Adopt(_))));
    assert!(matches!(
        duty(&late(5), "a"),
        Some(Duty::Refund(_, RefundCause::OtherAmount))
    ));
}

#[test]
fn an_open_attempt_beside_a_success_is_taken_back() {
    let payment = payment(
        vec![attempt("a", 1, State::Unknown), attempt("b", 2, State::Succeeded)],
        Vec::new(),
    );
    assert!(matches!(duty(&payment, "a"), Some(Duty::TakeBack(_))));
}

#[test]
fn what_stands_for_a_submit_that_was_reported_after_all_is_no_attempt_of_its_own() {
    let mut stand_in = attempt("unreported-1", 1, State::Unknown);
    let mut reported = attempt("a", 1, State::Succeeded);
    stand_in.submit = Some(Submit::First);
    reported.submit = Some(Submit::First);
    let payment = payment(vec![stand_in, reported], Vec::new());
    let dossier = Dossier::of(&payment, Order::Open);
    let found = dossier
        .reported_as(&payment.attempts[0])
        .map(|it| it.attempt.as_str());
    assert_eq!(found, Some("a"));
    assert_eq!(
        duty(&payment, "unreported-1"),
        None,
        "it would take the payment back"
    );
}

#[test]
fn a_second_click_that_another_channel_charged_is_paid_back() {
    let other = AttemptRecord {
        channel: "bank_b".parse().unwrap(),
        received_at: at(2),
        ..attempt("b", 1, State::Succeeded)
    };
    let payment = payment(vec![attempt("a", 1, State::Succeeded), other], Vec::new());
    assert_eq!(duty(&payment, "a"), None);
    assert!(matches!(
        duty(&payment, "b"),
        Some(Duty::Refund(_, RefundCause::PaidElsewhere))
    ));
}

#[test]
fn one_charge_that_was_reported_twice_is_not_paid_back() {
    let payment = payment(
        vec![
            attempt("a", 1, State::Succeeded),
            attempt("b", 1, State::Succeeded),
        ],
        Vec::new(),
    );
    assert_eq!(duty(&payment, "a"), None);
    assert_eq!(duty(&payment, "b"), None);
    let dossier = Dossier::of(&payment, Order::Open);
    assert!(dossier.others_to_refund(&AttemptId::new("a").unwrap()).is_empty());
}

#[test]
fn one_charge_that_was_reported_twice_is_paid_back_once() {
    let elsewhere = AttemptRecord {
        channel: "bank_b".parse().unwrap(),
        received_at: at(0),
        ..attempt("first", 1, State::Succeeded)
    };
    let known = |state| {
        payment(
            vec![
                elsewhere.clone(),
                attempt("a", 1, state),
                attempt("b", 1, State::Succeeded),
            ],
            Vec::new(),
        )
    };
    assert!(matches!(
        duty(&known(State::Succeeded), "a"),
        Some(Duty::Refund(..))
    ));
    for state in [State::Succeeded, State::RefundPending, State::Refunded] {
        assert_eq!(duty(&known(state), "b"), None, "{state}");
        assert_eq!(duty(&known(state), "first"), None, "{state}");
    }
}
