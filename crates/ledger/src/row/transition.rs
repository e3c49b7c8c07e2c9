//! The row of a change of an attempt's state.

use domain::id::AttemptId;

use super::{Cells, Columns};
use crate::attempt::Transition;
use crate::error::LedgerError;

/// The table.
const TABLE: &str = "attempt_transition";

/// The change in `row`.
pub(crate) fn read(row: &dyn Cells) -> Result<Transition, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Transition {
        attempt: columns.parse("attempt_id", AttemptId::new)?,
        from_state: columns.text("from_state")?,
        to_state: columns.text("to_state")?,
        source: columns.text("source")?,
        content: columns.parse("content", serde_json::from_str)?,
        at: columns.time("changed_at_us")?,
    })
}
