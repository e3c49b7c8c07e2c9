//! Rules on attempts: what is new, what is repeated, what contradicts.

use std::sync::Arc;

use domain::id::MerchantId;

use super::sample;
use crate::attempt::{AttemptRecord, Recorded};
use crate::port::{Batch, Ledger};

/// Commits `attempts` in one transaction and gives their answers.
async fn record(ledger: &Arc<dyn Ledger>, attempts: Vec<AttemptRecord>) -> Vec<Recorded> {
    let batch = Batch {
        attempts,
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap().attempts
}

/// Every field comes back, and the optional ones also when they are empty.
pub(crate) async fn an_attempt_is_read_as_it_was_written(ledger: Arc<dyn Ledger>) {
    let full = sample::attempt("full");
    let mut bare = sample::attempt("bare");
    bare.account = None;
    bare.segment.issuer = None;
    bare.segment.region = None;
    bare.report.code = None;
    bare.report.sub_code = None;
    bare.report.http_status = None;
    bare.report.transport_event = None;
    bare.report.message = None;
    bare.report.provider_reference = None;
    bare.report.network_advice_code = None;
    bare.verdict.reason = None;
    bare.verdict.class = None;
    bare.trace_id = None;
    let answers = record(&ledger, vec![full.clone(), bare.clone()]).await;
    assert_eq!(answers, [Recorded::New, Recorded::New]);
    for expected in [full, bare] {
        let read = ledger.attempt(&expected.merchant, &expected.attempt).await;
        assert_eq!(read.unwrap(), Some(expected));
    }
}

/// The second report of one content gets the first one, and a second row is not made.
pub(crate) async fn a_repeated_report_is_answered_with_what_is_kept(ledger: Arc<dyn Ledger>) {
    let first = sample::attempt("a");
    record(&ledger, vec![first.clone()]).await;
    let mut again = first.clone();
    again.received_at = sample::at(9);
    let answers = record(&ledger, vec![again]).await;
    assert_eq!(answers, [Recorded::Duplicate(Box::new(first.clone()))]);
    let payment = ledger.payment(&first.merchant, &first.payment).await.unwrap();
    assert_eq!(payment.unwrap().attempts, [first]);
}

/// Another content under a name that is taken is refused, and the rest of its batch is kept.
pub(crate) async fn a_contradicting_report_changes_nothing(ledger: Arc<dyn Ledger>) {
    let first = sample::attempt("a");
    record(&ledger, vec![first.clone()]).await;
    let mut other = first.clone();
    other.digest = [8; 32];
    other.latency_ms = 1;
    let answers = record(&ledger, vec![other, sample::attempt("b")]).await;
    assert_eq!(answers, [Recorded::Conflict, Recorded::New]);
    let read = ledger.attempt(&first.merchant, &first.attempt).await;
    assert_eq!(read.unwrap(), Some(first));
}

/// Within one batch the first content counts as kept.
pub(crate) async fn one_name_twice_in_a_batch_is_kept_once(ledger: Arc<dyn Ledger>) {
    let first = sample::attempt("a");
    let mut other = first.clone();
    other.digest = [8; 32];
    let answers = record(&ledger, vec![first.clone(), other, first.clone()]).await;
    let kept = Recorded::Duplicate(Box::new(first));
    assert_eq!(answers, [Recorded::New, Recorded::Conflict, kept]);
}

/// Names are unique within a merchant only.
pub(crate) async fn two_merchants_may_use_the_same_name(ledger: Arc<dyn Ledger>) {
    let ours = sample::attempt("a");
    let mut theirs = ours.clone();
    theirs.merchant = MerchantId::new("other").unwrap();
    theirs.digest = [8; 32];
    assert_eq!(
        record(&ledger, vec![ours.clone(), theirs.clone()]).await,
        [Recorded::New, Recorded::New]
    );
    let read = ledger.attempt(&theirs.merchant, &theirs.attempt).await;
    assert_eq!(read.unwrap(), Some(theirs));
}
