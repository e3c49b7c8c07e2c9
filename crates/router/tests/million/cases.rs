//! No compensation queue: the play settles what is unknown by itself.

use domain::id::{AttemptId, MerchantId};
use jiff::Timestamp;
use ledger::Answer;
use ledger::compensation::{CaseRecord, Cases, Decision, Filter, Finish, Finished, HandOut, Lease, Standing};

/// A queue that holds nothing.
#[derive(Debug)]
pub(crate) struct NoCases;

impl Cases for NoCases {
    fn claim<'a>(&'a self, _: &'a Lease) -> Answer<'a, Vec<CaseRecord>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn finish<'a>(&'a self, _: &'a Finish) -> Answer<'a, Finished> {
        Box::pin(async { Ok(Finished::Lost) })
    }

    fn decide<'a>(&'a self, _: &'a Decision) -> Answer<'a, Finished> {
        Box::pin(async { Ok(Finished::Lost) })
    }

    fn hand_out<'a>(&'a self, _: &'a HandOut) -> Answer<'a, Vec<CaseRecord>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn answered<'a>(&'a self, _: &'a MerchantId, _: &'a AttemptId, _: bool, _: Timestamp) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn sweep_charged_twice(&self, _: Timestamp, _: Timestamp, _: u32) -> Answer<'_, u64> {
        Box::pin(async { Ok(0) })
    }

    fn sweep(&self, _: Timestamp, _: u32) -> Answer<'_, u64> {
        Box::pin(async { Ok(0) })
    }

    fn case<'a>(&'a self, _: &'a MerchantId, _: &'a AttemptId) -> Answer<'a, Option<CaseRecord>> {
        Box::pin(async { Ok(None) })
    }

    fn list<'a>(&'a self, _: &'a Filter) -> Answer<'a, Vec<CaseRecord>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn standing(&self) -> Answer<'_, Vec<Standing>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
