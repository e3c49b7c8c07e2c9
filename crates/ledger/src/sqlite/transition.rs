//! Changes of attempts' states: compare-and-set on the attempt, and its history.

use domain::id::{MerchantId, PaymentId};
use domain::outcome::OutcomeClass;
use sqlx::SqliteConnection;

use super::failure::Failure;
use crate::attempt::{Resolution, Resolved, Transition};
use crate::error::LedgerError;
use crate::row::transition::read;

/// Makes the changes whose attempts are in the states supposed, in their order.
pub(super) async fn resolve(
    connection: &mut SqliteConnection,
    failure: &Failure,
    resolutions: &[Resolution],
) -> Result<Vec<Resolved>, LedgerError> {
    let mut answers = Vec::with_capacity(resolutions.len());
    for resolution in resolutions {
        let resolved = if compare_and_set(connection, failure, resolution).await? {
            append(connection, failure, resolution).await?;
            Resolved::Applied
        } else {
            match current(connection, failure, resolution).await? {
                Some(current) => Resolved::Stale { current },
                None => Resolved::UnknownAttempt,
            }
        };
        answers.push(resolved);
    }
    Ok(answers)
}

async fn compare_and_set(
    connection: &mut SqliteConnection,
    failure: &Failure,
    resolution: &Resolution,
) -> Result<bool, LedgerError> {
    sqlx::query(
        "update attempt set state = ?, class = coalesce(class, ?) \
         where merchant_id = ? and attempt_id = ? and state = ?",
    )
    .bind(&resolution.to_state)
    .bind(resolution.class.map(OutcomeClass::as_str))
    .bind(resolution.merchant.as_str())
    .bind(resolution.attempt.as_str())
    .bind(&resolution.from_state)
    .execute(connection)
    .await
    .map(|result| result.rows_affected() > 0)
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
