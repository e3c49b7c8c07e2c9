//! How long it takes to count a day of outcomes, 100 a second, on a Postgres server of this machine.
//!
//! `cargo bench -p payroute-ledger --bench tallies`; filling the day takes some minutes.

use std::time::Duration;

use jiff::Timestamp;
use payroute_ledger::{PostgresLedger, PostgresSettings, Span, StatisticsSource};
use tokio::time::Instant;

/// 2026-09-21T00:00:00Z.
const DAY: i64 = 1_789_948_800;

/// A day at 100 outcomes a second: 12 channels, 3 methods, 5 issuers, latencies about 200 ms with a long tail, one in
/// twenty not a success.
const FILL: &str = "\
    create table attempt_p20260921 (like attempt including all); \
    alter table attempt attach partition attempt_p20260921 \
    for values from ('2026-09-21 00:00:00+00') to ('2026-09-22 00:00:00+00'); \
    insert into attempt (seq, merchant_id, attempt_id, payment_id, attempt_no, decision_id, channel_id, method, issuer, \
    band, amount_minor, currency, result, provider, certainty, class, state, decided_at, started_at, received_at, \
    latency_ms, digest) \
    select n, 'shop', 'a' || n, 'p' || n, 1, '00000000-0000-0000-0000-000000000001', 'channel_' || n % 12, \
    'method_' || n % 3, 'issuer_' || n % 5, 3, 12345, 'CNY', 'succeeded', 'unionpay', 'charged', \
    case when n % 20 > 0 then 'success' else (array['timeout', 'refusal', 'busy'])[n / 20 % 3 + 1] end, \
    case when n % 20 > 0 then 'succeeded' else 'unknown' end, at, at, at, \
    (100 + 100 * -ln(1 - random()))::bigint, '\\x0000000000000000000000000000000000000000000000000000000000000000' \
    from (select n, to_timestamp(1789948800) + n * interval '10 milliseconds' as at \
    from generate_series(0, 8639999) as n) as given; \
    analyze attempt_p20260921";

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn main() -> Outcome<()> {
    let server = tokio::task::spawn_blocking(rig::Postgres::start).await??;
    let url = server.database()?;
    let settings = PostgresSettings {
        url: url.clone(),
        max_connections: 4,
        retention_days: 365,
    };
    let ledger = PostgresLedger::open(&settings).await?;
    let database = url.rsplit('/').next().unwrap_or_default();
    server.ask(database, FILL)?;
    let day = Span {
        from: Timestamp::from_second(DAY)?,
        until: Timestamp::from_second(DAY + 86_400)?,
    };
    for bucket_secs in [10, 60] {
        let began = Instant::now();
        let (mut outcomes, mut tallies) = (0_u64, 0);
        for hour in day.slices(Duration::from_hours(1)) {
            let counted = ledger.tallies(hour, bucket_secs).await?;
            tallies += counted.len();
            outcomes += counted.iter().map(|tally| u64::from(tally.count)).sum::<u64>();
        }
        println!(
            "{outcomes} outcomes in {tallies} tallies of {bucket_secs} s: {:?}",
            began.elapsed()
        );
    }
    let last_hour = Span {
        from: Timestamp::from_second(DAY + 82_800)?,
        ..day
    };
    let began = Instant::now();
    let names = ledger.recount(last_hour, 10).await?.outcomes.len();
    println!(
        "{names} names of an hour, and their tallies of 10 s: {:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let last = ledger.last_outcomes(last_hour, 100).await?.len();
    println!("{last} latest outcomes of an hour: {:?}", began.elapsed());
    Ok(())
}
