//! Choosing: gate, rank, explore, and watch what was sent.

use std::sync::Arc;

use jiff::Timestamp;
use rand::{Rng, RngExt};
use smallvec::SmallVec;

use super::ask::{Adaptive, Ask, Candidate, Choice, Exploration, Generation, Mode, NoChoice, Ranked};
use super::breaker::{Reason, State};
use super::draw::{self, Belief, Beliefs};
use super::flights::Flight;
use super::health::Shift;
use super::member::Forced;
use super::node::sigmoid;
use super::scope::{Cell, Weight};
use super::silence::TIMED_OUT;
use super::{Brain, Params};

/// A candidate with what is known about it for this payment.
#[derive(Clone, Copy, Debug)]
struct Contender {
    candidate: Candidate,
    /// Log-odds relative to other channels, less what its slowness costs.
    score: f64,
    /// Estimated probability of success within the latency budget.
    success: f64,
    deviation: f64,
    degraded: bool,
    state: State,
    shut: bool,
    /// Share of payments let through.
    share: f64,
    /// Left out of this decision by its share.
    held_back: bool,
}

/// A payment that may be explored with.
#[derive(Clone, Copy, Debug)]
struct Turn<'a> {
    at: f64,
    ask: &'a Ask<'a>,
    adaptive: Adaptive,
}

type Contenders = SmallVec<[Contender; 8]>;

/// What was decided, before it is carried out.
#[derive(Clone, Copy, Debug)]
struct Pick {
    position: usize,
    exploration: Exploration,
    propensity: f64,
    panic: bool,
}

impl Pick {
    const fn best(position: usize) -> Self {
        Self {
            position,
            exploration: Exploration::None,
            propensity: 1.0,
            panic: false,
        }
    }
}

impl Brain {
    /// Chooses a channel for an attempt, ranks the others behind it, and watches the attempt from now on.
    ///
    /// # Errors
    /// [`NoChoice`] when no candidate may be used, or when an incident of the issuer or method explains why the
    /// first attempt failed, so that a failover has nothing to gain.
    pub fn route<R: Rng + ?Sized>(
        &mut self,
        now: Timestamp,
        ask: &Ask<'_>,
        rng: &mut R,
    ) -> Result<Choice, NoChoice> {
        let at = self.seconds(now);
        self.advance_to(at);
        let at = at.max(self.now);
        let first = ask.attempt_no <= 1;
        if !first && self.issuers.at(ask.segment.issuer_index()).is_active() {
            return Err(NoChoice::IssuerIncident);
        }
        if !first && self.methods.at(ask.segment.method_index()).is_active() {
            return Err(NoChoice::MethodIncident);
        }
        let params = Arc::clone(&self.params);
        let mut contenders = self.contenders(at, now, ask, &params);
        if contenders.is_empty() {
            return Err(NoChoice::NoChannel);
        }
        if first {
            self.count_first(at, ask, &contenders, &params);
        }
        let pick = match self.probe(at, ask, &contenders) {
            Some(position) => Pick {
                exploration: Exploration::Probe,
                ..Pick::best(position)
            },
            None => self.pick(at, ask, &mut contenders, rng),
        };
        self.send(at, ask, &contenders, pick);
        Ok(Choice {
            ranking: rank(&contenders, pick, ask.mode),
            exploration: pick.exploration,
            propensity: pick.propensity,
            panic: pick.panic,
            generation: Generation(self.timestamp(at)),
        })
    }

    fn contenders(&self, at: f64, now: Timestamp, ask: &Ask<'_>, params: &Params) -> Contenders {
        let base = self.base.score(ask.segment);
        let budget = match ask.mode {
            Mode::Adaptive(adaptive) => adaptive.latency_budget_ms,
            Mode::Ordered => None,
        };
        let known = ask.candidates.iter().filter_map(|candidate| {
            let member = self.members.get(candidate.channel.index())?;
            let forced = member.forced_at(now);
            (forced != Some(Forced::Out)).then_some((candidate, member, forced))
        });
        known
            .map(|(candidate, member, forced)| {
                let belief = member.quality.score(ask.segment, at, params);
                let in_time = budget.map_or(1.0, |budget| {
                    let latency = &member.ways.at(ask.segment.method_index()).latency;
                    (1.0 - latency.share_beyond(f64::from(budget) / 1_000.0)).max(0.01)
                });
                let open = forced.is_some();
                Contender {
                    candidate: *candidate,
                    score: belief.mean + in_time.ln(),
                    success: sigmoid(base + belief.mean) * in_time,
                    deviation: belief.variance.sqrt(),
                    degraded: belief.degraded,
                    state: member.state(ask.segment),
                    shut: !open && member.is_shut(ask.segment),
                    share: if open {
                        1.0
                    } else {
                        member.share(ask.segment, at, params)
                    },
                    held_back: false,
                }
            })
            .collect()
    }

    /// Counts a first attempt: it earns exploration, and every shut breaker that would have taken it a probe.
    fn count_first(&mut self, at: f64, ask: &Ask<'_>, contenders: &Contenders, params: &Params) {
        if let Mode::Adaptive(adaptive) = ask.mode {
            self.budget.earn(at, adaptive.exploration, &params.exploration);
        }
        for contender in contenders.iter().filter(|contender| contender.shut) {
            let Some(member) = self.members.get_mut(contender.candidate.channel.index()) else {
                continue;
            };
            for part in member.shut_parts(ask.segment) {
                member.part_mut(part).count_payment();
            }
        }
    }

    /// The first tripped channel that wants this payment as its probe.
    fn probe(&mut self, at: f64, ask: &Ask<'_>, contenders: &Contenders) -> Option<usize> {
        let allowed = match ask.mode {
            Mode::Adaptive(adaptive) => is_explorable(ask.amount_minor, adaptive),
            Mode::Ordered => true,
        };
        if !ask.may_probe || !allowed || ask.attempt_no > 1 || !self.flights.has_room() {
            return None;
        }
        for (position, contender) in contenders
            .iter()
            .enumerate()
            .filter(|(_, contender)| contender.shut)
        {
            let channel = contender.candidate.channel;
            let cell = Cell {
                channel,
                segment: ask.segment,
                sent: at,
            };
            self.lose_probes(at, cell);
            let Some(member) = self.members.get(channel.index()) else {
                continue;
            };
            let wanted = member
                .shut_parts(ask.segment)
                .all(|part| member.part(part).wants_probe(at, &self.params.recovery));
            let overdue = member
                .shut_parts(ask.segment)
                .map(|part| at - member.part(part).probe_at())
                .fold(f64::INFINITY, f64::min);
            let slow = member.is_slow(ask.segment, &self.params);
            if wanted && (!slow || overdue >= self.params.recovery.slow_probe_after_s) {
                return Some(position);
            }
        }
        None
    }

    fn pick<R: Rng + ?Sized>(
        &mut self,
        at: f64,
        ask: &Ask<'_>,
        contenders: &mut Contenders,
        rng: &mut R,
    ) -> Pick {
        if contenders.iter().all(|contender| contender.shut) {
            return Pick {
                panic: true,
                ..Pick::best(self.last_resort(contenders))
            };
        }
        for contender in contenders.iter_mut() {
            contender.held_back =
                !contender.shut && contender.share < 1.0 && rng.random::<f64>() >= contender.share;
        }
        let takes_part = |contender: &Contender| !contender.shut && !contender.held_back;
        if !contenders.iter().any(takes_part) {
            // Better a limited channel than none.
            for contender in contenders.iter_mut() {
                contender.held_back = false;
            }
        }
        let open: SmallVec<[usize; 8]> = contenders
            .iter()
            .enumerate()
            .filter(|(_, contender)| takes_part(contender))
            .map(|(position, _)| position)
            .collect();
        let mut pick = match ask.mode {
            Mode::Ordered => Pick::best(open.first().copied().unwrap_or(0)),
            Mode::Adaptive(adaptive) if ask.attempt_no > 1 => {
                let factor = self.params.exploration.failover_factor;
                let factor = if is_explorable(ask.amount_minor, adaptive) {
                    factor
                } else {
                    0.0
                };
                drawn(contenders, &open, factor, rng)
            }
            Mode::Adaptive(adaptive) => self.explore(Turn { at, ask, adaptive }, contenders, &open, rng),
        };
        pick.propensity *= gate_probability(contenders, pick.position);
        pick
    }

    /// Spends a token on a draw, a degraded channel or a forgotten one, in this order; else the leader.
    fn explore<R: Rng + ?Sized>(
        &mut self,
        turn: Turn<'_>,
        contenders: &Contenders,
        open: &[usize],
        rng: &mut R,
    ) -> Pick {
        let Turn { at, ask, adaptive } = turn;
        let lead = leader(contenders, open, adaptive.margin);
        let explores = adaptive.exploration > 0.0 && is_explorable(ask.amount_minor, adaptive);
        if open.len() < 2 || !explores || !self.budget.has_token() {
            return Pick::best(lead);
        }
        let draw = drawn(contenders, open, self.params.exploration.first_factor, rng);
        let best = leader(contenders, open, 0.0);
        if draw.position != best {
            self.budget.spend();
            return draw;
        }
        let forced = self
            .revisit(at, contenders, open, lead)
            .map(|position| (position, Exploration::Revisit))
            .or_else(|| {
                self.stale(turn, contenders, open, lead)
                    .map(|position| (position, Exploration::Stale))
            });
        let (position, exploration) = forced.unwrap_or((lead, Exploration::None));
        if exploration != Exploration::None {
            self.budget.spend();
        }
        Pick {
            position,
            exploration,
            propensity: draw.propensity,
            panic: false,
        }
    }

    /// A degraded channel that is due to be asked whether it is back.
    fn revisit(&mut self, at: f64, contenders: &Contenders, open: &[usize], lead: usize) -> Option<usize> {
        let wait = self.budget.revisit_wait(&self.params.exploration);
        for position in open.iter().copied().filter(|position| *position != lead) {
            let contender = contenders.get(position).filter(|contender| contender.degraded);
            let Some(contender) = contender else {
                continue;
            };
            let Some(member) = self.members.get_mut(contender.candidate.channel.index()) else {
                continue;
            };
            if at - member.revisited_at >= wait {
                member.revisited_at = at;
                return Some(position);
            }
        }
        None
    }

    /// A channel whose method was not asked for long, the longer the worse it is.
    fn stale(
        &self,
        Turn { at, ask, .. }: Turn<'_>,
        contenders: &Contenders,
        open: &[usize],
        lead: usize,
    ) -> Option<usize> {
        let params = &self.params.exploration;
        let best = contenders.get(lead)?.success;
        open.iter().copied().find(|position| {
            let Some(contender) = contenders.get(*position).filter(|_| *position != lead) else {
                return false;
            };
            let gap = (best - contender.success).max(0.0);
            let asked_at = self
                .members
                .get(contender.candidate.channel.index())
                .map_or(at, |member| member.ways.at(ask.segment.method_index()).asked_at);
            at - asked_at >= params.stale_s * (1.0 + gap / params.stale_gap)
        })
    }

    /// When everything has tripped: the channel that answered last, on a grid, then the best, then the first.
    fn last_resort(&self, contenders: &Contenders) -> usize {
        let answered = |contender: &Contender| {
            let member = self.members.get(contender.candidate.channel.index());
            member.map_or(f64::NEG_INFINITY, |member| {
                (member.answered_at / RECENCY_GRID_S).floor()
            })
        };
        let mut best = 0;
        for (position, contender) in contenders.iter().enumerate().skip(1) {
            let Some(leading) = contenders.get(best) else {
                return best;
            };
            let by_answer = answered(contender).total_cmp(&answered(leading));
            if by_answer.then(contender.score.total_cmp(&leading.score)).is_gt() {
                best = position;
            }
        }
        best
    }

    /// Watches the attempt, and marks it as a probe of the breakers it tests.
    fn send(&mut self, at: f64, ask: &Ask<'_>, contenders: &Contenders, pick: Pick) {
        let Some(contender) = contenders.get(pick.position) else {
            return;
        };
        let channel = contender.candidate.channel;
        let limit = f64::from(contender.candidate.timeout_ms) / 1_000.0;
        let params = Arc::clone(&self.params);
        let Some(member) = self.members.get_mut(channel.index()) else {
            return;
        };
        member.ways.at_mut(ask.segment.method_index()).asked_at = at;
        let stages = member.stages(ask.segment, limit, &params);
        let mut flight = Flight::new(channel, ask.segment, at, limit);
        let due = at + stages.next(0).min(stages.next(TIMED_OUT));
        if pick.exploration == Exploration::Probe {
            let until = at + stages.timeout();
            flight.probe_until = Some(until);
            for part in member.shut_parts(ask.segment).collect::<SmallVec<[_; 2]>>() {
                let Some(member) = self.members.get_mut(channel.index()) else {
                    continue;
                };
                let breaker = member.part_mut(part);
                let from = breaker.state();
                breaker.send_probe(at, ask.key, until);
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
        let cell = Cell {
            channel,
            segment: ask.segment,
            sent: at,
        };
        let alive = Weight {
            evidence: params.silence.alive,
            failed: false,
        };
        if self.flights.has_room() {
            let heard = self.feed(at, cell, [alive; 3]);
            flight.provisional = heard.map(|heard| if heard { alive.evidence } else { 0.0 });
        }
        self.flights.begin(ask.key, flight, due);
    }
}

/// Channels that answered within the same two seconds answered equally lately.
const RECENCY_GRID_S: f64 = 2.0;

fn is_explorable(amount_minor: i64, adaptive: Adaptive) -> bool {
    adaptive
        .max_explored_minor
        .is_none_or(|most| amount_minor <= most)
}

/// The best of `open`; among those within `margin` of its success rate the cheapest; then the first.
fn leader(contenders: &Contenders, open: &[usize], margin: f64) -> usize {
    let entries = || {
        open.iter()
            .filter_map(|position| Some((*position, contenders.get(*position)?)))
    };
    let mut best: Option<(usize, &Contender)> = None;
    for (position, contender) in entries() {
        if best.is_none_or(|(_, leading)| contender.score > leading.score) {
            best = Some((position, contender));
        }
    }
    let Some((mut position, leading)) = best else {
        return 0;
    };
    let mut cost = leading.candidate.cost_minor;
    for (other, contender) in entries() {
        let close = contender.success >= leading.success - margin && margin > 0.0;
        if close && contender.candidate.cost_minor < cost {
            position = other;
            cost = contender.candidate.cost_minor;
        }
    }
    position
}

/// The winner of a draw among `open`, and its probability.
fn drawn<R: Rng + ?Sized>(contenders: &Contenders, open: &[usize], factor: f64, rng: &mut R) -> Pick {
    let beliefs: Beliefs = open
        .iter()
        .filter_map(|position| contenders.get(*position))
        .map(|contender| Belief {
            mean: contender.score,
            deviation: contender.deviation * factor,
        })
        .collect();
    let won = draw::winner(&beliefs, rng).unwrap_or(0);
    Pick {
        position: open.get(won).copied().unwrap_or(0),
        exploration: Exploration::Draw,
        propensity: draw::probability(&beliefs, won),
        panic: false,
    }
}

/// The probability that the shares let through, and held back, what they did as far as it mattered.
fn gate_probability(contenders: &Contenders, position: usize) -> f64 {
    let Some(chosen) = contenders.get(position) else {
        return 1.0;
    };
    let own = if chosen.share > 0.0 { chosen.share } else { 1.0 };
    let others: f64 = contenders
        .iter()
        .filter(|contender| contender.held_back && contender.score > chosen.score)
        .map(|contender| 1.0 - contender.share)
        .product();
    own * others
}

/// The choice first, then what takes payments, best first (in order, if the policy orders), then what is held back.
fn rank(contenders: &Contenders, pick: Pick, mode: Mode) -> SmallVec<[Ranked; 8]> {
    let mut order: SmallVec<[(usize, &Contender); 8]> = contenders
        .iter()
        .enumerate()
        .filter(|(position, contender)| *position == pick.position || pick.panic || !contender.shut)
        .collect();
    order.sort_by(|(left, one), (right, other)| {
        let chosen = (*right == pick.position).cmp(&(*left == pick.position));
        let open = one.held_back.cmp(&other.held_back);
        let score = match mode {
            Mode::Ordered => std::cmp::Ordering::Equal,
            Mode::Adaptive(_) => other.score.total_cmp(&one.score),
        };
        chosen.then(open).then(score)
    });
    order
        .into_iter()
        .map(|(_, contender)| Ranked {
            channel: contender.candidate.channel,
            success: contender.success,
            state: contender.state,
        })
        .collect()
}
