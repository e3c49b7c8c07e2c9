//! What was counted, as rows of either store.

use domain::id::{ChannelId, MerchantId, PaymentId};

use super::attempt::{TABLE, class};
use super::{Cells, Columns};
use crate::error::LedgerError;
use crate::observation::{Impact, Lost, Observed, Part, ReportedCode, Sampled};

/// The counts in `row`, of a bucket of `secs` seconds; the bins come apart, because each store counts them its own way.
pub(crate) fn observed(row: &dyn Cells, secs: u32, bins: Vec<(u8, u32)>) -> Result<Observed, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Observed {
        bucket: columns.time("bucket")?.as_second().div_euclid(i64::from(secs)),
        channel: columns.parse("channel_id", ChannelId::new)?,
        method: columns.text("method")?,
        issuer: columns.text_some("issuer")?,
        region: columns.text_some("region")?,
        merchant: columns.parse("merchant_id", MerchantId::new)?,
        class: columns.parse("class", class)?,
        count: columns.whole("count")?,
        later: columns.whole("later")?,
        unknown: columns.whole("unknown")?,
        bins,
    })
}

/// The code in `row`, with how often it was reported.
pub(crate) fn reported_code(row: &dyn Cells) -> Result<ReportedCode, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(ReportedCode {
        provider: columns.text("provider")?,
        code: columns.text_some("code")?,
        sub_code: columns.text_some("sub_code")?,
        count: columns.whole("count")?,
        first_at: columns.time("first_at")?,
        last_at: columns.time("last_at")?,
        reason: columns.text_some("reason")?,
        message: columns.text_some("message")?,
    })
}

/// Puts together what the four statements of an impact have answered: totals, losses, parts and samples.
pub(crate) fn impact<'r, R: Cells + 'r>(
    totals: impl IntoIterator<Item = &'r R>,
    losses: impl IntoIterator<Item = &'r R>,
    parts: impl IntoIterator<Item = &'r R>,
    samples: impl IntoIterator<Item = &'r R>,
) -> Result<Impact, LedgerError> {
    let mut impact = Impact::default();
    for row in totals {
        let columns = Columns::of(TABLE, row);
        impact.attempts = columns.whole("attempts")?;
        impact.failed = columns.whole("failed")?;
        impact.unknown = columns.whole("unknown")?;
    }
    for row in losses {
        let columns = Columns::of(TABLE, row);
        impact.lost.push(Lost {
            currency: columns.text("currency")?,
            payments: columns.whole("payments")?,
            amount_minor: columns.whole("amount_minor")?,
        });
    }
    for row in parts {
        let columns = Columns::of(TABLE, row);
        let part = Part {
            name: columns.text("name")?,
            failed: columns.whole("failed")?,
        };
        match columns.text("kind")?.as_str() {
            "reason" => impact.reasons.push(part),
            "issuer" => impact.issuers.push(part),
            "method" => impact.methods.push(part),
            _ => impact.channels.push(part),
        }
    }
    for row in samples {
        let columns = Columns::of(TABLE, row);
        impact.sampled.push(Sampled {
            merchant: columns.parse("merchant_id", MerchantId::new)?,
            payment: columns.parse("payment_id", PaymentId::new)?,
            channel: columns.parse("channel_id", ChannelId::new)?,
            reason: columns.text_some("reason")?,
        });
    }
    Ok(impact)
}

/// How often each bin is among `bins`, in ascending order.
pub(crate) fn bin_counts(mut bins: Vec<u8>) -> Vec<(u8, u32)> {
    bins.sort_unstable();
    bins.chunk_by(u8::eq)
        .filter_map(|same| Some((*same.first()?, u32::try_from(same.len()).ok()?)))
        .collect()
}
