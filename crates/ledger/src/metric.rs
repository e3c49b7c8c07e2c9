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
/// Transactions that failed; their callers were told, or what they had reported was spooled.
pub const COMMIT_FAILURES: &str = "payroute_ledger_commit_failures_total";
/// The revision of the configuration that this process uses.
pub const CONTROL_REVISION: &str = "payroute_control_revision";
/// Time since the ledger last told which revision of the configuration is the present one.
pub const CONTROL_AGE: &str = "payroute_control_age_seconds";
/// Revisions of the configuration that this process could not use; it goes on with the one before.
pub const CONTROL_REFUSED: &str = "payroute_control_refused_total";
/// Batches of the outbox that this release could not read.
pub const OUTBOX_UNREADABLE: &str = "payroute_outbox_unreadable_total";
/// Attempts that wait in the spool for the ledger to answer again.
pub const SPOOL_ATTEMPTS: &str = "payroute_spool_attempts";
/// Size of the spool.
pub const SPOOL_BYTES: &str = "payroute_spool_bytes";
/// When the oldest of what waits in the spool arrived, in seconds since 1970; 0 when nothing waits. Its age is
/// `time() - payroute_spool_oldest_timestamp_seconds`, which goes on rising when this process hangs.
pub const SPOOL_OLDEST: &str = "payroute_spool_oldest_timestamp_seconds";
/// Attempts that were acknowledged from the spool.
pub const SPOOL_KEPT: &str = "payroute_spool_kept_attempts_total";
/// Attempts that were in the spool and that the ledger has now.
pub const SPOOL_DRAINED: &str = "payroute_spool_drained_attempts_total";
/// Attempts that were refused because the spool was full or its disk failed.
pub const SPOOL_REFUSED: &str = "payroute_spool_refused_attempts_total";
/// Ends of the spool's segments that were never written whole, and were cut off.
pub const SPOOL_TORN: &str = "payroute_spool_torn_records_total";
/// Records and entries of the spool that were set aside for people; look for `.bad` files in its folder.
pub const SPOOL_SET_ASIDE: &str = "payroute_spool_set_aside_total";

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
        "Transactions that failed; their callers were told, or what they had reported was spooled."
    );
    describe_control();
    describe_spool();
}

fn describe_control() {
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
    describe_counter!(
        OUTBOX_UNREADABLE,
        "Times that a batch of the outbox could not be read by this release and was left for another."
    );
}

fn describe_spool() {
    describe_gauge!(
        SPOOL_ATTEMPTS,
        "Attempts that wait in the spool for the ledger to answer again."
    );
    describe_gauge!(SPOOL_BYTES, Unit::Bytes, "Size of the spool.");
    describe_gauge!(
        SPOOL_OLDEST,
        Unit::Seconds,
        "When the oldest of what waits in the spool arrived, in seconds since 1970; 0 when nothing waits."
    );
    describe_counter!(SPOOL_KEPT, "Attempts that were acknowledged from the spool.");
    describe_counter!(
        SPOOL_DRAINED,
        "Attempts that were in the spool and that the ledger has now."
    );
    describe_counter!(
        SPOOL_REFUSED,
        "Attempts that were refused because the spool was full or its disk failed."
    );
    describe_counter!(
        SPOOL_TORN,
        "Ends of the spool's segments that were never written whole, and were cut off."
    );
    describe_counter!(
        SPOOL_SET_ASIDE,
        "Records and entries of the spool that were set aside for people, in .bad files."
    );
}
