//! What a replica has to tell: collected from its brain, packed, and kept until the stream has taken it.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::packet::Packet;
use crate::brain::{Brain, Deed, Origin};

/// How long deeds are collected for one packet.
const PACK_EVERY: SignedDuration = SignedDuration::from_millis(100);

/// How often an idle replica gives a sign of life.
const SIGN_EVERY: SignedDuration = SignedDuration::from_millis(500);

/// Most deeds in a packet.
const PER_PACKET: usize = 2_048;

/// Most deeds that wait for the stream; beyond them the oldest packets are lost. Ten seconds of a busy replica.
const WAITING: usize = 65_536;

/// A replica's outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    origin: Origin,
    seq: u64,
    packed_at: Option<Timestamp>,
    collected: Vec<Deed>,
    waiting: VecDeque<Packet>,
    /// Deeds in `waiting`.
    deeds: usize,
}

impl Outbox {
    /// An empty one for `origin`.
    #[must_use]
    pub const fn new(origin: Origin) -> Self {
        Self {
            origin,
            seq: 0,
            packed_at: None,
            collected: Vec::new(),
            waiting: VecDeque::new(),
            deeds: 0,
        }
    }

    /// Who tells.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Takes what `brain` did since the last call. What it lost for want of room shows as a number that is missing.
    pub fn collect(&mut self, brain: &mut Brain) {
        let (deeds, lost) = brain.take_deeds(usize::MAX);
        self.seq = self.seq.saturating_add(u64::from(lost > 0));
        self.collected.extend(deeds);
    }

    /// Packs what was collected until `now`. Where nothing was, a sign of life is due every 100 ms while attempts are
    /// out (`waited_for`), because nobody's silence is known beyond the last packet, and every 500 ms otherwise.
    pub fn pack(&mut self, now: Timestamp, waited_for: bool) {
        let every = if waited_for { PACK_EVERY } else { SIGN_EVERY };
        let due = self
            .packed_at
            .is_none_or(|packed_at| now.duration_since(packed_at).abs() >= every);
        if self.collected.is_empty() && !due {
            return;
        }
        self.packed_at = Some(now);
        let collected = std::mem::take(&mut self.collected);
        let mut deeds = without_arrivals_told_anyway(collected).into_iter().peekable();
        loop {
            self.seq = self.seq.saturating_add(1);
            let packet = Packet {
                origin: self.origin,
                seq: self.seq,
                sent_at: now,
                deeds: deeds.by_ref().take(PER_PACKET).collect(),
            };
            self.deeds = self.deeds.saturating_add(packet.deeds.len());
            self.waiting.push_back(packet);
            if deeds.peek().is_none() {
                break;
            }
        }
        while self.deeds > WAITING || self.waiting.len() > WAITING {
            self.drop_first();
        }
    }

    /// The packet that the stream has to take next; the same until [`Outbox::taken`] says that it did.
    #[must_use]
    pub fn next(&self) -> Option<&Packet> {
        self.waiting.front()
    }

    /// The stream took the packet numbered `seq`.
    pub fn taken(&mut self, seq: u64) {
        if self.next().is_some_and(|packet| packet.seq == seq) {
            self.drop_first();
        }
    }

    /// How many packets wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What was done after the packet numbered `seq`, as far as it is still here.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = &Deed> {
        let later = self.waiting.iter().filter(move |packet| packet.seq > seq);
        later.flat_map(|packet| &packet.deeds).chain(&self.collected)
    }

    fn drop_first(&mut self) {
        if let Some(packet) = self.waiting.pop_front() {
            self.deeds = self.deeds.saturating_sub(packet.deeds.len());
        }
    }
}

/// An arrival whose outcome is told in the same packet need not be told besides.
fn without_arrivals_told_anyway(mut deeds: Vec<Deed>) -> Vec<Deed> {
    let ends = |deed: &Deed| matches!(deed, Deed::Answered(_) | Deed::Dismissed { .. });
    let ended: std::collections::HashSet<u64> =
        deeds.iter().filter(|deed| ends(deed)).map(Deed::key).collect();
    deeds.retain(|deed| !matches!(deed, Deed::Arrived { key } if ended.contains(key)));
    deeds
}
