//! The metrics of the sweep: their names.

use metrics::{Unit, describe_counter, describe_gauge};

/// Batches of the ledger's outbox that nobody has relayed. Every monitor tells it, whoever sweeps.
pub const BACKLOG: &str = "payroute_outbox_backlog_batches";
/// How long the oldest of them has waited; 0 when there is none.
pub const OLDEST: &str = "payroute_outbox_oldest_seconds";
/// Outcomes that the sweep relayed because their router had not.
pub const RELAYED: &str = "payroute_sweep_relayed_total";
/// Outcomes that were relayed once more because Redis may have lost them. They are not counted again.
pub const AGAIN: &str = "payroute_sweep_relayed_again_total";
/// Batches that were removed from the outbox.
pub const FORGOTTEN: &str = "payroute_sweep_forgotten_batches_total";
/// Times that a partition was found to have gone back, or to be on another server than before.
pub const STEPS_BACK: &str = "payroute_sweep_steps_back_total";
/// 1 in the monitor that sweeps, 0 in the others.
pub const SWEEPS: &str = "payroute_sweep_leader";

/// Tells the recorder what the metrics mean.
pub fn describe() {
    describe_gauge!(BACKLOG, "Batches of the outbox that nobody has relayed.");
    describe_gauge!(OLDEST, Unit::Seconds, "How long the oldest of them has waited.");
    describe_counter!(RELAYED, "Outcomes that the sweep relayed.");
    describe_counter!(
        AGAIN,
        "Outcomes relayed once more because Redis may have lost them."
    );
    describe_counter!(FORGOTTEN, "Batches removed from the outbox.");
    describe_counter!(
        STEPS_BACK,
        "Times that a partition was found to have gone back, or on another server."
    );
    describe_gauge!(SWEEPS, "1 in the monitor that sweeps.");
}
