//! The names of the compensator's metrics.

use domain::attempt::State;
use domain::compensation::Cause;
use jiff::Timestamp;
use ledger::compensation::Standing;
use metrics::{Unit, describe_counter, describe_gauge, gauge};

/// Cases that are open, by `step`.
pub const OPEN: &str = "payroute_compensation_open";
/// Age of the oldest case, by `step`.
pub const OLDEST: &str = "payroute_compensation_oldest_seconds";
/// Requests that were made, by `action`.
pub const REQUESTS: &str = "payroute_compensation_requests_total";
/// Attempts that came to need review.
pub const REVIEWS: &str = "payroute_compensation_reviews_total";
/// Cases that were closed because their attempt was settled.
pub const SETTLED: &str = "payroute_compensation_settled_total";

/// Every step that a case can stand at: what it waits for.
const STEPS: [&str; 7] = [
    "query", "customer", "reverse", "refund", "close", "review", "settle",
];

/// Says what the metrics mean.
pub fn describe() {
    describe_gauge!(
        OPEN,
        "Attempts whose money is not settled, by what their case waits for."
    );
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "Age of the oldest case, by what it waits for; 0 without one."
    );
    describe_counter!(REQUESTS, "Requests to query, close, reverse or refund.");
    describe_counter!(REVIEWS, "Attempts that a person had to look at.");
    describe_counter!(SETTLED, "Cases that were closed.");
}

/// Tells how many cases there are.
pub(crate) fn count(standing: &[Standing], now: Timestamp) {
    for step in STEPS {
        let at = || standing.iter().filter(|it| step_of(it.cause, it.state) == step);
        let open: u64 = at().map(|it| it.count).sum();
        let oldest = at().map(|it| now.duration_since(it.oldest).as_secs()).max();
        gauge!(OPEN, "step" => step).set(u32::try_from(open).unwrap_or(u32::MAX));
        let oldest = u32::try_from(oldest.unwrap_or(0).max(0)).unwrap_or(u32::MAX);
        gauge!(OLDEST, "step" => step).set(oldest);
    }
}

/// What a case waits for.
fn step_of(cause: Cause, state: State) -> &'static str {
    match state {
        State::Created | State::Submitted | State::Unknown => "query",
        State::AwaitingCustomer => "customer",
        State::ReversalPending => "reverse",
        State::RefundPending => "refund",
        State::NeedsReview | State::RefundNeedsReview => "review",
        _ if cause == Cause::Orphan => "close",
        State::Declined
        | State::FailedNotProcessed
        | State::Closed
        | State::Reversed
        | State::LateSuccess
        | State::Succeeded
        | State::ConfirmedSucceeded
        | State::Refunded => "settle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_counted_under_a_step() {
        for state in State::ALL {
            for cause in Cause::ALL {
                assert!(STEPS.contains(&step_of(cause, state)), "{state}");
            }
        }
    }
}
