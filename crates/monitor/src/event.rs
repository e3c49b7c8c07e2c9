//! From a record of the ledger to an outcome that counts.

use domain::amount_band::AmountBand;
use domain::decision;
use domain::outcome::OutcomeClass;
use ledger::attempt::AttemptRecord;
use stats::event::OutcomeEvent;

/// The outcome that a newly kept `record` stands for; `None` while there is none, as when the customer has yet to act.
#[must_use]
pub fn reported(record: &AttemptRecord) -> Option<OutcomeEvent> {
    Some(event(record, record.verdict.class?, None))
}

/// The outcome of `record` as it is known by now: what was a timeout when it was reported may have proved a success.
#[must_use]
pub fn settled(record: &AttemptRecord, class: OutcomeClass) -> OutcomeEvent {
    event(record, class, record.verdict.class)
}

fn event(record: &AttemptRecord, class: OutcomeClass, corrects: Option<OutcomeClass>) -> OutcomeEvent {
    OutcomeEvent {
        channel: record.channel.clone(),
        method: record.segment.method.clone(),
        issuer: record.segment.issuer.clone(),
        band: AmountBand::of(record.amount),
        class,
        corrects,
        key: decision::attempt_key(&record.merchant, &record.payment, record.attempt_no),
        attempt_no: record.attempt_no,
        decided_at: record.decided_at,
        started_at: record.started_at,
        received_at: record.received_at,
        latency_ms: record.latency_ms,
    }
}
