//! What every adapter of the port must do, as tests: `conformance!(open)` makes a test of each.
//!
//! `open` is an `async fn() -> (Arc<dyn Ledger>, T)` that gives an empty ledger; `T` is whatever must live as long.

pub(crate) mod alerts;
mod attempts;
pub(crate) mod compensation;
pub(crate) mod control;
pub(crate) mod delivery;
pub(crate) mod guards;
pub(crate) mod notices;
pub(crate) mod observing;
mod payments;
pub(crate) mod sample;
mod writing;

pub(crate) use attempts::{
    a_contradicting_report_changes_nothing, a_repeated_report_is_answered_with_what_is_kept,
    an_attempt_is_read_as_it_was_written, one_name_twice_in_a_batch_is_kept_once,
    two_merchants_may_use_the_same_name,
};
pub(crate) use payments::{
    a_payment_is_read_whole_and_in_order, a_resolution_changes_only_the_state_it_supposed,
    a_resolution_sees_the_attempts_of_its_batch, an_outcome_that_comes_later_is_on_the_pages,
    an_unknown_payment_is_none, attempts_without_an_outcome_are_on_no_page, pages_hold_every_outcome_once,
};
pub(crate) use writing::{
    a_closed_ledger_says_so, a_decision_twice_is_kept_once, sixteen_writers_keep_each_attempt_once,
};

/// Makes a test of each rule, run on a ledger of its own from `$open`.
macro_rules! conformance {
    ($open:path: $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (ledger, _alive) = $open().await;
                $crate::conformance::$rule(ledger).await;
            }
        )+
    };
    ($open:path) => {
        $crate::conformance::conformance!($open:
            a_contradicting_report_changes_nothing
            a_repeated_report_is_answered_with_what_is_kept
            an_attempt_is_read_as_it_was_written
            one_name_twice_in_a_batch_is_kept_once
            two_merchants_may_use_the_same_name
            a_payment_is_read_whole_and_in_order
            a_resolution_changes_only_the_state_it_supposed
            a_resolution_sees_the_attempts_of_its_batch
            an_unknown_payment_is_none
            attempts_without_an_outcome_are_on_no_page
            an_outcome_that_comes_later_is_on_the_pages
            pages_hold_every_outcome_once
            a_closed_ledger_says_so
            a_decision_twice_is_kept_once
            sixteen_writers_keep_each_attempt_once
        );
    };
}

pub(crate) use conformance;

/// As `conformance!`, for the control state: `$open` is an `async fn() -> (Arc<dyn ControlStore>, T)`.
macro_rules! control_conformance {
    ($open:path: $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (store, _alive) = $open().await;
                $crate::conformance::control::$rule(store).await;
            }
        )+
    };
    ($open:path) => {
        $crate::conformance::control_conformance!($open:
            an_empty_store_has_no_control_state
            a_change_is_read_as_it_was_answered
            a_stale_change_changes_nothing
            policies_are_kept_by_version
            files_are_imported_once_and_again_when_they_change
            eight_at_once_change_one_after_the_other
        );
    };
}

pub(crate) use control_conformance;

/// As `conformance!`, for what alert rules are evaluated on: `$open` is an `async fn() -> (Arc<dyn Watched>, T)`.
macro_rules! observing_conformance {
    ($open:path: $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (ledger, _alive) = $open().await;
                $crate::conformance::observing::$rule(ledger).await;
            }
        )+
    };
    ($open:path) => {
        $crate::conformance::observing_conformance!($open:
            what_is_observed_is_what_counting_one_by_one_gives
            an_impact_counts_what_failed_and_what_nobody_paid
            codes_of_failures_are_counted_the_most_frequent_first
        );
    };
}

pub(crate) use delivery::delivery_conformance;
pub(crate) use guards::guard_conformance;
pub(crate) use observing_conformance;

/// As `conformance!`, for alerts and incidents: `$open` is an `async fn() -> (alerts::Both, T)`.
macro_rules! alert_conformance {
    ($open:path: $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (store, _alive) = $open().await;
                $crate::conformance::alerts::$rule(store).await;
            }
        )+
    };
    ($open:path) => {
        $crate::conformance::alert_conformance!($open:
            what_was_advanced_is_on_the_board
            a_stale_advance_writes_nothing
            thirty_two_evaluators_open_one_incident_for_each_alert
            people_act_and_every_act_is_audited
            incidents_are_found_by_their_words
            a_silence_is_on_the_board_until_it_ends
            rules_are_kept_by_version_and_the_latest_is_in_force
            a_run_is_there_once_and_outlasts_its_incident
            a_lease_is_kept_by_who_holds_it
        );
    };
}

pub(crate) use alert_conformance;
