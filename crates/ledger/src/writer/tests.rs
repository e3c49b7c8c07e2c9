//! Group commit against a ledger whose disk the test moves by hand.

use std::collections::VecDeque;
use std::sync::Mutex;

use domain::id::{AttemptId, MerchantId, PaymentId};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::Semaphore;

use super::*;
use crate::attempt::AttemptRecord;
use crate::conformance::sample;
use crate::payment::{Cursor, Page, PaymentRecord};
use crate::port::{Answer, Batch, Committed};

mod spooled;
mod switch;

/// A ledger whose commits wait for a permit each, and whose answers are scripted; beyond the script it keeps all.
#[derive(Debug)]
struct Gated {
    permits: Semaphore,
    failures: Mutex<VecDeque<LedgerError>>,
    batches: Mutex<Vec<Batch>>,
}

impl Gated {
    fn new(permits: usize, failures: impl IntoIterator<Item = LedgerError>) -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(permits),
            failures: Mutex::new(failures.into_iter().collect()),
            batches: Mutex::default(),
        })
    }

    async fn take(&self, batch: &Batch) -> Result<Committed, LedgerError> {
        self.permits.acquire().await.unwrap().forget();
        self.batches.lock().unwrap().push(batch.clone());
        match self.failures.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(Committed {
                attempts: vec![Recorded::New; batch.attempts.len()],
                resolutions: vec![Resolved::Applied; batch.resolutions.len()],
                registrations: Vec::new(),
                outbox: None,
            }),
        }
    }

    fn sizes(&self) -> Vec<usize> {
        let batches = self.batches.lock().unwrap();
        batches.iter().map(|batch| batch.attempts.len()).collect()
    }
}

impl Ledger for Gated {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        Box::pin(self.take(batch))
    }

    fn attempt<'a>(&'a self, _: &'a MerchantId, _: &'a AttemptId) -> Answer<'a, Option<AttemptRecord>> {
        Box::pin(async { Ok(None) })
    }

    fn payment<'a>(&'a self, _: &'a MerchantId, _: &'a PaymentId) -> Answer<'a, Option<PaymentRecord>> {
        Box::pin(async { Ok(None) })
    }

    fn outcomes_since(&self, _: Timestamp, _: Option<Cursor>, _: u32) -> Answer<'_, Page> {
        Box::pin(async { Err(LedgerError::Closed) })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn spawn(ledger: &Arc<Gated>, limits: Limits) -> Writer {
    Writer::spawn(Arc::clone(ledger) as Arc<dyn Ledger>, limits, |_| {})
}

fn record(writer: &Writer, number: usize) -> tokio::task::JoinHandle<Result<Recorded, LedgerError>> {
    let writer = writer.clone();
    tokio::spawn(async move { writer.record(sample::attempt(&format!("a{number}"))).await })
}

/// Lets the other tasks run until they all wait.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_waits_during_a_commit_goes_into_the_next_one() {
    let ledger = Gated::new(0, []);
    let writer = spawn(&ledger, Limits::default());
    let first = record(&writer, 0);
    settle().await;
    let rest: Vec<_> = (1..40).map(|number| record(&writer, number)).collect();
    settle().await;
    ledger.permits.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), Recorded::New);
    for caller in rest {
        assert_eq!(caller.await.unwrap().unwrap(), Recorded::New);
    }
    assert_eq!(ledger.sizes(), [1, 39]);
}

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    let ledger = Gated::new(0, []);
    let limits = Limits {
        writes: 2,
        ..Limits::default()
    };
    let writer = spawn(&ledger, limits);
    let committing = record(&writer, 0);
    settle().await;
    let waiting = [record(&writer, 1), record(&writer, 2)];
    settle().await;
    let refused = writer.record(sample::attempt("one_too_many")).await;
    assert!(
        matches!(refused, Err(LedgerError::Busy { queue: 2 })),
        "{refused:?}"
    );
    ledger.permits.add_permits(2);
    assert_eq!(committing.await.unwrap().unwrap(), Recorded::New);
    for caller in waiting {
        assert_eq!(caller.await.unwrap().unwrap(), Recorded::New);
    }
}

#[tokio::test]
async fn a_failed_commit_is_told_to_each_of_its_callers_and_to_no_other() {
    let full = LedgerError::Full {
        ledger: "ledger.db".to_owned(),
        source: Arc::new(std::io::Error::other("disk full")),
    };
    let ledger = Gated::new(0, [full]);
    let writer = spawn(&ledger, Limits::default());
    let failing = [record(&writer, 0), record(&writer, 1)];
    settle().await;
    ledger.permits.add_permits(1);
    for caller in failing {
        let refused = caller.await.unwrap();
        assert!(matches!(refused, Err(LedgerError::Full { .. })), "{refused:?}");
    }
    ledger.permits.add_permits(1);
    assert_eq!(record(&writer, 2).await.unwrap().unwrap(), Recorded::New);
}

#[tokio::test]
async fn a_caller_that_goes_away_is_counted_all_the_same() {
    let ledger = Gated::new(0, []);
    let (told, mut heard) = mpsc::channel(8);
    let on_new = move |attempt: &AttemptRecord| told.try_send(attempt.attempt.clone()).unwrap();
    let writer = Writer::spawn(Arc::clone(&ledger) as Arc<dyn Ledger>, Limits::default(), on_new);
    let caller = record(&writer, 0);
    settle().await;
    caller.abort();
    ledger.permits.add_permits(1);
    assert_eq!(heard.recv().await, Some(sample::attempt("a0").attempt));
}

#[tokio::test]
async fn decisions_share_the_transaction_of_an_attempt() {
    let ledger = Gated::new(1, []);
    let writer = spawn(&ledger, Limits::default());
    // The first look at the queue comes at once, with nothing in it.
    settle().await;
    writer.record_decision(sample::decision(1, "p1"));
    writer.record_decision(sample::decision(2, "p1"));
    record(&writer, 0).await.unwrap().unwrap();
    let batches = ledger.batches.lock().unwrap();
    let sizes: Vec<_> = batches
        .iter()
        .map(|batch| (batch.attempts.len(), batch.decisions.len()))
        .collect();
    assert_eq!(sizes, [(1, 2)]);
}

#[tokio::test]
async fn a_resolution_is_answered_from_the_same_transaction() {
    let ledger = Gated::new(0, []);
    let writer = spawn(&ledger, Limits::default());
    let reporting = record(&writer, 0);
    let resolving = tokio::spawn(async move {
        let resolution = sample::resolution("a0", "unknown", "succeeded");
        writer.resolve(resolution).await
    });
    settle().await;
    ledger.permits.add_permits(1);
    assert_eq!(resolving.await.unwrap().unwrap(), Resolved::Applied);
    assert_eq!(reporting.await.unwrap().unwrap(), Recorded::New);
    assert_eq!(ledger.batches.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_decision_too_many_is_dropped_counted_and_does_not_wait() {
    let ledger = Gated::new(0, []);
    let limits = Limits {
        decisions: 3,
        ..Limits::default()
    };
    let recorder = PrometheusBuilder::new().build_recorder();
    let writer = metrics::with_local_recorder(&recorder, || spawn(&ledger, limits));
    let committing = record(&writer, 0);
    settle().await;
    for number in 0..5 {
        writer.record_decision(sample::decision(number, "p1"));
    }
    ledger.permits.add_permits(2);
    committing.await.unwrap().unwrap();
    writer.close().await.unwrap();
    let batches = ledger.batches.lock().unwrap();
    let kept: usize = batches.iter().map(|batch| batch.decisions.len()).sum();
    assert_eq!(kept, 3);
    let rendered = recorder.handle().render();
    assert!(
        rendered.contains("payroute_decision_records_dropped_total 2\n"),
        "{rendered}"
    );
}

#[tokio::test]
async fn close_writes_everything_that_was_accepted() {
    let ledger = Gated::new(usize::MAX >> 4, []);
    let limits = Limits {
        batch: 8,
        ..Limits::default()
    };
    let writer = spawn(&ledger, limits);
    let callers: Vec<_> = (0..50).map(|number| record(&writer, number)).collect();
    settle().await;
    for number in 0..100 {
        writer.record_decision(sample::decision(number, "p1"));
    }
    writer.close().await.unwrap();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), Recorded::New);
    }
    let batches = ledger.batches.lock().unwrap();
    let attempts: usize = batches.iter().map(|batch| batch.attempts.len()).sum();
    let decisions: usize = batches.iter().map(|batch| batch.decisions.len()).sum();
    assert_eq!((attempts, decisions), (50, 100));
}

#[tokio::test]
async fn after_close_the_writer_is_closed() {
    let ledger = Gated::new(8, []);
    let writer = spawn(&ledger, Limits::default());
    writer.close().await.unwrap();
    let refused = writer.record(sample::attempt("a")).await;
    assert!(matches!(refused, Err(LedgerError::Closed)), "{refused:?}");
    let refused = writer.close().await;
    assert!(matches!(refused, Err(LedgerError::Closed)), "{refused:?}");
}
