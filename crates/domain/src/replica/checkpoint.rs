//! What an estimator writes: a brain's checkpoint with its place in the stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::follower::Follower;
use super::packet::Position;
use crate::brain::{self, Brain, Origin, Params, UnknownSchema};

/// What is known of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The number of its last packet.
    pub seq: u64,
    /// Until when it was heard, on the reader's clock.
    pub until: Timestamp,
    /// When its last packet was read.
    pub read_at: Timestamp,
    /// Nothing was heard of it for long.
    pub silent: bool,
    /// Its clock beside the stream's.
    pub clock: Clock,
}

impl Heard {
    /// An origin of which nothing is known yet at `now`.
    pub(super) fn from(now: Timestamp) -> Self {
        Self {
            seq: 0,
            until: Timestamp::MIN,
            read_at: now,
            silent: false,
            clock: Clock::default(),
        }
    }
}

/// A whole brain, and after which packet of the stream it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last packet that it knows.
    pub position: Position,
    /// What it knows of each origin.
    pub origins: BTreeMap<Origin, Heard>,
    /// When it was made, by the stream's clock.
    pub made_at: Timestamp,
    /// The clock of who wrote it, beside the stream's.
    pub clock: Clock,
    /// What was learnt.
    pub brain: brain::Checkpoint,
}

impl Checkpoint {
    /// The brain, and a follower that goes on where it stands, both on the clock of `live`.
    pub(super) fn open(
        self,
        params: Arc<Params>,
        live: &Follower,
    ) -> Result<(Brain, Follower), UnknownSchema> {
        let shift = self.clock.offset().unwrap_or_default() - live.clock().offset().unwrap_or_default();
        let moved = |at: Timestamp| at.checked_add(shift).unwrap_or(at);
        let brain = Brain::restore(self.brain, params, shift)?;
        let heard = |(origin, heard): (Origin, Heard)| {
            let heard = Heard {
                until: moved(heard.until),
                read_at: moved(heard.read_at),
                ..heard
            };
            (origin, heard)
        };
        let origins = self.origins.into_iter().map(heard).collect();
        Ok((brain, Follower::going_on(live, self.position, origins)))
    }
}
