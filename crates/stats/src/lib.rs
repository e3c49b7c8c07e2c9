//! How services of one deployment share what they know of the channels: outcomes one way, health the other.
//!
//! Outcomes flow from the ledger's writer to the monitor through [`stream`]; the monitor feeds the brain, which the
//! router asks, and publishes a snapshot for people and probes, both in [`live`]. This is the adapter of the embedded
//! mode, where all of them live in one process.

pub mod evidence;
pub mod live;
pub mod redis;
pub mod stream;
