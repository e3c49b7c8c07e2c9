//! Writing deliveries, and taking back those that became pointless.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::now;
use crate::delivery::{NewDelivery, superseded};
use crate::error::LedgerError;
use crate::row::delivery::member;
use crate::sqlite::failure::Failure;

/// Writes `deliveries` in the caller's transaction, in their order, and says how many of them were not there. An end
/// reaches every receiver that stood in for its own, and is taken back with its beginning where nobody heard of that.
pub(in crate::sqlite) async fn insert(
    connection: &mut SqliteConnection,
    failure: &Failure,
    deliveries: &[NewDelivery],
) -> Result<usize, LedgerError> {
    let mut new = 0;
    let mut threads = BTreeSet::new();
    for delivery in deliveries {
        if !append(connection, failure, (delivery, None)).await? {
            continue;
        }
        new += 1;
        if !delivery.ends {
            continue;
        }
        threads.insert((delivery.receiver.clone(), delivery.order_key.clone()));
        for receiver in stand_ins(connection, failure, delivery).await? {
            if let Some(copy) = delivery.readdressed(&receiver) {
                append(connection, failure, (&copy, Some(delivery.id))).await?;
            }
            threads.insert((receiver, delivery.order_key.clone()));
        }
    }
    for (receiver, order_key) in threads {
        take_back(connection, failure, (&receiver, &order_key)).await?;
    }
    Ok(new)
}

/// Writes a row, and says whether it was not there.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (new, fallback_of): (&NewDelivery, Option<Uuid>),
) -> Result<bool, LedgerError> {
    let queued_at: Timestamp = new.created_at.max(new.due_at);
    sqlx::query(
        "insert into delivery (delivery_id, receiver, order_key, dedup_key, class, ends, message, state, \
         created_at_us, queued_at_us, due_at_us, fallback_of) values (?, ?, ?, ?, ?, ?, ?, 'ready', ?, ?, ?, ?) \
         on conflict do nothing",
    )
    .bind(new.id.to_string())
    .bind(&new.receiver)
    .bind(&new.order_key)
    .bind(&new.dedup_key)
    .bind(new.class.as_str())
    .bind(new.ends)
    .bind(new.message.to_string())
    .bind(new.created_at.as_microsecond())
    .bind(queued_at.as_microsecond())
    .bind(new.due_at.as_microsecond())
    .bind(fallback_of.map(|of| of.to_string()))
    .execute(connection)
    .await
    .map(|written| written.rows_affected() > 0)
    .map_err(|error| failure.during("write a delivery", error))
}

/// Receivers that got something of the order of `end` in place of another one.
async fn stand_ins(
    connection: &mut SqliteConnection,
    failure: &Failure,
    end: &NewDelivery,
) -> Result<Vec<String>, LedgerError> {
    sqlx::query_scalar(
        "select distinct receiver from delivery where order_key = ? and receiver <> ? and fallback_of is not null \
         order by receiver",
    )
    .bind(&end.order_key)
    .bind(&end.receiver)
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("look for fallback receivers", error))
}

/// Supersedes what became pointless of one order key at one receiver.
pub(super) async fn take_back(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (receiver, order_key): (&str, &str),
) -> Result<(), LedgerError> {
    let during = |error| failure.during("look at deliveries of one order", error);
    let rows = sqlx::query(
        "select seq, state, uncertain, ends from delivery where receiver = ? and order_key = ? order by seq",
    )
    .bind(receiver)
    .bind(order_key)
    .fetch_all(&mut *connection)
    .await
    .map_err(during)?;
    let thread = rows
        .iter()
        .map(|row| member(row))
        .collect::<Result<Vec<_>, _>>()?;
    let pointless = superseded(&thread);
    if pointless.is_empty() {
        return Ok(());
    }
    let now = now(connection, failure).await?;
    for seq in pointless {
        sqlx::query(
            "update delivery set state = 'superseded', finished_at_us = ?, \
             last_error = coalesce(last_error, 'it was over before it was delivered'), \
             message = case when class = 'notice' then null else message end where seq = ?",
        )
        .bind(now.as_microsecond())
        .bind(seq)
        .execute(&mut *connection)
        .await
        .map_err(during)?;
    }
    Ok(())
}
