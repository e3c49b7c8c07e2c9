//! Writing deliveries, and taking back those that became pointless.

use std::collections::BTreeSet;

use sqlx::{Connection, PgConnection, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::super::attempt::column;
use super::super::failure::{Failure, Setback, silent};
use super::super::value::{Micros, text};
use super::super::{PostgresLedger, TRIES, WRITE_LIMIT};
use crate::delivery::{NewDelivery, superseded};
use crate::error::LedgerError;
use crate::row::delivery::member;

/// Writes `deliveries` in the caller's transaction, in their order, and says how many of them were not there. An end
/// reaches every receiver that stood in for its own, and is taken back with its beginning where nobody heard of that.
pub(in crate::postgres) async fn insert(
    connection: &mut PgConnection,
    failure: &Failure,
    deliveries: &[NewDelivery],
) -> Result<usize, Setback> {
    if deliveries.is_empty() {
        return Ok(0);
    }
    let drafts: Vec<Draft> = deliveries.iter().map(Draft::from).collect();
    let new = append(connection, failure, &drafts).await?;
    let ends = deliveries
        .iter()
        .filter(|delivery| delivery.ends && new.contains(&delivery.id));
    let ends: Vec<&NewDelivery> = ends.collect();
    let mut threads = BTreeSet::new();
    let mut further = Vec::new();
    for end in ends {
        threads.insert((end.receiver.clone(), end.order_key.clone()));
        for receiver in stand_ins(connection, failure, end).await? {
            threads.insert((receiver.clone(), end.order_key.clone()));
            further.extend(end.readdressed(&receiver).map(|draft| (draft, end.id)));
        }
    }
    let drafts: Vec<Draft> = further.iter().map(Draft::from).collect();
    append(connection, failure, &drafts).await?;
    for (receiver, order_key) in threads {
        take_back(connection, failure, (&receiver, &order_key)).await?;
    }
    Ok(new.len())
}

/// A delivery to be written.
#[derive(Clone, Copy)]
pub(super) struct Draft<'a> {
    new: &'a NewDelivery,
    fallback_of: Option<Uuid>,
}

impl<'a> From<&'a NewDelivery> for Draft<'a> {
    fn from(new: &'a NewDelivery) -> Self {
        Self {
            new,
            fallback_of: None,
        }
    }
}

impl<'a> From<&'a (NewDelivery, Uuid)> for Draft<'a> {
    fn from((new, of): &'a (NewDelivery, Uuid)) -> Self {
        Self {
            new,
            fallback_of: Some(*of),
        }
    }
}

/// Writes rows, and says which of them were not there.
pub(super) async fn append(
    connection: &mut PgConnection,
    failure: &Failure,
    drafts: &[Draft<'_>],
) -> Result<BTreeSet<Uuid>, Setback> {
    if drafts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<&Draft<'_>> = drafts.iter().collect();
    let inserted = sqlx::query(
        "insert into delivery (delivery_id, receiver, order_key, dedup_key, class, ends, message, state, created_at, \
         queued_at, due_at, fallback_of) \
         select delivery_id, receiver, order_key, dedup_key, class, ends, message, 'ready', created_at, \
         greatest(created_at, due_at), due_at, fallback_of \
         from unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[], \
         $8::timestamptz[], $9::timestamptz[], $10::text[]::uuid[]) with ordinality as given \
         (delivery_id, receiver, order_key, dedup_key, class, ends, message, created_at, due_at, fallback_of, place) \
         order by place on conflict do nothing returning delivery_id::text as delivery_id",
    )
    .bind(column(&rows, |row| row.new.id.to_string()))
    .bind(column(&rows, |row| text(&row.new.receiver)))
    .bind(column(&rows, |row| text(&row.new.order_key)))
    .bind(column(&rows, |row| text(&row.new.dedup_key)))
    .bind(column(&rows, |row| row.new.class.as_str()))
    .bind(column(&rows, |row| row.new.ends))
    .bind(column(&rows, |row| row.new.message.to_string()))
    .bind(column(&rows, |row| Micros::from(row.new.created_at)))
    .bind(column(&rows, |row| Micros::from(row.new.due_at)))
    .bind(column(&rows, |row| row.fallback_of.map(|of| of.to_string())))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.setback("write deliveries", error))?;
    let id = |row: &sqlx::postgres::PgRow| {
        row.try_get::<&str, _>("delivery_id")
            .ok()
            .and_then(|id| id.parse().ok())
    };
    Ok(inserted.iter().filter_map(id).collect())
}

/// Receivers that got something of the order of `end` in place of another one.
async fn stand_ins(
    connection: &mut PgConnection,
    failure: &Failure,
    end: &NewDelivery,
) -> Result<Vec<String>, Setback> {
    sqlx::query_scalar(
        "select distinct receiver from delivery where order_key = $1 and receiver <> $2 and fallback_of is not null \
         order by receiver",
    )
    .bind(text(&end.order_key))
    .bind(text(&end.receiver))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.setback("look for fallback receivers", error))
}

/// Supersedes what became pointless of one order key at one receiver.
pub(super) async fn take_back(
    connection: &mut PgConnection,
    failure: &Failure,
    (receiver, order_key): (&str, &str),
) -> Result<(), Setback> {
    let during = |error| failure.setback("look at deliveries of one order", error);
    // Locked, so that none of them is claimed or settled between the look and the change.
    let rows = sqlx::query(
        "select seq, state, uncertain, ends from delivery where receiver = $1 and order_key = $2 order by seq for update",
    )
    .bind(text(receiver))
    .bind(text(order_key))
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
    sqlx::query(
        "update delivery set state = 'superseded', finished_at = statement_timestamp(), \
         last_error = coalesce(last_error, 'it was over before it was delivered'), \
         message = case when class = 'notice' then null else message end where seq = any ($1)",
    )
    .bind(pointless)
    .execute(connection)
    .await
    .map(drop)
    .map_err(during)
}

impl PostgresLedger {
    pub(super) async fn insert_deliveries(&self, deliveries: &[NewDelivery]) -> Result<usize, LedgerError> {
        let mut tries = 1;
        loop {
            match self.try_insert(deliveries).await {
                Ok(new) => return Ok(new),
                Err(Setback::Again(_)) if tries < TRIES => tries += 1,
                Err(Setback::Again(error) | Setback::Final(error)) => return Err(error),
            }
        }
    }

    async fn try_insert(&self, deliveries: &[NewDelivery]) -> Result<usize, Setback> {
        const OPERATION: &str = "write deliveries";
        let during = |error| self.failure.setback(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async {
            let mut transaction = connection.begin().await.map_err(during)?;
            let new = insert(&mut transaction, &self.failure, deliveries).await?;
            transaction.commit().await.map_err(during)?;
            Ok(new)
        };
        let outcome = timeout(WRITE_LIMIT, write).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Setback::Final(silent(OPERATION))));
        if outcome.is_err() {
            drop(connection.detach());
        }
        outcome
    }
}
