//! The courier against a Payroute that tests set up.

use std::collections::VecDeque;
use std::path::Path;

use rand::SeedableRng;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::observer::{Acknowledged, Call};

/// Answers as it is told to, then always well.
#[derive(Debug, Default)]
struct Desk {
    answers: Mutex<VecDeque<Status>>,
    heard: Mutex<Vec<String>>,
    acknowledged: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
}

impl Desk {
    fn answer(&self, what: String) -> Result<(), Status> {
        if let Some(status) = self.answers.lock().pop_front() {
            return Err(status);
        }
        self.heard.lock().push(what);
        Ok(())
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

impl Payroute for Desk {
    async fn route(&self, _: &v1::RouteRequest) -> Result<v1::RouteResponse, Status> {
        Err(Status::unimplemented("the courier does not route"))
    }

    async fn report(&self, request: &v1::ReportOutcomeRequest) -> Result<v1::ReportOutcomeResponse, Status> {
        sleep(Duration::from_millis(1)).await;
        self.answer(format!("{} {}", request.attempt_id, request.transport_event))?;
        Ok(v1::ReportOutcomeResponse {
            receipt: format!("receipt of {}", request.attempt_id).into_bytes(),
            ..v1::ReportOutcomeResponse::default()
        })
    }

    async fn resolve(
        &self,
        request: &v1::ResolveAttemptRequest,
    ) -> Result<v1::ResolveAttemptResponse, Status> {
        sleep(Duration::from_millis(1)).await;
        self.answer(String::from_utf8(request.receipt.clone()).unwrap())?;
        Ok(v1::ResolveAttemptResponse::default())
    }
}

impl Observer for Desk {
    fn acknowledged(&self, said: &Acknowledged<'_>) {
        self.acknowledged.lock().push(said.subject.attempt_id.clone());
    }

    fn refused(&self, subject: &Subject, _: Call, _: &Status) {
        self.refused.lock().push(subject.attempt_id.clone());
    }
}

fn courier(desk: &Arc<Desk>, journal: Option<&Path>) -> Courier<Desk> {
    let plan = Plan {
        payroute: Arc::clone(desk),
        observer: Arc::clone(desk) as _,
        capacity: 1_000,
        rng: StdRng::seed_from_u64(1),
    };
    Courier::new(plan, journal, Handle::current()).unwrap()
}

fn subject(attempt: &str) -> Subject {
    Subject {
        attempt_id: attempt.to_owned(),
        ..Subject::default()
    }
}

fn report(attempt: &str, event: &str) -> v1::ReportOutcomeRequest {
    v1::ReportOutcomeRequest {
        attempt_id: attempt.to_owned(),
        transport_event: event.to_owned(),
        ..v1::ReportOutcomeRequest::default()
    }
}

async fn begin(courier: &Courier<Desk>, attempt: &str) -> Underway<Desk> {
    let slot = courier.room().unwrap();
    let underway = courier
        .begin(slot, subject(attempt), report(attempt, "unknown"))
        .await;
    underway.unwrap()
}

const AT_ONCE: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn outcomes_of_a_payment_are_told_in_order_also_when_the_first_is_not_taken_at_once() {
    let desk = Arc::<Desk>::default();
    desk.answers
        .lock()
        .extend([Status::unavailable(""), Status::unavailable("")]);
    let courier = courier(&desk, None);
    let mut last = None;
    for attempt in ["a", "b", "c"] {
        let underway = begin(&courier, attempt).await.after(last);
        last = underway.end(report(attempt, "ok"));
    }
    let resolved = courier.resolve(None, subject("c"), v1::ResolveAttemptRequest::default(), last);
    assert_eq!(courier.undelivered(), 4);
    drop(resolved);
    assert_eq!(courier.close(Duration::from_secs(10)).await, 0);
    assert_eq!(desk.heard(), ["a ok", "b ok", "c ok", "receipt of c"]);
    assert_eq!(*desk.acknowledged.lock(), ["a", "b", "c", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_router_that_says_when_to_come_again_is_heeded() {
    let desk = Arc::<Desk>::default();
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_secs(7)));
    let busy = Status::with_error_details(Code::Unavailable, "busy", details);
    desk.answers.lock().push_back(busy);
    let courier = courier(&desk, None);
    let began = Instant::now();
    let mut ticket = begin(&courier, "a").await.end(report("a", "ok")).unwrap();
    assert!(
        ticket
            .delivered_by(began + Duration::from_secs(1))
            .await
            .is_none()
    );
    assert!(matches!(&*ticket.delivered().await, Delivered::Report(_)));
    assert!((7_000..7_100).contains(&began.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_and_told_to_the_observer() {
    let desk = Arc::<Desk>::default();
    desk.answers
        .lock()
        .push_back(Status::permission_denied("expired"));
    let courier = courier(&desk, None);
    let mut ticket = begin(&courier, "a").await.end(report("a", "ok")).unwrap();
    let resolved = courier.resolve(
        None,
        subject("a"),
        v1::ResolveAttemptRequest::default(),
        Some(ticket.clone()),
    );
    assert!(matches!(&*ticket.delivered().await, Delivered::Refused(_)));
    drop(resolved);
    assert_eq!(courier.close(AT_ONCE).await, 0);
    assert_eq!(*desk.refused.lock(), ["a"]);
    assert_eq!(desk.heard(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_nobody_ends_is_unknown_and_one_that_is_withdrawn_never_was() {
    let desk = Arc::<Desk>::default();
    let courier = courier(&desk, None);
    drop(begin(&courier, "a").await);
    begin(&courier, "b").await.withdraw().await;
    assert_eq!(courier.close(AT_ONCE).await, 0);
    assert_eq!(desk.heard(), ["a unknown"]);
}

#[tokio::test]
async fn the_journal_brings_what_a_crash_left_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outcomes");
    let desk = Arc::<Desk>::default();
    let first = courier(&desk, Some(&path));
    let mut told = begin(&first, "told").await.end(report("told", "ok")).unwrap();
    told.delivered().await;
    begin(&first, "withdrawn").await.withdraw().await;
    let submitted = begin(&first, "submitted").await;
    desk.answers
        .lock()
        .extend(std::iter::repeat_n(Status::unavailable(""), 100));
    let ended = begin(&first, "ended").await.end(report("ended", "ok"));
    let late = first.resolve(
        None,
        subject("ended"),
        v1::ResolveAttemptRequest::default(),
        ended,
    );
    sleep(Duration::from_millis(100)).await;
    // A crash: nothing runs to its end.
    std::mem::forget(submitted);
    first.0.stop.cancel();
    assert_eq!(first.close(Duration::ZERO).await, 2);
    drop(late);

    desk.answers.lock().clear();
    desk.heard.lock().clear();
    let second = courier(&desk, Some(&path));
    assert_eq!(second.close(Duration::from_secs(5)).await, 0);
    let mut heard = desk.heard();
    heard.sort_unstable();
    assert_eq!(heard, ["ended ok", "receipt of ended", "submitted unknown"]);

    desk.heard.lock().clear();
    let third = courier(&desk, Some(&path));
    assert_eq!(third.close(Duration::from_secs(5)).await, 0);
    assert_eq!(desk.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_stops_the_submit() {
    let desk = Arc::<Desk>::default();
    let folder = tempfile::tempdir().unwrap();
    let courier = courier(&desk, Some(&folder.path().join("outcomes")));
    if let Some(journal) = &courier.0.journal {
        journal.close().await;
    }
    let slot = courier.room().unwrap();
    let begun = courier.begin(slot, subject("a"), report("a", "unknown")).await;
    assert!(matches!(begun.err(), Some(PayError::Journal(_))));
}
