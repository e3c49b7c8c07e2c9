//! Statements on the tables of the guard: its compare-and-set, over all routers.
//!
//! A payment is taken by its row: inserted, or locked in the order of the names. Inserting comes first and waits for
//! nobody who holds a lock, so that two transactions never wait for each other both ways. At most five statements,
//! however many payments.

use std::collections::{BTreeSet, HashMap};

use domain::attempt::payment::{Kept, Order};
use domain::id::{AttemptId, MerchantId, PaymentId};
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::attempt::column;
use super::failure::{Failure, Setback};
use super::value::Micros;
use crate::attempt::Recorded;
use crate::error::LedgerError;
use crate::guard::{
    Book, Changed, Guarded, GuardedAttempt, Leaf, Name, Registered, Registration, Unreported,
};
use crate::port::Batch;
use crate::row::guard::{attempt, payment};

macro_rules! payments {
    () => {
        "guarded_payment.merchant_id, guarded_payment.payment_id, guarded_payment.amount_minor, \
         guarded_payment.currency, guarded_payment.order_state, guarded_payment.satisfied_by_no, \
         guarded_payment.satisfied_by_submit, guarded_payment.registered_at as registered_at_us, \
         guarded_payment.order_expires_at as order_expires_at_us"
    };
}

macro_rules! attempts {
    () => {
        "guarded_attempt.merchant_id, guarded_attempt.payment_id, guarded_attempt.attempt_no, \
         guarded_attempt.submit, guarded_attempt.channel_id, guarded_attempt.state, guarded_attempt.request_id, \
         guarded_attempt.decision, guarded_attempt.registered_at as registered_at_us, \
         guarded_attempt.due_at as due_at_us"
    };
}

/// The names that a statement asks for.
macro_rules! asked {
    () => {
        "unnest($1::text[], $2::text[]) as asked (merchant_id, payment_id)"
    };
}

/// Moves the guard by what the batch says, and answers its registrations.
pub(super) async fn enter(
    connection: &mut PgConnection,
    failure: &Failure,
    batch: &Batch,
    (recorded, resolved): (&[Recorded], &[Guarded]),
) -> Result<Vec<Registered>, Setback> {
    let names = Book::names(batch, recorded, resolved);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut book = Book::default();
    let fresh = insert_fresh(connection, failure, &batch.registrations, &mut book).await?;
    let others: Vec<&Name> = names.iter().filter(|name| !fresh.contains(name)).collect();
    lock(connection, failure, &others, &mut book).await?;
    let answers = book.enter(batch, recorded, resolved);
    write(connection, failure, &book).await?;
    Ok(answers)
}

/// Takes the payments whose first attempt is registered, unless somebody has done so before; gives those taken.
async fn insert_fresh(
    connection: &mut PgConnection,
    failure: &Failure,
    registrations: &[Registration],
    book: &mut Book,
) -> Result<BTreeSet<Name>, Setback> {
    let firsts: HashMap<Name, &Registration> = registrations
        .iter()
        .filter(|of| of.slot == domain::attempt::payment::Slot::first(1))
        .map(|of| ((of.merchant.clone(), of.payment.clone()), of))
        .collect();
    if firsts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let leaves: Vec<(Name, Leaf)> = firsts
        .into_iter()
        .map(|(name, of)| {
            let kept = Kept {
                money: of.money,
                order: Order::Open,
                expires_at: of.expires_at,
                attempts: Vec::new(),
                satisfied_by: None,
            };
            (name, Leaf::read(&kept, of.at, Vec::new()))
        })
        .collect();
    let rows: Vec<(&Name, &Leaf)> = leaves.iter().map(|(name, leaf)| (name, leaf)).collect();
    let inserted = insert_payments(connection, failure, &rows).await?;
    for (name, leaf) in leaves {
        if inserted.contains(&name) {
            book.insert(name, leaf);
        }
    }
    Ok(inserted)
}

/// Inserts payments in the order of their names, and gives those that were not there.
async fn insert_payments(
    connection: &mut PgConnection,
    failure: &Failure,
    rows: &[(&Name, &Leaf)],
) -> Result<BTreeSet<Name>, Setback> {
    let rows: Vec<_> = rows.iter().collect();
    let inserted = sqlx::query(
        "insert into guarded_payment (merchant_id, payment_id, amount_minor, currency, order_state, satisfied_by_no, \
         satisfied_by_submit, registered_at, order_expires_at) \
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], \
         $8::timestamptz[], $9::timestamptz[]) as given (merchant_id, payment_id, amount_minor, currency, order_state, satisfied_by_no, \
         satisfied_by_submit, registered_at, order_expires_at) order by merchant_id collate \"C\", payment_id collate \"C\" \
         on conflict (merchant_id, payment_id) do nothing returning merchant_id, payment_id",
    )
    .bind(column(&rows, |(name, _)| name.0.as_str()))
    .bind(column(&rows, |(name, _)| name.1.as_str()))
    .bind(column(&rows, |(_, leaf)| leaf.kept().money.minor()))
    .bind(column(&rows, |(_, leaf)| leaf.kept().money.currency().code()))
    .bind(column(&rows, |(_, leaf)| leaf.kept().order.as_str()))
    .bind(column(&rows, |(_, leaf)| {
        leaf.kept().satisfied_by.map(|slot| i64::from(slot.attempt_no))
    }))
    .bind(column(&rows, |(_, leaf)| {
        leaf.kept().satisfied_by.map(|slot| slot.submit.as_str())
    }))
    .bind(column(&rows, |(_, leaf)| Micros::from(leaf.registered_at())))
    .bind(column(&rows, |(_, leaf)| leaf.kept().expires_at.map(Micros::from)))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.setback("write guarded payments", error))?;
    inserted.iter().map(|row| name(failure, row)).collect()
}

fn name(failure: &Failure, row: &PgRow) -> Result<Name, Setback> {
    let text = |field| {
        row.try_get::<String, _>(field)
            .map_err(|error| failure.setback("write guarded payments", error))
    };
    let unreadable = |field: &'static str| LedgerError::Corrupt {
        table: "guarded_payment",
        field,
        problem: "it is no name".to_owned(),
    };
    let merchant = MerchantId::new(text("merchant_id")?).map_err(|_| unreadable("merchant_id"))?;
    let payment = PaymentId::new(text("payment_id")?).map_err(|_| unreadable("payment_id"))?;
    Ok((merchant, payment))
}

/// Locks the payments of those names, in their order, and reads them.
async fn lock(
    connection: &mut PgConnection,
    failure: &Failure,
    names: &[&Name],
    book: &mut Book,
) -> Result<(), Setback> {
    if names.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(concat!(
        "select found.* from (select distinct merchant_id collate \"C\" as merchant_id, \
         payment_id collate \"C\" as payment_id from ",
        asked!(),
        " order by 1, 2) as wanted cross join lateral (select ",
        payments!(),
        " from guarded_payment where guarded_payment.merchant_id = wanted.merchant_id \
         and guarded_payment.payment_id = wanted.payment_id for update) as found"
    ))
    .bind(column(names, |name| name.0.as_str()))
    .bind(column(names, |name| name.1.as_str()))
    .fetch_all(&mut *connection)
    .await
    .map_err(|error| failure.setback("lock guarded payments", error))?;
    if rows.is_empty() {
        return Ok(());
    }
    // Only now: what was waited for is seen by a statement that begins afterwards.
    let mut attempts = attempts_of(connection, names)
        .await
        .map_err(|error| failure.setback("read guarded attempts", error))??;
    for row in &rows {
        let (name, kept, registered_at) = payment(row)?;
        let attempts = attempts.remove(&name).unwrap_or_default();
        book.insert(name, Leaf::read(&kept, registered_at, attempts));
    }
    Ok(())
}

type Attempts = HashMap<Name, Vec<GuardedAttempt>>;

/// The registered attempts of the payments of those names.
async fn attempts_of(
    connection: &mut PgConnection,
    names: &[&Name],
) -> Result<Result<Attempts, LedgerError>, sqlx::Error> {
    let rows = sqlx::query(concat!(
        "select ",
        attempts!(),
        " from ",
        asked!(),
        " join guarded_attempt using (merchant_id, payment_id)"
    ))
    .bind(column(names, |name| name.0.as_str()))
    .bind(column(names, |name| name.1.as_str()))
    .fetch_all(connection)
    .await?;
    Ok(sorted(&rows))
}

fn sorted(rows: &[PgRow]) -> Result<Attempts, LedgerError> {
    let mut attempts = Attempts::new();
    for row in rows {
        let (name, attempt) = attempt(row)?;
        attempts.entry(name).or_default().push(attempt);
    }
    for attempts in attempts.values_mut() {
        attempts.sort_by_key(|attempt| attempt.slot);
    }
    Ok(attempts)
}

async fn write(connection: &mut PgConnection, failure: &Failure, book: &Book) -> Result<(), Setback> {
    let of = |changed: Changed| {
        let leaves = book.leaves().filter(move |(_, leaf)| leaf.changed() == changed);
        leaves.collect::<Vec<(&Name, &Leaf)>>()
    };
    let new = of(Changed::New);
    if !new.is_empty() {
        let inserted = insert_payments(connection, failure, &new).await?;
        if inserted.len() < new.len() {
            // Somebody else made one in this moment: the next try finds and locks it.
            return Err(Setback::Again(LedgerError::Unavailable {
                operation: "write guarded payments",
                source: std::sync::Arc::new(sqlx::Error::RowNotFound),
            }));
        }
    }
    let changed = of(Changed::Yes);
    if !changed.is_empty() {
        update_payments(connection, failure, &changed).await?;
    }
    let attempts: Vec<(&Name, &GuardedAttempt)> = book
        .leaves()
        .flat_map(|(name, leaf)| leaf.attempts().iter().map(move |attempt| (name, attempt)))
        .filter(|(_, (_, changed))| *changed != Changed::No)
        .map(|(name, (attempt, _))| (name, attempt))
        .collect();
    if !attempts.is_empty() {
        write_attempts(connection, failure, &attempts).await?;
    }
    Ok(())
}

async fn update_payments(
    connection: &mut PgConnection,
    failure: &Failure,
    rows: &[(&Name, &Leaf)],
) -> Result<(), Setback> {
    let rows: Vec<_> = rows.iter().collect();
    sqlx::query(
        "update guarded_payment set order_state = given.order_state, satisfied_by_no = given.satisfied_by_no, \
         satisfied_by_submit = given.satisfied_by_submit, order_expires_at = given.order_expires_at \
         from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[]) as given \
         (merchant_id, payment_id, order_state, satisfied_by_no, satisfied_by_submit, order_expires_at) \
         where guarded_payment.merchant_id = given.merchant_id and guarded_payment.payment_id = given.payment_id",
    )
    .bind(column(&rows, |(name, _)| name.0.as_str()))
    .bind(column(&rows, |(name, _)| name.1.as_str()))
    .bind(column(&rows, |(_, leaf)| leaf.kept().order.as_str()))
    .bind(column(&rows, |(_, leaf)| {
        leaf.kept().satisfied_by.map(|slot| i64::from(slot.attempt_no))
    }))
    .bind(column(&rows, |(_, leaf)| {
        leaf.kept().satisfied_by.map(|slot| slot.submit.as_str())
    }))
    .bind(column(&rows, |(_, leaf)| leaf.kept().expires_at.map(Micros::from)))
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.setback("change guarded payments", error))
}

async fn write_attempts(
    connection: &mut PgConnection,
    failure: &Failure,
    attempts: &[(&Name, &GuardedAttempt)],
) -> Result<(), Setback> {
    let rows: Vec<_> = attempts.iter().collect();
    sqlx::query(
        "insert into guarded_attempt (merchant_id, payment_id, attempt_no, submit, channel_id, state, request_id, \
         decision, registered_at, due_at) \
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], \
         $8::bytea[], $9::timestamptz[], $10::timestamptz[]) \
         on conflict (merchant_id, payment_id, attempt_no, submit) do update set state = excluded.state",
    )
    .bind(column(&rows, |(name, _)| name.0.as_str()))
    .bind(column(&rows, |(name, _)| name.1.as_str()))
    .bind(column(&rows, |(_, of)| i64::from(of.slot.attempt_no)))
    .bind(column(&rows, |(_, of)| of.slot.submit.as_str()))
    .bind(column(&rows, |(_, of)| of.channel.as_str()))
    .bind(column(&rows, |(_, of)| of.state.as_str()))
    .bind(column(&rows, |(_, of)| of.request.as_ref().map(AttemptId::as_str)))
    .bind(column(&rows, |(_, of)| of.decision.as_slice()))
    .bind(column(&rows, |(_, of)| Micros::from(of.registered_at)))
    .bind(column(&rows, |(_, of)| Micros::from(of.due_at)))
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.setback("write guarded attempts", error))
}

/// The payment of that name.
pub(super) async fn by_name(
    connection: &mut PgConnection,
    failure: &Failure,
    name: &Name,
) -> Result<Option<Leaf>, LedgerError> {
    let during = |error| failure.during("read a guarded payment", error);
    // The payment last: what it says of its attempts is then not older than they are, and a state that has moved on
    // meanwhile is compared again when the next attempt is registered.
    let mut attempts = attempts_of(connection, &[name]).await.map_err(during)??;
    let row = sqlx::query(concat!(
        "select ",
        payments!(),
        " from guarded_payment where merchant_id = $1 and payment_id = $2"
    ))
    .bind(name.0.as_str())
    .bind(name.1.as_str())
    .fetch_optional(connection)
    .await
    .map_err(during)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (name, kept, registered_at) = payment(&row)?;
    let attempts = attempts.remove(&name).unwrap_or_default();
    Ok(Some(Leaf::read(&kept, registered_at, attempts)))
}

/// Up to `limit` submits that should have been reported by `due`.
pub(super) async fn unreported(
    connection: &mut PgConnection,
    failure: &Failure,
    due: Timestamp,
    limit: u32,
) -> Result<Vec<Unreported>, LedgerError> {
    let rows = sqlx::query(concat!(
        "select ",
        attempts!(),
        " from guarded_attempt where state = 'submitted' and due_at <= $1 order by guarded_attempt.due_at limit $2"
    ))
    .bind(Micros::from(due))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read unreported attempts", error))?;
    let read = |row: &PgRow| {
        let ((merchant, payment), attempt) = attempt(row)?;
        Ok(Unreported {
            merchant,
            payment,
            attempt,
        })
    };
    rows.iter().map(read).collect()
}
