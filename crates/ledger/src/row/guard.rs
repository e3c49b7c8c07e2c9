//! The rows of a guarded payment.

use std::str::FromStr;

use domain::attempt::State;
use domain::attempt::payment::{Kept, Order, Slot, Submit};
use domain::id::{AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::{Currency, Money};
use jiff::Timestamp;

use super::attempt::submit;
use super::{Cells, Columns};
use crate::error::LedgerError;
use crate::guard::{GuardedAttempt, Name};

const PAYMENT: &str = "guarded_payment";
const ATTEMPT: &str = "guarded_attempt";

/// The payment in `row`, without its attempts, and when it was registered.
pub(crate) fn payment(row: &dyn Cells) -> Result<(Name, Kept, Timestamp), LedgerError> {
    let columns = Columns::of(PAYMENT, row);
    let currency = columns.parse("currency", Currency::from_str)?;
    let money = Money::new(columns.whole("amount_minor")?, currency)
        .map_err(|error| columns.corrupt("amount_minor", error))?;
    let kept = Kept {
        money,
        order: columns.parse("order_state", order)?,
        expires_at: columns.time_some("order_expires_at_us")?,
        attempts: Vec::new(),
        satisfied_by: satisfied_by(&columns)?,
    };
    Ok((name(&columns)?, kept, columns.time("registered_at_us")?))
}

/// The attempt in `row`, and its payment.
pub(crate) fn attempt(row: &dyn Cells) -> Result<(Name, GuardedAttempt), LedgerError> {
    let columns = Columns::of(ATTEMPT, row);
    let attempt = GuardedAttempt {
        slot: Slot {
            attempt_no: columns.whole("attempt_no")?,
            submit: columns.parse("submit", submit)?,
        },
        channel: columns.parse("channel_id", ChannelId::new)?,
        state: columns.parse("state", state)?,
        request: columns.parse_some("request_id", AttemptId::new)?,
        decision: columns.bytes("decision", |decision| {
            Ok::<_, std::convert::Infallible>(decision.to_vec())
        })?,
        registered_at: columns.time("registered_at_us")?,
        due_at: columns.time("due_at_us")?,
    };
    Ok((name(&columns)?, attempt))
}

fn name(columns: &Columns<'_>) -> Result<Name, LedgerError> {
    Ok((
        columns.parse("merchant_id", MerchantId::new)?,
        columns.parse("payment_id", PaymentId::new)?,
    ))
}

fn satisfied_by(columns: &Columns<'_>) -> Result<Option<Slot>, LedgerError> {
    let attempt_no = columns.whole_some("satisfied_by_no")?;
    let submit: Option<Submit> = columns.parse_some("satisfied_by_submit", submit)?;
    Ok(attempt_no
        .zip(submit)
        .map(|(attempt_no, submit)| Slot { attempt_no, submit }))
}

fn order(name: &str) -> Result<Order, String> {
    Order::from_name(name).ok_or_else(|| format!("`{name}` is not a state of an order"))
}

fn state(name: &str) -> Result<State, String> {
    State::from_name(name).ok_or_else(|| format!("`{name}` is not a state of an attempt"))
}
