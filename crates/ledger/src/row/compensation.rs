//! The row of a case.

use domain::attempt::State;
use domain::compensation::{Ask, Asked, Case, Cause};
use domain::id::{AttemptId, ChannelId, MerchantId, PaymentId};
use uuid::Uuid;

use super::{Cells, Columns};
use crate::compensation::{CaseRecord, Standing};
use crate::error::LedgerError;

/// The table.
pub(crate) const TABLE: &str = "compensation_case";

/// The case in `row`.
pub(crate) fn read(row: &dyn Cells) -> Result<CaseRecord, LedgerError> {
    let columns = Columns::of(TABLE, row);
    let what = columns.parse_some("asked", named("request", Ask::from_name))?;
    let at = columns.time_some("asked_at_us")?;
    let asked = match what.zip(at) {
        None => None,
        Some((what, at)) => Some(Asked {
            what,
            times: columns.whole("asked_times")?,
            at,
        }),
    };
    Ok(CaseRecord {
        merchant: columns.parse("merchant_id", MerchantId::new)?,
        attempt: columns.parse("attempt_id", AttemptId::new)?,
        payment: columns.parse("payment_id", PaymentId::new)?,
        channel: columns.parse("channel_id", ChannelId::new)?,
        case: Case {
            cause: columns.parse("cause", named("cause", Cause::from_name))?,
            state: columns.parse("state", named("state", State::from_name))?,
            opened_at: columns.time("opened_at_us")?,
            since: columns.time("since_at_us")?,
            asked,
            told: columns.truth("told")?,
        },
        ask_count: columns.whole("ask_count")?,
        due_at: columns.time_some("due_at_us")?,
        request: columns.parse_some("request_id", Uuid::parse_str)?,
    })
}

/// The count of cases in `row`.
pub(crate) fn read_standing(row: &dyn Cells) -> Result<Standing, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Standing {
        cause: columns.parse("cause", named("cause", Cause::from_name))?,
        state: columns.parse("state", named("state", State::from_name))?,
        count: columns.whole("cases")?,
        oldest: columns.time("oldest_us")?,
    })
}

/// Reads a name of the domain.
fn named<T>(what: &'static str, read: impl Fn(&str) -> Option<T>) -> impl FnOnce(&str) -> Result<T, String> {
    move |name| read(name).ok_or_else(|| format!("`{name}` is not a known {what}"))
}
