//! The metrics of the statistics' readers: their names.

/// Snapshots that a reader refused, by `reason`: `corrupt`, `schema` or `older`.
pub const SNAPSHOTS_REFUSED: &str = "payroute_stats_snapshots_refused_total";
/// Age of the oldest partition's snapshot, by the reader's own clock.
pub const SNAPSHOT_AGE: &str = "payroute_stats_snapshot_age_seconds";

/// Tells the recorder what the metrics mean.
pub fn describe() {
    metrics::describe_counter!(SNAPSHOTS_REFUSED, "Snapshots that a reader refused, by reason.");
    metrics::describe_gauge!(
        SNAPSHOT_AGE,
        metrics::Unit::Seconds,
        "Age of the oldest partition's snapshot, by the reader's own clock."
    );
}
