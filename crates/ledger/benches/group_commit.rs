//! How many attempts a second are acknowledged, each after its flush to the disk, by how many callers.
//!
//! `cargo bench -p payroute-ledger`; the environment's temporary directory says which disk is measured.

use std::sync::Arc;
use std::time::Duration;

use domain::id::{AccountId, AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use jiff::Timestamp;
use payroute_ledger::attempt::{AttemptRecord, Report, Segment, Verdict};
use payroute_ledger::{Ledger, Limits, SqliteLedger, SqliteSettings, Writer};
use tokio::time::Instant;
use uuid::Uuid;

/// How long each number of callers is measured.
const DURATION: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn main() -> Outcome<()> {
    for callers in [1_u32, 16, 64, 256] {
        let mut waits = measure(callers).await?;
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len() * percent / 100).copied();
        let rate = waits.len() / usize::try_from(DURATION.as_secs())?;
        println!(
            "{callers:>4} callers: {rate:>7} attempts/s acknowledged, wait p50 {:?}, p99 {:?}",
            at(50).unwrap_or_default(),
            at(99).unwrap_or_default(),
        );
    }
    Ok(())
}

/// The time that each acknowledged attempt waited.
async fn measure(callers: u32) -> Outcome<Vec<Duration>> {
    let folder = tempfile::tempdir()?;
    let settings = SqliteSettings {
        path: folder.path().join("ledger.db"),
        max_bytes: None,
    };
    let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&settings).await?);
    let writer = Writer::spawn(ledger, Limits::default(), |_| {});
    let end = Instant::now() + DURATION;
    let tasks: Vec<_> = (0..callers)
        .map(|caller| tokio::spawn(call(writer.clone(), caller, end)))
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    writer.close().await?;
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
    })
}
