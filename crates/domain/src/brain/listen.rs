//! Listening: to outcomes, and to silence.

use std::sync::Arc;

use jiff::Timestamp;

use super::Brain;
use super::ask::Outcome;
use super::breaker::Verdict;
use super::estimate::Lesson;
use super::evidence::Sign;
use super::flights::Flight;
use super::health::{Event, Shift};
use super::member::{Member, Part};
use super::node::sigmoid;
use super::scope::{Cell, Weight};
use super::silence::{self, TIMED_OUT};
use super::state::Reason;
use crate::outcome::OutcomeClass;

impl Brain {
    /// Takes the outcome of an attempt: breakers first, then, if nothing is wrong, the estimate.
    ///
    /// The attempt may be unknown (after a restart, from another replica, in a replay): then its own times count.
    pub fn outcome(&mut self, now: Timestamp, outcome: &Outcome) {
        self.hear(now, outcome);
        self.write_answered(now, outcome);
    }

    /// Takes an outcome that was told here or by a peer.
    pub(super) fn hear(&mut self, now: Timestamp, outcome: &Outcome) {
        let now = self.seconds(now);
        self.advance_to(now);
        let now = now.max(self.now);
        if outcome.channel.index() >= self.members.len() {
            return;
        }
        let flight = self
            .flights
            .end(outcome.key)
            .filter(|flight| flight.channel == outcome.channel);
        if flight.is_none() {
            self.flights.answered_early(outcome.key);
        }
        let decided = outcome
            .generation
            .map_or(outcome.dispatched_at, |generation| generation.0);
        // Whoever decided may have a clock that is ahead of ours.
        let decided = self.seconds(decided).min(now);
        let cell = Cell {
            channel: outcome.channel,
            segment: outcome.segment,
            sent: flight.map_or(decided, |flight| flight.sent),
        };
        let success = sigmoid(
            self.base.score(cell.segment)
                + self
                    .member(cell)
                    .map_or(0.0, |member| member.quality.mean(cell.segment)),
        );
        let ignored = self.note_incident(now, cell, outcome.class);
        self.note_answer(now, cell, outcome);
        self.weigh(now, cell, outcome.class, (success, ignored, flight));
        self.conclude(now, cell, outcome, ignored);
        self.apply_codes(now, cell, outcome.class);
        if !ignored {
            self.learn(now, cell, outcome);
        }
    }

    fn member(&self, cell: Cell) -> Option<&Member> {
        self.members.get(cell.channel.index())
    }

    fn member_mut(&mut self, cell: Cell) -> Option<&mut Member> {
        self.members.get_mut(cell.channel.index())
    }

    /// Tells incidents of the issuer and method about the outcome. Returns whether one explains a failure.
    fn note_incident(&mut self, now: f64, cell: Cell, class: OutcomeClass) -> bool {
        let success = class.is_success();
        if !self.has_incident(cell.segment) || class == OutcomeClass::Refusal {
            return false;
        }
        let params = Arc::clone(&self.params);
        let issuer = self.issuers.at_mut(cell.segment.issuer_index());
        if issuer.hear(cell.sent, success, &params.correlation) {
            let scope = self.scope_of(Part::Issuer(cell.segment.issuer));
            self.log_event(now, scope, Event::IncidentEnded);
        }
        let method = self.methods.at_mut(cell.segment.method_index());
        if method.hear(cell.sent, success, &params.correlation) {
            let scope = self.scope_of(Part::Method(cell.segment.method));
            self.log_event(now, scope, Event::IncidentEnded);
        }
        !success
    }

    /// Learns response times and that the attempt was reported.
    fn note_answer(&mut self, now: f64, cell: Cell, outcome: &Outcome) {
        let params = Arc::clone(&self.params);
        let Some(member) = self.member_mut(cell) else {
            return;
        };
        let way = member.ways.at_mut(cell.segment.method_index());
        way.abandonment.learn(false, &params.silence);
        match Sign::of(outcome.class) {
            Sign::Works => {
                way.latency.learn(outcome.latency_ms / 1_000.0, &params.latency);
                member.answered_at = now;
            }
            Sign::Soft => way.latency.learn(outcome.latency_ms / 1_000.0, &params.latency),
            Sign::Technical | Sign::Neutral => {}
        }
    }

    /// Replaces what the attempt's silence had added by what its answer says.
    fn weigh(
        &mut self,
        now: f64,
        cell: Cell,
        class: OutcomeClass,
        (success, ignored, flight): (f64, bool, Option<Flight>),
    ) {
        let params = Arc::clone(&self.params);
        let Some(member) = self.members.get(cell.channel.index()) else {
            return;
        };
        let usual = member.usual(success, &params);
        let sign = if ignored { Sign::Neutral } else { Sign::of(class) };
        let at_issuer = if class == OutcomeClass::IssuerUnavailable && !ignored {
            Sign::Technical
        } else {
            sign
        };
        let provisional = flight.map_or([0.0; 3], |flight| flight.provisional);
        let [issuer, method, channel] = provisional;
        let weight = |sign: Sign, provisional: f64| Weight {
            evidence: usual.ratio(sign, &params.evidence) - provisional,
            failed: sign.is_failure(),
        };
        let weights = [
            weight(at_issuer, issuer),
            weight(sign, method),
            weight(sign, channel),
        ];
        self.feed(now, cell, weights);
    }

    /// Lets shut breakers take the outcome as a probe's, and ramping ones climb.
    fn conclude(&mut self, now: f64, cell: Cell, outcome: &Outcome, ignored: bool) {
        let params = Arc::clone(&self.params);
        let verdict = |part: Part| match (Sign::of(outcome.class), part) {
            _ if ignored => Verdict::Void,
            (Sign::Works, _) => Verdict::Passed,
            (Sign::Soft, _) => Verdict::Unclear,
            (Sign::Technical, _) => Verdict::Failed,
            (Sign::Neutral, Part::Issuer(_)) if outcome.class == OutcomeClass::IssuerUnavailable => {
                Verdict::Failed
            }
            (Sign::Neutral, _) => Verdict::Void,
        };
        let Some(member) = self.members.get(cell.channel.index()) else {
            return;
        };
        let shut: smallvec::SmallVec<[Part; 2]> = member.shut_parts(cell.segment).collect();
        for part in shut.iter().copied() {
            let Some(member) = self.member_mut(cell) else {
                return;
            };
            let breaker = member.part_mut(part);
            let from = breaker.state();
            let verdict = verdict(part);
            if breaker.is_straggler(cell.sent) {
                if outcome.class.is_success() {
                    breaker.hasten(now);
                }
            } else if breaker.conclude(now, outcome.key, verdict, &params.recovery) {
                breaker.ramp(now, &params.recovery, &params.evidence);
            }
            let to = breaker.state();
            let reason = if verdict == Verdict::Passed {
                Reason::ProbesPassed
            } else {
                Reason::ProbeFailed
            };
            self.note(
                now,
                cell.channel,
                Shift {
                    part,
                    states: [from, to],
                    reason,
                },
            );
        }
        if Sign::of(outcome.class) != Sign::Works {
            return;
        }
        for part in Member::parts(cell.segment) {
            if shut.contains(&part) {
                continue;
            }
            let Some(member) = self.member_mut(cell) else {
                return;
            };
            let breaker = member.part_mut(part);
            let from = breaker.state();
            if breaker.hears(cell.sent) && breaker.climb(now, &params.recovery) {
                let to = breaker.state();
                self.note(
                    now,
                    cell.channel,
                    Shift {
                        part,
                        states: [from, to],
                        reason: Reason::RampCompleted,
                    },
                );
            }
        }
    }

    /// What certain codes, and the configured rules, do at once.
    fn apply_codes(&mut self, now: f64, cell: Cell, class: OutcomeClass) {
        let params = Arc::clone(&self.params);
        let Some(member) = self.member_mut(cell) else {
            return;
        };
        let current = member.breaker.hears(cell.sent) && !member.breaker.is_shut();
        if class == OutcomeClass::Busy {
            member.allowance.lower(now, &params.busy);
        }
        let maintenance = class == OutcomeClass::Maintenance;
        let by_rule = if current {
            member.rules.note(now, class, &params.rules)
        } else {
            None
        };
        if current && maintenance {
            self.trip(now, cell.channel, Part::Channel, Reason::Maintenance);
        } else if let Some(reason) = by_rule {
            self.trip(now, cell.channel, Part::Channel, reason);
        }
    }

    /// Learns from the outcome, unless an outage is going on: it says nothing about quality.
    fn learn(&mut self, now: f64, cell: Cell, outcome: &Outcome) {
        let params = Arc::clone(&self.params);
        let sign = Sign::of(outcome.class);
        let Some(member) = self.members.get_mut(cell.channel.index()) else {
            return;
        };
        member.learn_technical(sign, cell.segment, &params);
        let learnt = match outcome.class {
            OutcomeClass::Success => true,
            OutcomeClass::SoftDecline | OutcomeClass::TechnicalFailure | OutcomeClass::Timeout => false,
            OutcomeClass::Refusal
            | OutcomeClass::Busy
            | OutcomeClass::Maintenance
            | OutcomeClass::IssuerUnavailable => return,
        };
        let current = Member::parts(cell.segment).iter().all(|part| {
            let breaker = member.part(*part);
            !breaker.is_shut() && breaker.hears(cell.sent)
        });
        if !current {
            return;
        }
        let lesson = Lesson {
            now,
            success: learnt,
            weight: if outcome.attempt_no <= 1 {
                1.0
            } else {
                params.estimate.failover_weight
            },
            calm: member.evidence(cell.segment) <= params.evidence.alarm,
        };
        member
            .quality
            .learn(&mut self.base, cell.segment, lesson, &params);
    }

    /// An attempt has become older without an answer: adds what its silence says by now.
    pub(super) fn grow_old(&mut self, key: u64, mut flight: Flight, at: f64) {
        let params = Arc::clone(&self.params);
        let Some(member) = self.members.get_mut(flight.channel.index()) else {
            return;
        };
        let given_up = silence::abandoned_at(&flight, &params.silence);
        if at >= given_up {
            if !flight.heard {
                let way = member.ways.at_mut(flight.segment.method_index());
                way.abandonment.learn(true, &params.silence);
            }
            self.flights.end(key);
            return;
        }
        flight.heard |= self.fleet.is_deaf();
        if flight.heard {
            self.flights.resume(key, flight, given_up);
            return;
        }
        // Where peers may hear the answer, silence is known a moment later than it was.
        let felt_at = at.max(self.now);
        let stages = member.stages(flight.segment, flight.limit, &params);
        flight.stage = stages.reached(flight.stage, flight.silent_for(at));
        let success = sigmoid(self.base.score(flight.segment) + member.quality.mean(flight.segment));
        let abandonment = member.ways.at(flight.segment.method_index()).abandonment;
        let said = silence::evidence_of(
            flight.stage,
            member.usual(success, &params),
            abandonment,
            &params.silence,
            &params.evidence,
        );
        let cell = Cell {
            channel: flight.channel,
            segment: flight.segment,
            sent: flight.sent,
        };
        if flight.stage > 0 && !self.has_incident(flight.segment) {
            let weights = flight.provisional.map(|before| Weight {
                evidence: said - before,
                failed: said > 0.0,
            });
            let heard = self.feed(felt_at, cell, weights);
            for (provisional, heard) in flight.provisional.iter_mut().zip(heard) {
                if heard {
                    *provisional = said;
                }
            }
        }
        if flight.probe_until.is_some_and(|until| at >= until) {
            flight.probe_until = None;
            self.lose_probes(felt_at, cell);
        }
        let next = if flight.stage >= TIMED_OUT {
            given_up
        } else {
            flight.sent + flight.excused + stages.next(flight.stage)
        };
        let next = flight.probe_until.map_or(next, |until| until.min(next));
        // A step that is due already (the channel has just become faster) is taken a moment later.
        self.flights.resume(key, flight, next.max(at + 1e-3));
    }

    /// Frees the slots of probes that nobody answered for.
    pub(super) fn lose_probes(&mut self, at: f64, cell: Cell) {
        let params = Arc::clone(&self.params);
        for part in Member::parts(cell.segment) {
            let Some(member) = self.member_mut(cell) else {
                return;
            };
            let breaker = member.part_mut(part);
            if breaker.is_probe_lost(at) {
                let from = breaker.state();
                breaker.lose_probe(at, &params.recovery);
                let to = breaker.state();
                self.note(
                    at,
                    cell.channel,
                    Shift {
                        part,
                        states: [from, to],
                        reason: Reason::ProbeFailed,
                    },
                );
            }
        }
    }
}
