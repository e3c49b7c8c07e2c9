//! The names of the evaluator's metrics.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// When an evaluation was last written, or found that there was nothing to write; in seconds since 1970. An alert on
/// its age, outside, tells of a fleet without evaluators.
pub const LAST_SUCCESS: &str = "payroute_alert_evaluator_last_success_timestamp_seconds";
/// How long an evaluation took, the ledger included.
pub const DURATION: &str = "payroute_alert_evaluation_duration_seconds";
/// Evaluations whose findings the store did not take.
pub const FAILURES: &str = "payroute_alert_store_failures_total";
/// Evaluations that were made anew because somebody else was faster.
pub const STALE: &str = "payroute_alert_evaluations_stale_total";
/// Alerts by state.
pub const ALERTS: &str = "payroute_alerts";
/// Pages that went to the emergency receiver without the store.
pub const EMERGENCIES: &str = "payroute_alert_emergency_pages_total";

/// Tells the installed recorder what the metrics mean. Once, at start.
pub fn describe() {
    describe_gauge!(
        LAST_SUCCESS,
        Unit::Seconds,
        "When an evaluation of the alert rules last succeeded, in seconds since 1970."
    );
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time of one evaluation of the alert rules."
    );
    describe_counter!(FAILURES, "Evaluations whose findings the store did not take.");
    describe_counter!(STALE, "Evaluations made anew because somebody else was faster.");
    describe_gauge!(ALERTS, "Alerts by state.");
    describe_counter!(
        EMERGENCIES,
        "Pages that went to the emergency receiver without the store."
    );
}
