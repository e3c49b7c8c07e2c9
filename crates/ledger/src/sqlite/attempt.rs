//! Statements on the table of attempts.

use std::collections::HashMap;
use std::str::FromStr;

use domain::id::{AccountId, AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::{Currency, Money};
use domain::outcome::OutcomeClass;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::failure::Failure;
use super::row::{Columns, filled_statements, statements};
use crate::attempt::{AttemptRecord, Recorded, Report, Segment, Verdict};
use crate::error::LedgerError;
use crate::payment::{Cursor, Page};

const TABLE: &str = "attempt";

macro_rules! columns {
    () => {
        "merchant_id, attempt_id, payment_id, attempt_no, decision_id, channel_id, account_id, method, issuer, \
         region, band, amount_minor, currency, result, provider, code, sub_code, http_status, transport_event, \
         message, provider_reference, network_advice_code, reason, certainty, class, state, decided_at_us, trace_id, \
         started_at_us, received_at_us, latency_ms, digest"
    };
}

/// What an attempt is told by.
type Name = (MerchantId, AttemptId);

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

/// Tells new attempts from repeated and contradicting ones, where an earlier one of the batch counts as stored.
fn judge<'a>(
    attempts: &'a [AttemptRecord],
    stored: &'a HashMap<Name, AttemptRecord>,
) -> (Vec<&'a AttemptRecord>, Vec<Recorded>) {
    let mut first: HashMap<(&str, &str), &AttemptRecord> = stored
        .values()
        .map(|attempt| ((attempt.merchant.as_str(), attempt.attempt.as_str()), attempt))
        .collect();
    let mut fresh = Vec::with_capacity(attempts.len());
    let mut answers = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let name = (attempt.merchant.as_str(), attempt.attempt.as_str());
        answers.push(match first.get(&name) {
            None => {
                first.insert(name, attempt);
                fresh.push(attempt);
                Recorded::New
            }
            Some(earlier) if earlier.digest == attempt.digest => {
                Recorded::Duplicate(Box::new((*earlier).clone()))
            }
            Some(_) => Recorded::Conflict,
        });
    }
    (fresh, answers)
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
            .push_bind(attempt.digest.as_slice());
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
    .map(read)
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
                seq: columns.get("seq")?,
            })
        }
        _ => None,
    };
    let attempts = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Page { attempts, next })
}

fn read(row: &SqliteRow) -> Result<AttemptRecord, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(AttemptRecord {
        merchant: columns.parse("merchant_id", MerchantId::new)?,
        attempt: columns.parse("attempt_id", AttemptId::new)?,
        payment: columns.parse("payment_id", PaymentId::new)?,
        attempt_no: columns.get("attempt_no")?,
        decision: columns.parse("decision_id", Uuid::parse_str)?,
        channel: columns.parse("channel_id", ChannelId::new)?,
        account: columns.parse_some("account_id", AccountId::new)?,
        amount: {
            let currency = columns.parse("currency", Currency::from_str)?;
            columns.map("amount_minor", |minor| Money::new(minor, currency))?
        },
        segment: Segment {
            method: columns.get("method")?,
            issuer: columns.get("issuer")?,
            region: columns.get("region")?,
        },
        report: read_report(&columns)?,
        verdict: Verdict {
            reason: columns.get("reason")?,
            certainty: columns.get("certainty")?,
            class: columns.parse_some("class", class)?,
            state: columns.get("state")?,
        },
        decided_at: columns.time("decided_at_us")?,
        trace_id: columns.get("trace_id")?,
        started_at: columns.time("started_at_us")?,
        received_at: columns.time("received_at_us")?,
        latency_ms: columns.get("latency_ms")?,
        digest: columns.map("digest", |digest: &[u8]| {
            digest.try_into() as Result<[u8; 32], std::array::TryFromSliceError>
        })?,
    })
}

fn read_report(columns: &Columns<'_>) -> Result<Report, LedgerError> {
    Ok(Report {
        result: columns.get("result")?,
        provider: columns.get("provider")?,
        code: columns.get("code")?,
        sub_code: columns.get("sub_code")?,
        http_status: columns.get("http_status")?,
        transport_event: columns.get("transport_event")?,
        message: columns.get("message")?,
        provider_reference: columns.get("provider_reference")?,
        network_advice_code: columns.get("network_advice_code")?,
    })
}

fn class(name: &str) -> Result<OutcomeClass, String> {
    OutcomeClass::ALL
        .into_iter()
        .find(|class| class.as_str() == name)
        .ok_or_else(|| format!("`{name}` is not a class of outcomes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_read_as_it_was_written() {
        for expected in OutcomeClass::ALL {
            assert_eq!(class(expected.as_str()), Ok(expected));
        }
    }

    #[test]
    fn a_class_of_another_release_is_not_guessed() {
        assert!(class("succes").is_err());
    }
}
