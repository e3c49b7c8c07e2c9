//! The reading side: packets of the fleet, in the order of the stream, taught to a brain in small steps.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::checkpoint::Heard;
use super::clock::Clock;
use super::packet::{Packet, Position};
use crate::brain::{Brain, Deed, Origin};

/// An origin of which nothing was heard for this long is silent: its attempts are forgotten.
const SILENT_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// Older packets are not applied: an outage of the past must not trip a breaker now.
pub(super) const TOO_OLD: SignedDuration = SignedDuration::from_secs(10);

/// A silent origin is forgotten after this: its process is gone.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// Weight of one outcome in the share of those that are told to another replica than the one that routed.
const STRAY_STEP: f64 = 0.02;

/// Above this share, a replica that hears nobody does not hear what became of its own attempts either.
const STRAYS: f64 = 0.02;

/// What was read, for people who watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets read, one's own aside.
    pub packets: u64,
    /// Gaps in an origin's numbers.
    pub gaps: u64,
    /// Packets that were too old to be applied.
    pub too_old: u64,
    /// Origins that fell silent.
    pub silent: u64,
}

/// Something that has to be done to the brain.
#[derive(Clone, Debug)]
enum Step {
    Hear(Origin, Deed),
    /// The origin has been heard until then.
    HeardUntil(Origin, Timestamp),
    Forget(Origin),
}

/// Reads packets and teaches them.
#[derive(Clone, Debug)]
pub struct Follower {
    own: Origin,
    /// Whether its own packets are taught too: not to the brain that did what they say.
    teaches_own: bool,
    position: Position,
    origins: BTreeMap<Origin, Heard>,
    steps: VecDeque<Step>,
    clock: Clock,
    /// When the stream was last read, even if there was nothing new.
    read_at: Option<Timestamp>,
    strays: f64,
    rebase_after: Option<Position>,
    counts: Counts,
}

impl Follower {
    /// A follower that leaves out the packets of `own`, whose deeds the brain has done itself.
    #[must_use]
    pub const fn of(own: Origin) -> Self {
        Self {
            own,
            teaches_own: false,
            position: Position::BEGINNING,
            origins: BTreeMap::new(),
            steps: VecDeque::new(),
            clock: Clock::NEW,
            read_at: None,
            strays: 0.0,
            rebase_after: None,
            counts: Counts {
                packets: 0,
                gaps: 0,
                too_old: 0,
                silent: 0,
            },
        }
    }

    /// A follower that goes on from a checkpoint, on the clock of `live`, and teaches what `live` did as well.
    pub(super) fn going_on(live: &Self, position: Position, origins: BTreeMap<Origin, Heard>) -> Self {
        Self {
            teaches_own: true,
            position,
            origins,
            clock: live.clock,
            read_at: live.read_at,
            ..Self::of(live.own)
        }
    }

    /// Takes the place of this one: the brain that it has taught is in use now, and does its own deeds itself.
    pub(super) fn replace(&mut self, built: Self) {
        let own = self.own;
        *self = Self {
            teaches_own: false,
            strays: self.strays,
            counts: self.counts,
            clock: self.clock,
            read_at: self.read_at,
            ..built
        };
        self.origins.remove(&own);
    }

    /// After which packet the stream has to be read on.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Skips what is in the stream until `position`: there is nobody to ask what was before.
    pub fn skip_to(&mut self, position: Position) {
        self.position = self.position.max(position);
    }

    /// Its clock beside the stream's.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What was read.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// What is known of each origin.
    #[must_use]
    pub const fn origins(&self) -> &BTreeMap<Origin, Heard> {
        &self.origins
    }

    /// Whether something was missed that only a checkpoint made after it can give back; after which packet.
    #[must_use]
    pub const fn wants_rebase(&self) -> Option<Position> {
        self.rebase_after
    }

    /// Asks for a checkpoint, whatever it holds: the brain has just begun.
    pub fn want_rebase(&mut self) {
        self.rebase_after.get_or_insert(Position::BEGINNING);
    }

    /// Gives up asking: there is nobody who writes checkpoints.
    pub fn go_on_alone(&mut self) {
        self.rebase_after = None;
    }

    /// The number of the last packet of `origin` that was read; 0 before the first.
    pub(super) fn heard_seq(&self, origin: Origin) -> u64 {
        self.origins.get(&origin).map_or(0, |heard| heard.seq)
    }

    /// What was sent to the stream at `sent_at` was taken there at `taken_at` by its clock.
    pub fn calibrate(&mut self, sent_at: Timestamp, taken_at: Timestamp) {
        self.clock.note(sent_at, taken_at);
    }

    /// What time it is in the stream at `now`.
    #[must_use]
    pub fn stream_time(&self, now: Timestamp) -> Timestamp {
        let ahead = self.clock.offset().unwrap_or_default();
        now.checked_add(ahead).unwrap_or(now)
    }

    /// The stream was read to its end at `now`.
    pub const fn read_to_end(&mut self, now: Timestamp) {
        self.read_at = Some(now);
    }

    /// Reads a packet that stands at `at` in the stream. It is taught by [`Follower::apply`].
    pub fn read(&mut self, at: Position, packet: Packet, now: Timestamp) {
        if at <= self.position {
            return;
        }
        self.position = at;
        self.read_at = Some(now);
        let origin = packet.origin;
        if origin == self.own && !self.teaches_own {
            return;
        }
        let age = self.stream_time(now).duration_since(at.time());
        let known = self.origins.contains_key(&origin);
        let heard = self.origins.entry(origin).or_insert_with(|| Heard::from(now));
        if packet.seq <= heard.seq {
            return;
        }
        self.counts.packets += 1;
        let missed = packet.seq - heard.seq > 1 && (known || packet.seq > 1);
        let returns = heard.silent;
        heard.seq = packet.seq;
        heard.read_at = now;
        heard.silent = false;
        heard.clock.note(packet.sent_at, at.time());
        let too_old = age > TOO_OLD;
        let shift = heard.clock.offset().unwrap_or_default() - self.clock.offset().unwrap_or_default();
        if missed {
            self.counts.gaps += 1;
        }
        if missed || too_old {
            self.steps.push_back(Step::Forget(origin));
        }
        if missed || too_old || returns {
            self.rebase_after = Some(at);
        }
        if too_old {
            self.counts.too_old += 1;
            return;
        }
        let until = packet.sent_at.checked_add(shift).unwrap_or(now).min(now);
        let moved = packet
            .deeds
            .into_iter()
            .map(|deed| Step::Hear(origin, deed.moved(shift, now)));
        self.steps.extend(moved);
        self.steps.push_back(Step::HeardUntil(origin, until));
    }

    /// How much there is to apply.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.steps.len()
    }

    /// Teaches `brain` up to `limit` things that were read. Returns how many are left.
    pub fn apply(&mut self, brain: &mut Brain, limit: usize) -> usize {
        brain.heard_until(self.horizon());
        for _ in 0..limit {
            match self.steps.pop_front() {
                None => break,
                Some(Step::Forget(origin)) => brain.forget_attempts_of(origin),
                Some(Step::HeardUntil(origin, until)) => {
                    if let Some(heard) = self.origins.get_mut(&origin) {
                        heard.until = heard.until.max(until);
                    }
                    brain.heard_until(self.horizon());
                }
                Some(Step::Hear(origin, deed)) => {
                    let strayed = brain.hear_of(origin, &deed);
                    if matches!(deed, Deed::Answered(_)) {
                        let target = if strayed { 1.0 } else { 0.0 };
                        self.strays += STRAY_STEP * (target - self.strays);
                    }
                }
            }
        }
        self.steps.len()
    }

    /// Notes who has fallen silent by `now`, and tells `brain` until when the fleet was heard.
    pub fn tick(&mut self, brain: &mut Brain, now: Timestamp) {
        let since = |at: Timestamp| now.duration_since(at);
        for (origin, heard) in &mut self.origins {
            if !heard.silent && since(heard.read_at) > SILENT_AFTER {
                heard.silent = true;
                self.counts.silent += 1;
                self.rebase_after = self.rebase_after.max(Some(self.position));
                self.steps.push_back(Step::Forget(*origin));
            }
        }
        self.origins
            .retain(|_, heard| !heard.silent || since(heard.read_at) < FORGOTTEN_AFTER);
        let cut_off = self.read_at.is_some_and(|at| since(at) > SILENT_AFTER);
        brain.set_deaf(cut_off && self.strays > STRAYS);
        brain.take_turn(self.rank());
        brain.heard_until(self.horizon());
    }

    /// How long before `now` the peer that is furthest behind was last heard; `None` without peers.
    #[must_use]
    pub fn lag(&self, now: Timestamp) -> Option<SignedDuration> {
        self.horizon().map(|horizon| now.duration_since(horizon))
    }

    /// Until when everybody has been heard; `None` where there is nobody.
    fn horizon(&self) -> Option<Timestamp> {
        self.peers().map(|(_, heard)| heard.until).min()
    }

    /// How many peers that route take their turn before this one.
    fn rank(&self) -> u16 {
        let before = self.peers().filter(|(origin, _)| **origin < self.own).count();
        u16::try_from(before).unwrap_or(u16::MAX)
    }

    fn peers(&self) -> impl Iterator<Item = (&Origin, &Heard)> {
        self.origins
            .iter()
            .filter(|(origin, heard)| **origin != self.own && !heard.silent)
    }
}
