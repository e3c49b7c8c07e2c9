//! The candidates of one decision, what was picked among them, and the ranking that comes out.

use smallvec::SmallVec;

use super::ask::{Candidate, Exploration, Mode, Ranked};
use super::state::State;

/// A candidate with what is known about it for this payment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    pub(super) candidate: Candidate,
    /// Log-odds relative to other channels, less what its slowness costs.
    pub(super) score: f64,
    /// Estimated probability of success within the latency budget.
    pub(super) success: f64,
    pub(super) deviation: f64,
    pub(super) degraded: bool,
    pub(super) state: State,
    pub(super) shut: bool,
    /// Share of payments let through.
    pub(super) share: f64,
    /// Left out of this decision by its share.
    pub(super) held_back: bool,
}

pub(super) type Contenders = SmallVec<[Contender; 8]>;

/// What was decided, before it is carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) position: usize,
    pub(super) exploration: Exploration,
    pub(super) propensity: f64,
    pub(super) panic: bool,
}

impl Pick {
    pub(super) const fn best(position: usize) -> Self {
        Self {
            position,
            exploration: Exploration::None,
            propensity: 1.0,
            panic: false,
        }
    }
}

/// The probability that the shares let through, and held back, what they did as far as it mattered.
pub(super) fn gate_probability(contenders: &Contenders, position: usize) -> f64 {
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
pub(super) fn rank(contenders: &Contenders, pick: Pick, mode: Mode) -> SmallVec<[Ranked; 8]> {
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
