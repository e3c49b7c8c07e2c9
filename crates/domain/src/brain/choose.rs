//! Choosing: gate, rank, explore, and watch what was sent.

use std::sync::Arc;

use jiff::Timestamp;
use rand::{Rng, RngExt};
use smallvec::SmallVec;

use super::ask::{Ask, Choice, Exploration, Generation, Mode, NoChoice};
use super::contender::{Contender, Contenders, Pick, gate_probability, rank};
use super::explore::{Turn, drawn, is_explorable, leader};
use super::journal::Entry;
use super::member::Forced;
use super::narrow::single;
use super::node::sigmoid;
use super::scope::Cell;
use super::watch::Dispatch;
use super::{Brain, Params};

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
        let turn = at - self.fleet.stagger_s();
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
                .all(|part| member.part(part).wants_probe(turn, &self.params.recovery));
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
                let mut pick = drawn(contenders, &open, factor, rng);
                if pick.position == leader(contenders, &open, 0.0) {
                    pick.exploration = Exploration::None;
                }
                pick
            }
            Mode::Adaptive(adaptive) => self.explore(Turn { at, ask, adaptive }, contenders, &open, rng),
        };
        pick.propensity *= gate_probability(contenders, pick.position);
        pick
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

    /// Sends the attempt: watches it, marks it as a probe of the breakers it tests, and tells the peers.
    fn send(&mut self, at: f64, ask: &Ask<'_>, contenders: &Contenders, pick: Pick) {
        let Some(contender) = contenders.get(pick.position) else {
            return;
        };
        let earned = match ask.mode {
            Mode::Adaptive(adaptive) if ask.attempt_no <= 1 => Some(single(adaptive.exploration)),
            Mode::Adaptive(_) | Mode::Ordered => None,
        };
        let dispatch = Dispatch {
            key: ask.key,
            channel: contender.candidate.channel,
            segment: ask.segment,
            at,
            timeout_ms: contender.candidate.timeout_ms,
            attempt_no: ask.attempt_no,
            exploration: pick.exploration,
            earned,
        };
        self.watch(&dispatch, None);
        self.write(Entry::Dispatched(dispatch));
    }
}

/// Channels that answered within the same two seconds answered equally lately.
const RECENCY_GRID_S: f64 = 2.0;
