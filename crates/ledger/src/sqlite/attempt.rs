//! Statements on the table of attempts.

use std::collections::HashMap;

use domain::attempt::payment::Submit;
use domain::id::{AccountId, AttemptId, MerchantId, PaymentId};
use domain::network_retry::Fingerprint;
use domain::outcome::OutcomeClass;
use jiff::Timestamp;
use sqlx::sqlite::SqlitePool;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::failure::Failure;
use super::statement::{filled_statements, statements};
use crate::attempt::{AttemptRecord, Recorded};
use crate::error::LedgerError;
use crate::judge::{Name, judge};
use crate::payment::{Cursor, Page};
use crate::row::Columns;
use crate::row::attempt::{TABLE, read};

macro_rules! columns {
    () => {
        "merchant_id, attempt_id, payment_id, attempt_no, decision_id, channel_id, account_id, method, issuer, \
         region, band, amount_minor, currency, result, provider, code, sub_code, http_status, transport_event, \
         message, provider_reference, network_advice_code, reason, certainty, class, state, decided_at_us, trace_id, \
         started_at_us, received_at_us, latency_ms, digest, submit, credential"
    };
}
pub(super) use columns;

/// Keeps those of `attempts` that are new, and says of each what became of it.
///
/// Looking first and inserting after is safe because nothing else writes: the process owns the file, and the
/// transaction holds the one connection that writes.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    failure: &Failure,
    attempts: &[AttemptRecord],
) -> Result<Vec<Recorded>, LedgerError> {
    let mut stored = HashMap::new();
    for piece in filled_statements(attempts) {
        find(connection, failure, &piece, &mut stored).await?;
    }
    let (fresh, answers) = judge(attempts, &stored);
    for piece in statements(&fresh) {
        insert(connection, failure, piece).await?;
    }
    Ok(answers)
}

async fn find(
    connection: &mut SqliteConnection,
    failure: &Failure,
    attempts: &[&AttemptRecord],
    stored: &mut HashMap<Name, AttemptRecord>,
) -> Result<(), LedgerError> {
    let mut query = QueryBuilder::<Sqlite>::new("with asked (merchant_id, attempt_id) as (");
    query.push_values(attempts, |mut row, attempt| {
        row.push_bind(attempt.merchant.as_str())
            .push_bind(attempt.attempt.as_str());
    });
    // The cross join fixes the order: each name asked for is one step into the unique index.
    query.push(concat!(
        ") select ",
        columns!(),
        " from asked cross join attempt using (merchant_id, attempt_id)"
    ));
    let rows = query
        .build()
        .fetch_all(connection)
        .await
        .map_err(|error| failure.during("look for earlier reports", error))?;
    for row in &rows {
        let attempt = read(row)?;
        stored.insert((attempt.merchant.clone(), attempt.attempt.clone()), attempt);
    }
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    failure: &Failure,
    attempts: &[&AttemptRecord],
) -> Result<(), LedgerError> {
    let mut query = QueryBuilder::<Sqlite>::new(concat!("insert into attempt (", columns!(), ") "));
    query.push_values(attempts, |mut row, attempt| {
        let AttemptRecord {
            segment,
            report,
            verdict,
            ..
        } = attempt;
        row.push_bind(attempt.merchant.as_str())
            .push_bind(attempt.attempt.as_str())
            .push_bind(attempt.payment.as_str())
            .push_bind(attempt.attempt_no)
            .push_bind(attempt.decision.to_string())
            .push_bind(attempt.channel.as_str())
            .push_bind(attempt.account.as_ref().map(AccountId::as_str))
            .push_bind(&segment.method)
            .push_bind(&segment.issuer)
            .push_bind(&segment.region)
            .push_bind(domain::amount_band::AmountBand::of(attempt.amount).index())
            .push_bind(attempt.amount.minor())
            .push_bind(attempt.amount.currency().code())
            .push_bind(&report.result)
            .push_bind(&report.provider)
            .push_bind(&report.code)
            .push_bind(&report.sub_code)
            .push_bind(report.http_status)
            .push_bind(&report.transport_event)
            .push_bind(&report.message)
            .push_bind(&report.provider_reference)
            .push_bind(&report.network_advice_code)
            .push_bind(&verdict.reason)
            .push_bind(&verdict.certainty)
            .push_bind(verdict.class.map(OutcomeClass::as_str))
            .push_bind(&verdict.state)
            .push_bind(attempt.decided_at.as_microsecond())
            .push_bind(&attempt.trace_id)
            .push_bind(attempt.started_at.as_microsecond())
            .push_bind(attempt.received_at.as_microsecond())
            .push_bind(attempt.latency_ms)
            .push_bind(attempt.digest.as_slice())
            .push_bind(attempt.submit.map(Submit::as_str))
            .push_bind(attempt.credential.as_ref().map(Fingerprint::as_str));
    });
    query
        .build()
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failure.during("write attempts", error))
}

/// The attempt of that name.
pub(super) async fn by_name(
    readers: &SqlitePool,
    failure: &Failure,
    (merchant, attempt): (&MerchantId, &AttemptId),
) -> Result<Option<AttemptRecord>, LedgerError> {
    sqlx::query(concat!(
        "select ",
        columns!(),
        " from attempt where merchant_id = ? and attempt_id = ?"
    ))
    .bind(merchant.as_str())
    .bind(attempt.as_str())
    .fetch_optional(readers)
    .await
    .map_err(|error| failure.during("read an attempt", error))?
    .map(|row| read(&row))
    .transpose()
}

/// The attempts at a payment, by number, then by arrival.
pub(super) async fn of_payment(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (merchant, payment): (&MerchantId, &PaymentId),
) -> Result<Vec<AttemptRecord>, LedgerError> {
    sqlx::query(concat!(
        "select ",
        columns!(),
        " from attempt where merchant_id = ? and payment_id = ? order by attempt_no, received_at_us, seq"
    ))
    .bind(merchant.as_str())
    .bind(payment.as_str())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read the attempts of a payment", error))?
    .iter()
    .map(|row| read(row))
    .collect()
}

/// Up to `limit` outcomes that come after `after` in the order of their arrival.
pub(super) async fn outcomes_after(
    readers: &SqlitePool,
    failure: &Failure,
    after: Cursor,
    limit: u32,
) -> Result<Page, LedgerError> {
    let rows = sqlx::query(concat!(
        "select seq, ",
        columns!(),
        " from attempt where class is not null and (received_at_us, seq) > (?, ?) \
         order by received_at_us, seq limit ?"
    ))
    .bind(after.received_at.as_microsecond())
    .bind(after.seq)
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(|error| failure.during("read outcomes", error))?;
    let full = u32::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next = match rows.last() {
        Some(last) if full => {
            let columns = Columns::of(TABLE, last);
            Some(Cursor {
                received_at: columns.time("received_at_us")?,
                seq: columns.whole("seq")?,
            })
        }
        _ => None,
    };
    let attempts = rows.iter().map(|row| read(row)).collect::<Result<_, _>>()?;
    Ok(Page { attempts, next })
}

/// Up to `limit` attempts with the credential that arrived at `since` or later, the newest first.
pub(super) async fn of_credential(
    readers: &SqlitePool,
    failure: &Failure,
    (merchant, credential): (&MerchantId, &Fingerprint),
    (since, limit): (Timestamp, u32),
) -> Result<Vec<AttemptRecord>, LedgerError> {
    sqlx::query(concat!(
        "select ",
        columns!(),
        " from attempt where merchant_id = ? and credential = ? and received_at_us >= ? \
         order by received_at_us desc, seq desc limit ?"
    ))
    .bind(merchant.as_str())
    .bind(credential.as_str())
    .bind(since.as_microsecond())
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(|error| failure.during("read the attempts with a credential", error))?
    .iter()
    .map(|row| read(row))
    .collect()
}
