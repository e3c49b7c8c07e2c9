//! One replica's brain in a fleet: each routes by a whole brain of its own, and tells the others what it did.
//!
//! Every replica packs what its brain did into [`Packet`]s and appends them to one stream, which all of them read. A
//! peer's attempts are watched as one's own, so that silence counts over the whole fleet; a peer's outcomes end them
//! and teach. An estimator does the same without routing, and writes a [`Checkpoint`] now and then, from which a
//! replica starts and on which it re-bases when it has missed something.
//!
//! What is bounded:
//! - *Silence.* An outcome may be told to any replica, so an attempt is known to be silent only until the moment up to
//!   which everybody has been heard: the time at which the last packet of the peer that is furthest behind was sent.
//! - *Loss.* After a gap in an origin's packets, or two seconds without any, its attempts are forgotten and nothing is
//!   concluded from them; the replica asks to be re-based.
//! - *Probes.* A replica has at most one probe of a scope in the air, and a peer's that it knows of counts as its own. So
//!   in the moment in which a probe becomes due, before anybody has heard of anybody else's, a fleet of `n` sends at most
//!   `n`; as replicas take turns a packet's way apart, it is one where there is that much time.
//! - *Exploration.* The budget is the fleet's: every replica counts what its peers earn and spend. It is overdrawn by at
//!   most what is spent within a packet's way, and what is overdrawn is earned back before more is spent.
//! - *Clocks.* A replica compares its own clock and a peer's with the stream's ([`Clock`]), so that a peer whose clock is
//!   an hour off is neither heard from the future nor an hour old.

mod checkpoint;
mod clock;
mod estimator;
mod follower;
mod outbox;
mod packet;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, Heard};
pub use clock::Clock;
pub use estimator::Estimator;
pub use follower::{Counts, Follower};
pub use outbox::Outbox;
pub use packet::{Packet, Position};

use crate::brain::{Brain, Origin, UnknownSchema};
use jiff::Timestamp;

/// A replica that routes: what it tells, and what it hears.
#[derive(Clone, Debug)]
pub struct Replica {
    /// What it has to tell.
    pub outbox: Outbox,
    /// What it hears.
    pub follower: Follower,
}

impl Replica {
    /// A replica that will be known as `own`, and makes `brain` one of the fleet.
    #[must_use]
    pub fn new(own: Origin, brain: &mut Brain) -> Self {
        brain.join(own);
        Self {
            outbox: Outbox::new(own),
            follower: Follower::of(own),
        }
    }

    /// Whether `checkpoint` knows what this replica has missed, and is of our time: one that was written before an outage
    /// of the stream knows less than the replica itself.
    #[must_use]
    pub fn is_helped_by(&self, checkpoint: &Checkpoint, now: Timestamp) -> bool {
        let missed = self.follower.wants_rebase();
        let age = self.follower.stream_time(now).duration_since(checkpoint.made_at);
        missed.is_some_and(|missed| checkpoint.position >= missed) && age <= follower::TOO_OLD
    }

    /// Begins to re-base on `checkpoint`, for a brain that goes by the numbers of `brain`. Costs as much as the
    /// checkpoint is large, so that it is to be done where nobody waits.
    ///
    /// # Errors
    /// When the checkpoint is of another schema.
    pub fn begin_rebase(
        &self,
        checkpoint: Checkpoint,
        params: std::sync::Arc<crate::brain::Params>,
    ) -> Result<Rebase, UnknownSchema> {
        let (brain, follower) = checkpoint.open(params, &self.follower)?;
        Ok(Rebase { brain, follower })
    }

    /// Ends it: `live` takes over what was built, with what it did itself that has not been read back yet. Takes as
    /// long as there is of that. Returns what is no longer needed, to be dropped where nobody waits.
    pub fn finish_rebase(&mut self, rebase: Rebase, live: &mut Brain, now: Timestamp) -> Brain {
        let Rebase {
            mut brain,
            mut follower,
        } = rebase;
        self.outbox.collect(live);
        follower.apply(&mut brain, usize::MAX);
        let own = self.outbox.origin();
        for deed in self.outbox.since(follower.heard_seq(own)) {
            brain.hear_of(own, deed);
        }
        let old = live.rebase_on(brain);
        self.follower.replace(follower);
        self.follower.tick(live, now);
        old
    }
}

/// A brain that is being built from a checkpoint and the packets since.
#[derive(Clone, Debug)]
pub struct Rebase {
    brain: Brain,
    follower: Follower,
}

impl Rebase {
    /// After which packet of the stream it has to be read on.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.follower.position()
    }

    /// Reads a packet.
    pub fn read(&mut self, at: Position, packet: Packet, now: Timestamp) {
        self.follower.read(at, packet, now);
        self.follower.apply(&mut self.brain, usize::MAX);
    }
}
