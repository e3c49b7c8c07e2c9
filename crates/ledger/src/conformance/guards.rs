//! Rules of the guard: at most one attempt of a payment can be in a state that may charge.

use std::sync::Arc;

use domain::attempt::State;
use domain::attempt::payment::{Blocked, Order, Slot, Submit};
use domain::id::{AttemptId, ChannelId};
use domain::money::Money;
use domain::network_retry::Fingerprint;

use super::sample;
use crate::attempt::{AttemptRecord, Resolved};
use crate::guard::{GuardedPayment, Guards, Registered, Registration};
use crate::port::{Batch, Ledger};

/// A ledger that guards.
pub(crate) trait Guarding: Ledger + Guards {}

impl<T: Ledger + Guards> Guarding for T {}

type Store = Arc<dyn Guarding>;

fn registration(payment: &str, slot: Slot, channel: &str) -> Registration {
    Registration {
        merchant: sample::merchant(),
        payment: sample::payment(payment),
        money: Money::new(12_345, "CNY".parse().unwrap()).unwrap(),
        expires_at: None,
        slot,
        channel: ChannelId::new(channel).unwrap(),
        request: Some(AttemptId::new("r1").unwrap()),
        most: 3,
        decision: b"claims".to_vec(),
        at: sample::at(0),
        due_at: sample::at(5_000_000),
    }
}

/// The report of a guarded submit that led to `state`.
fn report(name: &str, slot: Slot, state: State) -> AttemptRecord {
    let mut attempt = sample::attempt(name);
    attempt.attempt_no = slot.attempt_no;
    attempt.submit = Some(slot.submit);
    attempt.verdict.state = state.as_str().to_owned();
    attempt
}

async fn register(store: &Store, registration: Registration) -> Registered {
    let batch = Batch {
        registrations: vec![registration],
        ..Batch::default()
    };
    let mut answers = store.commit(&batch).await.unwrap().registrations;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

async fn commit(store: &Store, attempt: AttemptRecord) {
    let batch = Batch {
        attempts: vec![attempt],
        ..Batch::default()
    };
    store.commit(&batch).await.unwrap();
}

async fn resolve(store: &Store, name: &str, from: &str, to: &str) -> Resolved {
    let batch = Batch {
        resolutions: vec![sample::resolution(name, from, to)],
        ..Batch::default()
    };
    store.commit(&batch).await.unwrap().resolutions.remove(0)
}

async fn guarded(store: &Store, payment: &str) -> Option<GuardedPayment> {
    let payment = sample::payment(payment);
    store.guarded(&sample::merchant(), &payment).await.unwrap()
}

async fn states(store: &Store, payment: &str) -> Vec<(u32, Submit, State)> {
    let guarded = guarded(store, payment).await.unwrap();
    let attempts = guarded.attempts.iter();
    attempts
        .map(|attempt| (attempt.slot.attempt_no, attempt.slot.submit, attempt.state))
        .collect()
}

/// The first asks and may; the same again is told what was registered, whatever channel it would take now.
pub(crate) async fn a_submit_is_registered_once(store: Store) {
    let first = registration("p1", Slot::first(1), "bank_a");
    assert_eq!(register(&store, first.clone()).await, Registered::New);
    for channel in ["bank_a", "bank_b"] {
        let again = register(&store, registration("p1", Slot::first(1), channel)).await;
        let Registered::Again(kept) = again else {
            panic!("{again:?}");
        };
        assert_eq!((kept.channel.as_str(), kept.state), ("bank_a", State::Submitted));
        assert_eq!(kept.decision, first.decision);
        assert_eq!(kept.request, first.request);
        assert_eq!((kept.registered_at, kept.due_at), (first.at, first.due_at));
    }
    assert_eq!(guarded(&store, "p9").await, None);
}

/// While an attempt may charge no other one is registered, and the answer names it.
pub(crate) async fn an_attempt_that_may_charge_blocks_the_next(store: Store) {
    register(&store, registration("p1", Slot::first(1), "bank_a")).await;
    for (name, state) in [
        (None, State::Submitted),
        (Some("a"), State::AwaitingCustomer),
        (Some("b"), State::Unknown),
        (Some("c"), State::Succeeded),
    ] {
        if let Some(name) = name {
            commit(&store, report(name, Slot::first(1), state)).await;
        }
        let answer = register(&store, registration("p1", Slot::first(2), "bank_b")).await;
        let Registered::Blocked { why, by } = answer else {
            panic!("{answer:?}");
        };
        let slot = Slot::first(1);
        let expected = if state == State::Succeeded {
            Blocked::Paid { slot }
        } else {
            Blocked::Unsettled { slot, state }
        };
        assert_eq!(why, expected);
        assert_eq!(by.unwrap().state, state);
    }
    assert_eq!(states(&store, "p1").await, [(1, Submit::First, State::Succeeded)]);
}

/// A report moves the guard in the transaction that keeps it, and a registration of the same batch sees it.
pub(crate) async fn a_settled_attempt_lets_the_next_be_made(store: Store) {
    register(&store, registration("p1", Slot::first(1), "bank_a")).await;
    let batch = Batch {
        attempts: vec![report("a", Slot::first(1), State::Declined)],
        registrations: vec![registration("p1", Slot::first(2), "bank_b")],
        ..Batch::default()
    };
    let committed = store.commit(&batch).await.unwrap();
    assert_eq!(committed.registrations, [Registered::New]);
    assert_eq!(
        states(&store, "p1").await,
        [
            (1, Submit::First, State::Declined),
            (2, Submit::First, State::Submitted)
        ]
    );
}

/// The one retry on the same channel is a registration of its own.
pub(crate) async fn a_retry_is_registered_like_an_attempt(store: Store) {
    register(&store, registration("p1", Slot::first(1), "bank_a")).await;
    let retry = || registration("p1", Slot::retry(1), "bank_a");
    assert!(matches!(
        register(&store, retry()).await,
        Registered::Blocked { .. }
    ));
    commit(&store, report("a", Slot::first(1), State::FailedNotProcessed)).await;
    let elsewhere = register(&store, registration("p1", Slot::retry(1), "bank_b")).await;
    assert!(matches!(elsewhere, Registered::Blocked { .. }), "{elsewhere:?}");
    assert_eq!(register(&store, retry()).await, Registered::New);
    commit(&store, report("b", Slot::retry(1), State::FailedNotProcessed)).await;
    let next = register(&store, registration("p1", Slot::first(2), "bank_b")).await;
    assert_eq!(next, Registered::New);
}

/// What a query finds moves the guard, also when it is a charge that nobody expected any more.
pub(crate) async fn a_finding_moves_the_guard(store: Store) {
    register(&store, registration("p1", Slot::first(1), "bank_a")).await;
    commit(&store, report("a", Slot::first(1), State::Unknown)).await;
    let resolved = resolve(&store, "a", "unknown", "failed_not_processed").await;
    assert_eq!(resolved, Resolved::Applied);
    let next = register(&store, registration("p1", Slot::first(2), "bank_b")).await;
    assert_eq!(next, Registered::New);
    resolve(&store, "a", "failed_not_processed", "late_success").await;
    commit(&store, report("b", Slot::first(2), State::Declined)).await;
    assert_eq!(
        states(&store, "p1").await,
        [
            (1, Submit::First, State::LateSuccess),
            (2, Submit::First, State::Declined)
        ]
    );
    let third = register(&store, registration("p1", Slot::first(3), "bank_c")).await;
    let slot = Slot::first(1);
    assert!(
        matches!(third, Registered::Blocked { why: Blocked::Paid { slot: paid }, .. } if paid == slot),
        "{third:?}"
    );
    resolve(&store, "a", "late_success", "succeeded").await;
    let payment = guarded(&store, "p1").await.unwrap().payment;
    assert_eq!(payment.kept().satisfied_by, Some(slot));
}

/// The deadline is kept, the last one counts, and it is judged by the time at which something is said.
pub(crate) async fn an_order_expires_at_its_deadline(store: Store) {
    let until = |payment, slot, channel, micros| Registration {
        expires_at: Some(sample::at(micros)),
        ..registration(payment, slot, channel)
    };
    let declined = |name, payment, at| {
        let mut declined = report(name, Slot::first(1), State::Declined);
        declined.payment = sample::payment(payment);
        declined.received_at = at;
        declined
    };
    register(&store, until("p1", Slot::first(1), "bank_a", 10)).await;
    commit(&store, declined("a", "p1", sample::at(10))).await;
    let over = guarded(&store, "p1").await.unwrap();
    assert_eq!(over.payment.kept().order, Order::Expired);
    let next = register(&store, until("p1", Slot::first(2), "bank_b", 90)).await;
    let why = Blocked::OrderOver;
    assert_eq!(next, Registered::Blocked { why, by: None });

    register(&store, until("p2", Slot::first(1), "bank_a", 10)).await;
    commit(&store, declined("b", "p2", sample::at(9))).await;
    let next = register(&store, until("p2", Slot::first(2), "bank_b", 90)).await;
    assert_eq!(next, Registered::New);
    let open = guarded(&store, "p2").await.unwrap();
    assert_eq!(open.payment.kept().order, Order::Open);
    assert_eq!(open.payment.kept().expires_at, Some(sample::at(90)));
}

/// A report of a submit that was never registered blocks its payment like one that was.
pub(crate) async fn a_submit_that_nobody_registered_blocks_too(store: Store) {
    commit(&store, report("a", Slot::first(1), State::Unknown)).await;
    let answer = register(&store, registration("p1", Slot::first(2), "bank_b")).await;
    assert!(matches!(answer, Registered::Blocked { .. }), "{answer:?}");
}

/// The same report again, or the same batch again, changes nothing.
pub(crate) async fn a_batch_twice_moves_the_guard_once(store: Store) {
    let batch = Batch {
        attempts: vec![report("a", Slot::first(1), State::Declined)],
        registrations: vec![registration("p1", Slot::first(2), "bank_b")],
        ..Batch::default()
    };
    register(&store, registration("p1", Slot::first(1), "bank_a")).await;
    assert_eq!(
        store.commit(&batch).await.unwrap().registrations,
        [Registered::New]
    );
    let before = guarded(&store, "p1").await;
    let again = store.commit(&batch).await.unwrap().registrations;
    assert!(matches!(again[..], [Registered::Again(_)]), "{again:?}");
    assert_eq!(guarded(&store, "p1").await, before);
}

/// One payment has one amount.
pub(crate) async fn another_amount_is_refused(store: Store) {
    register(&store, registration("p1", Slot::first(1), "bank_a")).await;
    let mut other = registration("p1", Slot::first(1), "bank_a");
    let registered = other.money;
    other.money = Money::new(1, "CNY".parse().unwrap()).unwrap();
    assert_eq!(
        register(&store, other).await,
        Registered::OtherMoney { registered }
    );
}

/// Of many that ask for the same payment at the same moment, one may submit; whichever channel each would take.
pub(crate) async fn of_many_at_once_exactly_one_is_new(store: Store) {
    for round in 0..6 {
        let payment = format!("race-{round}");
        let ask = |number: u32| {
            let (store, payment) = (Arc::clone(&store), payment.clone());
            let attempt_no = number % 3 + 1;
            let registration = registration(&payment, Slot::first(attempt_no), &format!("bank_{number}"));
            tokio::spawn(async move { register(&store, registration).await })
        };
        let asked: Vec<_> = (0..24).map(ask).collect();
        let mut new = 0;
        for answer in asked {
            match answer.await.unwrap() {
                Registered::New => new += 1,
                Registered::Again(_) | Registered::Blocked { .. } => {}
                other @ Registered::OtherMoney { .. } => panic!("{other:?}"),
            }
        }
        assert_eq!(new, 1, "{payment}");
        assert_eq!(guarded(&store, &payment).await.unwrap().attempts.len(), 1);
    }
}

/// What was registered and never reported is found when it is due; what was reported is not.
pub(crate) async fn unreported_submits_are_found_when_they_are_due(store: Store) {
    register(&store, registration("p1", Slot::first(1), "bank_a")).await;
    let mut later = registration("p2", Slot::first(1), "bank_a");
    later.due_at = sample::at(9_000_000);
    register(&store, later).await;
    register(&store, registration("p3", Slot::first(1), "bank_a")).await;
    let mut reported = report("c", Slot::first(1), State::Unknown);
    reported.payment = sample::payment("p3");
    commit(&store, reported).await;
    let due = |micros| {
        let store = Arc::clone(&store);
        async move {
            let found = store.unreported(sample::at(micros), 10).await.unwrap();
            found
                .iter()
                .map(|found| found.payment.to_string())
                .collect::<Vec<_>>()
        }
    };
    assert!(due(4_999_999).await.is_empty());
    assert_eq!(due(5_000_000).await, ["p1"]);
    assert_eq!(due(9_000_000).await, ["p1", "p2"]);
}

/// The attempts with a credential are found by it, the newest first and no others.
pub(crate) async fn attempts_are_found_by_their_credential(store: Store) {
    let with = |name: &str, credential: Option<&str>, at| {
        let mut attempt = sample::attempt(name);
        attempt.credential = credential.map(|text| Fingerprint::new(text).unwrap());
        attempt.received_at = sample::at(at);
        attempt
    };
    let batch = Batch {
        attempts: vec![
            with("old", Some("fp_4f1c2ab9"), 0),
            with("first", Some("fp_4f1c2ab9"), 10),
            with("other", Some("fp_00000000"), 15),
            with("none", None, 16),
            with("last", Some("fp_4f1c2ab9"), 20),
        ],
        ..Batch::default()
    };
    store.commit(&batch).await.unwrap();
    let (merchant, credential) = (sample::merchant(), Fingerprint::new("fp_4f1c2ab9").unwrap());
    let find = |limit| store.tried((&merchant, &credential), sample::at(10), limit);
    let names = |found: Vec<AttemptRecord>| {
        let names = found.iter().map(|attempt| attempt.attempt.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(find(10).await.unwrap()), ["last", "first"]);
    assert_eq!(names(find(1).await.unwrap()), ["last"]);
}

/// As `conformance!`, for the guard: `$open` is an `async fn() -> (Arc<dyn Guarding>, T)`.
macro_rules! guard_conformance {
    ($open:path: $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (store, _alive) = $open().await;
                $crate::conformance::guards::$rule(store).await;
            }
        )+
    };
    ($open:path) => {
        $crate::conformance::guard_conformance!($open:
            a_submit_is_registered_once
            an_attempt_that_may_charge_blocks_the_next
            a_settled_attempt_lets_the_next_be_made
            a_retry_is_registered_like_an_attempt
            a_finding_moves_the_guard
            an_order_expires_at_its_deadline
            a_submit_that_nobody_registered_blocks_too
            a_batch_twice_moves_the_guard_once
            another_amount_is_refused
            of_many_at_once_exactly_one_is_new
            unreported_submits_are_found_when_they_are_due
            attempts_are_found_by_their_credential
        );
    };
}

pub(crate) use guard_conformance;
