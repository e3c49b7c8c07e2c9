//! The row of a decision.

use std::sync::Arc;

use domain::id::{AccountId, ChannelId, MerchantId, PaymentId};
use uuid::Uuid;

use super::attributes::Document;
use super::{Cells, Columns};
use crate::decision::DecisionRecord;
use crate::error::LedgerError;

/// The table.
const TABLE: &str = "decision";

/// A decision with its two documents already in JSON, so that nothing can fail while a statement is put together.
pub(crate) struct Encoded<'a> {
    /// The decision.
    pub(crate) decision: &'a DecisionRecord,
    /// The attributes of its payment.
    pub(crate) attributes: String,
    /// The channels that were left out.
    pub(crate) excluded: String,
}

/// Puts the documents of `decision` into JSON.
pub(crate) fn encode(decision: &DecisionRecord) -> Result<Encoded<'_>, LedgerError> {
    let unstorable = |field| {
        move |error: serde_json::Error| LedgerError::Unstorable {
            field,
            problem: error.to_string(),
        }
    };
    Ok(Encoded {
        decision,
        attributes: serde_json::to_string(&Document::from(&*decision.attributes))
            .map_err(unstorable("attributes"))?,
        excluded: serde_json::to_string(&decision.excluded).map_err(unstorable("excluded"))?,
    })
}

/// The decision in `row`.
pub(crate) fn read(row: &dyn Cells) -> Result<DecisionRecord, LedgerError> {
    let columns = Columns::of(TABLE, row);
    let merchant = columns.parse("merchant_id", MerchantId::new)?;
    let payment = columns.parse("payment_id", PaymentId::new)?;
    let document: Document = columns.parse("attributes", serde_json::from_str)?;
    let attributes = document
        .into_attributes(merchant, payment, columns.whole("attempt_no")?)
        .map_err(|error| columns.corrupt("attributes", error))?;
    Ok(DecisionRecord {
        id: columns.parse("decision_id", Uuid::parse_str)?,
        attributes: Arc::new(attributes),
        action: columns.text("action")?,
        channel: columns.parse_some("channel_id", ChannelId::new)?,
        account: columns.parse_some("account_id", AccountId::new)?,
        policy_version: columns.text("policy_version")?,
        matched_rule: columns.text_some("matched_rule")?,
        strategy: columns.text("strategy")?,
        exploration: columns.text("exploration")?,
        propensity: columns.real_some("propensity")?,
        panic: columns.truth("panic")?,
        excluded: columns.parse("excluded", serde_json::from_str)?,
        decided_at: columns.time("decided_at_us")?,
    })
}
