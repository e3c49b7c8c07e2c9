//! What a brain knows of the fleet it is one of: its own name, its turn, and until when the fleet has been heard.

use super::flights::Origin;

/// How much later than the one before it a replica sends a probe that everybody sees due: long enough for a peer's
/// packet to arrive first.
const TURN_S: f64 = 0.25;

/// A brain's place in its fleet. Alone, it is the first of one, and hears everything at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fleet {
    own: Origin,
    rank: u16,
    /// Until when it is known what everybody heard, in seconds; `None` where nobody else hears anything.
    horizon: Option<f64>,
    deaf: bool,
}

impl Fleet {
    /// The name under which the brain's own attempts are known.
    pub(super) const fn own(&self) -> Origin {
        self.own
    }

    pub(super) const fn set_own(&mut self, own: Origin) {
        self.own = own;
    }

    pub(super) const fn set_rank(&mut self, rank: u16) {
        self.rank = rank;
    }

    pub(super) const fn set_horizon(&mut self, horizon: Option<f64>) {
        self.horizon = horizon;
    }

    pub(super) const fn set_deaf(&mut self, deaf: bool) {
        self.deaf = deaf;
    }

    /// How long the brain waits for those whose turn is before its own.
    pub(super) fn stagger_s(&self) -> f64 {
        f64::from(self.rank) * TURN_S
    }

    /// Until when silence is silence: an answer after that may have been told to somebody else.
    pub(super) fn heard_until(&self, now: f64) -> f64 {
        self.horizon.map_or(now, |horizon| horizon.min(now))
    }

    /// Whether answers to the brain's own attempts may be told to others of whom nothing is heard.
    pub(super) const fn is_deaf(&self) -> bool {
        self.deaf
    }
}
