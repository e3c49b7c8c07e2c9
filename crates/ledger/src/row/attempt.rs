//! The row of an attempt.

use std::array::TryFromSliceError;
use std::str::FromStr;

use domain::attempt::payment::Submit;
use domain::id::{AccountId, AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::{Currency, Money};
use domain::network_retry::Fingerprint;
use domain::outcome::OutcomeClass;
use uuid::Uuid;

use super::{Cells, Columns};
use crate::attempt::{AttemptRecord, Report, Segment, Verdict};
use crate::error::LedgerError;

/// The table.
pub(crate) const TABLE: &str = "attempt";

/// The attempt in `row`.
pub(crate) fn read(row: &dyn Cells) -> Result<AttemptRecord, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(AttemptRecord {
        merchant: columns.parse("merchant_id", MerchantId::new)?,
        attempt: columns.parse("attempt_id", AttemptId::new)?,
        payment: columns.parse("payment_id", PaymentId::new)?,
        attempt_no: columns.whole("attempt_no")?,
        decision: columns.parse("decision_id", Uuid::parse_str)?,
        channel: columns.parse("channel_id", ChannelId::new)?,
        account: columns.parse_some("account_id", AccountId::new)?,
        amount: {
            let currency = columns.parse("currency", Currency::from_str)?;
            Money::new(columns.whole("amount_minor")?, currency)
                .map_err(|error| columns.corrupt("amount_minor", error))?
        },
        segment: Segment {
            method: columns.text("method")?,
            issuer: columns.text_some("issuer")?,
            region: columns.text_some("region")?,
        },
        report: report(&columns)?,
        verdict: Verdict {
            reason: columns.text_some("reason")?,
            certainty: columns.text("certainty")?,
            class: columns.parse_some("class", class)?,
            state: columns.text("state")?,
        },
        decided_at: columns.time("decided_at_us")?,
        trace_id: columns.text_some("trace_id")?,
        started_at: columns.time("started_at_us")?,
        received_at: columns.time("received_at_us")?,
        latency_ms: columns.whole("latency_ms")?,
        digest: columns.bytes("digest", |digest| -> Result<[u8; 32], TryFromSliceError> {
            digest.try_into()
        })?,
        submit: columns.parse_some("submit", submit)?,
        credential: columns.parse_some("credential", Fingerprint::new)?,
        case: None,
        notices: Vec::new(),
    })
}

fn report(columns: &Columns<'_>) -> Result<Report, LedgerError> {
    Ok(Report {
        result: columns.text("result")?,
        provider: columns.text("provider")?,
        code: columns.text_some("code")?,
        sub_code: columns.text_some("sub_code")?,
        http_status: columns.whole_some("http_status")?,
        transport_event: columns.text_some("transport_event")?,
        message: columns.text_some("message")?,
        provider_reference: columns.text_some("provider_reference")?,
        network_advice_code: columns.text_some("network_advice_code")?,
    })
}

/// The submit of that name.
pub(crate) fn submit(name: &str) -> Result<Submit, String> {
    Submit::from_name(name).ok_or_else(|| format!("`{name}` is not a submit of an attempt"))
}

/// The class of that name.
pub(crate) fn class(name: &str) -> Result<OutcomeClass, String> {
    OutcomeClass::from_name(name).ok_or_else(|| format!("`{name}` is not a class of outcomes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_read_as_it_was_written() {
        for expected in OutcomeClass::ALL {
            assert_eq!(class(expected.as_str()), Ok(expected));
        }
    }

    #[test]
    fn a_class_of_another_release_is_not_guessed() {
        assert!(class("succes").is_err());
    }
}
