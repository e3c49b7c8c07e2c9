//! The service that tells people and programs: it sends what the ledger holds for receivers.
//!
//! [`dispatch`] is the worker, any number of which may run beside each other; [`receivers`] are those it sends to, and
//! [`emergency`] is the way past the ledger, for the page that says that the ledger is gone.

pub mod dispatch;
pub mod emergency;
pub mod metric;
pub mod receivers;
