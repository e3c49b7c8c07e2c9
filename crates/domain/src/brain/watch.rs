//! Watching an attempt that was sent, by this brain or by a peer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::ask::Exploration;
use super::flights::{Flight, Origin};
use super::health::Shift;
use super::intern::Segment;
use super::scope::{Cell, Weight};
use super::silence::TIMED_OUT;
use super::state::Reason;
use super::{Brain, ChannelIx};

/// An attempt that was sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Dispatch {
    pub(super) key: u64,
    pub(super) channel: ChannelIx,
    pub(super) segment: Segment,
    /// When, in seconds.
    pub(super) at: f64,
    /// The time limit that the channel's configuration gives; 0 if unknown.
    pub(super) timeout_ms: u32,
    pub(super) attempt_no: u32,
    pub(super) exploration: Exploration,
    /// The share of a token that it earned; `None` if it was none of those that earn.
    pub(super) earned: Option<f32>,
}

impl Brain {
    /// Watches the attempt, and marks it as a probe of the breakers it tests. `peer` is who sent it, if it was not
    /// this brain.
    pub(super) fn watch(&mut self, dispatch: &Dispatch, peer: Option<Origin>) {
        let Dispatch {
            key,
            channel,
            segment,
            at,
            ..
        } = *dispatch;
        let params = Arc::clone(&self.params);
        let Some(member) = self.members.get_mut(channel.index()) else {
            return;
        };
        let limit = f64::from(dispatch.timeout_ms) / 1_000.0;
        let way = member.ways.at_mut(segment.method_index());
        way.asked_at = way.asked_at.max(at);
        let stages = member.stages(segment, limit, &params);
        let mut flight = Flight::new(channel, segment, at, limit);
        flight.origin = peer.unwrap_or(self.fleet.own());
        let due = at + stages.next(0).min(stages.next(TIMED_OUT));
        if dispatch.exploration == Exploration::Probe {
            let until = at + stages.timeout();
            flight.probe_until = Some(until);
            self.mark_probe(dispatch, until, peer.is_some());
        }
        let cell = Cell {
            channel,
            segment,
            sent: at,
        };
        let alive = Weight {
            evidence: params.silence.alive,
            failed: false,
        };
        if self.flights.has_room() {
            let heard = self.feed(at.max(self.now), cell, [alive; 3]);
            flight.provisional = heard.map(|heard| if heard { alive.evidence } else { 0.0 });
        }
        self.flights.begin(key, flight, due);
    }

    /// Takes the slots of the breakers that the probe tests.
    fn mark_probe(&mut self, dispatch: &Dispatch, until: f64, by_peer: bool) {
        let Dispatch {
            key,
            channel,
            segment,
            at,
            ..
        } = *dispatch;
        let Some(member) = self.members.get(channel.index()) else {
            return;
        };
        for part in member.shut_parts(segment).collect::<SmallVec<[_; 2]>>() {
            let Some(member) = self.members.get_mut(channel.index()) else {
                return;
            };
            let breaker = member.part_mut(part);
            let from = breaker.state();
            if by_peer {
                breaker.hear_probe(at, key, until);
            } else {
                breaker.send_probe(at, key, until);
            }
            let to = breaker.state();
            self.note(
                at,
                channel,
                Shift {
                    part,
                    states: [from, to],
                    reason: Reason::ProbeSent,
                },
            );
        }
    }

    /// Stops watching attempt `key` and takes back what its silence has said.
    pub(super) fn forget(&mut self, key: u64) {
        let Some(flight) = self.flights.end(key) else {
            self.flights.answered_early(key);
            return;
        };
        let cell = Cell {
            channel: flight.channel,
            segment: flight.segment,
            sent: flight.sent,
        };
        let taken_back = flight.provisional.map(|said| Weight {
            evidence: -said,
            failed: false,
        });
        self.feed(self.now, cell, taken_back);
    }
}
