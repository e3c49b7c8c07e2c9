//! A herald that tells nobody.

use domain::attempt::State;
use jiff::Timestamp;
use ledger::NewDelivery;
use ledger::attempt::AttemptRecord;
use payroute_console::Herald;

/// No customer is told anything.
#[derive(Debug)]
pub(crate) struct Silent;

impl Herald for Silent {
    fn notices(&self, _: &AttemptRecord, _: State, _: Timestamp) -> Vec<NewDelivery> {
        Vec::new()
    }
}
