//! Rules on the compensation queue: a case for whatever is open, claimed once, and never lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::attempt::State;
use domain::compensation::{Ask, Case, Cause};
use domain::control::Actor;
use domain::id::AttemptId;
use jiff::Timestamp;
use uuid::Uuid;

use super::sample;
use crate::attempt::{AttemptRecord, Resolution};
use crate::compensation::{
    CaseRecord, Cases, Decision, Filter, Finish, Finished, HandOut, Kept, Lease, Opening, Place,
};
use crate::control::{Audited, ControlStore, verify};
use crate::delivery::{self, Class, Deliveries, NewDelivery};
use crate::port::{Batch, Ledger};

/// The same store as ledger, queue, outbox and audit log.
#[derive(Clone)]
pub(crate) struct Both {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) cases: Arc<dyn Cases>,
    pub(crate) deliveries: Arc<dyn Deliveries>,
    pub(crate) control: Arc<dyn ControlStore>,
}

impl Both {
    async fn report(&self, attempts: Vec<AttemptRecord>) {
        let batch = Batch {
            attempts,
            ..Batch::default()
        };
        self.ledger.commit(&batch).await.unwrap();
    }

    async fn resolve(&self, name: &str, from: &str, to: &str) {
        let batch = Batch {
            resolutions: vec![sample::resolution(name, from, to)],
            ..Batch::default()
        };
        self.ledger.commit(&batch).await.unwrap();
    }

    async fn case(&self, name: &str) -> Option<CaseRecord> {
        let attempt = AttemptId::new(name).unwrap();
        self.cases.case(&sample::merchant(), &attempt).await.unwrap()
    }

    /// What is to be sent.
    async fn told(&self) -> Vec<u128> {
        let filter = delivery::Filter {
            limit: 10,
            ..delivery::Filter::default()
        };
        let kept = self.deliveries.list(&filter).await.unwrap();
        let mut told: Vec<u128> = kept.iter().map(|record| record.id.as_u128()).collect();
        told.sort_unstable();
        told
    }

    async fn claim(&self, by: u128, now: Timestamp, until: Timestamp) -> Vec<CaseRecord> {
        let lease = Lease {
            by: Uuid::from_u128(by),
            now,
            until,
            limit: 100,
        };
        self.cases.claim(&lease).await.unwrap()
    }
}

fn attempt_in(name: &str, state: State) -> AttemptRecord {
    let mut attempt = sample::attempt(name);
    state.as_str().clone_into(&mut attempt.verdict.state);
    attempt
}

fn finish(case: &CaseRecord, by: u128, kept: Option<Kept>) -> Finish {
    Finish {
        merchant: case.merchant.clone(),
        attempt: case.attempt.clone(),
        leased_by: Uuid::from_u128(by),
        kept,
        resolutions: Vec::new(),
        deliveries: Vec::new(),
    }
}

/// What is kept after the first query.
fn asked(case: &CaseRecord, at: Timestamp, due_at: Timestamp) -> Kept {
    Kept {
        case: case.case.after_asking(Ask::Query, at),
        due_at: Some(due_at),
        request: Some(Uuid::from_u128(77)),
    }
}

/// A report opens a case exactly when its attempt is open, and as its reporter says.
pub(crate) async fn a_case_is_opened_with_its_attempt(both: Both) {
    let opening = Opening {
        cause: Cause::Orphan,
        due_at: sample::at(9),
    };
    let mut orphan = attempt_in("orphan", State::FailedNotProcessed);
    orphan.case = Some(opening);
    let mut second = attempt_in("second", State::Succeeded);
    second.attempt_no = 2;
    both.report(vec![
        attempt_in("unknown", State::Unknown),
        attempt_in("waiting", State::AwaitingCustomer),
        attempt_in("paid", State::Succeeded),
        attempt_in("refused", State::Declined),
        orphan,
        second,
    ])
    .await;
    let unknown = both.case("unknown").await.unwrap();
    assert_eq!(
        unknown.case,
        Case::open(Cause::Unsettled, State::Unknown, sample::at(0))
    );
    assert_eq!(unknown.due_at, Some(sample::at(0)));
    assert_eq!((unknown.ask_count, unknown.request), (0, None));
    assert!(both.case("waiting").await.is_some());
    assert!(
        both.case("second").await.is_some(),
        "an earlier attempt may have charged too"
    );
    assert_eq!(both.case("paid").await, None);
    assert_eq!(both.case("refused").await, None);
    let orphan = both.case("orphan").await.unwrap();
    assert_eq!(
        (orphan.case.cause, orphan.due_at),
        (Cause::Orphan, Some(sample::at(9)))
    );
}

/// The same report again neither opens a case anew nor changes one.
pub(crate) async fn a_repeated_report_opens_no_case(both: Both) {
    both.report(vec![sample::attempt("a")]).await;
    both.resolve("a", "unknown", "declined").await;
    let [case] = &both.claim(1, sample::at(6_000_000), sample::at(7_000_000)).await[..] else {
        panic!("one case");
    };
    assert_eq!(
        both.cases.finish(&finish(case, 1, None)).await.unwrap(),
        Finished::Done
    );
    both.report(vec![sample::attempt("a")]).await;
    assert_eq!(both.case("a").await, None);
}

/// A change of state moves the case, forgets what was asked, and takes it out of the hands of whoever planned.
pub(crate) async fn two_charges_of_one_payment_are_found_and_one_reported_twice_is_not(both: Both) {
    let charged = |name: &str, payment: &str, channel: &str, number: u32| AttemptRecord {
        payment: payment.parse().unwrap(),
        channel: channel.parse().unwrap(),
        attempt_no: number,
        ..attempt_in(name, State::Succeeded)
    };
    let declined = AttemptRecord {
        payment: "switched".parse().unwrap(),
        ..attempt_in("no", State::Declined)
    };
    both.report(vec![
        charged("click-a", "clicked", "bank_a", 1),
        charged("click-b", "clicked", "bank_b", 1),
        charged("same-a", "same", "bank_a", 1),
        charged("same-b", "same", "bank_a", 1),
        declined,
        charged("yes", "switched", "bank_b", 1),
    ])
    .await;
    assert!(both.case("click-b").await.is_none(), "nobody has looked");
    let sweep = |from, before| both.cases.sweep_charged_twice(from, before, 100);
    let at = sample::attempt("any").received_at;
    let later = at.checked_add(jiff::SignedDuration::from_secs(1)).unwrap();
    assert_eq!(sweep(later, Timestamp::MAX).await.unwrap(), 0, "earlier ones");
    assert_eq!(sweep(at, at).await.unwrap(), 0, "later ones");
    assert_eq!(sweep(at, later).await.unwrap(), 2);
    assert_eq!(sweep(at, later).await.unwrap(), 0, "they have a case");
    let case = both.case("click-b").await.unwrap();
    assert_eq!(case.due_at, Some(at));
    for single in ["same-a", "same-b", "no", "yes"] {
        assert!(both.case(single).await.is_none(), "{single}");
    }
}

pub(crate) async fn a_case_follows_its_attempt(both: Both) {
    both.report(vec![sample::attempt("a")]).await;
    let claimed = both.claim(1, sample::at(1), sample::at(9_000_000)).await;
    both.resolve("a", "unknown", "reversal_pending").await;
    let case = both.case("a").await.unwrap();
    assert_eq!(case.case.state, State::ReversalPending);
    assert_eq!(case.case.opened_at, sample::at(0));
    assert_eq!(case.case.since, sample::at(5_000_000));
    assert_eq!(case.due_at, Some(sample::at(5_000_000)));
    let late = finish(&claimed[0], 1, None);
    assert_eq!(both.cases.finish(&late).await.unwrap(), Finished::Lost);
    assert_eq!(both.case("a").await.unwrap(), case);
    both.resolve("a", "reversal_pending", "reversed").await;
    assert_eq!(
        both.case("a").await.unwrap().case.state,
        State::Reversed,
        "to be told"
    );
}

/// A change that comes with its report, in one transaction, is followed too, and only the last of several counts.
pub(crate) async fn a_case_follows_within_a_batch(both: Both) {
    let batch = Batch {
        attempts: vec![sample::attempt("a")],
        resolutions: vec![
            sample::resolution("a", "unknown", "reversal_pending"),
            sample::resolution("a", "reversal_pending", "needs_review"),
        ],
        ..Batch::default()
    };
    both.ledger.commit(&batch).await.unwrap();
    assert_eq!(both.case("a").await.unwrap().case.state, State::NeedsReview);
}

/// What most waiting attempts come to leaves no case behind; what was asked about is told; a late charge opens one.
pub(crate) async fn a_settled_attempt_needs_its_case_no_more(both: Both) {
    both.report(vec![
        attempt_in("quick", State::AwaitingCustomer),
        attempt_in("asked", State::AwaitingCustomer),
        attempt_in("refused", State::Declined),
    ])
    .await;
    for case in both.claim(1, sample::at(1), sample::at(2)).await {
        if case.attempt.as_str() == "asked" {
            let kept = asked(&case, sample::at(1), sample::at(9));
            let done = both.cases.finish(&finish(&case, 1, Some(kept))).await.unwrap();
            assert_eq!(done, Finished::Done);
        }
    }
    both.resolve("quick", "awaiting_customer", "succeeded").await;
    both.resolve("asked", "awaiting_customer", "closed").await;
    both.resolve("refused", "declined", "late_success").await;
    assert_eq!(both.case("quick").await, None);
    let told = both.case("asked").await.unwrap();
    assert_eq!((told.case.state, told.request), (State::Closed, None));
    assert_eq!(told.ask_count, 1);
    assert_eq!(both.case("refused").await.unwrap().case.state, State::LateSuccess);
}

/// A case is in one hand at a time, and due again when the lease ends, as after a crash.
pub(crate) async fn a_case_is_claimed_by_one_until_the_lease_ends(both: Both) {
    both.report(vec![sample::attempt("a")]).await;
    let claimed = both.claim(1, sample::at(1), sample::at(100)).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(both.claim(2, sample::at(50), sample::at(150)).await, []);
    let again = both.claim(2, sample::at(100), sample::at(200)).await;
    assert_eq!(again.len(), 1);
    let late = asked(&claimed[0], sample::at(1), sample::at(9));
    assert_eq!(
        both.cases
            .finish(&finish(&claimed[0], 1, Some(late)))
            .await
            .unwrap(),
        Finished::Lost
    );
    let kept = asked(&again[0], sample::at(110), sample::at(500));
    assert_eq!(
        both.cases
            .finish(&finish(&again[0], 2, Some(kept)))
            .await
            .unwrap(),
        Finished::Done
    );
    let case = both.case("a").await.unwrap();
    assert_eq!(
        (case.case, case.due_at, case.request),
        (kept.case, kept.due_at, kept.request)
    );
    assert_eq!(case.ask_count, 1);
    assert_eq!(both.claim(3, sample::at(499), sample::at(900)).await, []);
    assert_eq!(both.claim(3, sample::at(500), sample::at(900)).await.len(), 1);
}

/// What is finished moves its attempts in the same transaction, and nothing is written when one of them has moved on.
pub(crate) async fn a_case_is_finished_with_the_changes_of_its_payment(both: Both) {
    both.report(vec![sample::attempt("a"), attempt_in("b", State::Succeeded)])
        .await;
    let claimed = both.claim(1, sample::at(1), sample::at(9_000_000)).await;
    let change = |name: &str, from: &str, to: &str| Resolution {
        class: None,
        ..sample::resolution(name, from, to)
    };
    let moved = Kept {
        case: claimed[0].case.moved(State::ReversalPending, sample::at(5)),
        due_at: Some(sample::at(6)),
        request: None,
    };
    let mut stale = finish(&claimed[0], 1, Some(moved));
    stale.resolutions = vec![
        change("a", "unknown", "reversal_pending"),
        change("b", "declined", "late_success"),
    ];
    assert_eq!(both.cases.finish(&stale).await.unwrap(), Finished::Lost);
    assert_eq!(both.case("a").await.unwrap().case.state, State::Unknown);
    stale.resolutions[1] = change("b", "succeeded", "refund_pending");
    assert_eq!(both.cases.finish(&stale).await.unwrap(), Finished::Done);
    let payment = both
        .ledger
        .payment(&sample::merchant(), &sample::payment("p1"))
        .await;
    let payment = payment.unwrap().unwrap();
    let states: Vec<&str> = payment
        .attempts
        .iter()
        .map(|it| it.verdict.state.as_str())
        .collect();
    assert_eq!(states, ["reversal_pending", "refund_pending"]);
    assert_eq!(payment.transitions.len(), 2);
    assert_eq!(both.case("a").await.unwrap().due_at, Some(sample::at(6)));
    assert_eq!(both.case("b").await.unwrap().case.state, State::RefundPending);
}

fn message(number: u128, class: Class) -> NewDelivery {
    NewDelivery {
        id: Uuid::from_u128(number),
        receiver: "shop".to_owned(),
        order_key: format!("case {number}"),
        dedup_key: format!("case {number}"),
        class,
        ends: false,
        message: serde_json::json!({}),
        created_at: sample::at(1),
        due_at: sample::at(1),
    }
}

/// What is told of a step and of its changes is there when the step is, and not when it was lost.
pub(crate) async fn what_is_told_of_a_step_is_written_with_it(both: Both) {
    both.report(vec![sample::attempt("a")]).await;
    let claimed = both.claim(1, sample::at(2), sample::at(9)).await;
    let mut change = sample::resolution("a", "unknown", "reversal_pending");
    change.notices = vec![message(2, Class::Notice)];
    let kept = asked(&claimed[0], sample::at(2), sample::at(5));
    let step = Finish {
        resolutions: vec![change],
        deliveries: vec![message(1, Class::Event)],
        ..finish(&claimed[0], 1, Some(kept))
    };
    let not_in_hand = Finish {
        leased_by: Uuid::from_u128(2),
        ..step.clone()
    };
    assert_eq!(both.cases.finish(&not_in_hand).await.unwrap(), Finished::Lost);
    assert_eq!(both.told().await, [0_u128; 0]);
    assert_eq!(both.cases.finish(&step).await.unwrap(), Finished::Done);
    assert_eq!(both.told().await, [1, 2]);
}

/// A person's decision moves attempt and case, and is in the audit log with all that it tells; one that came too late
/// is nowhere.
pub(crate) async fn a_decision_is_in_the_audit_log_with_what_follows(both: Both) {
    both.report(vec![attempt_in("a", State::NeedsReview)]).await;
    let mut resolution = sample::resolution("a", "needs_review", "refund_pending");
    resolution.notices = vec![message(1, Class::Notice)];
    let decision = Decision {
        resolution,
        by: Actor::new("olga").unwrap(),
        reason: "the bank says so".to_owned(),
    };
    assert_eq!(both.cases.decide(&decision).await.unwrap(), Finished::Done);
    assert_eq!(both.case("a").await.unwrap().case.state, State::RefundPending);
    assert_eq!(both.told().await, [1]);
    assert_eq!(both.cases.decide(&decision).await.unwrap(), Finished::Lost);
    let mut unknown = decision.clone();
    unknown.resolution.attempt = AttemptId::new("b").unwrap();
    assert_eq!(both.cases.decide(&unknown).await.unwrap(), Finished::Lost);
    let [entry] = both.control.audit(None, 9).await.unwrap().try_into().unwrap();
    assert_eq!(
        (entry.actor.as_str(), entry.action.as_str()),
        ("olga", "settle_attempt")
    );
    assert!(entry.before.contains("needs_review"), "{}", entry.before);
    assert!(
        entry.after.contains("refund_pending") && entry.after.contains("the bank says so"),
        "{}",
        entry.after
    );
    let audited = verify(&*both.control).await.unwrap();
    assert!(
        matches!(audited, Audited::Whole { entries: 1, .. }),
        "{audited:?}"
    );
}

/// A request is with one listener at a time, with the next when it was not answered, and with none when it was.
pub(crate) async fn a_request_is_handed_to_one_listener_until_it_is_answered(both: Both) {
    both.report(vec![sample::attempt("a")]).await;
    let hand_out = |now, until| HandOut {
        merchant: Some(sample::merchant()),
        now: sample::at(now),
        until: sample::at(until),
        limit: 10,
    };
    assert_eq!(
        both.cases.hand_out(&hand_out(1, 2)).await.unwrap(),
        [],
        "nothing was asked"
    );
    let claimed = both.claim(1, sample::at(1), sample::at(100)).await;
    let kept = asked(&claimed[0], sample::at(1), sample::at(500));
    both.cases
        .finish(&finish(&claimed[0], 1, Some(kept)))
        .await
        .unwrap();
    let first = both.cases.hand_out(&hand_out(10, 20)).await.unwrap();
    assert_eq!(first[0].request, kept.request);
    assert_eq!(both.cases.hand_out(&hand_out(19, 40)).await.unwrap(), []);
    let again = both.cases.hand_out(&hand_out(20, 40)).await.unwrap();
    assert_eq!(again[0].request, kept.request, "the same name");
    let (merchant, attempt) = (&claimed[0].merchant, &claimed[0].attempt);
    both.cases
        .answered(merchant, attempt, false, sample::at(30))
        .await
        .unwrap();
    assert_eq!(both.cases.hand_out(&hand_out(50, 60)).await.unwrap(), []);
    let case = both.case("a").await.unwrap();
    assert_eq!(
        (case.due_at, case.case),
        (kept.due_at, kept.case),
        "the schedule goes on"
    );
}

/// An order that nobody can pay is done with as soon as somebody says so.
pub(crate) async fn an_orphan_that_was_closed_is_due_at_once(both: Both) {
    let mut orphan = attempt_in("a", State::FailedNotProcessed);
    orphan.case = Some(Opening {
        cause: Cause::Orphan,
        due_at: sample::at(1_000),
    });
    both.report(vec![orphan]).await;
    let attempt = AttemptId::new("a").unwrap();
    let merchant = sample::merchant();
    both.cases
        .answered(&merchant, &attempt, true, sample::at(5))
        .await
        .unwrap();
    let case = both.case("a").await.unwrap();
    assert_eq!(
        (case.case.cause, case.due_at),
        (Cause::Unsettled, Some(sample::at(5)))
    );
}

/// Cases are listed from the oldest to the youngest, page by page, and counted.
pub(crate) async fn cases_are_listed_and_counted(both: Both) {
    let aged = |number: i64, state: State| {
        let mut attempt = attempt_in(&format!("a{number}"), state);
        attempt.received_at = sample::at(number);
        attempt
    };
    both.report(vec![
        aged(2, State::Unknown),
        aged(1, State::NeedsReview),
        aged(3, State::Unknown),
    ])
    .await;
    let mut filter = Filter {
        limit: 2,
        ..Filter::default()
    };
    let first = both.cases.list(&filter).await.unwrap();
    let names = |cases: &[CaseRecord]| cases.iter().map(|it| it.attempt.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&first), ["a1", "a2"]);
    filter.after = first.last().map(|last| Place {
        opened_at: last.case.opened_at,
        merchant: last.merchant.clone(),
        attempt: last.attempt.clone(),
    });
    assert_eq!(names(&both.cases.list(&filter).await.unwrap()), ["a3"]);
    let reviews = Filter {
        state: Some(State::NeedsReview),
        limit: 9,
        ..Filter::default()
    };
    assert_eq!(names(&both.cases.list(&reviews).await.unwrap()), ["a1"]);
    let standing = both.cases.standing().await.unwrap();
    let told: Vec<_> = standing
        .iter()
        .map(|it| (it.state, it.count, it.oldest))
        .collect();
    assert_eq!(
        told,
        [
            (State::NeedsReview, 1, sample::at(1)),
            (State::Unknown, 2, sample::at(2))
        ]
    );
}

/// Eight claim at once: each case is in one hand, and none is left.
pub(crate) async fn eight_who_claim_at_once_get_each_case_once(both: Both) {
    both.report(
        (0..200)
            .map(|number| sample::attempt(&format!("a{number}")))
            .collect(),
    )
    .await;
    let hands: Vec<_> = (0..8_u128)
        .map(|by| {
            let both = both.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let lease = Lease {
                        by: Uuid::from_u128(by),
                        now: sample::at(1),
                        until: sample::at(1_000),
                        limit: 7,
                    };
                    let claimed = both.cases.claim(&lease).await.unwrap();
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|case| case.attempt));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for hand in hands {
        all.extend(hand.await.unwrap());
    }
    let distinct: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!((all.len(), distinct.len()), (200, 200));
}

/// The names of the rules, for each adapter.
macro_rules! case_conformance {
    ($open:path: $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (both, _alive) = $open().await;
                $crate::conformance::compensation::$rule(both).await;
            }
        )+
    };
    ($open:path) => {
        $crate::conformance::compensation::case_conformance!($open:
            a_case_is_opened_with_its_attempt
            a_repeated_report_opens_no_case
            a_case_follows_its_attempt
            two_charges_of_one_payment_are_found_and_one_reported_twice_is_not
            a_case_follows_within_a_batch
            a_settled_attempt_needs_its_case_no_more
            a_case_is_claimed_by_one_until_the_lease_ends
            a_case_is_finished_with_the_changes_of_its_payment
            what_is_told_of_a_step_is_written_with_it
            a_decision_is_in_the_audit_log_with_what_follows
            a_request_is_handed_to_one_listener_until_it_is_answered
            an_orphan_that_was_closed_is_due_at_once
            cases_are_listed_and_counted
            eight_who_claim_at_once_get_each_case_once
        );
    };
}

pub(crate) use case_conformance;
