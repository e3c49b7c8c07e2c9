//! Statements on the tables of the guard. The transaction that writes is the only one, so what is read in it is locked.

use std::collections::HashMap;

use domain::attempt::payment::Slot;
use domain::id::AttemptId;
use jiff::Timestamp;
use sqlx::sqlite::SqlitePool;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::failure::Failure;
use super::statement::{filled_statements, statements};
use crate::attempt::Recorded;
use crate::error::LedgerError;
use crate::guard::{Book, Changed, Guarded, GuardedAttempt, Leaf, Name, Registered, Unreported};
use crate::port::Batch;
use crate::row::guard::{attempt, payment};

macro_rules! payments {
    () => {
        "merchant_id, payment_id, amount_minor, currency, order_state, satisfied_by_no, satisfied_by_submit, \
         registered_at_us, order_expires_at_us"
    };
}

macro_rules! attempts {
    () => {
        "merchant_id, payment_id, attempt_no, submit, channel_id, state, request_id, decision, registered_at_us, \
         due_at_us"
    };
}

/// Moves the guard by what the batch says, and answers its registrations.
pub(super) async fn enter(
    connection: &mut SqliteConnection,
    failure: &Failure,
    batch: &Batch,
    (recorded, resolved): (&[Recorded], &[Guarded]),
) -> Result<Vec<Registered>, LedgerError> {
    let names = Book::names(batch, recorded, resolved);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut book = read(connection, failure, &names).await?;
    let answers = book.enter(batch, recorded, resolved);
    write(connection, failure, &book).await?;
    Ok(answers)
}

/// The payments of those names that are guarded.
async fn read(
    connection: &mut SqliteConnection,
    failure: &Failure,
    names: &[Name],
) -> Result<Book, LedgerError> {
    let mut book = Book::default();
    for piece in filled_statements(names) {
        let found = rows(
            connection,
            failure,
            &piece,
            concat!(payments!(), " from asked cross join guarded_payment"),
        )
        .await?;
        if found.is_empty() {
            continue;
        }
        let mut attempts = attempts_of(connection, failure, &piece).await?;
        for row in &found {
            let (name, kept, registered_at) = payment(row)?;
            let attempts = attempts.remove(&name).unwrap_or_default();
            book.insert(name, Leaf::read(&kept, registered_at, attempts));
        }
    }
    Ok(book)
}

async fn attempts_of(
    connection: &mut SqliteConnection,
    failure: &Failure,
    names: &[&Name],
) -> Result<HashMap<Name, Vec<GuardedAttempt>>, LedgerError> {
    let found = rows(
        connection,
        failure,
        names,
        concat!(attempts!(), " from asked cross join guarded_attempt"),
    )
    .await?;
    let mut attempts: HashMap<Name, Vec<GuardedAttempt>> = HashMap::new();
    for row in &found {
        let (name, attempt) = attempt(row)?;
        attempts.entry(name).or_default().push(attempt);
    }
    for attempts in attempts.values_mut() {
        attempts.sort_by_key(|attempt| attempt.slot);
    }
    Ok(attempts)
}

/// What `select` finds for `names`, of which one may come several times.
async fn rows(
    connection: &mut SqliteConnection,
    failure: &Failure,
    names: &[&Name],
    select: &'static str,
) -> Result<Vec<sqlx::sqlite::SqliteRow>, LedgerError> {
    let mut query = QueryBuilder::<Sqlite>::new("with given (merchant_id, payment_id) as (");
    query.push_values(names, |mut row, (merchant, payment)| {
        row.push_bind(merchant.as_str()).push_bind(payment.as_str());
    });
    query.push("), asked as (select distinct merchant_id, payment_id from given) select ");
    query.push(select);
    query.push(" using (merchant_id, payment_id)");
    query
        .build()
        .fetch_all(connection)
        .await
        .map_err(|error| failure.during("read guarded payments", error))
}

async fn write(connection: &mut SqliteConnection, failure: &Failure, book: &Book) -> Result<(), LedgerError> {
    let payments: Vec<(&Name, &Leaf)> = book
        .leaves()
        .filter(|(_, leaf)| leaf.changed() != Changed::No)
        .collect();
    for piece in statements(&payments) {
        write_payments(connection, failure, piece).await?;
    }
    let attempts: Vec<(&Name, &GuardedAttempt)> = book
        .leaves()
        .flat_map(|(name, leaf)| leaf.attempts().iter().map(move |attempt| (name, attempt)))
        .filter(|(_, (_, changed))| *changed != Changed::No)
        .map(|(name, (attempt, _))| (name, attempt))
        .collect();
    for piece in statements(&attempts) {
        write_attempts(connection, failure, piece).await?;
    }
    Ok(())
}

async fn write_payments(
    connection: &mut SqliteConnection,
    failure: &Failure,
    payments: &[(&Name, &Leaf)],
) -> Result<(), LedgerError> {
    let mut query = QueryBuilder::<Sqlite>::new(concat!("insert into guarded_payment (", payments!(), ") "));
    query.push_values(payments, |mut row, (name, leaf)| {
        let kept = leaf.kept();
        row.push_bind(name.0.as_str())
            .push_bind(name.1.as_str())
            .push_bind(kept.money.minor())
            .push_bind(kept.money.currency().code())
            .push_bind(kept.order.as_str())
            .push_bind(kept.satisfied_by.map(|slot| slot.attempt_no))
            .push_bind(kept.satisfied_by.map(|slot| slot.submit.as_str()))
            .push_bind(leaf.registered_at().as_microsecond())
            .push_bind(kept.expires_at.map(Timestamp::as_microsecond));
    });
    query.push(
        " on conflict (merchant_id, payment_id) do update set order_state = excluded.order_state, \
         satisfied_by_no = excluded.satisfied_by_no, satisfied_by_submit = excluded.satisfied_by_submit, \
         order_expires_at_us = excluded.order_expires_at_us",
    );
    let written = query.build().execute(connection).await;
    written
        .map(drop)
        .map_err(|error| failure.during("write guarded payments", error))
}

async fn write_attempts(
    connection: &mut SqliteConnection,
    failure: &Failure,
    attempts: &[(&Name, &GuardedAttempt)],
) -> Result<(), LedgerError> {
    let mut query = QueryBuilder::<Sqlite>::new(concat!("insert into guarded_attempt (", attempts!(), ") "));
    query.push_values(attempts, |mut row, (name, attempt)| {
        let Slot { attempt_no, submit } = attempt.slot;
        row.push_bind(name.0.as_str())
            .push_bind(name.1.as_str())
            .push_bind(attempt_no)
            .push_bind(submit.as_str())
            .push_bind(attempt.channel.as_str())
            .push_bind(attempt.state.as_str())
            .push_bind(attempt.request.as_ref().map(AttemptId::as_str))
            .push_bind(attempt.decision.as_slice())
            .push_bind(attempt.registered_at.as_microsecond())
            .push_bind(attempt.due_at.as_microsecond());
    });
    query.push(
        " on conflict (merchant_id, payment_id, attempt_no, submit) do update set state = excluded.state",
    );
    let written = query.build().execute(connection).await;
    written
        .map(drop)
        .map_err(|error| failure.during("write guarded attempts", error))
}

/// The payment of that name.
pub(super) async fn by_name(
    readers: &SqlitePool,
    failure: &Failure,
    name: Name,
) -> Result<Option<Leaf>, LedgerError> {
    let during = |error| failure.during("read a guarded payment", error);
    // One transaction, so that payment and attempts are of one moment.
    let mut snapshot = readers.begin().await.map_err(during)?;
    let book = read(&mut snapshot, failure, std::slice::from_ref(&name)).await?;
    snapshot.rollback().await.map_err(during)?;
    Ok(book.take(&name))
}

/// Up to `limit` submits that should have been reported by `due`.
pub(super) async fn unreported(
    readers: &SqlitePool,
    failure: &Failure,
    due: Timestamp,
    limit: u32,
) -> Result<Vec<Unreported>, LedgerError> {
    sqlx::query(concat!(
        "select ",
        attempts!(),
        " from guarded_attempt where state = 'submitted' and due_at_us <= ? order by due_at_us limit ?"
    ))
    .bind(due.as_microsecond())
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(|error| failure.during("read unreported attempts", error))?
    .iter()
    .map(|row| {
        let ((merchant, payment), attempt) = attempt(row)?;
        Ok(Unreported {
            merchant,
            payment,
            attempt,
        })
    })
    .collect()
}
