//! Writing what became of a try.

use std::collections::BTreeSet;

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::super::failure::{Failure, Setback, silent};
use super::super::value::text;
use super::super::{PostgresLedger, TRIES, WRITE_LIMIT};
use super::columns;
use super::insert::{Draft, append, insert, take_back};
use crate::delivery::{End, NewDelivery, Settlement};
use crate::error::LedgerError;
use crate::row::delivery::written;

/// What the ends have in common: state, wait in seconds, whether it may have been heard.
const fn terms(end: End) -> (&'static str, f64, bool) {
    match end {
        End::Done => ("done", 0.0, false),
        End::Retry { wait, uncertain } => ("ready", wait.as_secs_f64(), uncertain),
        End::Dead { uncertain } => ("dead", 0.0, uncertain),
        End::Superseded => ("superseded", 0.0, false),
        End::Released => ("ready", 0.0, false),
    }
}

impl PostgresLedger {
    pub(super) async fn settle_deliveries(&self, settlement: &Settlement) -> Result<usize, LedgerError> {
        let mut tries = 1;
        loop {
            match self.try_settle(settlement).await {
                Ok(settled) => return Ok(settled),
                Err(Setback::Again(_)) if tries < TRIES => tries += 1,
                Err(Setback::Again(error) | Setback::Final(error)) => return Err(error),
            }
        }
    }

    async fn try_settle(&self, settlement: &Settlement) -> Result<usize, Setback> {
        const OPERATION: &str = "settle deliveries";
        let failure = &self.failure;
        let during = |error| failure.setback(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async {
            let mut transaction = connection.begin().await.map_err(during)?;
            let settled = mark(&mut transaction, failure, settlement).await?;
            if !settled.is_empty() {
                follow(&mut transaction, failure, (settlement, &settled)).await?;
            }
            transaction.commit().await.map_err(during)?;
            Ok(settled.len())
        };
        let outcome = timeout(WRITE_LIMIT, write).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Setback::Final(silent(OPERATION))));
        if outcome.is_err() {
            drop(connection.detach());
        }
        outcome
    }
}

/// Changes the rows that are still leased under the token, and returns them.
async fn mark(
    connection: &mut PgConnection,
    failure: &Failure,
    settlement: &Settlement,
) -> Result<Vec<NewDelivery>, Setback> {
    let (state, wait_secs, uncertain) = terms(settlement.end);
    let tried = !matches!(settlement.end, End::Released | End::Superseded);
    let finished = matches!(settlement.end, End::Done | End::Dead { .. } | End::Superseded);
    let rows = sqlx::query(concat!(
        "with held as (select seq as number, message as content from delivery where delivery_id = any ($1::text[]::uuid[]) \
         and state = 'leased' and lease_token = $2::text::uuid order by seq for update), \
         settled as (update delivery set state = $3, lease_token = null, \
         due_at = statement_timestamp() + make_interval(secs => $4), uncertain = uncertain or $5, \
         attempt_count = attempt_count - case when $6 then 0 else 1 end, \
         last_status = case when $6 then $7 else last_status end, \
         last_error = case when $6 or $10 then $8 else last_error end, credential = coalesce($9, credential), \
         finished_at = case when $10 then statement_timestamp() end, \
         message = case when $10 and class = 'notice' then null else message end \
         from held where delivery.seq = held.number returning delivery.*, held.content), \
         found as (select settled.*, content as known_message from settled) select ",
        columns!("credential", "known_message"),
        " from found order by seq"
    ))
    .bind(settlement.ids.iter().map(Uuid::to_string).collect::<Vec<_>>())
    .bind(settlement.token.to_string())
    .bind(state)
    .bind(wait_secs)
    .bind(uncertain)
    .bind(tried)
    .bind(settlement.status.map(i64::from))
    .bind(settlement.error.as_deref().map(text))
    .bind(settlement.credential.as_deref())
    .bind(finished)
    .fetch_all(connection)
    .await
    .map_err(|error| failure.setback("settle deliveries", error))?;
    let read = |row: &PgRow| written(row);
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Writes what follows for the deliveries that were `settled`: copies for the fallback receiver, what it leads to, and
/// which of their orders became pointless.
async fn follow(
    connection: &mut PgConnection,
    failure: &Failure,
    (settlement, settled): (&Settlement, &[NewDelivery]),
) -> Result<(), Setback> {
    let mut threads = BTreeSet::new();
    if let Some(fallback) = &settlement.fallback {
        for delivery in settled {
            let behind = waiting_behind(connection, failure, delivery).await?;
            let all = std::iter::once(delivery).chain(&behind);
            let copies: Vec<(NewDelivery, Uuid)> = all
                .filter_map(|of| Some((of.readdressed(fallback)?, of.id)))
                .collect();
            let drafts: Vec<Draft> = copies.iter().map(Draft::from).collect();
            append(connection, failure, &drafts).await?;
            if behind.iter().any(|of| of.ends) {
                threads.insert((fallback.as_str(), delivery.order_key.as_str()));
            }
        }
    }
    if matches!(settlement.end, End::Retry { .. } | End::Dead { .. }) {
        threads.extend(
            settled
                .iter()
                .map(|of| (of.receiver.as_str(), of.order_key.as_str())),
        );
    }
    for thread in threads {
        if has_end(connection, failure, thread).await? {
            take_back(connection, failure, thread).await?;
        }
    }
    insert(connection, failure, &settlement.also).await.map(drop)
}

/// What waits in the order of `delivery` after it.
async fn waiting_behind(
    connection: &mut PgConnection,
    failure: &Failure,
    delivery: &NewDelivery,
) -> Result<Vec<NewDelivery>, Setback> {
    let rows = sqlx::query(concat!(
        "select ",
        columns!(),
        " from delivery where receiver = $1 and order_key = $2 and state = 'ready' and delivery_id <> $3::text::uuid \
         order by seq limit 100"
    ))
    .bind(text(&delivery.receiver))
    .bind(text(&delivery.order_key))
    .bind(delivery.id.to_string())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.setback("look at deliveries of one order", error))?;
    let read = |row: &PgRow| written(row);
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Whether an end waits in that order.
async fn has_end(
    connection: &mut PgConnection,
    failure: &Failure,
    (receiver, order_key): (&str, &str),
) -> Result<bool, Setback> {
    sqlx::query_scalar(
        "select exists (select 1 from delivery where receiver = $1 and order_key = $2 \
         and state in ('ready', 'leased') and ends)",
    )
    .bind(text(receiver))
    .bind(text(order_key))
    .fetch_one(connection)
    .await
    .map_err(|error| failure.setback("look at deliveries of one order", error))
}
