//! Looking after what waits: measures, deliveries for receivers that nobody knows, and what is old.

use std::time::Duration;

use metrics::{counter, gauge};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{MEASURE_EVERY, Parts};
use crate::metric;

/// Measures between two removals of what is old.
const MEASURES_IN_AN_HOUR: u32 = 720;

/// Measures until `stop`.
pub(super) async fn run(parts: Parts, stop: CancellationToken) {
    let mut every = interval_at(Instant::now(), MEASURE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds: u32 = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        measure(&parts).await;
        if rounds.checked_rem(MEASURES_IN_AN_HOUR) == Some(0) {
            forget(&parts).await;
        }
        rounds = rounds.wrapping_add(1);
    }
}

async fn measure(parts: &Parts) {
    let backlogs = match parts.store.backlogs().await {
        Ok(backlogs) => backlogs,
        Err(error) => {
            counter!(metric::STORE_ERRORS).increment(1);
            tracing::warn!(%error, "cannot measure what waits to be sent: {error}");
            return;
        }
    };
    let configured = parts.receivers.names().map(ToOwned::to_owned);
    // One that nothing waits for any more must not keep its last figure.
    let idle = configured.filter(|name| backlogs.iter().all(|backlog| backlog.receiver != *name));
    for receiver in idle {
        set(receiver, 0, Duration::ZERO, 0);
    }
    let mut strangers = Vec::new();
    for backlog in backlogs {
        if backlog.waiting > 0 && parts.receivers.sender(&backlog.receiver).is_none() {
            strangers.push(backlog.receiver.clone());
        }
        set(backlog.receiver, backlog.waiting, backlog.oldest, backlog.dead);
    }
    parts.receivers.expect_strangers(strangers);
}

fn set(receiver: String, waiting: u64, oldest: Duration, dead: u64) {
    let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    gauge!(metric::WAITING, "receiver" => receiver.clone()).set(number(waiting));
    gauge!(metric::OLDEST, "receiver" => receiver.clone()).set(oldest.as_secs_f64());
    gauge!(metric::DEAD, "receiver" => receiver).set(number(dead));
}

async fn forget(parts: &Parts) {
    match parts.store.forget_finished().await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "{count} finished deliveries were removed"),
        Err(error) => tracing::warn!(%error, "finished deliveries were not removed: {error}"),
    }
}
