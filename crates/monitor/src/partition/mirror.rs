//! A partition's statistics in the memory of its owner: what the next batch changes is worked out here, and names are
//! folded here, by the same windows that the embedded mode counts with.
//!
//! Everything follows from the stream alone: the time is that of the entries, and windows slide when it crosses into
//! another bucket. So it does not matter how entries fall into batches, or how often the owner changed on the way.

use std::collections::{BTreeSet, HashSet};

use domain::id::ChannelId;
use domain::outcome_event::OutcomeEvent;
use domain::snapshot::ChannelRow;
use domain::window::{BUCKET_SECS, Place, Recorded, Revision, Segment, View, Windows, bucket_number};
use jiff::{SignedDuration, Timestamp};
use stats::redis::{Changes, Entry, PartitionSnapshot, PartitionState, State};

use crate::count::sample;

/// How far ahead of its entry's time an outcome's own may be: clocks of two machines differ. How far it may lie behind
/// is for the windows to say: an hour, so that a Redis or a router that was away for less leaves no hole.
const AHEAD: SignedDuration = SignedDuration::from_secs(120);

/// How long an outcome of a channel that is not configured may wait: its configuration may be on its way here.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

/// The statistics of one partition.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) state: State,
    windows: Windows,
    clock: Timestamp,
}

impl Mirror {
    pub(super) fn new(loaded: PartitionState) -> Self {
        Self {
            clock: loaded.state.time(),
            state: loaded.state,
            windows: loaded.windows,
        }
    }

    /// How many of `entries` can be counted now: all, up to the first of a channel that nobody knows yet.
    pub(super) fn ready(entries: &[Entry], known: &HashSet<ChannelId>, now: Timestamp) -> usize {
        let waits = |entry: &Entry| {
            let unknown = entry
                .outcome
                .as_ref()
                .is_ok_and(|event| !known.contains(&event.channel));
            unknown && now.duration_since(entry.id.time()) < PATIENCE
        };
        entries.iter().position(waits).unwrap_or(entries.len())
    }

    /// The outcomes of `entries` that could have been counted before. What is older than the windows is late however
    /// often it comes, so its name is not kept.
    pub(super) fn to_ask<'e>(&self, entries: &'e [Entry]) -> Vec<&'e OutcomeEvent> {
        let mut clock = self.clock;
        let mut asked = Vec::new();
        for entry in entries {
            clock = clock.max(entry.id.time());
            asked.extend(entry.outcome.as_ref().ok().filter(|event| is_near(event, clock)));
        }
        asked
    }

    /// Counts `entries`, of which those in `seen` were counted before, and returns what that changes.
    pub(super) fn count(
        &mut self,
        entries: &[Entry],
        seen: &HashSet<domain::outcome_event::OutcomeId>,
        known: &HashSet<ChannelId>,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut touched = BTreeSet::new();
        for entry in entries {
            self.tick(entry.id.time());
            match &entry.outcome {
                Err(poison) => changes.bury(entry.id, &poison.reason, &poison.bytes),
                Ok(event) if !known.contains(&event.channel) => {
                    let reason = format!("channel `{}` is not configured", event.channel);
                    changes.bury(entry.id, reason, &proto::outcome_event::encode(event));
                }
                Ok(event) => {
                    let is_new = !seen.contains(&event.id)
                        && (!is_near(event, self.clock) || changes.remember(event.id, event.received_at));
                    if is_new {
                        self.count_one(event, &mut changes);
                        touched.insert(&event.channel);
                    } else {
                        changes.duplicates += 1;
                    }
                }
            }
        }
        for channel in touched {
            self.mark(channel, &mut changes);
        }
        changes
    }

    /// Keeps what is known of `channel` beside its buckets.
    fn mark(&self, channel: &ChannelId, changes: &mut Changes) {
        if let Some(window) = self.windows.window(channel, Segment::Overall) {
            changes.mark(channel, window, self.clock);
        }
    }

    /// What readers are to see with the next step, as of `now`.
    pub(super) fn snapshot(&self, now: Timestamp) -> PartitionSnapshot {
        let row = |channel: &ChannelId| {
            let window = self.windows.window(channel, Segment::Overall);
            ChannelRow::of(channel.clone(), window, now)
        };
        PartitionSnapshot {
            epoch: self.state.epoch,
            seq: self.state.seq.saturating_add(1),
            as_of: now,
            rows: self.windows.channels().map(row).collect(),
        }
    }

    fn tick(&mut self, at: Timestamp) {
        let at = at.max(self.clock);
        if bucket_number(at) != bucket_number(self.clock) {
            self.windows.slide(at);
        }
        self.clock = at;
    }

    fn count_one(&mut self, event: &OutcomeEvent, changes: &mut Changes) {
        let place = Place {
            channel: &event.channel,
            method: &event.method,
            issuer: event.issuer.as_deref(),
        };
        if let Some(from) = event.corrects {
            let revision = Revision {
                at: event.received_at,
                from,
                to: event.class,
            };
            let told = |segment: Segment<'_>| changes.revise(&event.channel, segment, revision);
            if self.windows.revise_with(place, revision, self.clock, told) == Recorded::Late {
                changes.late_revisions += 1;
            }
            return;
        }
        if event.received_at.duration_since(self.clock) > AHEAD {
            self.windows.note_late(&event.channel);
            changes.late += 1;
            return;
        }
        let sample = sample(event);
        let told = |segment: Segment<'_>| changes.count(&event.channel, segment, sample);
        if self.windows.record_with(place, sample, self.clock, told) == Recorded::Late {
            changes.late += 1;
        }
    }
}

/// Whether the outcome's time is one that windows still look at, at `now`: only then it can be counted.
fn is_near(event: &OutcomeEvent, now: Timestamp) -> bool {
    let behind = bucket_number(now).saturating_sub(bucket_number(event.received_at));
    let ahead = event.received_at.duration_since(now);
    behind <= View::LONGEST.secs() / BUCKET_SECS && ahead <= AHEAD
}
