//! A deployment of several processes on this machine, measured: outcomes acknowledged and counted per second with one
//! router and with four, the age of the shared health at a router, memory in Redis for a segment, and how long a dead
//! monitor's partitions are nobody's.
//!
//! `cargo bench -p payroute --bench fleet`. Postgres flushes every commit, and everything shares the machine's cores,
//! callers included: read the figures beside each other, not alone.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    dead_code,
    reason = "a benchmark has no better way to fail or to speak, and shares the tests' harness"
)]

#[path = "../tests/fleet/load.rs"]
mod load;
#[path = "../tests/fleet/support.rs"]
mod support;

use std::time::Duration;

use load::Load;
use support::{Fleet, Plan, counted, eventually};
use tokio::time::{Instant, sleep};

/// How long each number of routers is measured.
const TIME: Duration = Duration::from_secs(10);

/// Callers of each router, each with a connection of its own.
const CALLERS: usize = 16;

#[tokio::main]
async fn main() {
    println!(
        "{CALLERS} callers a router, {} s each, everything on this machine",
        TIME.as_secs()
    );
    println!(
        "{:>7}  {:>15}  {:>11}  {:>14}",
        "routers", "acknowledged/s", "counted/s", "counted after"
    );
    for routers in [1, 4] {
        throughput(routers).await;
    }
    let fleet = Fleet::start();
    snapshot_age(&fleet).await;
    memory(&fleet);
    take_over(fleet).await;
}

async fn throughput(routers: usize) {
    let fleet = Fleet::planned(&Plan {
        routers,
        ..Plan::default()
    });
    let began = Instant::now();
    let load = Load::start(fleet.addresses(), CALLERS * routers, 0);
    sleep(TIME).await;
    let journal = load.finish().await;
    let paid_in = began.elapsed();
    let outcomes = u64::try_from(journal.len()).unwrap();
    let address = fleet.addresses()[0];
    eventually("everything to be counted", async || {
        (counted(address).await == outcomes).then_some(())
    })
    .await;
    let counted_in = began.elapsed();
    println!(
        "{routers:>7}  {:>15.0}  {:>11.0}  {:>11.2} s",
        outcomes as f64 / paid_in.as_secs_f64(),
        outcomes as f64 / counted_in.as_secs_f64(),
        counted_in.saturating_sub(paid_in).as_secs_f64()
    );
}

/// The gauge of a router, looked at often while it is under load.
async fn snapshot_age(fleet: &Fleet) {
    let load = Load::start(fleet.addresses(), 8, 0);
    let admin = fleet.routers[0].as_ref().unwrap().admin;
    let mut ages = Vec::new();
    for _ in 0..100 {
        sleep(Duration::from_millis(73)).await;
        let text = tokio::task::spawn_blocking(move || rig::program::get(admin, "/metrics").unwrap());
        ages.extend(gauge(&text.await.unwrap(), "payroute_stats_snapshot_age_seconds"));
    }
    load.finish().await;
    ages.sort_by(f64::total_cmp);
    let at = |part: usize| ages[(ages.len() - 1) * part / 100] * 1_000.0;
    println!(
        "age of the oldest shared snapshot at a router: p50 {:.0} ms, p99 {:.0} ms",
        at(50),
        at(99)
    );
}

/// What is in Redis for the segments that were paid in.
fn memory(fleet: &Fleet) {
    let keys = fleet.redis.ask(&["--scan", "--pattern", "*:h:*"]).unwrap();
    let keys: Vec<&str> = keys.lines().collect();
    let mut bytes = 0_u64;
    for key in keys.iter().take(200) {
        bytes += fleet
            .redis
            .ask(&["MEMORY", "USAGE", key])
            .unwrap()
            .parse::<u64>()
            .unwrap();
    }
    let each = bytes / u64::try_from(keys.len().min(200)).unwrap().max(1);
    println!(
        "Redis: {each} bytes for a ten-second bucket of one channel and segment ({} buckets there), so at most {} kB for \
         its 75 minutes",
        keys.len(),
        each * 450 / 1_000
    );
}

/// How long after a monitor died the other one owns every partition, and has counted what waited.
async fn take_over(mut fleet: Fleet) {
    let load = Load::start(fleet.addresses(), 8, 0);
    let survivor = fleet.monitors[1].as_ref().unwrap().address("probes on");
    let owned = async || {
        let text = tokio::task::spawn_blocking(move || rig::program::get(survivor, "/metrics").unwrap());
        gauge(&text.await.unwrap(), "payroute_stats_partitions_owned")
    };
    eventually("both monitors to share", async || {
        (owned().await == Some(32.0)).then_some(())
    })
    .await;
    let began = Instant::now();
    fleet.kill_monitor(0);
    eventually("the survivor to own everything", async || {
        (owned().await == Some(64.0)).then_some(())
    })
    .await;
    println!(
        "take-over of a killed monitor's partitions: {:.1} s",
        began.elapsed().as_secs_f64()
    );
    load.finish().await;
}

fn gauge(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}
