//! Evidence: what the brains of a fleet tell each other, as bytes, and the log that carries it.
//!
//! A packet's bytes are a version, then the packet in postcard. Its names stand once in a table, and deeds refer to them
//! by number: a busy replica speaks of the same few channels a hundred times in a packet.

mod memory;
mod wire;

use domain::replica::{Checkpoint, Packet, Position};
use jiff::Timestamp;

pub use memory::MemoryLog;

/// The form of packets that is written, and the only one that is read.
pub const PACKET_VERSION: u8 = 1;

/// The form of checkpoints that is written, and the only one that is read. What the brain itself holds has a schema of
/// its own besides.
pub const CHECKPOINT_VERSION: u8 = 1;

/// Bytes that are no packet, or no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum BadEvidence {
    /// Written by another version.
    #[error("evidence of version {found}, expected {expected}")]
    Version {
        /// What it says it is; 0 when there is nothing at all.
        found: u8,
        /// What this version reads.
        expected: u8,
    },
    /// Cut off or damaged.
    #[error("evidence that cannot be read")]
    Damaged(#[source] postcard::Error),
    /// A deed refers to a name that is not there, or to one that is none.
    #[error("evidence with a bad name")]
    Name,
    /// A time that no clock shows.
    #[error("evidence with a bad time")]
    Time,
}

/// The log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be reached, or answered with an error.
    #[error("the evidence log failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It holds something that cannot be read.
    #[error(transparent)]
    Bad(#[from] BadEvidence),
}

/// The log of a fleet: packets in one order that is the same for all, and the latest checkpoint.
pub trait EvidenceLog: Send + Sync {
    /// Appends a packet. Returns where it stands.
    fn append(&self, packet: &Packet) -> impl Future<Output = Result<Position, LogError>> + Send;

    /// Up to `limit` packets after `after`, oldest first. Packets that cannot be read are left out: they show as a gap.
    fn read(
        &self,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Position, Packet)>, LogError>> + Send;

    /// What time it is by the log's clock.
    fn time(&self) -> impl Future<Output = Result<Timestamp, LogError>> + Send;

    /// Puts the latest checkpoint in the place of the one before.
    fn put_checkpoint(&self, checkpoint: &Checkpoint) -> impl Future<Output = Result<(), LogError>> + Send;

    /// The latest checkpoint; `None` when there is none, or none of late.
    fn checkpoint(&self) -> impl Future<Output = Result<Option<Checkpoint>, LogError>> + Send;
}

/// The bytes of a packet.
///
/// # Errors
/// When it holds more different names than a packet can have; the outbox makes none so large.
pub fn encode_packet(packet: &Packet) -> Result<Vec<u8>, BadEvidence> {
    let wire = wire::Packet::of(packet)?;
    postcard::to_extend(&wire, vec![PACKET_VERSION]).map_err(BadEvidence::Damaged)
}

/// The packet of `bytes`.
///
/// # Errors
/// When they are of another version, damaged, or name what has no name.
pub fn decode_packet(bytes: &[u8]) -> Result<Packet, BadEvidence> {
    let rest = versioned(bytes, PACKET_VERSION)?;
    let wire: wire::Packet = postcard::from_bytes(rest).map_err(BadEvidence::Damaged)?;
    wire.packet()
}

/// The bytes of a checkpoint.
///
/// # Errors
/// None that a checkpoint of a brain can cause.
pub fn encode_checkpoint(checkpoint: &Checkpoint) -> Result<Vec<u8>, BadEvidence> {
    let mut bytes =
        postcard::to_extend(checkpoint, vec![CHECKPOINT_VERSION]).map_err(BadEvidence::Damaged)?;
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    Ok(bytes)
}

/// The checkpoint of `bytes`.
///
/// # Errors
/// When they are of another version or damaged.
pub fn decode_checkpoint(bytes: &[u8]) -> Result<Checkpoint, BadEvidence> {
    versioned(bytes, CHECKPOINT_VERSION)?;
    let damaged = || BadEvidence::Damaged(postcard::Error::DeserializeBadCrc);
    let (content, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
        return Err(damaged());
    }
    let rest = versioned(content, CHECKPOINT_VERSION)?;
    postcard::from_bytes(rest).map_err(BadEvidence::Damaged)
}

fn versioned(bytes: &[u8], expected: u8) -> Result<&[u8], BadEvidence> {
    match bytes.split_first() {
        Some((found, rest)) if *found == expected => Ok(rest),
        found => Err(BadEvidence::Version {
            found: found.map_or(0, |(found, _)| *found),
            expected,
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
