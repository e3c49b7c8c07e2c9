//! Which breakers hear what, and what follows when one of them trips.
//!
//! Evidence goes to the issuer's breaker, then the method's, then the channel's. A channel that is shut
//! owns its evidence; what tripped a part is taken out of the whole, and what a part explains does not trip it.

use std::sync::Arc;

use super::breaker::Breaker;
use super::health::{Event, Scope, Shift};
use super::intern::Segment;
use super::member::{Member, Part};
use super::state::{Reason, State};
use super::table::Table;
use super::{Brain, ChannelIx};

/// An attempt, as far as breakers are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) channel: ChannelIx,
    pub(super) segment: Segment,
    /// When it was sent, in seconds.
    pub(super) sent: f64,
}

/// Evidence for one breaker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    /// What is added; less than 0 takes doubt back.
    pub(super) evidence: f64,
    /// Whether it comes from a failure, which is counted for the spread.
    pub(super) failed: bool,
}

/// Evidence is kept below this many times what trips: a scope that may not trip for want of spread must not
/// owe more than a few successes.
const EVIDENCE_CAP: f64 = 2.0;

impl Member {
    /// Which of the three breakers hear an attempt sent at `sent`: issuer, method, channel.
    fn audience(&self, segment: Segment, sent: f64) -> [bool; 3] {
        let [issuer, method, channel] = Self::parts(segment).map(|part| self.part(part));
        // What a part has explained is not held against the whole.
        let explained = issuer.is_straggler(sent) || method.is_straggler(sent);
        let current = channel.hears(sent) && !channel.is_shut();
        let listens = |part: &Breaker| current && part.hears(sent) && !part.is_shut();
        [
            listens(issuer),
            listens(method) && !issuer.is_straggler(sent),
            current && !explained,
        ]
    }
}

impl Brain {
    /// Adds `weights` to the breakers of a cell (issuer, method, channel) and trips what is convinced. Returns
    /// which of them heard it.
    pub(super) fn feed(&mut self, at: f64, cell: Cell, weights: [Weight; 3]) -> [bool; 3] {
        let cap = EVIDENCE_CAP * self.params.evidence.trip;
        let Some(member) = self.members.get_mut(cell.channel.index()) else {
            return [false; 3];
        };
        let audience = member.audience(cell.segment, cell.sent);
        let place = (cell.segment.method, cell.segment.issuer);
        for ((part, heard), weight) in Member::parts(cell.segment).into_iter().zip(audience).zip(weights) {
            if heard {
                let failed = weight.failed.then_some(place);
                member.part_mut(part).add(cell.sent, weight.evidence, failed, cap);
            }
        }
        self.trip_convinced(at, cell.channel, cell.segment);
        audience
    }

    /// Trips the breakers of a cell that have enough evidence, the narrowest first.
    fn trip_convinced(&mut self, at: f64, channel: ChannelIx, segment: Segment) {
        let (issuers, methods) = (self.names.issuers(), self.names.methods());
        for part in Member::parts(segment) {
            let Some(member) = self.members.get(channel.index()) else {
                return;
            };
            let breaker = member.part(part);
            let spans = match part {
                // With one issuer, or one method, the channel's own breaker says the same.
                Part::Issuer(_) => issuers > 1,
                Part::Method(_) => methods > 1 && breaker.spans_issuers(issuers),
                Part::Channel => breaker.spans_issuers(issuers) && breaker.spans_methods(methods),
            };
            if spans && breaker.is_convinced(&self.params.evidence) {
                let culprit = if part == Part::Channel {
                    self.culprit(member)
                } else {
                    part
                };
                self.trip(at, channel, culprit, Reason::Evidence);
            }
        }
    }

    /// The method or issuer that alone accounts for most of the channel's evidence, else the channel.
    fn culprit(&self, member: &Member) -> Part {
        let params = &self.params;
        let start = if member.breaker.state() == State::Ramping {
            params.recovery.ramp_evidence * params.evidence.trip
        } else {
            0.0
        };
        let most = params.correlation.explaining_share * (member.breaker.evidence() - start);
        let worst = |table: &Table<Breaker>| {
            table
                .iter()
                .filter(|(_, breaker)| !breaker.is_shut() && breaker.evidence() >= most)
                .max_by(|(_, one), (_, other)| one.evidence().total_cmp(&other.evidence()))
                .and_then(|(number, _)| u16::try_from(number).ok())
        };
        let method = worst(&member.methods)
            .filter(|_| self.names.methods() > 1)
            .map(Part::Method);
        let issuer = || {
            worst(&member.issuers)
                .filter(|_| self.names.issuers() > 1)
                .map(Part::Issuer)
        };
        method.or_else(issuer).unwrap_or(Part::Channel)
    }

    /// Trips one breaker and draws the conclusions.
    pub(super) fn trip(&mut self, at: f64, channel: ChannelIx, part: Part, reason: Reason) {
        let Some(member) = self.members.get_mut(channel.index()) else {
            return;
        };
        let since = member.part(part).suspect_since();
        member
            .quality
            .absolve(at - self.params.change.undo_s, since, |segment| {
                part.concerns(segment)
            });
        let breaker = member.part_mut(part);
        let from = breaker.state();
        breaker.trip(at, reason, &self.params.recovery);
        let to = breaker.state();
        self.note(
            at,
            channel,
            Shift {
                part,
                states: [from, to],
                reason,
            },
        );
        match part {
            Part::Channel => self.take_over(at, channel),
            Part::Issuer(issuer) => {
                self.take_out(channel, part);
                let tripped = self.count_tripped(at, channel, Part::Issuer(issuer));
                if tripped >= self.names.issuers().clamp(2, 3) {
                    self.trip(at, channel, Part::Channel, Reason::Spread);
                    return;
                }
                let channels =
                    self.issuers
                        .at_mut(usize::from(issuer))
                        .tripped(at, channel, &self.params.correlation);
                if channels >= 2 {
                    self.begin_incident(at, part);
                }
            }
            Part::Method(method) => {
                self.take_out(channel, part);
                if self.count_tripped(at, channel, part) >= 2 {
                    self.trip(at, channel, Part::Channel, Reason::Spread);
                    return;
                }
                let channels =
                    self.methods
                        .at_mut(usize::from(method))
                        .tripped(at, channel, &self.params.correlation);
                let configured = self.members.iter().filter(|member| member.configured).count();
                if channels >= configured.max(2) {
                    self.begin_incident(at, part);
                }
            }
        }
    }

    /// The channel's breaker has tripped: it owns all evidence from here on.
    fn take_over(&mut self, at: f64, channel: ChannelIx) {
        for (_, suspicion) in self.issuers.iter_mut().chain(self.methods.iter_mut()) {
            suspicion.forget(channel);
        }
        let Some(member) = self.members.get_mut(channel.index()) else {
            return;
        };
        member.rules.clear();
        let methods = member.methods.iter().map(|(number, _)| (number, true));
        let issuers = member.issuers.iter().map(|(number, _)| (number, false));
        for (number, is_method) in methods.chain(issuers).collect::<Vec<_>>() {
            let Ok(number) = u16::try_from(number) else {
                continue;
            };
            let part = if is_method {
                Part::Method(number)
            } else {
                Part::Issuer(number)
            };
            self.reset(at, channel, part, Reason::ChannelTripped);
        }
    }

    /// What tripped a part is taken out of the evidence of its siblings, and of the channel down to a rest: once
    /// something is down, it takes less to believe that everything is.
    fn take_out(&mut self, channel: ChannelIx, part: Part) {
        let params = Arc::clone(&self.params);
        let trip = params.evidence.trip;
        let Some(member) = self.members.get_mut(channel.index()) else {
            return;
        };
        let (rest, siblings) = match part {
            Part::Issuer(_) => (params.correlation.rest_of_issuer, &mut member.methods),
            Part::Method(_) => (params.correlation.rest_of_method, &mut member.issuers),
            Part::Channel => return,
        };
        for (_, breaker) in siblings.iter_mut().filter(|(_, breaker)| !breaker.is_shut()) {
            breaker.lower(trip);
        }
        let explained = trip.min((member.breaker.evidence() - rest * trip).max(0.0));
        member.breaker.lower(explained);
    }

    /// How many breakers like `part` of this channel tripped lately and are still shut.
    fn count_tripped(&self, at: f64, channel: ChannelIx, part: Part) -> usize {
        let Some(member) = self.members.get(channel.index()) else {
            return 0;
        };
        let params = &self.params.correlation;
        let recent =
            |breaker: &Breaker, within: f64| breaker.is_shut() && at - breaker.tripped_at() <= within;
        match part {
            Part::Issuer(_) => {
                let within = params.issuers_within_s;
                member
                    .issuers
                    .iter()
                    .filter(|(_, breaker)| recent(breaker, within))
                    .count()
            }
            Part::Method(_) => {
                let within = params.methods_within_s;
                member
                    .methods
                    .iter()
                    .filter(|(_, breaker)| recent(breaker, within))
                    .count()
            }
            Part::Channel => 0,
        }
    }

    /// An issuer or a method is down everywhere: its breakers are reset, there is nothing to gain from leaving.
    fn begin_incident(&mut self, at: f64, part: Part) {
        match part {
            Part::Issuer(issuer) => self.issuers.at_mut(usize::from(issuer)).begin(at),
            Part::Method(method) => self.methods.at_mut(usize::from(method)).begin(at),
            Part::Channel => return,
        }
        self.log_event(at, self.scope_of(part), Event::IncidentBegan);
        for index in 0..self.members.len() {
            if let Ok(number) = u16::try_from(index) {
                self.reset(at, ChannelIx(number), part, Reason::CommonCause);
            }
        }
    }

    fn reset(&mut self, at: f64, channel: ChannelIx, part: Part, reason: Reason) {
        let Some(member) = self.members.get_mut(channel.index()) else {
            return;
        };
        let breaker = member.part_mut(part);
        let from = breaker.state();
        breaker.reset(at);
        let to = breaker.state();
        self.note(
            at,
            channel,
            Shift {
                part,
                states: [from, to],
                reason,
            },
        );
    }

    /// Whether the segment's issuer or method has an incident.
    pub(super) fn has_incident(&self, segment: Segment) -> bool {
        self.issuers.at(segment.issuer_index()).is_active()
            || self.methods.at(segment.method_index()).is_active()
    }

    /// The name of a part.
    pub(super) fn scope_of(&self, part: Part) -> Scope {
        match part {
            Part::Channel => Scope::Channel,
            Part::Method(method) => Scope::Method(self.names.method_name(method).into()),
            Part::Issuer(issuer) => Scope::Issuer(self.names.issuer_name(issuer).into()),
        }
    }
}
