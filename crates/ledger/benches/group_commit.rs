//! How many attempts a second are acknowledged, each after its flush to the disk, by how many callers; on SQLite and on
//! a Postgres server of this machine.
//!
//! `cargo bench -p payroute-ledger`; the environment's temporary directory says which disk is measured.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{AccountId, AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use jiff::Timestamp;
use payroute_ledger::attempt::{AttemptRecord, Report, Segment, Verdict};
use payroute_ledger::{
    Ledger, Limits, PostgresLedger, PostgresSettings, SqliteLedger, SqliteSettings, Writer,
};
use tokio::time::Instant;
use uuid::Uuid;

/// How long each number of callers is measured.
const DURATION: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let server = tokio::task::spawn_blocking(rig::Postgres::start).await??;
    for writers in [1_u32, 4] {
        for callers in [1_u32, 16, 64, 256] {
            let url = server.database()?;
            let mut ledgers = Vec::new();
            for _ in 0..writers {
                ledgers.push(postgres(&url).await?);
            }
            let waits = measure(&ledgers, callers).await?;
            print(&format!("Postgres, {writers} writers"), callers, waits)?;
        }
    }
    for callers in [1_u32, 16, 64, 256] {
        let folder = tempfile::tempdir()?;
        let ledger = sqlite(folder.path()).await?;
        print("SQLite, 1 writer", callers, measure(&[ledger], callers).await?)?;
    }
    Ok(())
}

async fn sqlite(folder: &Path) -> Outcome<Arc<dyn Ledger>> {
    let settings = SqliteSettings {
        path: folder.join("ledger.db"),
        max_bytes: None,
    };
    Ok(Arc::new(SqliteLedger::open(&settings).await?))
}

/// One process's worth of connections.
async fn postgres(url: &str) -> Outcome<Arc<dyn Ledger>> {
    let settings = PostgresSettings {
        url: url.to_owned(),
        max_connections: 4,
        retention_days: 30,
    };
    Ok(Arc::new(PostgresLedger::open(&settings).await?))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn print(ledger: &str, callers: u32, mut waits: Vec<Duration>) -> Outcome<()> {
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied();
    let rate = waits.len() / usize::try_from(DURATION.as_secs())?;
    println!(
        "{ledger}, {callers:>4} callers: {rate:>7} attempts/s acknowledged, wait p50 {:?}, p99 {:?}",
        at(50).unwrap_or_default(),
        at(99).unwrap_or_default(),
    );
    Ok(())
}

/// The time that each acknowledged attempt waited, with `callers` spread over writers, one for each of `ledgers`.
async fn measure(ledgers: &[Arc<dyn Ledger>], callers: u32) -> Outcome<Vec<Duration>> {
    let writers: Vec<Writer> = ledgers
        .iter()
        .map(|ledger| Writer::spawn(Arc::clone(ledger), Limits::default(), |_| {}))
        .collect();
    let end = Instant::now() + DURATION;
    let tasks: Vec<_> = (0..callers)
        .zip(writers.iter().cycle())
        .map(|(caller, writer)| tokio::spawn(call(writer.clone(), caller, end)))
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    for writer in writers {
        writer.close().await?;
    }
    Ok(waits)
}

async fn call(writer: Writer, caller: u32, end: Instant) -> Outcome<Vec<Duration>> {
    let mut waits = Vec::new();
    while Instant::now() < end {
        let attempt = attempt(caller, waits.len())?;
        let began = Instant::now();
        writer.record(attempt).await?;
        waits.push(began.elapsed());
    }
    Ok(waits)
}

/// An attempt like most: paid, with the provider's reference.
fn attempt(caller: u32, number: usize) -> Outcome<AttemptRecord> {
    let name = format!("{caller}-{number}");
    let now = Timestamp::from_microsecond(1_790_000_000_000_000 + i64::try_from(number)?)?;
    Ok(AttemptRecord {
        merchant: MerchantId::new("shop")?,
        attempt: AttemptId::new(&name)?,
        payment: PaymentId::new(format!("order-{name}"))?,
        attempt_no: 1,
        decision: Uuid::from_u64_pair(caller.into(), number.try_into()?),
        channel: ChannelId::new("bank_a")?,
        account: Some(AccountId::new("main")?),
        amount: Money::new(12_345, "CNY".parse()?)?,
        segment: Segment {
            method: "card".to_owned(),
            issuer: Some("icbc".to_owned()),
            region: Some("guangdong".to_owned()),
        },
        report: Report {
            result: "succeeded".to_owned(),
            provider: "unionpay".to_owned(),
            code: Some("00".to_owned()),
            sub_code: None,
            http_status: Some(200),
            transport_event: None,
            message: None,
            provider_reference: Some(format!("20261123{number:010}")),
            network_advice_code: None,
        },
        verdict: Verdict {
            reason: None,
            certainty: "charged".to_owned(),
            class: Some(OutcomeClass::Success),
            state: "succeeded".to_owned(),
        },
        decided_at: Timestamp::UNIX_EPOCH,
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        started_at: now,
        received_at: now,
        latency_ms: 180,
        digest: [7; 32],
        submit: None,
        credential: None,
        case: None,
        notices: Vec::new(),
    })
}
