//! The row of a delivery.

use uuid::Uuid;

use super::{Cells, Columns};
use crate::delivery::{Leased, Member, NewDelivery, Pace, Record};
use crate::error::LedgerError;

/// The table.
pub(crate) const TABLE: &str = "delivery";

/// A delivery as it is listed.
pub(crate) fn record(row: &dyn Cells) -> Result<Record, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Record {
        seq: columns.whole("seq")?,
        id: columns.parse("delivery_id", Uuid::parse_str)?,
        receiver: columns.text("receiver")?,
        order_key: columns.text("order_key")?,
        dedup_key: columns.text("dedup_key")?,
        class: columns.parse("class", str::parse)?,
        ends: columns.truth("ends")?,
        state: columns.parse("state", str::parse)?,
        created_at: columns.time("created_at_us")?,
        due_at: columns.time("due_at_us")?,
        attempts: columns.whole("attempt_count")?,
        last_status: columns.whole_some("last_status")?,
        last_error: columns.text_some("last_error")?,
        fallback_of: columns.parse_some("fallback_of", Uuid::parse_str)?,
        finished_at: columns.time_some("finished_at_us")?,
    })
}

/// A delivery that was claimed.
pub(crate) fn leased(row: &dyn Cells) -> Result<Leased, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Leased {
        id: columns.parse("delivery_id", Uuid::parse_str)?,
        order_key: columns.text("order_key")?,
        dedup_key: columns.text("dedup_key")?,
        class: columns.parse("class", str::parse)?,
        ends: columns.truth("ends")?,
        message: columns.parse("message", serde_json::from_str)?,
        queued_at: columns.time("queued_at_us")?,
        attempt: columns.whole("attempt_count")?,
        uncertain: columns.truth("uncertain")?,
        credential: columns.text_some("credential")?,
        fallback_of: columns.parse_some("fallback_of", Uuid::parse_str)?,
    })
}

/// A delivery as it was written.
pub(crate) fn written(row: &dyn Cells) -> Result<NewDelivery, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(NewDelivery {
        id: columns.parse("delivery_id", Uuid::parse_str)?,
        receiver: columns.text("receiver")?,
        order_key: columns.text("order_key")?,
        dedup_key: columns.text("dedup_key")?,
        class: columns.parse("class", str::parse)?,
        ends: columns.truth("ends")?,
        message: columns.parse("message", serde_json::from_str)?,
        created_at: columns.time("created_at_us")?,
        due_at: columns.time("due_at_us")?,
    })
}

/// What is to be known of a delivery about the others of its order.
pub(crate) fn member(row: &dyn Cells) -> Result<Member, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Member {
        seq: columns.whole("seq")?,
        state: columns.parse("state", str::parse)?,
        uncertain: columns.truth("uncertain")?,
        ends: columns.truth("ends")?,
    })
}

/// How fast a receiver was sent to; the beginning where nothing is written yet.
pub(crate) fn pace(row: &dyn Cells) -> Result<Pace, LedgerError> {
    let columns = Columns::of("delivery_pace", row);
    Ok(Pace {
        version: columns.whole_some("version")?.unwrap_or_default(),
        content: columns.text_some("content")?.unwrap_or_default(),
    })
}
