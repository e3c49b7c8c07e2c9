//! What it costs, printed by `--nocapture`; only orders of magnitude are asserted.

use domain::outcome_event::OutcomeEvent;
use payroute_monitor::partition::{Partition, Turn};
use rig::Redis;
use tokio::time::Instant;

use crate::support::{begin, known, now, outcome, partition, seconds, store};

#[tokio::test]
async fn memory_and_throughput_are_of_the_order_that_is_documented() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url());
    begin(&store, partition()).await;
    let outcomes: Vec<OutcomeEvent> = (0..20_000_u32)
        .map(|number| OutcomeEvent {
            latency_ms: 50 + number.wrapping_mul(2_654_435_761) % 400,
            received_at: now() - seconds(i64::from(number % 100)),
            ..outcome()
        })
        .collect();
    for batch in outcomes.chunks(500) {
        store.append(batch).await.unwrap();
    }
    redis.ask(&["CONFIG", "RESETSTAT"]).unwrap();
    let began = Instant::now();
    let mut owner = Partition::new(partition());
    loop {
        if let Ok(Turn::Done(report)) = owner.turn(&store, &known()).await
            && report.waiting == 0
        {
            break;
        }
    }
    let took = began.elapsed();
    let stats = redis.ask(&["INFO", "commandstats"]).unwrap();
    let scripts: Vec<&str> = stats.lines().filter(|line| line.contains("eval")).collect();
    let bucket = redis.ask(&["--scan", "--pattern", "*:h:*"]).unwrap();
    let sizes: Vec<u64> = bucket
        .lines()
        .map(|key| redis.ask(&["MEMORY", "USAGE", key]).unwrap().parse().unwrap())
        .collect();
    let mean = sizes.iter().sum::<u64>() / u64::try_from(sizes.len().max(1)).unwrap();
    let dd = redis.ask(&["--scan", "--pattern", "*:dd:*"]).unwrap();
    let names: u64 = dd
        .lines()
        .map(|key| {
            redis
                .ask(&["MEMORY", "USAGE", key])
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    println!(
        "{} outcomes counted in {took:?} by one owner; {scripts:?}",
        outcomes.len()
    );
    println!(
        "{} fine buckets of {mean} bytes; {names} bytes of names",
        sizes.len()
    );
    assert!(mean < 1_000 && names < 60 * 20_000);
}
