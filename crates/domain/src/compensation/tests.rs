//! The schedule of open attempts against its rules.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::attempt::payment::{Duty, RefundCause, Slot};
use crate::attempt::{self, Claim, Event, ProviderProfile, Source};
use crate::channel::Capabilities;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

const ABLE: Capabilities = Capabilities {
    idempotent: true,
    query: true,
    reversal: true,
    authorize: true,
};

fn later(ms: i64) -> Timestamp {
    NOW + SignedDuration::from_millis(ms)
}

fn facts(provider: &str) -> Facts {
    Facts {
        profile: ProviderProfile::of(provider),
        capabilities: ABLE,
        duty: None,
    }
}

/// What a case does when nobody ever answers: each request in milliseconds since its beginning, and the state at the end.
fn unanswered(mut case: Case, facts: &Facts) -> (Vec<(&'static str, i64)>, State) {
    let mut now = case.opened_at;
    let mut asked = Vec::new();
    for _ in 0..500 {
        match next(&case, facts, now) {
            Next::Wait(until) => {
                assert!(until > now, "a wait that is over at {now}");
                now = until;
            }
            Next::Ask(what) => {
                asked.push((what.as_str(), now.as_millisecond()));
                case = case.after_asking(what, now);
            }
            Next::Move(_, state) => case = case.moved(state, now),
            Next::TellReview => case = case.after_telling(),
            Next::Park | Next::Settle => return (asked, case.state),
        }
    }
    panic!("it never ends: {case:?}");
}

fn open(state: State) -> Case {
    Case::open(Cause::Unsettled, state, NOW)
}

#[test]
fn an_unknown_at_wechat_pay_is_asked_for_taken_back_and_reviewed() {
    let (asked, end) = unanswered(open(State::Unknown), &facts("wechatpay_v3"));
    assert_eq!(
        asked,
        [
            ("query", 5_000),
            ("query", 15_000),
            ("query", 25_000),
            ("query", 35_000),
            ("query", 45_000),
            ("reverse", 55_000),
            ("reverse", 65_000),
            ("reverse", 85_000),
            ("reverse", 125_000),
            ("reverse", 205_000),
        ]
    );
    assert_eq!(end, State::NeedsReview);
}

#[test]
fn a_channel_that_cannot_be_asked_nor_take_back_goes_to_a_person() {
    let facts = Facts {
        capabilities: Capabilities::default(),
        ..facts("wechatpay_v3")
    };
    assert_eq!(
        unanswered(open(State::Unknown), &facts),
        (vec![], State::NeedsReview)
    );
}

#[test]
fn a_customer_who_does_not_pay_is_asked_for_once_and_the_order_closed() {
    let (asked, end) = unanswered(open(State::AwaitingCustomer), &facts("wechatpay_v3"));
    assert_eq!(asked[..2], [("query", 900_000), ("close", 910_000)]);
    // Nobody answers, so it is an unknown one like any other.
    assert_eq!(asked.last().unwrap().0, "reverse");
    assert_eq!(end, State::NeedsReview);
}

#[test]
fn an_order_that_nobody_holds_is_closed_when_the_provider_allows_it_and_lapses_unanswered() {
    let case = Case::open(Cause::Orphan, State::FailedNotProcessed, NOW);
    let (asked, end) = unanswered(case, &facts("wechatpay_v3"));
    assert_eq!(asked.first(), Some(&("close", 300_000)));
    assert_eq!((asked.len(), end), (5, State::FailedNotProcessed));
}

#[test]
fn an_attempt_that_is_not_wanted_any_more_is_taken_back_without_asking() {
    let facts = Facts {
        duty: Some(Duty::TakeBack(Slot::first(1))),
        ..facts("wechatpay_v3")
    };
    let (asked, _) = unanswered(open(State::Unknown), &facts);
    assert_eq!(asked.first(), Some(&("reverse", 15_000)));
}

#[test]
fn a_late_success_is_adopted_or_paid_back_as_the_payment_asks() {
    let slot = Slot::first(1);
    let after = |duty| {
        let facts = Facts {
            duty: Some(duty),
            ..facts("alipay")
        };
        next(&open(State::LateSuccess), &facts, NOW)
    };
    assert_eq!(
        after(Duty::Adopt(slot)),
        Next::Move(Event::Adopted, State::Succeeded)
    );
    assert_eq!(
        after(Duty::Refund(slot, RefundCause::PaidElsewhere)),
        Next::Move(Event::RefundOrdered, State::RefundPending)
    );
    let (asked, end) = unanswered(open(State::RefundPending), &facts("alipay"));
    assert_eq!((asked.len(), end), (10, State::RefundNeedsReview));
}

#[test]
fn a_second_success_is_paid_back() {
    let facts = Facts {
        duty: Some(Duty::Refund(Slot::first(2), RefundCause::PaidElsewhere)),
        ..facts("alipay")
    };
    assert_eq!(
        next(&open(State::Succeeded), &facts, NOW),
        Next::Move(Event::RefundOrdered, State::RefundPending)
    );
}

#[test]
fn times_that_passed_unseen_are_not_made_up_for_at_once() {
    let facts = facts("wechatpay_v3");
    let late = later(3_600_000);
    let case = open(State::Unknown);
    assert_eq!(next(&case, &facts, late), Next::Ask(Ask::Query));
    let case = case.after_asking(Ask::Query, late);
    assert_eq!(next(&case, &facts, late), Next::Wait(later(3_610_000)));
}

#[test]
fn an_attempt_that_was_never_reported_becomes_unknown() {
    let case = open(State::Submitted);
    assert_eq!(next(&case, &facts("stripe"), NOW), Next::Wait(later(60_000)));
    assert_eq!(
        next(&case, &facts("stripe"), later(60_000)),
        Next::Move(Event::Restarted, State::Unknown)
    );
}

fn any_open() -> impl Strategy<Value = Case> {
    let states: Vec<State> = State::ALL.into_iter().filter(|state| is_open(*state)).collect();
    let orphan = Case::open(Cause::Orphan, State::FailedNotProcessed, NOW);
    prop_oneof![
        8 => proptest::sample::select(states).prop_map(open),
        1 => Just(orphan),
    ]
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let providers = vec!["wechatpay_v3", "alipay", "unionpay", "stripe", "else"];
    (proptest::sample::select(providers), any::<bool>(), any::<bool>()).prop_map(|(name, query, reversal)| {
        Facts {
            capabilities: Capabilities {
                query,
                reversal,
                ..ABLE
            },
            ..facts(name)
        }
    })
}

/// What the merchant's integration may say, or nothing.
fn any_answer() -> impl Strategy<Value = Option<Event>> {
    let said = |claim, source| Some(Event::Said(claim, source));
    prop_oneof![
        6 => Just(None),
        1 => Just(said(Claim::Unclear, Source::Query)),
        1 => Just(said(Claim::Paid, Source::Query)),
        1 => Just(said(Claim::Declined, Source::Query)),
        1 => Just(said(Claim::Closed, Source::Notice)),
        1 => Just(Some(Event::ReversalAccepted)),
        1 => Just(Some(Event::ReversalRefused)),
        1 => Just(Some(Event::RefundDone)),
    ]
}

/// What the payment asks for: the last thing an adversary would leave out.
fn duty(state: State, refund: bool) -> Option<Duty> {
    let slot = Slot::first(1);
    match state {
        State::LateSuccess if refund => Some(Duty::Refund(slot, RefundCause::OrderOver)),
        State::LateSuccess => Some(Duty::Adopt(slot)),
        _ => None,
    }
}

proptest! {
    #[test]
    fn every_case_is_settled_or_seen_by_a_person(
        mut case in any_open(),
        mut facts in any_facts(),
        answers in proptest::collection::vec((any_answer(), 0..400_000_i64), 0..60),
        refund in any::<bool>(),
    ) {
        let mut answers = answers.into_iter();
        let mut now = NOW;
        let mut ended = false;
        for _ in 0..1_000 {
            facts.duty = duty(case.state, refund);
            match next(&case, &facts, now) {
                Next::Wait(until) => {
                    // A process may be down for longer than it meant to wait, and an answer may come meanwhile.
                    let (answer, late) = answers.next().unwrap_or((None, 0));
                    now = until + SignedDuration::from_millis(late);
                    if let Some(Ok(state)) = answer.map(|event| attempt::next(case.state, event))
                        && state != case.state
                    {
                        case = case.moved(state, now);
                    }
                }
                Next::Ask(what) => {
                    let profile = facts.profile;
                    let least = match what {
                        Ask::Reverse => profile.reverse_not_before_ms,
                        Ask::Close => profile.close_not_before_ms,
                        Ask::Query | Ask::Refund => 0,
                    };
                    prop_assert!(now >= case.opened_at + SignedDuration::from_millis(least.into()), "{what} at {now}");
                    prop_assert!(what != Ask::Reverse || facts.capabilities.reversal);
                    prop_assert!(what != Ask::Query || facts.capabilities.query);
                    case = case.after_asking(what, now);
                }
                Next::Move(event, state) => {
                    prop_assert_eq!(attempt::next(case.state, event), Ok(state));
                    case = case.moved(state, now);
                }
                Next::TellReview => case = case.after_telling(),
                Next::Park => {
                    prop_assert!(needs_review(case.state) && case.told);
                    ended = true;
                    break;
                }
                Next::Settle => {
                    prop_assert!(!is_open(case.state), "{} is settled", case.state);
                    ended = true;
                    break;
                }
            }
        }
        prop_assert!(ended, "{case:?}");
    }

    #[test]
    fn the_time_to_look_again_is_when_there_is_something_to_do(
        case in any_open(),
        mut facts in any_facts(),
        passed in 0..2_000_000_i64,
    ) {
        facts.duty = duty(case.state, true);
        let now = later(passed);
        let step = next(&case, &facts, now);
        let after = match step {
            Next::Ask(what) => case.after_asking(what, now),
            Next::Move(_, state) => case.moved(state, now),
            Next::TellReview => case.after_telling(),
            Next::Wait(_) | Next::Park | Next::Settle => case,
        };
        facts.duty = duty(after.state, true);
        if let Some(again) = step.look_again_at(&after, &facts, now)
            && again > now
        {
            let before = again - SignedDuration::from_micros(1);
            prop_assert!(matches!(next(&after, &facts, before), Next::Wait(_)));
            prop_assert!(!matches!(next(&after, &facts, again), Next::Wait(_)));
        }
    }
}
