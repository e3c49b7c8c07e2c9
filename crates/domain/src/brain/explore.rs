//! Exploring: what is spent on finding out whether another channel has become the better one.

use rand::Rng;

use super::Brain;
use super::ask::{Adaptive, Ask, Exploration};
use super::contender::{Contender, Contenders, Pick};
use super::draw::{self, Belief, Beliefs};

/// A payment that may be explored with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn<'a> {
    pub(super) at: f64,
    pub(super) ask: &'a Ask<'a>,
    pub(super) adaptive: Adaptive,
}

pub(super) fn is_explorable(amount_minor: i64, adaptive: Adaptive) -> bool {
    adaptive
        .max_explored_minor
        .is_none_or(|most| amount_minor <= most)
}

impl Brain {
    /// Spends a token on a draw, a degraded channel or a forgotten one, in this order; else the leader.
    pub(super) fn explore<R: Rng + ?Sized>(
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
}

/// The best of `open`; among those within `margin` of its success rate the cheapest; then the first.
pub(super) fn leader(contenders: &Contenders, open: &[usize], margin: f64) -> usize {
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
pub(super) fn drawn<R: Rng + ?Sized>(
    contenders: &Contenders,
    open: &[usize],
    factor: f64,
    rng: &mut R,
) -> Pick {
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
