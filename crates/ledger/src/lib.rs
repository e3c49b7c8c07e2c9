//! The durable store of Payroute: every decision, every attempt, and every later change of an attempt's state.
//!
//! [`Ledger`] is the port: what a store must be able to do, in batches. [`SqliteLedger`] is its adapter for the
//! embedded mode, [`PostgresLedger`] the one for many processes; the latter also keeps an [`Outbox`] for the statistics of
//! other processes and is a [`StatisticsSource`] to count them anew. [`Writer`] stands in front of any of them: it turns the calls of many callers into few
//! transactions (group commit), so that "acknowledged" can mean "on the disk" at thousands of attempts a second.
//!
//! [`guard`] keeps a payment from being charged twice: attempts are registered there before they are submitted.
//!
//! [`delivery`] holds what is yet to be told to people and programs, written in the transaction that gives reason to it.
//!
//! [`control`] is the other half: what operators change while Payroute runs, by revision, with an audit log.
//!
//! Rows and statements never leave the crate: callers see the records of [`attempt`], [`decision`] and [`payment`].

pub mod alert;
pub mod attempt;
pub mod compensation;
#[cfg(test)]
mod conformance;
pub mod control;
pub mod decision;
pub mod delivery;
pub mod error;
pub mod guard;
mod judge;
#[cfg(any(test, feature = "test-util"))]
pub mod memory;
pub mod metric;
mod observation;
mod outbox;
pub mod payment;
mod port;
mod postgres;
mod row;
pub mod spool;
mod sqlite;
mod statistics;
mod writer;

pub use delivery::{Deliveries, NewDelivery};
pub use error::{LedgerError, OpenError};
pub use guard::Guards;
pub use observation::{Impact, Lost, ObservationSource, Observed, Part, ReportedCode, Sampled, Whom};
pub use outbox::{Backlog, Outbox, OutboxBatch, OutboxId};
pub use port::{Answer, Batch, Committed, Ledger};
pub use postgres::control::PostgresControl;
pub use postgres::{Housekept, Migrated, PostgresLedger, Settings as PostgresSettings};
pub use spool::Spool;
pub use sqlite::{Settings as SqliteSettings, SqliteLedger};
pub use statistics::{KnownOutcome, LastOutcome, Recount, Span, StatisticsSource, Tally};
pub use writer::{Builder as WriterBuilder, Limits, Writer};
