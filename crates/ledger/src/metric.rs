//! The names of the ledger's metrics.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Decision records that were given up because the queue was full or their transaction failed.
pub const DECISIONS_DROPPED: &str = "payroute_decision_records_dropped_total";
/// Writes that were waiting when a transaction ended.
pub const QUEUE_DEPTH: &str = "payroute_ledger_queue_depth";
/// Rows written in one transaction.
pub const COMMIT_ROWS: &str = "payroute_ledger_commit_rows";
/// Time that one transaction took, the flush to the disk included.
pub const COMMIT_DURATION: &str = "payroute_ledger_commit_duration_seconds";
/// Transactions that failed; their callers were told.
pub const COMMIT_FAILURES: &str = "payroute_ledger_commit_failures_total";
/// The revision of the configuration that this process uses.
pub const CONTROL_REVISION: &str = "payroute_control_revision";
/// Time since the ledger last told which revision of the configuration is the present one.
pub const CONTROL_AGE: &str = "payroute_control_age_seconds";
/// Revisions of the configuration that this process could not use; it goes on with the one before.
pub const CONTROL_REFUSED: &str = "payroute_control_refused_total";

/// Tells the installed recorder what the metrics mean. Once, at start.
pub fn describe() {
    describe_counter!(
        DECISIONS_DROPPED,
        "Decision records given up: the queue was full or the transaction failed."
    );
    describe_gauge!(QUEUE_DEPTH, "Writes that were waiting when a transaction ended.");
    describe_histogram!(COMMIT_ROWS, "Rows written in one transaction.");
    describe_histogram!(
        COMMIT_DURATION,
        Unit::Seconds,
        "Time of one transaction, the flush to the disk included."
    );
    describe_counter!(
        COMMIT_FAILURES,
        "Transactions that failed; their callers were told."
    );
    describe_gauge!(
        CONTROL_REVISION,
        "The revision of the configuration that this process uses."
    );
    describe_gauge!(
        CONTROL_AGE,
        Unit::Seconds,
        "Time since the ledger last told which revision of the configuration is the present one."
    );
    describe_counter!(
        CONTROL_REFUSED,
        "Revisions of the configuration that this process could not use; it goes on with the one before."
    );
}
