//! Statements on the table of decisions.

use domain::id::{AccountId, ChannelId, MerchantId, PaymentId};
use sqlx::PgConnection;

use super::attempt::column;
use super::failure::{Failure, Setback};
use super::value::{Micros, text, text_some};
use crate::decision::DecisionRecord;
use crate::error::LedgerError;
use crate::row::decision::{encode, read};

/// Keeps `decisions`; one that is there already stays as it is.
pub(super) async fn insert(
    connection: &mut PgConnection,
    failure: &Failure,
    decisions: &[DecisionRecord],
) -> Result<(), Setback> {
    if decisions.is_empty() {
        return Ok(());
    }
    let encoded = decisions.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<_> = encoded.iter().collect();
    let of: Vec<_> = decisions.iter().collect();
    sqlx::query(
        "insert into decision (decision_id, merchant_id, payment_id, attempt_no, action, channel_id, account_id, \
         policy_version, matched_rule, strategy, exploration, propensity, panic, attributes, excluded, decided_at) \
         select * from unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], \
         $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::double precision[], $13::boolean[], \
         $14::text[]::json[], $15::text[]::json[], $16::timestamptz[]) as given order by 16, 1 \
         on conflict (decided_at, decision_id) do nothing",
    )
    .bind(column(&of, |decision| decision.id.to_string()))
    .bind(column(&of, |decision| decision.merchant().as_str()))
    .bind(column(&of, |decision| decision.payment().as_str()))
    .bind(column(&of, |decision| i64::from(decision.attributes.attempt_no)))
    .bind(column(&of, |decision| text(&decision.action)))
    .bind(column(&of, |decision| decision.channel.as_ref().map(ChannelId::as_str)))
    .bind(column(&of, |decision| decision.account.as_ref().map(AccountId::as_str)))
    .bind(column(&of, |decision| text(&decision.policy_version)))
    .bind(column(&of, |decision| text_some(decision.matched_rule.as_ref())))
    .bind(column(&of, |decision| text(&decision.strategy)))
    .bind(column(&of, |decision| text(&decision.exploration)))
    .bind(column(&of, |decision| decision.propensity))
    .bind(column(&of, |decision| decision.panic))
    .bind(column(&rows, |row| row.attributes.as_str()))
    .bind(column(&rows, |row| row.excluded.as_str()))
    .bind(column(&of, |decision| Micros::from(decision.decided_at)))
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.setback("write decisions", error))
}

/// The decisions for a payment, earliest first.
pub(super) async fn of_payment(
    connection: &mut PgConnection,
    failure: &Failure,
    (merchant, payment): (&MerchantId, &PaymentId),
) -> Result<Vec<DecisionRecord>, LedgerError> {
    let rows = sqlx::query(
        "select decision_id::text as decision_id, merchant_id, payment_id, attempt_no, action, channel_id, account_id, \
         policy_version, matched_rule, strategy, exploration, propensity, panic, attributes::text as attributes, \
         excluded::text as excluded, decided_at as decided_at_us \
         from decision where merchant_id = $1 and payment_id = $2 order by decided_at, decision.decision_id",
    )
    .bind(merchant.as_str())
    .bind(payment.as_str())
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("read the decisions of a payment", error))?;
    rows.iter().map(|row| read(row)).collect()
}
