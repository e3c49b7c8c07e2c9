//! Writing what became of a try.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use super::insert::{append, insert, take_back};
use super::{columns, finish, micros, now};
use crate::delivery::{End, NewDelivery, Settlement, State};
use crate::error::LedgerError;
use crate::row::delivery::written;
use crate::sqlite::SqliteLedger;
use crate::sqlite::failure::Failure;

/// What a row becomes.
struct Terms {
    state: State,
    due_at_us: i64,
    uncertain: bool,
    tried: bool,
    finished_at_us: Option<i64>,
}

impl Terms {
    fn of(end: End, now: Timestamp) -> Self {
        let now = now.as_microsecond();
        let (state, wait_us, uncertain) = match end {
            End::Done => (State::Done, 0, false),
            End::Retry { wait, uncertain } => (State::Ready, micros(wait), uncertain),
            End::Dead { uncertain } => (State::Dead, 0, uncertain),
            End::Superseded => (State::Superseded, 0, false),
            End::Released => (State::Ready, 0, false),
        };
        Self {
            state,
            due_at_us: now.saturating_add(wait_us),
            uncertain,
            tried: !matches!(end, End::Released | End::Superseded),
            finished_at_us: matches!(end, End::Done | End::Dead { .. } | End::Superseded).then_some(now),
        }
    }
}

impl SqliteLedger {
    pub(super) async fn settle_deliveries(&self, settlement: &Settlement) -> Result<usize, LedgerError> {
        const OPERATION: &str = "settle deliveries";
        let failure = &self.failure;
        let during = |error| failure.during(OPERATION, error);
        let mut connection = self.writer(OPERATION).await?;
        let write = async {
            let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
            let now = now(&mut transaction, failure).await?;
            let terms = Terms::of(settlement.end, now);
            let mut settled = Vec::new();
            for id in &settlement.ids {
                settled.extend(mark(&mut transaction, failure, (settlement, &terms, id)).await?);
            }
            if !settled.is_empty() {
                follow(&mut transaction, failure, (settlement, &settled)).await?;
            }
            transaction.commit().await.map_err(during)?;
            Ok(settled.len())
        };
        let outcome = write.await;
        finish(connection, outcome).await
    }
}

/// Changes the row when it is still leased under the token, and returns it as it was.
async fn mark(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (settlement, terms, id): (&Settlement, &Terms, &Uuid),
) -> Result<Option<NewDelivery>, LedgerError> {
    let during = |error| failure.during("settle deliveries", error);
    let row = sqlx::query(concat!(
        "select ",
        columns!(),
        " from delivery where delivery_id = ? and state = 'leased' and lease_token = ?"
    ))
    .bind(id.to_string())
    .bind(settlement.token.to_string())
    .fetch_optional(&mut *connection)
    .await
    .map_err(during)?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query(
        "update delivery set state = ?1, lease_token = null, due_at_us = ?2, uncertain = max(uncertain, ?3), \
         attempt_count = attempt_count - not(?4), last_status = iif(?4, ?5, last_status), \
         last_error = iif(?4 or ?8 is not null, ?6, last_error), credential = coalesce(?7, credential), finished_at_us = ?8, \
         message = iif(?8 is not null and class = 'notice', null, message) where delivery_id = ?9",
    )
    .bind(terms.state.as_str())
    .bind(terms.due_at_us)
    .bind(terms.uncertain)
    .bind(terms.tried)
    .bind(settlement.status)
    .bind(settlement.error.as_deref())
    .bind(settlement.credential.as_deref())
    .bind(terms.finished_at_us)
    .bind(id.to_string())
    .execute(connection)
    .await
    .map_err(during)?;
    written(&row).map(Some)
}

/// Writes what follows for the deliveries that were `settled`: copies for the fallback receiver, what it leads to, and
/// which of their orders became pointless.
async fn follow(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (settlement, settled): (&Settlement, &[NewDelivery]),
) -> Result<(), LedgerError> {
    let mut threads = BTreeSet::new();
    if let Some(fallback) = &settlement.fallback {
        for delivery in settled {
            let behind = waiting_behind(connection, failure, delivery).await?;
            for of in std::iter::once(delivery).chain(&behind) {
                if let Some(copy) = of.readdressed(fallback) {
                    append(connection, failure, (&copy, Some(of.id))).await?;
                }
            }
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
    connection: &mut SqliteConnection,
    failure: &Failure,
    delivery: &NewDelivery,
) -> Result<Vec<NewDelivery>, LedgerError> {
    sqlx::query(concat!(
        "select ",
        columns!(),
        " from delivery where receiver = ? and order_key = ? and state = 'ready' and delivery_id <> ? \
         order by seq limit 100"
    ))
    .bind(&delivery.receiver)
    .bind(&delivery.order_key)
    .bind(delivery.id.to_string())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("look at deliveries of one order", error))?
    .iter()
    .map(|row| written(row))
    .collect()
}

/// Whether an end waits in that order.
async fn has_end(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (receiver, order_key): (&str, &str),
) -> Result<bool, LedgerError> {
    sqlx::query_scalar(
        "select exists (select 1 from delivery where receiver = ? and order_key = ? \
         and state in ('ready', 'leased') and ends)",
    )
    .bind(receiver)
    .bind(order_key)
    .fetch_one(connection)
    .await
    .map_err(|error| failure.during("look at deliveries of one order", error))
}
