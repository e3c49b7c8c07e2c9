//! The estimator: a brain that hears everybody and routes nothing, so that somebody knows what everybody needs.

use std::sync::Arc;

use jiff::Timestamp;

use super::checkpoint::Checkpoint;
use super::follower::Follower;
use super::packet::{Packet, Position};
use crate::brain::{Brain, Origin, Params, UnknownSchema};

/// Hears all packets and makes checkpoints.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// What it hears.
    pub follower: Follower,
    brain: Brain,
}

impl Estimator {
    /// An estimator that begins with `brain`, in whatever way that was taught.
    #[must_use]
    pub fn new(mut brain: Brain) -> Self {
        brain.join(Origin::default());
        Self {
            follower: Follower::of(Origin::default()),
            brain,
        }
    }

    /// Goes on from `checkpoint`, which another one wrote, with the channels and rules of this one.
    ///
    /// # Errors
    /// When the checkpoint is of another schema.
    pub fn take_over(&mut self, checkpoint: Checkpoint, params: Arc<Params>) -> Result<(), UnknownSchema> {
        let (brain, follower) = checkpoint.open(params, &self.follower)?;
        let _ = self.brain.take_deeds(usize::MAX);
        let _ = self.brain.rebase_on(brain);
        self.follower.replace(follower);
        Ok(())
    }

    /// The brain, to be configured.
    pub const fn brain(&mut self) -> &mut Brain {
        &mut self.brain
    }

    /// Reads a packet and learns from it.
    pub fn read(&mut self, at: Position, packet: Packet, now: Timestamp) {
        self.follower.read(at, packet, now);
        self.follower.apply(&mut self.brain, usize::MAX);
    }

    /// Lets time pass until `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.follower.tick(&mut self.brain, now);
        self.follower.apply(&mut self.brain, usize::MAX);
        self.brain.advance(now);
        let _ = self.brain.take_transitions();
    }

    /// What it knows by `now`, to be written.
    #[must_use]
    pub fn checkpoint(&self, now: Timestamp) -> Checkpoint {
        Checkpoint {
            position: self.follower.position(),
            origins: self.follower.origins().clone(),
            made_at: self.follower.stream_time(now),
            clock: *self.follower.clock(),
            brain: self.brain.checkpoint(),
        }
    }
}
