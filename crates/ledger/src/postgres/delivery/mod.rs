//! The table of deliveries.
//!
//! Locks are taken in the order of places within one order key, and each transaction is short: no row is locked while a
//! receiver is spoken to.

mod claim;
pub(in crate::postgres) mod insert;
mod look;
mod settle;

use uuid::Uuid;

use super::PostgresLedger;
use crate::delivery::{
    Claim, Claimed, Deliveries, Due, Filter, NewDelivery, Pace, ReceiverBacklog, Record, Replayed, Settlement,
};
use crate::port::Answer;
use jiff::Timestamp;

/// What is read of a row, with times as the row's readers expect them. The credential and the message may come from
/// columns of another name.
macro_rules! columns {
    () => {
        $crate::postgres::delivery::columns!("credential", "message")
    };
    ($credential:literal, $message:literal) => {
        concat!(
            "seq, delivery_id::text as delivery_id, receiver, order_key, dedup_key, class, ends, state, \
             created_at as created_at_us, queued_at as queued_at_us, due_at as due_at_us, attempt_count, uncertain, \
             last_status, last_error, fallback_of::text as fallback_of, finished_at as finished_at_us, ",
            $credential,
            " as credential, ",
            $message,
            " as message"
        )
    };
}

/// Whether the row `$name` of the table is the first of its order that is not finished.
macro_rules! is_first {
    ($name:literal) => {
        concat!(
            "not exists (select 1 from delivery earlier where earlier.receiver = ",
            $name,
            ".receiver and earlier.order_key = ",
            $name,
            ".order_key and earlier.state in ('ready', 'leased') and earlier.seq < ",
            $name,
            ".seq)"
        )
    };
}

use {columns, is_first};

impl Deliveries for PostgresLedger {
    fn enqueue<'a>(&'a self, deliveries: &'a [NewDelivery]) -> Answer<'a, usize> {
        Box::pin(self.insert_deliveries(deliveries))
    }

    fn due<'a>(&'a self, receivers: &'a [String]) -> Answer<'a, Due> {
        Box::pin(self.due_deliveries(receivers))
    }

    fn claim<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Option<Claimed>> {
        Box::pin(self.claim_deliveries(claim))
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> Answer<'a, usize> {
        Box::pin(self.settle_deliveries(settlement))
    }

    fn pace<'a>(&'a self, receiver: &'a str) -> Answer<'a, Pace> {
        Box::pin(self.read_pace(receiver))
    }

    fn set_pace<'a>(&'a self, receiver: &'a str, pace: &'a Pace) -> Answer<'a, bool> {
        Box::pin(self.write_pace(receiver, pace))
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<Record>> {
        Box::pin(self.list_deliveries(filter))
    }

    fn replay(&self, id: Uuid) -> Answer<'_, Replayed> {
        Box::pin(self.replay_delivery(id))
    }

    fn backlogs(&self) -> Answer<'_, Vec<ReceiverBacklog>> {
        Box::pin(self.delivery_backlog())
    }

    fn forget_finished(&self) -> Answer<'_, u64> {
        Box::pin(self.forget_deliveries())
    }

    fn clock(&self) -> Answer<'_, Timestamp> {
        Box::pin(self.read_clock())
    }
}
