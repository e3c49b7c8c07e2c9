//! Changes of attempts' states: compare-and-set on the attempt, and its history.

use domain::attempt::payment::Slot;
use domain::id::{ChannelId, MerchantId, PaymentId};
use domain::outcome::OutcomeClass;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::failure::Failure;
use crate::attempt::{Resolution, Resolved, Transition};
use crate::compensation::Change;
use crate::error::LedgerError;
use crate::guard::Guarded;
use crate::row::Columns;
use crate::row::attempt::{TABLE, submit};
use crate::row::transition::read;

/// What became of the resolutions of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    /// One answer for each.
    pub(super) answers: Vec<Resolved>,
    /// What the guard must be told.
    pub(super) guarded: Vec<Guarded>,
    /// What changed, in the order in which it did.
    pub(super) changes: Vec<Change>,
}

/// Makes the changes whose attempts are in the states supposed, in their order.
pub(super) async fn resolve(
    connection: &mut SqliteConnection,
    failure: &Failure,
    resolutions: &[Resolution],
) -> Result<Outcome, LedgerError> {
    let mut outcome = Outcome::default();
    for resolution in resolutions {
        let changed = compare_and_set(connection, failure, resolution).await?;
        let resolved = if let Some(row) = changed {
            append(connection, failure, resolution).await?;
            outcome.guarded.extend(guarded(&row, resolution)?);
            outcome.changes.push(change(&row, resolution)?);
            Resolved::Applied
        } else {
            match current(connection, failure, resolution).await? {
                Some(current) => Resolved::Stale { current },
                None => Resolved::UnknownAttempt,
            }
        };
        outcome.answers.push(resolved);
    }
    Ok(outcome)
}

/// What the guard must be told of an attempt that was changed; `None` when it is not guarded.
fn guarded(row: &SqliteRow, resolution: &Resolution) -> Result<Option<Guarded>, LedgerError> {
    let columns = Columns::of(TABLE, row);
    let Some(submit) = columns.parse_some("submit", submit)? else {
        return Ok(None);
    };
    let name = (
        resolution.merchant.clone(),
        columns.parse("payment_id", PaymentId::new)?,
    );
    let slot = Slot {
        attempt_no: columns.whole("attempt_no")?,
        submit,
    };
    Ok(Some(Guarded::of(resolution, name, slot)))
}

fn change(row: &SqliteRow, resolution: &Resolution) -> Result<Change, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Change {
        merchant: resolution.merchant.clone(),
        attempt: resolution.attempt.clone(),
        payment: columns.parse("payment_id", PaymentId::new)?,
        channel: columns.parse("channel_id", ChannelId::new)?,
        attempt_no: columns.whole("attempt_no")?,
        received_at: columns.time("received_at_us")?,
        from: resolution.from_state.clone(),
        to: resolution.to_state.clone(),
        at: resolution.at,
    })
}

async fn compare_and_set(
    connection: &mut SqliteConnection,
    failure: &Failure,
    resolution: &Resolution,
) -> Result<Option<SqliteRow>, LedgerError> {
    sqlx::query(
        "update attempt set state = ?, class = coalesce(class, ?) \
         where merchant_id = ? and attempt_id = ? and state = ? \
         returning payment_id, channel_id, attempt_no, submit, received_at_us",
    )
    .bind(&resolution.to_state)
    .bind(resolution.class.map(OutcomeClass::as_str))
    .bind(resolution.merchant.as_str())
    .bind(resolution.attempt.as_str())
    .bind(&resolution.from_state)
    // To the end: the change is made when the last row has been asked for.
    .fetch_all(connection)
    .await
    .map(|rows| rows.into_iter().next())
    .map_err(|error| failure.during("change the state of an attempt", error))
}

async fn append(
    connection: &mut SqliteConnection,
    failure: &Failure,
    resolution: &Resolution,
) -> Result<(), LedgerError> {
    sqlx::query(
        "insert into attempt_transition \
         (merchant_id, attempt_id, from_state, to_state, source, content, changed_at_us) \
         values (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(resolution.merchant.as_str())
    .bind(resolution.attempt.as_str())
    .bind(&resolution.from_state)
    .bind(&resolution.to_state)
    .bind(&resolution.source)
    .bind(resolution.content.to_string())
    .bind(resolution.at.as_microsecond())
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.during("write the history of an attempt", error))
}

async fn current(
    connection: &mut SqliteConnection,
    failure: &Failure,
    resolution: &Resolution,
) -> Result<Option<String>, LedgerError> {
    sqlx::query_scalar("select state from attempt where merchant_id = ? and attempt_id = ?")
        .bind(resolution.merchant.as_str())
        .bind(resolution.attempt.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|error| failure.during("read the state of an attempt", error))
}

/// The changes of a payment's attempts, in the order in which they were made.
pub(super) async fn of_payment(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (merchant, payment): (&MerchantId, &PaymentId),
) -> Result<Vec<Transition>, LedgerError> {
    sqlx::query(
        "select transition.attempt_id, transition.from_state, transition.to_state, transition.source, \
         transition.content, transition.changed_at_us \
         from attempt join attempt_transition as transition using (merchant_id, attempt_id) \
         where attempt.merchant_id = ? and attempt.payment_id = ? order by transition.seq",
    )
    .bind(merchant.as_str())
    .bind(payment.as_str())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read the history of a payment", error))?
    .iter()
    .map(|row| read(row))
    .collect()
}
