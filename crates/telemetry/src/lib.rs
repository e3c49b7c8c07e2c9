//! What every service does alike to be operable: logs, traces, metrics, probes, listening and stopping.
//!
//! A main calls [`init`] once and keeps the [`Guard`]; everything else here is handed around as values.

pub mod listen;
pub mod metric;
pub mod probes;
pub mod rpc;
mod setup;
pub mod shutdown;
pub mod trace;

pub use setup::{Guard, InitError, LogFormat, Service, Settings, init};
