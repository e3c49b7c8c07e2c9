//! Changes of attempts' states: compare-and-set on the attempts, and their history.
//!
//! Three statements, however many changes: the attempts are locked and read, the changes are judged here one after the
//! other, and what they lead to is written.

use std::collections::HashMap;

use domain::id::{MerchantId, PaymentId};
use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeEvent;
use sqlx::PgConnection;

use super::attempt::{column, columns};
use super::failure::{Failure, Setback};
use super::value::{Micros, text};
use crate::attempt::{AttemptRecord, Resolution, Resolved, Transition};
use crate::compensation::Change;
use crate::error::LedgerError;
use crate::guard::Guarded;
use crate::row::{Columns, attempt, transition};

/// What became of the resolutions of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    /// One answer for each.
    pub(super) answers: Vec<Resolved>,
    /// What the statistics must be told.
    pub(super) news: Vec<OutcomeEvent>,
    /// What the guard must be told.
    pub(super) guarded: Vec<Guarded>,
    /// What changed, in the order in which it did.
    pub(super) changes: Vec<Change>,
}

/// An attempt whose row is locked.
struct Locked {
    record: AttemptRecord,
    seq: i64,
    changed: bool,
}

/// Makes the changes whose attempts are in the states supposed, in their order.
pub(super) async fn resolve(
    connection: &mut PgConnection,
    failure: &Failure,
    resolutions: &[Resolution],
) -> Result<Outcome, Setback> {
    if resolutions.is_empty() {
        return Ok(Outcome::default());
    }
    let mut locked = lock(connection, failure, resolutions).await?;
    let mut outcome = Outcome::default();
    let mut applied = Vec::new();
    for resolution in resolutions {
        let name = (resolution.merchant.to_string(), resolution.attempt.to_string());
        let answer = match locked.get_mut(&name) {
            None => Resolved::UnknownAttempt,
            Some(attempt) if attempt.record.verdict.state != resolution.from_state => Resolved::Stale {
                current: attempt.record.verdict.state.clone(),
            },
            Some(attempt) => {
                outcome.news.extend(attempt.record.news(resolution.class));
                outcome.changes.push(change(&attempt.record, resolution));
                let verdict = &mut attempt.record.verdict;
                verdict.state.clone_from(&resolution.to_state);
                verdict.class = verdict.class.or(resolution.class);
                attempt.changed = true;
                outcome
                    .guarded
                    .extend(Guarded::about(&attempt.record, resolution));
                applied.push((resolution, attempt.record.payment.clone()));
                Resolved::Applied
            }
        };
        outcome.answers.push(answer);
    }
    let changed: Vec<Locked> = locked.into_values().filter(|attempt| attempt.changed).collect();
    if !changed.is_empty() {
        update(connection, failure, &changed).await?;
        append(connection, failure, &applied).await?;
    }
    Ok(outcome)
}

fn change(attempt: &AttemptRecord, resolution: &Resolution) -> Change {
    Change {
        merchant: attempt.merchant.clone(),
        attempt: attempt.attempt.clone(),
        payment: attempt.payment.clone(),
        channel: attempt.channel.clone(),
        attempt_no: attempt.attempt_no,
        received_at: attempt.received_at,
        from: resolution.from_state.clone(),
        to: resolution.to_state.clone(),
        at: resolution.at,
    }
}

/// Locks and reads the attempts that `resolutions` are about, in the order of their rows, so that two who change the
/// same ones never wait for each other both ways.
async fn lock(
    connection: &mut PgConnection,
    failure: &Failure,
    resolutions: &[Resolution],
) -> Result<HashMap<(String, String), Locked>, Setback> {
    let during = |error| failure.setback("lock attempts", error);
    let rows = sqlx::query(concat!(
        "select seq, ",
        columns!(),
        " from (select distinct name.received_at as at, name.seq as number \
         from unnest($1::text[], $2::text[]) as asked (merchant_id, attempt_id) \
         join attempt_name as name using (merchant_id, attempt_id) order by 1, 2) as found \
         cross join lateral (select * from attempt \
         where attempt.received_at = found.at and attempt.seq = found.number for update) as attempt"
    ))
    .bind(
        resolutions
            .iter()
            .map(|of| of.merchant.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(
        resolutions
            .iter()
            .map(|of| of.attempt.as_str())
            .collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await
    .map_err(during)?;
    let mut locked = HashMap::with_capacity(rows.len());
    for row in &rows {
        let record = attempt::read(row)?;
        let name = (record.merchant.to_string(), record.attempt.to_string());
        let seq = Columns::of(attempt::TABLE, row).whole("seq")?;
        let changed = false;
        locked.insert(name, Locked { record, seq, changed });
    }
    Ok(locked)
}

/// Writes the states and classes that `attempts` have by now.
async fn update(
    connection: &mut PgConnection,
    failure: &Failure,
    attempts: &[Locked],
) -> Result<(), Setback> {
    let rows: Vec<&Locked> = attempts.iter().collect();
    sqlx::query(
        "update attempt set state = given.state, class = given.class \
         from unnest($1::timestamptz[], $2::bigint[], $3::text[], $4::text[]) as given (at, number, state, class) \
         where attempt.received_at = given.at and attempt.seq = given.number",
    )
    .bind(column(&rows, |row| Micros::from(row.record.received_at)))
    .bind(column(&rows, |row| row.seq))
    .bind(column(&rows, |row| text(&row.record.verdict.state)))
    .bind(column(&rows, |row| row.record.verdict.class.map(OutcomeClass::as_str)))
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.setback("change the states of attempts", error))
}

/// Writes the history, in the order of the changes.
async fn append(
    connection: &mut PgConnection,
    failure: &Failure,
    applied: &[(&Resolution, PaymentId)],
) -> Result<(), Setback> {
    let rows: Vec<_> = applied.iter().collect();
    sqlx::query(
        "insert into attempt_transition \
         (seq, merchant_id, attempt_id, payment_id, from_state, to_state, source, content, changed_at) \
         select nextval('attempt_transition_seq'), merchant_id, attempt_id, payment_id, from_state, to_state, source, \
         content, changed_at from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], \
         $7::text[]::json[], $8::timestamptz[]) with ordinality as given \
         (merchant_id, attempt_id, payment_id, from_state, to_state, source, content, changed_at, place) order by place",
    )
    .bind(column(&rows, |(of, _)| of.merchant.as_str()))
    .bind(column(&rows, |(of, _)| of.attempt.as_str()))
    .bind(column(&rows, |(_, payment)| payment.as_str()))
    .bind(column(&rows, |(of, _)| text(&of.from_state)))
    .bind(column(&rows, |(of, _)| text(&of.to_state)))
    .bind(column(&rows, |(of, _)| text(&of.source)))
    .bind(column(&rows, |(of, _)| of.content.to_string()))
    .bind(column(&rows, |(of, _)| Micros::from(of.at)))
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.setback("write the history of attempts", error))
}

/// The changes of a payment's attempts, in the order in which they were made.
pub(super) async fn of_payment(
    connection: &mut PgConnection,
    failure: &Failure,
    (merchant, payment): (&MerchantId, &PaymentId),
) -> Result<Vec<Transition>, LedgerError> {
    let rows = sqlx::query(
        "select attempt_id, from_state, to_state, source, content::text as content, changed_at as changed_at_us \
         from attempt_transition where merchant_id = $1 and payment_id = $2 order by seq",
    )
    .bind(merchant.as_str())
    .bind(payment.as_str())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read the history of a payment", error))?;
    rows.iter().map(|row| transition::read(row)).collect()
}
