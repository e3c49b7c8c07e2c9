//! Rules on what is read back, and on changes of states.

use std::sync::Arc;

use domain::outcome::OutcomeClass;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::sample;
use crate::attempt::{AttemptRecord, Resolved, Transition};
use crate::port::{Batch, Ledger};

/// Decisions, attempts and transitions, each in its order, and those of no other payment.
pub(crate) async fn a_payment_is_read_whole_and_in_order(ledger: Arc<dyn Ledger>) {
    let attempt = |name: &str, number, received| {
        let mut attempt = sample::attempt(name);
        attempt.attempt_no = number;
        attempt.received_at = sample::at(received);
        attempt
    };
    let mut elsewhere = sample::attempt("elsewhere");
    elsewhere.payment = sample::payment("p2");
    let batch = Batch {
        attempts: vec![
            attempt("late", 2, 20),
            elsewhere,
            attempt("early", 2, 10),
            attempt("first", 1, 30),
        ],
        resolutions: vec![
            sample::resolution("late", "unknown", "reversing"),
            sample::resolution("elsewhere", "unknown", "succeeded"),
            sample::resolution("first", "unknown", "failed"),
            sample::resolution("late", "reversing", "reversed"),
        ],
        decisions: vec![
            sample::decision(2, "p1"),
            sample::decision(3, "p2"),
            sample::decision(1, "p1"),
        ],
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    let record = ledger.payment(&sample::merchant(), &sample::payment("p1")).await;
    let record = record.unwrap().unwrap();
    assert_eq!(
        record.decisions,
        [sample::decision(1, "p1"), sample::decision(2, "p1")]
    );
    let attempts: Vec<_> = record.attempts.iter().map(state_of).collect();
    assert_eq!(
        attempts,
        [("first", "failed"), ("early", "unknown"), ("late", "reversed")]
    );
    let transitions: Vec<_> = record
        .transitions
        .iter()
        .map(|transition| (transition.attempt.as_str(), transition.to_state.as_str()))
        .collect();
    assert_eq!(
        transitions,
        [("late", "reversing"), ("first", "failed"), ("late", "reversed")]
    );
}

fn state_of(attempt: &AttemptRecord) -> (&str, &str) {
    (attempt.attempt.as_str(), attempt.verdict.state.as_str())
}

/// What was never heard of is not an empty payment.
pub(crate) async fn an_unknown_payment_is_none(ledger: Arc<dyn Ledger>) {
    let merchant = sample::merchant();
    let payment = ledger.payment(&merchant, &sample::payment("p9")).await;
    assert_eq!(payment.unwrap(), None);
    let attempt = ledger.attempt(&merchant, &sample::attempt("a9").attempt).await;
    assert_eq!(attempt.unwrap(), None);
}

/// Compare-and-set: of two findings on the same state the first wins, and only what was applied is history.
pub(crate) async fn a_resolution_changes_only_the_state_it_supposed(ledger: Arc<dyn Ledger>) {
    let batch = Batch {
        attempts: vec![sample::attempt("a")],
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    let applied = sample::resolution("a", "unknown", "succeeded");
    let batch = Batch {
        resolutions: vec![
            applied.clone(),
            sample::resolution("a", "unknown", "failed"),
            sample::resolution("nobody", "unknown", "failed"),
        ],
        ..Batch::default()
    };
    let answers = ledger.commit(&batch).await.unwrap().resolutions;
    let current = "succeeded".to_owned();
    assert_eq!(
        answers,
        [
            Resolved::Applied,
            Resolved::Stale { current },
            Resolved::UnknownAttempt
        ]
    );
    let payment = ledger.payment(&sample::merchant(), &sample::payment("p1")).await;
    assert_eq!(
        payment.unwrap().unwrap().transitions,
        [Transition {
            attempt: applied.attempt,
            from_state: applied.from_state,
            to_state: applied.to_state,
            source: applied.source,
            content: applied.content,
            at: applied.at,
        }]
    );
}

/// A report and the query's answer may arrive in the same moment.
pub(crate) async fn a_resolution_sees_the_attempts_of_its_batch(ledger: Arc<dyn Ledger>) {
    let batch = Batch {
        attempts: vec![sample::attempt("a")],
        resolutions: vec![sample::resolution("a", "unknown", "succeeded")],
        ..Batch::default()
    };
    assert_eq!(
        ledger.commit(&batch).await.unwrap().resolutions,
        [Resolved::Applied]
    );
}

/// An attempt that waits for the customer says nothing about its channel yet.
pub(crate) async fn attempts_without_an_outcome_are_on_no_page(ledger: Arc<dyn Ledger>) {
    let mut waiting = sample::attempt("waiting");
    waiting.verdict.class = None;
    let batch = Batch {
        attempts: vec![waiting, sample::attempt("done")],
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    let page = ledger.outcomes_since(sample::at(0), None, 10).await.unwrap();
    assert_eq!(page.attempts, [sample::attempt("done")]);
    assert_eq!(page.next, None);
}

/// An attempt that waited for the customer counts from when it is known what became of it; another keeps its class.
pub(crate) async fn an_outcome_that_comes_later_is_on_the_pages(ledger: Arc<dyn Ledger>) {
    let mut waiting = sample::attempt("waiting");
    waiting.verdict.class = None;
    waiting.verdict.state = "awaiting_customer".to_owned();
    let batch = Batch {
        attempts: vec![waiting, sample::attempt("timed-out")],
        resolutions: vec![
            sample::resolution("waiting", "awaiting_customer", "succeeded"),
            sample::resolution("timed-out", "unknown", "succeeded"),
        ],
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    let page = ledger.outcomes_since(sample::at(0), None, 10).await.unwrap();
    let classes: Vec<_> = page
        .attempts
        .iter()
        .map(|attempt| (attempt.attempt.as_str(), attempt.verdict.class))
        .collect();
    assert_eq!(
        classes,
        [
            ("waiting", Some(OutcomeClass::Success)),
            ("timed-out", Some(OutcomeClass::Timeout))
        ]
    );
}

/// However many arrive in the same microsecond, and however small the pages: none is lost, none comes twice, and
/// their times never go back.
pub(crate) async fn pages_hold_every_outcome_once(ledger: Arc<dyn Ledger>) {
    // Few times for many outcomes, so that ties span pages.
    let times: Vec<i64> = (0..60_i64).map(|number| (number * 7 % 5) * 10).collect();
    let attempts = times.iter().enumerate().map(|(number, micros)| {
        let mut attempt = sample::attempt(&format!("a{number}"));
        attempt.received_at = sample::at(*micros);
        attempt
    });
    let batch = Batch {
        attempts: attempts.collect(),
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let property = move || {
        let config = Config {
            cases: 40,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..Config::default()
        };
        TestRunner::new(config).run(&(0_i64..=50, 1_u32..=70), |(since, limit)| {
            let read = runtime.block_on(read_all(&ledger, since, limit));
            prop_assert!(read.is_sorted_by_key(|attempt| attempt.received_at));
            let mut names: Vec<_> = read.iter().map(|attempt| attempt.attempt.clone()).collect();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), read.len());
            let expected = times.iter().filter(|micros| **micros >= since).count();
            prop_assert_eq!(read.len(), expected);
            Ok(())
        })
    };
    tokio::task::spawn_blocking(property).await.unwrap().unwrap();
}

async fn read_all(ledger: &Arc<dyn Ledger>, since: i64, limit: u32) -> Vec<AttemptRecord> {
    let mut read = Vec::new();
    let mut after = None;
    loop {
        let page = ledger
            .outcomes_since(sample::at(since), after, limit)
            .await
            .unwrap();
        assert!(page.attempts.len() <= usize::try_from(limit).unwrap());
        read.extend(page.attempts);
        match page.next {
            Some(next) => after = Some(next),
            None => return read,
        }
    }
}
