//! The metrics of the services: their names, their meaning, and how they are read.
//!
//! One prefix, base units, `_total` for what only grows. A payment, a merchant or a customer is never a label: labels
//! live as long as the process, and there are only so many channels. The ledger names its own beside its writer.

use std::time::Duration;

use metrics::{SetRecorderError, Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// Decisions, by `strategy` and `action`.
pub const DECISIONS: &str = "payroute_decisions_total";
/// Time to decide, without the wire.
pub const DECISION_DURATION: &str = "payroute_decision_duration_seconds";
/// Outcomes newly kept, by `channel` and `class`.
pub const OUTCOMES: &str = "payroute_outcomes_total";
/// Technical success rate, 0 to 1, by `channel` and `window`.
pub const SUCCESS_RATIO: &str = "payroute_channel_success_ratio";
/// Age of the health snapshot that decisions are made with.
pub const SNAPSHOT_AGE: &str = "payroute_health_snapshot_age_seconds";
/// 1 for the state a breaker is in and 0 for its others, by `channel` and `state`.
pub const BREAKER_STATE: &str = "payroute_breaker_state";
/// Changes of a breaker's state, by `channel`, `to` and `reason`.
pub const BREAKER_TRANSITIONS: &str = "payroute_breaker_transitions_total";
/// 1 while too few channels are healthy for health to be heeded.
pub const PANIC: &str = "payroute_panic_mode";
/// Outcomes that were reported again and not counted again.
pub const DUPLICATES: &str = "payroute_outcome_duplicates_total";
/// Outcomes that came too late for the window they belong to.
pub const LATE: &str = "payroute_outcome_late_total";
/// Reports with a code that is not in the catalogue, by provider.
pub const UNMAPPED_CODES: &str = "payroute_unmapped_codes_total";
/// Catalogue documents that could not be used when they changed.
pub const CATALOGUE_REFUSED: &str = "payroute_catalogue_refused_total";
/// How far the machine's own clock is ahead of the fleet's.
pub const CLOCK_OFFSET: &str = "payroute_clock_offset_seconds";
/// How far the statistics are behind the end of the outcome stream: the partition that is behind most.
pub const STATS_LAG: &str = "payroute_stats_lag_seconds";
/// Outcomes in the stream that this monitor has not counted yet.
pub const STATS_WAITING: &str = "payroute_stats_waiting_outcomes";
/// Partitions of the statistics that this monitor owns.
pub const STATS_PARTITIONS: &str = "payroute_stats_partitions_owned";
/// Outcomes that came through the stream again and were not counted again.
pub const STATS_DUPLICATES: &str = "payroute_stats_duplicates_total";
/// Entries of the stream that said nothing and were put aside.
pub const STATS_DEAD_LETTERS: &str = "payroute_stats_dead_letters_total";
/// Batches that another monitor was faster with.
pub const STATS_STALE: &str = "payroute_stats_stale_total";

/// Upper bounds for durations, in seconds: a decision takes microseconds, a channel's answer may take ten seconds.
const SECONDS: [f64; 18] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds for rows in one transaction.
const ROWS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];

/// How often samples of durations are sorted into their buckets when nobody reads the metrics; they would pile up.
pub(crate) const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why metrics could not be turned on.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The buckets were refused.
    #[error("the buckets of the metrics were refused")]
    Buckets(#[from] BuildError),
    /// Metrics were turned on before, in the same process.
    #[error("metrics are turned on already")]
    Again(#[source] SetRecorderError<PrometheusRecorder>),
}

/// The metrics as they stand.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// All metrics in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Sorts what has piled up; every [`UPKEEP_INTERVAL`].
    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Makes the process record metrics.
pub(crate) fn install() -> Result<Metrics, InstallError> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(InstallError::Again)?;
    describe();
    Ok(Metrics(handle))
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &ROWS)?;
    Ok(builder.build_recorder())
}

fn describe() {
    describe_counter!(DECISIONS, "Decisions, by strategy and action.");
    describe_histogram!(
        DECISION_DURATION,
        Unit::Seconds,
        "Time to decide, without the wire."
    );
    describe_counter!(OUTCOMES, "Outcomes newly kept, by channel and class.");
    describe_gauge!(
        SUCCESS_RATIO,
        "Technical success rate, 0 to 1, by channel and window."
    );
    describe_gauge!(
        SNAPSHOT_AGE,
        Unit::Seconds,
        "Age of the health snapshot that decisions are made with."
    );
    describe_gauge!(BREAKER_STATE, "1 for the state a channel's breaker is in.");
    describe_counter!(
        BREAKER_TRANSITIONS,
        "Changes of a breaker's state, by channel, new state and reason."
    );
    describe_gauge!(
        PANIC,
        "1 while too few channels are healthy for health to be heeded."
    );
    describe_counter!(DUPLICATES, "Outcomes reported again and not counted again.");
    describe_counter!(LATE, "Outcomes that came too late for their window.");
    describe_counter!(
        UNMAPPED_CODES,
        "Reports with a code that is not in the failure catalogue, by provider."
    );
    describe_counter!(
        CATALOGUE_REFUSED,
        "Changes of catalogue documents that could not be used; the last good one stays."
    );
    describe_gauge!(
        CLOCK_OFFSET,
        Unit::Seconds,
        "How far the machine's clock is ahead of the ledger's, which processes go by; negative: behind."
    );
    describe_statistics();
    describe_histogram!(
        crate::rpc::SERVER_CALL_DURATION,
        Unit::Seconds,
        "Duration of remote calls, by method and status."
    );
}

fn describe_statistics() {
    describe_gauge!(
        STATS_LAG,
        Unit::Seconds,
        "How far the statistics are behind the end of the outcome stream."
    );
    describe_gauge!(STATS_WAITING, "Outcomes in the stream that are not counted yet.");
    describe_gauge!(
        STATS_PARTITIONS,
        "Partitions of the statistics that this monitor owns."
    );
    describe_counter!(
        STATS_DUPLICATES,
        "Outcomes that came through the stream again and were not counted again."
    );
    describe_counter!(
        STATS_DEAD_LETTERS,
        "Entries of the stream that said nothing and were put aside."
    );
    describe_counter!(STATS_STALE, "Batches that another monitor was faster with.");
}

/// Metrics that only this test sees: what `record` records.
#[cfg(test)]
pub(crate) fn of(record: impl FnOnce()) -> Metrics {
    let recorder = recorder().unwrap();
    let metrics = Metrics(recorder.handle());
    metrics::with_local_recorder(&recorder, || {
        describe();
        record();
    });
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_rendered_in_buckets_of_seconds() {
        let text = of(|| metrics::histogram!(DECISION_DURATION).record(Duration::from_micros(30))).render();
        assert!(
            text.contains("payroute_decision_duration_seconds_bucket{le=\"0.000025\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("payroute_decision_duration_seconds_bucket{le=\"0.00005\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_counter_is_rendered_with_its_meaning_and_labels() {
        let text =
            of(|| metrics::counter!(OUTCOMES, "channel" => "bank_a", "class" => "timeout").increment(2))
                .render();
        assert!(
            text.contains("# HELP payroute_outcomes_total Outcomes newly kept"),
            "{text}"
        );
        assert!(
            text.contains("payroute_outcomes_total{channel=\"bank_a\",class=\"timeout\"} 2\n"),
            "{text}"
        );
    }

    #[test]
    fn attributes_of_calls_become_labels_that_prometheus_takes() {
        let text = of(|| {
            metrics::histogram!(crate::rpc::SERVER_CALL_DURATION, crate::rpc::METHOD => "a.B/C").record(0.1);
        })
        .render();
        assert!(
            text.contains("rpc_server_call_duration_seconds_count{rpc_method=\"a.B/C\"} 1\n"),
            "{text}"
        );
    }
}
