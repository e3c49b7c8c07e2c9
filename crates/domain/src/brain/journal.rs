//! The journal: what a brain did since its peers were last told, in its own numbers.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::ask::Outcome;
use super::deed::{Answered, Deed, Dispatched, Lane};
use super::flights::Origin;
use super::intern::Segment;
use super::narrow::whole;
use super::watch::Dispatch;
use super::{Brain, ChannelIx};

/// Entries kept until they are taken; beyond them the oldest are lost. Some seconds of a busy replica, 5 MB.
const ENTRIES: usize = 65_536;

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    Dispatched(Dispatch),
    Arrived {
        key: u64,
    },
    Answered {
        outcome: Outcome,
        received_at: Timestamp,
    },
    Dismissed {
        key: u64,
    },
}

/// The entries, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    lost: u64,
}

impl Journal {
    fn write(&mut self, entry: Entry) {
        if self.entries.len() >= ENTRIES {
            self.entries.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.entries.push_back(entry);
    }
}

impl Brain {
    /// Makes the brain one of a fleet, in which its own attempts are known as those of `own`: from now on it writes
    /// down what it does, to be taken with [`Brain::take_deeds`].
    pub fn join(&mut self, own: Origin) {
        self.fleet.set_own(own);
        self.journal.get_or_insert_default();
    }

    /// Takes up to `limit` of what the brain did since the last call, oldest first, and how many were lost before
    /// because nobody took them. Nothing for a brain that never joined a fleet.
    pub fn take_deeds(&mut self, limit: usize) -> (Vec<Deed>, u64) {
        let Some(journal) = &mut self.journal else {
            return (Vec::new(), 0);
        };
        let lost = std::mem::take(&mut journal.lost);
        let count = journal.entries.len().min(limit);
        let entries: Vec<Entry> = journal.entries.drain(..count).collect();
        let deeds = entries.into_iter().filter_map(|entry| self.deed(entry));
        (deeds.collect(), lost)
    }

    pub(super) fn write(&mut self, entry: Entry) {
        if let Some(journal) = &mut self.journal {
            journal.write(entry);
        }
    }

    pub(super) fn write_answered(&mut self, received_at: Timestamp, outcome: &Outcome) {
        self.write(Entry::Answered {
            outcome: *outcome,
            received_at,
        });
    }

    fn deed(&self, entry: Entry) -> Option<Deed> {
        Some(match entry {
            Entry::Dispatched(dispatch) => Deed::Dispatched(Dispatched {
                key: dispatch.key,
                lane: self.lane(dispatch.channel, dispatch.segment)?,
                at: self.timestamp(dispatch.at),
                timeout_ms: dispatch.timeout_ms,
                attempt_no: dispatch.attempt_no,
                exploration: dispatch.exploration,
                earned: dispatch.earned,
            }),
            Entry::Answered { outcome, received_at } => Deed::Answered(Answered {
                key: outcome.key,
                lane: self.lane(outcome.channel, outcome.segment)?,
                class: outcome.class,
                latency_ms: whole(outcome.latency_ms),
                attempt_no: outcome.attempt_no,
                decided_at: outcome
                    .generation
                    .map_or(outcome.dispatched_at, |generation| generation.0),
                received_at,
            }),
            Entry::Arrived { key } => Deed::Arrived { key },
            Entry::Dismissed { key } => Deed::Dismissed { key },
        })
    }

    pub(super) fn lane(&self, channel: ChannelIx, segment: Segment) -> Option<Lane> {
        let (method, issuer) = self.names.names(segment);
        Some(Lane {
            channel: self.channel_id(channel)?.clone(),
            method,
            issuer,
            band: segment.band,
        })
    }
}
