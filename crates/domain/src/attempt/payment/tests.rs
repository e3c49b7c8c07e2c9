//! What holds of a payment under every order of events, and against a world in which the charges are known.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::attempt::{Claim, Source};

const MOST: u32 = 3;

fn yuan(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn payment() -> Payment {
    Payment::new(yuan(1_999))
}

/// A payment whose first attempt is in the state that `events` lead to.
fn after(events: &[Event]) -> Payment {
    let mut payment = payment();
    payment.register(Slot::first(1), &channel("a"), MOST).unwrap();
    for event in events {
        payment.apply(Slot::first(1), *event).unwrap();
    }
    payment
}

const DECLINED: Event = Event::Said(Claim::Declined, Source::Reply);
const NOT_PROCESSED: Event = Event::Said(Claim::NotProcessed, Source::Reply);
const PAID: Event = Event::Said(Claim::Paid, Source::Notice);

#[test]
fn a_second_attempt_waits_for_the_first_to_be_settled() {
    for state in State::ALL {
        let mut payment = Payment::restore(Kept {
            attempts: vec![Made {
                slot: Slot::first(1),
                channel: channel("a"),
                state,
                charged: None,
            }],
            ..payment().kept
        });
        let second = payment.register(Slot::first(2), &channel("b"), MOST);
        match state {
            State::Declined | State::FailedNotProcessed | State::Closed | State::Reversed => {
                assert_eq!(second, Ok(Registration::New), "{state}");
            }
            _ if state.was_charged() => {
                assert!(matches!(second, Err(Blocked::Paid { .. })), "{state}");
            }
            _ => assert!(matches!(second, Err(Blocked::Unsettled { .. })), "{state}"),
        }
    }
}

#[test]
fn a_double_click_is_the_same_attempt_on_the_same_channel_and_refused_on_another() {
    let mut payment = after(&[]);
    let again = payment.register(Slot::first(1), &channel("a"), MOST);
    assert_eq!(again, Ok(Registration::Again(State::Submitted)));
    let elsewhere = payment.register(Slot::first(1), &channel("b"), MOST);
    assert_eq!(elsewhere, Err(Blocked::Taken { attempt_no: 1 }));
    assert_eq!(payment.kept().attempts.len(), 1);
}

#[test]
fn a_number_below_the_last_is_taken() {
    let mut payment = after(&[DECLINED]);
    payment.register(Slot::first(3), &channel("b"), MOST).unwrap();
    payment.apply(Slot::first(3), DECLINED).unwrap();
    let late = payment.register(Slot::first(2), &channel("c"), MOST);
    assert_eq!(late, Err(Blocked::Taken { attempt_no: 2 }));
}

#[test]
fn attempts_run_out_and_retries_do_not_count() {
    let mut payment = after(&[NOT_PROCESSED]);
    payment.register(Slot::retry(1), &channel("a"), MOST).unwrap();
    payment.apply(Slot::retry(1), DECLINED).unwrap();
    for attempt_no in 2..=3 {
        payment
            .register(Slot::first(attempt_no), &channel("b"), MOST)
            .unwrap();
        payment.apply(Slot::first(attempt_no), DECLINED).unwrap();
    }
    let fourth = payment.register(Slot::first(4), &channel("c"), MOST);
    assert_eq!(fourth, Err(Blocked::Spent { most: 3 }));
}

#[test]
fn an_attempt_is_retried_once_on_its_channel_and_only_if_it_was_never_acted_on() {
    let not_retriable = Err(Blocked::NotRetriable { attempt_no: 1 });
    let retry = |payment: &mut Payment, name| payment.register(Slot::retry(1), &channel(name), MOST);

    assert_eq!(retry(&mut after(&[DECLINED]), "a"), not_retriable);
    assert_eq!(retry(&mut payment(), "a"), not_retriable);
    let mut payment = after(&[NOT_PROCESSED]);
    assert_eq!(retry(&mut payment, "b"), not_retriable);
    assert_eq!(retry(&mut payment, "a"), Ok(Registration::New));
    payment.apply(Slot::retry(1), NOT_PROCESSED).unwrap();
    assert_eq!(
        retry(&mut payment, "a"),
        Ok(Registration::Again(State::FailedNotProcessed)),
        "the retry was made, and is not made again"
    );
}

#[test]
fn an_order_that_is_over_takes_no_attempt() {
    let mut payment = after(&[DECLINED]);
    payment.end_order(Order::Cancelled);
    payment.end_order(Order::Open);
    let next = payment.register(Slot::first(2), &channel("b"), MOST);
    assert_eq!(next, Err(Blocked::OrderOver));
}

#[test]
fn a_deadline_that_passes_after_the_payment_sends_nothing_back() {
    let mut payment = after(&[PAID]);
    payment.end_order(Order::Expired);
    assert_eq!(payment.duties(), []);
    let mut open = after(&[]);
    open.end_order(Order::Expired);
    open.apply(Slot::first(1), PAID).unwrap();
    assert_eq!(
        open.duties(),
        [Duty::Refund(Slot::first(1), RefundCause::OrderOver)]
    );
}

#[test]
fn an_order_is_over_from_its_deadline_on() {
    let at = Timestamp::from_second(100).unwrap();
    let before = Timestamp::from_second(99).unwrap();
    let mut payment = after(&[DECLINED]);
    payment.expires(at);
    payment.pass(before);
    assert_eq!(payment.kept().order, Order::Open);
    payment.pass(at);
    assert_eq!(payment.kept().order, Order::Expired);
    payment.expires(Timestamp::MAX);
    payment.pass(before);
    let next = payment.register(Slot::first(2), &channel("b"), MOST);
    assert_eq!(
        next,
        Err(Blocked::OrderOver),
        "what it wanted once it does not want again"
    );

    let mut paid = after(&[PAID]);
    paid.expires(at);
    paid.pass(at);
    assert_eq!(paid.kept().order, Order::Open, "a paid order does not expire");
}

#[test]
fn a_late_success_is_adopted_while_the_order_wants_it() {
    let mut payment = after(&[DECLINED, PAID]);
    assert_eq!(payment.duties(), [Duty::Adopt(Slot::first(1))]);
    payment.apply(Slot::first(1), Event::Adopted).unwrap();
    assert_eq!(payment.duties(), []);
    assert_eq!(payment.kept().satisfied_by, Some(Slot::first(1)));
}

#[test]
fn a_late_success_is_paid_back_after_the_order_or_in_another_amount() {
    let slot = Slot::first(1);
    let mut expired = after(&[DECLINED]);
    expired.end_order(Order::Expired);
    expired.apply(slot, PAID).unwrap();
    assert_eq!(expired.duties(), [Duty::Refund(slot, RefundCause::OrderOver)]);

    let mut other = after(&[DECLINED, PAID]);
    other.charged(slot, yuan(1_998)).unwrap();
    assert_eq!(other.duties(), [Duty::Refund(slot, RefundCause::OtherAmount)]);
    other.charged(slot, yuan(1_999)).unwrap();
    assert_eq!(other.duties(), [Duty::Adopt(slot)]);
}

#[test]
fn beside_a_late_success_the_open_attempt_is_taken_back_and_its_charge_paid_back() {
    let mut payment = after(&[DECLINED]);
    let (first, second) = (Slot::first(1), Slot::first(2));
    payment.register(second, &channel("b"), MOST).unwrap();
    payment.apply(second, Event::Restarted).unwrap();
    payment.apply(first, PAID).unwrap();
    assert_eq!(payment.duties(), [Duty::Adopt(first), Duty::TakeBack(second)]);
    payment.apply(first, Event::Adopted).unwrap();
    payment.apply(second, PAID).unwrap();
    assert_eq!(
        payment.duties(),
        [Duty::Refund(second, RefundCause::PaidElsewhere)]
    );
    let adopted = payment.apply(second, Event::Adopted);
    assert_eq!(adopted, Err(Misplaced::Satisfied(first)));
}

#[test]
fn a_second_late_success_cannot_be_adopted() {
    let mut payment = after(&[DECLINED]);
    payment.register(Slot::first(2), &channel("b"), MOST).unwrap();
    payment.apply(Slot::first(2), DECLINED).unwrap();
    for slot in [Slot::first(1), Slot::first(2)] {
        payment.apply(slot, PAID).unwrap();
    }
    let refund = Duty::Refund(Slot::first(2), RefundCause::PaidElsewhere);
    assert_eq!(payment.duties(), [Duty::Adopt(Slot::first(1)), refund]);
    payment.apply(Slot::first(1), Event::Adopted).unwrap();
    assert_eq!(payment.duties(), [refund]);
}

#[test]
fn after_a_refund_of_the_payment_no_other_success_is_wanted() {
    let mut payment = after(&[DECLINED]);
    payment.register(Slot::first(2), &channel("b"), MOST).unwrap();
    for event in [PAID, Event::RefundOrdered, Event::RefundDone] {
        payment.apply(Slot::first(2), event).unwrap();
    }
    payment.apply(Slot::first(1), PAID).unwrap();
    let refund = Duty::Refund(Slot::first(1), RefundCause::PaidElsewhere);
    assert_eq!(payment.duties(), [refund]);
}

/// Fails unless all that must hold of every payment at any time holds of this one.
fn assert_sound(payment: &Payment) {
    let attempts = &payment.kept().attempts;
    let open = attempts.iter().filter(|made| made.state.may_charge()).count();
    assert!(open <= 1, "two attempts may charge: {attempts:?}");
    let blocking = payment.blocking().count();
    let charged = attempts.iter().filter(|made| made.state.was_charged()).count();
    assert!(
        blocking <= 1 || charged + 1 >= blocking,
        "two attempts block, and not because one charged late: {attempts:?}"
    );
    // Every charge is the payment, or somebody has to do something about it.
    let duties = payment.duties();
    for made in attempts {
        let attended = duties.iter().any(|duty| match duty {
            Duty::Adopt(slot) | Duty::Refund(slot, _) | Duty::TakeBack(slot) => *slot == made.slot,
        });
        let stands = made.state == State::LateSuccess || made.state.satisfies_payment();
        assert!(
            !stands || attended || payment.kept().satisfied_by == Some(made.slot),
            "a charge is forgotten: {payment:?}"
        );
    }
    let adopted = duties
        .iter()
        .filter(|duty| matches!(duty, Duty::Adopt(_)))
        .count();
    assert!(
        adopted + usize::from(payment.kept().satisfied_by.is_some()) <= 1,
        "{payment:?}"
    );
    let mut other = payment.clone();
    let next = other.register(Slot::first(9), &channel("z"), u32::MAX);
    assert_eq!(next.is_ok(), blocking == 0 && payment.kept().order == Order::Open);
}

/// Three submits at most, with every event on every one of them: every payment that can come of it.
#[test]
fn every_reachable_payment_is_sound() {
    let slots = [Slot::first(1), Slot::retry(1), Slot::first(2)];
    let events = Event::all();
    let mut seen = HashSet::from([payment()]);
    let mut queue = VecDeque::from([payment()]);
    while let Some(payment) = queue.pop_front() {
        assert_sound(&payment);
        let mut follow = |next: Payment| {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        };
        for slot in slots {
            let mut next = payment.clone();
            if next.register(slot, &channel("a"), MOST) == Ok(Registration::New) {
                follow(next);
            }
            for event in &events {
                let mut next = payment.clone();
                if let Ok(state) = next.apply(slot, *event) {
                    let twice = next.clone().apply(slot, *event);
                    assert_eq!(twice, Ok(state), "{event:?} heard twice changes something");
                    follow(next);
                }
            }
        }
    }
    assert!(seen.len() > 1_000, "only {} payments were reached", seen.len());
}

/// What becomes of an attempt in the world, whoever says what about it.
#[derive(Clone, Copy, Debug)]
enum Truth {
    /// The provider charges at once.
    Charged,
    /// The provider charges, and says no before that.
    ChargedLate,
    /// It never charges.
    Free,
}

/// One thing that happens in an interleaving.
#[derive(Clone, Debug)]
enum Happening {
    /// Some router wants to submit this one; a double click when it did before.
    Register(Slot, bool),
    /// Somebody says something about one of the attempts, or its time runs out.
    Event(usize, Event),
    /// The compensation queue does the first thing that is due.
    Duty,
    /// The customer or the clock ends the order.
    End(Order),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let slots = [
        Slot::first(1),
        Slot::retry(1),
        Slot::first(2),
        Slot::retry(2),
        Slot::first(3),
    ];
    let order = prop_oneof![Just(Order::Cancelled), Just(Order::Expired)];
    let one = prop_oneof![
        4 => (prop::sample::select(slots.to_vec()), any::<bool>())
            .prop_map(|(slot, other)| Happening::Register(slot, other)),
        12 => (0..5_usize, prop::sample::select(Event::all()))
            .prop_map(|(at, event)| Happening::Event(at, event)),
        2 => Just(Happening::Duty),
        1 => order.prop_map(Happening::End),
    ];
    prop::collection::vec(one, 1..80)
}

/// Whether the world can let `event` be heard of an attempt of which `truth` holds.
///
/// A provider may say no too early, and the caller's own wire may prove that nothing was sent; the settlement file,
/// a person and a reversal tell the truth.
fn is_possible(event: Event, truth: Truth) -> bool {
    match (event, truth) {
        (Event::Said(Claim::Paid, _) | Event::ReversalRefused, truth) => !matches!(truth, Truth::Free),
        (Event::Said(Claim::Declined | Claim::NotProcessed | Claim::Closed, source), truth) => match truth {
            Truth::Free => true,
            Truth::ChargedLate => !source.is_final(),
            Truth::Charged => false,
        },
        // Net zero, as if it had never charged. The tests of the single attempt say what a contradiction does.
        (Event::ReversalAccepted, truth) => matches!(truth, Truth::Free),
        // These are the queue's own doing, and follow its duties.
        (Event::Adopted | Event::RefundOrdered | Event::RefundDone | Event::RefundsSpent, _) => false,
        _ => true,
    }
}

fn carry_out(payment: &mut Payment, duty: Duty) {
    match duty {
        Duty::Adopt(slot) => {
            payment.apply(slot, Event::Adopted).unwrap();
        }
        Duty::Refund(slot, _) => {
            payment.apply(slot, Event::RefundOrdered).unwrap();
            payment.apply(slot, Event::RefundDone).unwrap();
        }
        // The provider will be asked; the settlement at the end of the test answers.
        Duty::TakeBack(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn in_the_end_no_customer_is_charged_twice_and_no_charge_is_lost(
        happenings in happenings(),
        truths in prop::collection::vec(
            prop::sample::select(&[Truth::Charged, Truth::ChargedLate, Truth::Free][..]), 5),
    ) {
        let mut payment = payment();
        for happening in happenings {
            match happening {
                Happening::Register(slot, other) => {
                    let free = payment.blocking().next().is_none();
                    let name = if other { "b" } else { "a" };
                    if payment.register(slot, &channel(name), MOST) == Ok(Registration::New) {
                        prop_assert!(free);
                    }
                }
                Happening::Event(at, event) => {
                    let slot = payment.kept().attempts.get(at).map(|made| made.slot);
                    if let Some(slot) = slot.filter(|_| is_possible(event, truths[at])) {
                        // A contradiction is refused, and then nothing may have changed.
                        let before = payment.clone();
                        if payment.apply(slot, event).is_err() {
                            prop_assert_eq!(&payment, &before);
                        }
                    }
                }
                Happening::Duty => {
                    if let Some(duty) = payment.duties().first() {
                        carry_out(&mut payment, *duty);
                    }
                }
                Happening::End(order) => payment.end_order(order),
            }
            assert_sound(&payment);
        }

        // The settlement file comes, and the queue does what is due.
        let slots: Vec<Slot> = payment.kept().attempts.iter().map(|made| made.slot).collect();
        for (slot, truth) in slots.iter().zip(&truths) {
            let claim = if matches!(truth, Truth::Free) { Claim::Declined } else { Claim::Paid };
            payment.apply(*slot, Event::Said(claim, Source::Settlement)).unwrap();
        }
        while let Some(duty) = payment.duties().first() {
            carry_out(&mut payment, *duty);
        }
        let attempts = &payment.kept().attempts;
        let mut kept = 0;
        for (made, truth) in attempts.iter().zip(&truths) {
            prop_assert!(!made.state.may_charge(), "{} is still open", made.state);
            prop_assert_eq!(made.state.was_charged(), !matches!(truth, Truth::Free));
            kept += usize::from(made.state.satisfies_payment());
            prop_assert!(made.state != State::LateSuccess);
        }
        prop_assert!(kept <= 1, "{attempts:?}");
        if payment.kept().order == Order::Open && attempts.iter().any(|made| made.state.was_charged()) {
            prop_assert_eq!(kept, 1, "an open order that was paid is served");
        }
    }
}
