//! Hearing what peers did: as if it had been done here, but for what it costs.

use std::sync::Arc;

use jiff::Timestamp;

use super::ask::{Exploration, Generation, Outcome};
use super::deed::{Answered, Deed, Dispatched, Lane};
use super::flights::Origin;
use super::intern::Segment;
use super::watch::Dispatch;
use super::{Brain, ChannelIx};

impl Brain {
    /// Hears what `origin` did, with times on this brain's clock. Channels that were never set are left aside.
    /// Returns whether an outcome was of an attempt that somebody else had sent.
    pub fn hear_of(&mut self, origin: Origin, deed: &Deed) -> bool {
        match deed {
            Deed::Dispatched(dispatched) => {
                self.hear_dispatched(origin, dispatched);
                false
            }
            Deed::Arrived { key } => {
                self.flights.hear(*key);
                false
            }
            Deed::Answered(answered) => {
                let strayed = self.is_of_another(origin, answered.key);
                self.hear_answered(answered);
                strayed
            }
            Deed::Dismissed { key } => {
                let strayed = self.is_of_another(origin, *key);
                self.forget(*key);
                strayed
            }
        }
    }

    /// Forgets the attempts of `origin` that are out, and what their silence has said: their answers may be told and
    /// never be heard here.
    pub fn forget_attempts_of(&mut self, origin: Origin) {
        for (key, _) in self.flights.of(origin) {
            self.forget(key);
        }
    }

    /// Says until when it is known what everybody heard; what happened since may have been told to a peer, so that
    /// silence since then is none. `None` where there are no peers.
    pub fn heard_until(&mut self, horizon: Option<Timestamp>) {
        let horizon = horizon.map(|horizon| self.seconds(horizon));
        self.fleet.set_horizon(horizon);
    }

    /// Says how many peers take their turn before this brain where one of them is enough.
    pub fn take_turn(&mut self, rank: u16) {
        self.fleet.set_rank(rank);
    }

    /// Says whether answers may be told to peers of whom nothing is heard: then silence says nothing.
    pub fn set_deaf(&mut self, deaf: bool) {
        self.fleet.set_deaf(deaf);
    }

    fn is_of_another(&self, origin: Origin, key: u64) -> bool {
        let flight = self.flights.get(key);
        flight.is_some_and(|flight| flight.origin != origin)
    }

    fn hear_dispatched(&mut self, origin: Origin, dispatched: &Dispatched) {
        let Some((channel, segment)) = self.find(&dispatched.lane) else {
            return;
        };
        let at = self.seconds(dispatched.at);
        if dispatched.attempt_no <= 1 {
            self.count_of_peer(at, segment, dispatched);
        }
        if self.flights.was_answered(dispatched.key) {
            return;
        }
        let dispatch = Dispatch {
            key: dispatched.key,
            channel,
            segment,
            at,
            timeout_ms: dispatched.timeout_ms,
            attempt_no: dispatched.attempt_no,
            exploration: dispatched.exploration,
            earned: dispatched.earned,
        };
        if dispatched.exploration == Exploration::Revisit
            && let Some(member) = self.members.get_mut(channel.index())
        {
            member.revisited_at = member.revisited_at.max(at);
        }
        self.watch(&dispatch, Some(origin));
    }

    /// Counts a peer's first attempt as one of the fleet: it earns exploration, which is everybody's, and every shut
    /// breaker that would have taken it a probe.
    fn count_of_peer(&mut self, at: f64, segment: Segment, dispatched: &Dispatched) {
        let params = Arc::clone(&self.params);
        if let Some(earned) = dispatched.earned {
            self.budget.earn(at, f64::from(earned), &params.exploration);
        }
        match dispatched.exploration {
            Exploration::Draw | Exploration::Revisit | Exploration::Stale => self.budget.spend(),
            Exploration::None | Exploration::Probe => {}
        }
        for member in self.members.iter_mut().filter(|member| member.configured) {
            // A channel that was never asked for the method hardly takes it.
            if member.ways.at(segment.method_index()).asked_at.is_finite() {
                for part in member.shut_parts(segment) {
                    member.part_mut(part).count_payment();
                }
            }
        }
    }

    fn hear_answered(&mut self, answered: &Answered) {
        let Some((channel, segment)) = self.find(&answered.lane) else {
            return;
        };
        let outcome = Outcome {
            key: answered.key,
            channel,
            segment,
            class: answered.class,
            latency_ms: f64::from(answered.latency_ms),
            dispatched_at: answered.decided_at,
            attempt_no: answered.attempt_no,
            generation: Some(Generation(answered.decided_at)),
        };
        self.hear(answered.received_at, &outcome);
    }

    pub(super) fn find(&mut self, lane: &Lane) -> Option<(ChannelIx, Segment)> {
        let channel = self.channel_ix(&lane.channel)?;
        let segment = self.names.segment(&lane.method, Some(&lane.issuer), lane.band);
        Some((channel, segment))
    }
}
