//! Statements on the tables of attempts and their names.

use std::collections::{HashMap, HashSet};

use domain::amount_band::AmountBand;
use domain::attempt::payment::Submit;
use domain::id::{AccountId, AttemptId, MerchantId, PaymentId};
use domain::network_retry::Fingerprint;
use domain::outcome::OutcomeClass;
use jiff::Timestamp;
use sqlx::PgConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};

use super::failure::{Failure, Setback};
use super::value::{Micros, text, text_some};
use crate::attempt::{AttemptRecord, Recorded};
use crate::error::LedgerError;
use crate::judge::{Name, judge};
use crate::payment::{Cursor, Page};
use crate::row::Columns;
use crate::row::attempt::{TABLE, read};

/// What [`read`] reads, with times under the names that tell their unit there.
macro_rules! columns {
    () => {
        "attempt.merchant_id, attempt.attempt_id, attempt.payment_id, attempt.attempt_no, \
         attempt.decision_id::text as decision_id, attempt.channel_id, attempt.account_id, attempt.method, \
         attempt.issuer, attempt.region, attempt.amount_minor, attempt.currency, attempt.result, attempt.provider, \
         attempt.code, attempt.sub_code, attempt.http_status, attempt.transport_event, attempt.message, \
         attempt.provider_reference, attempt.network_advice_code, attempt.reason, attempt.certainty, attempt.class, \
         attempt.state, attempt.decided_at as decided_at_us, attempt.trace_id, attempt.started_at as started_at_us, \
         attempt.received_at as received_at_us, attempt.latency_ms, attempt.digest, \
         attempt.submit, attempt.credential"
    };
}
pub(super) use columns;

/// What is written, in the order in which it is bound.
macro_rules! written {
    () => {
        "merchant_id, attempt_id, payment_id, attempt_no, decision_id, channel_id, account_id, method, issuer, region, \
         band, amount_minor, currency, result, provider, code, sub_code, http_status, transport_event, message, \
         provider_reference, network_advice_code, reason, certainty, class, state, decided_at, trace_id, started_at, \
         received_at, latency_ms, digest, submit, credential"
    };
}

/// Keeps those of `attempts` that are new, and says of each what became of it.
///
/// Whoever inserts a name first has it; another transaction with the same name waits until that one has ended and then
/// finds it taken.
pub(super) async fn record(
    connection: &mut PgConnection,
    failure: &Failure,
    attempts: &[AttemptRecord],
) -> Result<Vec<Recorded>, Setback> {
    if attempts.is_empty() {
        return Ok(Vec::new());
    }
    let nothing = HashMap::new();
    let (firsts, answers) = judge(attempts, &nothing);
    let kept = insert(connection, failure, &firsts).await?;
    if kept.len() == firsts.len() {
        return Ok(answers);
    }
    let taken: Vec<(&MerchantId, &AttemptId)> = firsts
        .iter()
        .map(|attempt| (&attempt.merchant, &attempt.attempt))
        .filter(|name| !kept.contains(&(name.0.to_string(), name.1.to_string())))
        .collect();
    let stored: HashMap<Name, AttemptRecord> = named(connection, failure, &taken)
        .await?
        .into_iter()
        .map(|attempt| ((attempt.merchant.clone(), attempt.attempt.clone()), attempt))
        .collect();
    if stored.len() < taken.len() {
        // Its day was dropped in this moment: it is new after all, to the next try.
        return Err(Setback::Again(LedgerError::Unavailable {
            operation: "look for earlier reports",
            source: std::sync::Arc::new(sqlx::Error::RowNotFound),
        }));
    }
    Ok(judge(attempts, &stored).1)
}

/// Inserts `attempts`, whose names are all different, and returns the names that were not taken.
async fn insert(
    connection: &mut PgConnection,
    failure: &Failure,
    attempts: &[&AttemptRecord],
) -> Result<HashSet<(String, String)>, Setback> {
    let query = sqlx::query(concat!(
        "with given as (select nextval('attempt_seq') as seq, reported.* from unnest( \
         $1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::text[], \
         $14::text[], $15::text[], $16::text[], $17::text[], $18::bigint[], $19::text[], $20::text[], $21::text[], \
         $22::text[], $23::text[], $24::text[], $25::text[], $26::text[], $27::timestamptz[], $28::text[], \
         $29::timestamptz[], $30::timestamptz[], $31::bigint[], $32::bytea[], $33::text[], $34::text[]) as reported (",
        written!(),
        ")), named as (insert into attempt_name (merchant_id, attempt_id, received_at, seq) \
         select merchant_id, attempt_id, received_at, seq from given \
         order by merchant_id collate \"C\", attempt_id collate \"C\" \
         on conflict (merchant_id, attempt_id) do nothing returning attempt_name.seq) \
         insert into attempt (seq, ",
        written!(),
        ") select given.* from given join named using (seq) \
         returning merchant_id, attempt_id",
    ));
    let rows = bind(query, attempts)
        .fetch_all(connection)
        .await
        .map_err(|error| failure.setback("write attempts", error))?;
    let name = |row: &PgRow| Ok((row.try_get("merchant_id")?, row.try_get("attempt_id")?));
    rows.iter()
        .map(name)
        .collect::<Result<_, _>>()
        .map_err(|error| failure.setback("write attempts", error))
}

/// The arguments of [`insert`], one array for each column.
fn bind<'q>(
    query: Query<'q, Postgres, PgArguments>,
    attempts: &[&'q AttemptRecord],
) -> Query<'q, Postgres, PgArguments> {
    let rows = attempts;
    query
        .bind(column(rows, |a| a.merchant.as_str()))
        .bind(column(rows, |a| a.attempt.as_str()))
        .bind(column(rows, |a| a.payment.as_str()))
        .bind(column(rows, |a| i64::from(a.attempt_no)))
        .bind(column(rows, |a| a.decision.to_string()))
        .bind(column(rows, |a| a.channel.as_str()))
        .bind(column(rows, |a| a.account.as_ref().map(AccountId::as_str)))
        .bind(column(rows, |a| text(&a.segment.method)))
        .bind(column(rows, |a| text_some(a.segment.issuer.as_ref())))
        .bind(column(rows, |a| text_some(a.segment.region.as_ref())))
        .bind(column(rows, |a| i64::from(AmountBand::of(a.amount).index())))
        .bind(column(rows, |a| a.amount.minor()))
        .bind(column(rows, |a| a.amount.currency().code()))
        .bind(column(rows, |a| text(&a.report.result)))
        .bind(column(rows, |a| text(&a.report.provider)))
        .bind(column(rows, |a| text_some(a.report.code.as_ref())))
        .bind(column(rows, |a| text_some(a.report.sub_code.as_ref())))
        .bind(column(rows, |a| a.report.http_status.map(i64::from)))
        .bind(column(rows, |a| text_some(a.report.transport_event.as_ref())))
        .bind(column(rows, |a| text_some(a.report.message.as_ref())))
        .bind(column(rows, |a| text_some(a.report.provider_reference.as_ref())))
        .bind(column(rows, |a| text_some(a.report.network_advice_code.as_ref())))
        .bind(column(rows, |a| text_some(a.verdict.reason.as_ref())))
        .bind(column(rows, |a| text(&a.verdict.certainty)))
        .bind(column(rows, |a| a.verdict.class.map(OutcomeClass::as_str)))
        .bind(column(rows, |a| text(&a.verdict.state)))
        .bind(column(rows, |a| Micros::from(a.decided_at)))
        .bind(column(rows, |a| text_some(a.trace_id.as_ref())))
        .bind(column(rows, |a| Micros::from(a.started_at)))
        .bind(column(rows, |a| Micros::from(a.received_at)))
        .bind(column(rows, |a| i64::from(a.latency_ms)))
        .bind(column(rows, |a| a.digest.as_slice()))
        .bind(column(rows, |a| a.submit.map(Submit::as_str)))
        .bind(column(rows, |a| a.credential.as_ref().map(Fingerprint::as_str)))
}

/// One field of every row.
pub(super) fn column<'q, R, T>(rows: &[&'q R], field: impl Fn(&'q R) -> T) -> Vec<T> {
    rows.iter().map(|row| field(row)).collect()
}

/// The attempts of those names, in no particular order. Names that nobody has are not among them.
pub(super) async fn named(
    connection: &mut PgConnection,
    failure: &Failure,
    names: &[(&MerchantId, &AttemptId)],
) -> Result<Vec<AttemptRecord>, LedgerError> {
    let rows = sqlx::query(concat!(
        "select ",
        columns!(),
        " from unnest($1::text[], $2::text[]) as asked (merchant_id, attempt_id) \
         join attempt_name as name using (merchant_id, attempt_id) \
         join attempt on attempt.received_at = name.received_at and attempt.seq = name.seq"
    ))
    .bind(names.iter().map(|name| name.0.as_str()).collect::<Vec<_>>())
    .bind(names.iter().map(|name| name.1.as_str()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read attempts", error))?;
    rows.iter().map(|row| read(row)).collect()
}

/// The attempts at a payment, by number, then by arrival.
pub(super) async fn of_payment(
    connection: &mut PgConnection,
    failure: &Failure,
    (merchant, payment): (&MerchantId, &PaymentId),
) -> Result<Vec<AttemptRecord>, LedgerError> {
    let rows = sqlx::query(concat!(
        "select ",
        columns!(),
        " from attempt where merchant_id = $1 and payment_id = $2 order by attempt_no, received_at, seq"
    ))
    .bind(merchant.as_str())
    .bind(payment.as_str())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read the attempts of a payment", error))?;
    rows.iter().map(|row| read(row)).collect()
}

/// Up to `limit` outcomes that come after `after` in the order of their arrival.
pub(super) async fn outcomes_after(
    connection: &mut PgConnection,
    failure: &Failure,
    after: Cursor,
    limit: u32,
) -> Result<Page, LedgerError> {
    let rows = sqlx::query(concat!(
        "select seq, ",
        columns!(),
        // The first condition follows from the second, and tells which days need not be looked at.
        " from attempt where received_at >= $1 and (received_at, seq) > ($1, $2) and class is not null \
         order by received_at, seq limit $3"
    ))
    .bind(Micros::from(after.received_at))
    .bind(after.seq)
    .bind(i64::from(limit))
    .fetch_all(connection)
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
    connection: &mut PgConnection,
    failure: &Failure,
    (merchant, credential): (&MerchantId, &Fingerprint),
    (since, limit): (Timestamp, u32),
) -> Result<Vec<AttemptRecord>, LedgerError> {
    let rows = sqlx::query(concat!(
        "select ",
        columns!(),
        " from attempt where merchant_id = $1 and credential = $2 and received_at >= $3 \
         order by received_at desc, seq desc limit $4"
    ))
    .bind(merchant.as_str())
    .bind(credential.as_str())
    .bind(Micros::from(since))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read the attempts with a credential", error))?;
    rows.iter().map(|row| read(row)).collect()
}
