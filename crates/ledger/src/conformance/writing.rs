//! Rules on ledger and writer together: many callers, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sample;
use crate::attempt::Recorded;
use crate::error::LedgerError;
use crate::port::{Batch, Ledger};
use crate::writer::{Limits, Writer};

/// Sixteen callers report the same hundred attempts: each is new for one of them, and told to the listener once.
pub(crate) async fn sixteen_writers_keep_each_attempt_once(ledger: Arc<dyn Ledger>) {
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    let writer = Writer::spawn(Arc::clone(&ledger), Limits::default(), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let writer = writer.clone();
            tokio::spawn(async move {
                let mut new = 0;
                for number in 0..100 {
                    // Each begins elsewhere, so that no two march in step.
                    let name = format!("a{}", (number + caller * 7) % 100);
                    match writer.record(sample::attempt(&name)).await.unwrap() {
                        Recorded::New => new += 1,
                        Recorded::Duplicate(kept) => assert_eq!(*kept, sample::attempt(&name)),
                        Recorded::Conflict => panic!("the content is the same"),
                    }
                }
                new
            })
        })
        .collect();
    let mut new = 0;
    for caller in callers {
        new += caller.await.unwrap();
    }
    assert_eq!(new, 100);
    assert_eq!(told.load(Ordering::SeqCst), 100);
    let page = ledger.outcomes_since(sample::at(0), None, 1_000).await.unwrap();
    assert_eq!(page.attempts.len(), 100);
}

/// A decision that is handed in again, as after a repeated Route call, is not an error and not a second row.
pub(crate) async fn a_decision_twice_is_kept_once(ledger: Arc<dyn Ledger>) {
    let batch = Batch {
        decisions: vec![sample::decision(1, "p1"), sample::decision(1, "p1")],
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    ledger.commit(&batch).await.unwrap();
    let payment = ledger.payment(&sample::merchant(), &sample::payment("p1")).await;
    assert_eq!(payment.unwrap().unwrap().decisions, [sample::decision(1, "p1")]);
}

/// After close, every call answers that the ledger is closed.
pub(crate) async fn a_closed_ledger_says_so(ledger: Arc<dyn Ledger>) {
    ledger.close().await.unwrap();
    let batch = Batch {
        attempts: vec![sample::attempt("a")],
        ..Batch::default()
    };
    let written = ledger.commit(&batch).await;
    assert!(matches!(written, Err(LedgerError::Closed)), "{written:?}");
    let read = ledger.payment(&sample::merchant(), &sample::payment("p1")).await;
    assert!(matches!(read, Err(LedgerError::Closed)), "{read:?}");
}
