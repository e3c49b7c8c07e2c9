//! Statements on the table of decisions.

use domain::id::{AccountId, ChannelId, MerchantId, PaymentId};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::failure::Failure;
use super::statement::statements;
use crate::decision::DecisionRecord;
use crate::error::LedgerError;
use crate::row::decision::{Encoded, encode, read};

macro_rules! columns {
    () => {
        "decision_id, merchant_id, payment_id, attempt_no, action, channel_id, account_id, policy_version, \
         matched_rule, strategy, exploration, propensity, panic, attributes, excluded, decided_at_us"
    };
}

/// Keeps `decisions`; one that is there already stays as it is.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    failure: &Failure,
    decisions: &[DecisionRecord],
) -> Result<(), LedgerError> {
    let encoded = decisions.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    for piece in statements(&encoded) {
        insert_encoded(connection, failure, piece).await?;
    }
    Ok(())
}

async fn insert_encoded(
    connection: &mut SqliteConnection,
    failure: &Failure,
    encoded: &[Encoded<'_>],
) -> Result<(), LedgerError> {
    let mut query = QueryBuilder::<Sqlite>::new(concat!("insert into decision (", columns!(), ") "));
    query.push_values(encoded, |mut row, encoded| {
        let decision = encoded.decision;
        row.push_bind(decision.id.to_string())
            .push_bind(decision.merchant().as_str())
            .push_bind(decision.payment().as_str())
            .push_bind(decision.attributes.attempt_no)
            .push_bind(&decision.action)
            .push_bind(decision.channel.as_ref().map(ChannelId::as_str))
            .push_bind(decision.account.as_ref().map(AccountId::as_str))
            .push_bind(&decision.policy_version)
            .push_bind(&decision.matched_rule)
            .push_bind(&decision.strategy)
            .push_bind(&decision.exploration)
            .push_bind(decision.propensity)
            .push_bind(decision.panic)
            .push_bind(&encoded.attributes)
            .push_bind(&encoded.excluded)
            .push_bind(decision.decided_at.as_microsecond());
    });
    query.push(" on conflict (decision_id) do nothing");
    query
        .build()
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failure.during("write decisions", error))
}

/// The decisions for a payment, earliest first.
pub(super) async fn of_payment(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (merchant, payment): (&MerchantId, &PaymentId),
) -> Result<Vec<DecisionRecord>, LedgerError> {
    sqlx::query(concat!(
        "select ",
        columns!(),
        " from decision where merchant_id = ? and payment_id = ? order by decided_at_us, decision_id"
    ))
    .bind(merchant.as_str())
    .bind(payment.as_str())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read the decisions of a payment", error))?
    .iter()
    .map(|row| read(row))
    .collect()
}
