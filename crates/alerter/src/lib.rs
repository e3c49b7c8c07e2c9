//! The service that tells people and programs: it finds what is wrong, and sends what the ledger holds for receivers.
//!
//! [`evaluator`] evaluates alert rules and leaves what is to be told in the ledger, with what it tells of. [`dispatch`]
//! is the worker that sends it, any number of which may run beside each other; [`receivers`] are those it sends to, and
//! [`emergency`] is the way past the ledger, for the page that says that the ledger is gone.

pub mod dispatch;
pub mod emergency;
pub mod evaluator;
pub mod metric;
pub mod receivers;
