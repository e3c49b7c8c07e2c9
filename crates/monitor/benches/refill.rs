//! How long it takes to refill all partitions from a day of outcomes, 100 a second, with Postgres and Redis on this
//! machine.
//!
//! `cargo bench -p payroute-monitor --bench refill`; filling the day takes some minutes.

use std::sync::Arc;

use ledger::{PostgresLedger, PostgresSettings, StatisticsSource};
use payroute_monitor::partition::{Which, rebuild_stats};
use stats::redis::{Settings, Store};
use tokio::time::Instant;

/// The last day at 100 outcomes a second: 12 channels, 3 methods, 5 issuers, latencies about 200 ms with a long tail,
/// one in twenty not a success.
const FILL: &str = "\
    do $$ declare day date; begin \
    for day in select (now() at time zone 'utc')::date - n from generate_series(1, 2) as n loop \
    execute format('create table if not exists attempt_p%s partition of attempt for values from (%L) to (%L)', \
    to_char(day, 'YYYYMMDD'), day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00'); end loop; end $$; \
    insert into attempt (seq, merchant_id, attempt_id, payment_id, attempt_no, decision_id, channel_id, method, issuer, \
    band, amount_minor, currency, result, provider, certainty, class, state, decided_at, started_at, received_at, \
    latency_ms, digest) \
    select n, 'shop', 'a' || n, 'p' || n, 1, '00000000-0000-0000-0000-000000000001', 'channel_' || n % 12, \
    'method_' || n % 3, 'issuer_' || n % 5, 3, 12345, 'CNY', 'succeeded', 'unionpay', 'charged', \
    case when n % 20 > 0 then 'success' else (array['timeout', 'refusal', 'busy'])[n / 20 % 3 + 1] end, \
    case when n % 20 > 0 then 'succeeded' else 'unknown' end, at, at, at, \
    (100 + 100 * -ln(1 - random()))::bigint, '\\x0000000000000000000000000000000000000000000000000000000000000000' \
    from (select n, now() - interval '1 day' + n * interval '10 milliseconds' as at \
    from generate_series(0, 8639999) as n) as given; \
    analyze attempt";

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn main() -> Outcome<()> {
    let server = tokio::task::spawn_blocking(rig::Postgres::start).await??;
    let redis = tokio::task::spawn_blocking(rig::Redis::start).await??;
    let url = server.database()?;
    let settings = PostgresSettings {
        url: url.clone(),
        max_connections: 4,
        retention_days: 365,
    };
    let source: Arc<dyn StatisticsSource> = Arc::new(PostgresLedger::open(&settings).await?);
    let database = url.rsplit('/').next().unwrap_or_default();
    server.ask(database, FILL)?;
    let store = Store::open(&Settings::single(redis.url()))?;
    for round in ["first", "second"] {
        let began = Instant::now();
        let refill = rebuild_stats(&store, &source, Which::All).await?;
        println!(
            "{round}: {} outcomes into {} partitions: {:?}",
            refill.outcomes,
            refill.partitions,
            began.elapsed()
        );
    }
    println!(
        "{}",
        redis.ask(&["INFO", "memory"])?.lines().nth(2).unwrap_or_default()
    );
    println!("{} keys", redis.ask(&["DBSIZE"])?);
    Ok(())
}
