//! How many attempts a second are acknowledged, each after its flush to the disk, by how many callers: by the ledger,
//! and by the spool while the ledger is down. And how fast the ledger gets what was spooled when it is back.
//!
//! `cargo bench -p payroute-ledger`; the environment's temporary directory says which disk is measured.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::id::{AccountId, AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use jiff::Timestamp;
use payroute_ledger::attempt::{AttemptRecord, Report, Segment, Verdict};
use payroute_ledger::payment::{Cursor, Page, PaymentRecord};
use payroute_ledger::spool::{MAX_BYTES, Settings, Spool};
use payroute_ledger::{Answer, Batch, Committed, Ledger, LedgerError, SqliteLedger, SqliteSettings, Writer};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How long each number of callers is measured.
const DURATION: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A ledger that can be taken away.
#[derive(Debug)]
struct Switch {
    inner: SqliteLedger,
    down: AtomicBool,
}

impl Ledger for Switch {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        if self.down.load(Ordering::SeqCst) {
            let refused = LedgerError::Unavailable {
                operation: "connect",
                source: Arc::new(std::io::Error::other("taken away")),
            };
            return Box::pin(std::future::ready(Err(refused)));
        }
        self.inner.commit(batch)
    }

    fn attempt<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<AttemptRecord>> {
        self.inner.attempt(merchant, attempt)
    }

    fn payment<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<PaymentRecord>> {
        self.inner.payment(merchant, payment)
    }

    fn outcomes_since(&self, since: Timestamp, after: Option<Cursor>, limit: u32) -> Answer<'_, Page> {
        self.inner.outcomes_since(since, after, limit)
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    for callers in [1_u32, 16, 64, 256] {
        direct(callers).await?;
        spooled(callers).await?;
    }
    Ok(())
}

async fn open(folder: &Path, down: bool) -> Outcome<Arc<Switch>> {
    let settings = SqliteSettings {
        path: folder.join("ledger.db"),
        max_bytes: None,
    };
    Ok(Arc::new(Switch {
        inner: SqliteLedger::open(&settings).await?,
        down: AtomicBool::new(down),
    }))
}

async fn direct(callers: u32) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let ledger = open(folder.path(), false).await?;
    let writer = Writer::builder(ledger).spawn();
    print("ledger", callers, measure(&writer, callers).await?)?;
    writer.close().await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn spooled(callers: u32) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let ledger = open(folder.path(), true).await?;
    let spool = Spool::open(&Settings {
        folder: folder.path().join("spool"),
        max_bytes: MAX_BYTES,
    })?;
    let writer = Writer::builder(Arc::clone(&ledger) as _).spool(spool, 7).spawn();
    let waits = measure(&writer, callers).await?;
    let kept = waits.len();
    print("spool", callers, waits)?;
    ledger.down.store(false, Ordering::SeqCst);
    let began = Instant::now();
    while writer.is_behind() {
        sleep(Duration::from_millis(1)).await;
    }
    println!(
        "{callers:>4} callers: {kept} spooled attempts drained in {:?}, the last wait for the ledger included",
        began.elapsed()
    );
    writer.close().await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn print(store: &str, callers: u32, mut waits: Vec<Duration>) -> Outcome<()> {
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied();
    let rate = waits.len() / usize::try_from(DURATION.as_secs())?;
    println!(
        "{callers:>4} callers: {rate:>7} attempts/s acknowledged by the {store}, wait p50 {:?}, p99 {:?}",
        at(50).unwrap_or_default(),
        at(99).unwrap_or_default(),
    );
    Ok(())
}

/// The time that each acknowledged attempt waited.
async fn measure(writer: &Writer, callers: u32) -> Outcome<Vec<Duration>> {
    let end = Instant::now() + DURATION;
    let tasks: Vec<_> = (0..callers)
        .map(|caller| tokio::spawn(call(writer.clone(), caller, end)))
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
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
