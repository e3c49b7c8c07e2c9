//! The log of a fleet inside one process, for tests and for trying things out.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::clock::SharedClock;
use domain::replica::{Checkpoint, Packet, Position};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::{EvidenceLog, LogError, decode_checkpoint, decode_packet, encode_checkpoint, encode_packet};

/// Packets kept.
const CAPACITY: usize = 20_000;

/// A log in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryLog {
    clock: SharedClock,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    packets: VecDeque<(Position, Vec<u8>)>,
    checkpoint: Option<Vec<u8>>,
}

impl MemoryLog {
    /// An empty log with this clock.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            held: Arc::default(),
        }
    }
}

impl EvidenceLog for MemoryLog {
    async fn append(&self, packet: &Packet) -> Result<Position, LogError> {
        let bytes = encode_packet(packet)?;
        let ms = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        let mut held = self.held.lock();
        let last = held.packets.back().map_or(Position::BEGINNING, |(at, _)| *at);
        let position = if ms > last.ms {
            Position { ms, seq: 0 }
        } else {
            Position {
                seq: last.seq + 1,
                ..last
            }
        };
        held.packets.push_back((position, bytes));
        if held.packets.len() > CAPACITY {
            held.packets.pop_front();
        }
        Ok(position)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<(Position, Packet)>, LogError> {
        let held = self.held.lock();
        let from = held.packets.partition_point(|(at, _)| *at <= after);
        let found = held.packets.range(from..).take(limit);
        Ok(found
            .filter_map(|(at, bytes)| Some((*at, decode_packet(bytes).ok()?)))
            .collect())
    }

    async fn time(&self) -> Result<Timestamp, LogError> {
        Ok(self.clock.now())
    }

    async fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), LogError> {
        self.held.lock().checkpoint = Some(encode_checkpoint(checkpoint)?);
        Ok(())
    }

    async fn checkpoint(&self) -> Result<Option<Checkpoint>, LogError> {
        let bytes = self.held.lock().checkpoint.clone();
        Ok(bytes.map(|bytes| decode_checkpoint(&bytes)).transpose()?)
    }
}
