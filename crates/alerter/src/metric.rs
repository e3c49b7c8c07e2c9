//! What the service counts.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What became of tries, by receiver and result.
pub(crate) const DELIVERIES: &str = "payroute_deliveries_total";
/// How long receivers took to answer.
pub(crate) const SECONDS: &str = "payroute_delivery_duration_seconds";
/// Deliveries that are not finished.
pub(crate) const WAITING: &str = "payroute_deliveries_waiting";
/// How long the one that is due the longest has waited.
pub(crate) const OLDEST: &str = "payroute_delivery_oldest_pending_seconds";
/// Dead letters.
pub(crate) const DEAD: &str = "payroute_deliveries_dead";
/// Calls of the ledger that failed.
pub(crate) const STORE_ERRORS: &str = "payroute_delivery_store_errors_total";

/// Describes them.
pub fn describe() {
    describe_counter!(
        DELIVERIES,
        "Tries to deliver a message, by receiver and by what became of them: delivered, retried, dead, released."
    );
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "How long a receiver took to answer, or to be given up."
    );
    describe_gauge!(WAITING, "Messages that wait to be delivered, by receiver.");
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "How long the message that has been due the longest has waited, by receiver."
    );
    describe_gauge!(DEAD, "Messages that were given up and not replayed, by receiver.");
    describe_counter!(
        STORE_ERRORS,
        "Calls of the dispatcher that the ledger did not answer well."
    );
}
