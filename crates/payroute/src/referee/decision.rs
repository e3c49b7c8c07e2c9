//! The one place where the game meets the router's decision.

use domain::brain::{Adaptive, Ask, Brain, Candidate, Choice, Mode};
use jiff::Timestamp;
use rand::Rng;

/// Decides as production does: all channels are eligible but those excluded, and the policy is adaptive.
pub(super) fn decide(
    brain: &mut Brain,
    now: Timestamp,
    question: Question<'_>,
    rng: &mut impl Rng,
) -> Option<Choice> {
    let ask = Ask {
        segment: question.segment,
        amount_minor: question.amount_minor,
        candidates: question.candidates,
        key: question.key,
        attempt_no: question.attempt_no,
        mode: Mode::Adaptive(Adaptive::default()),
        may_probe: true,
    };
    brain.route(now, &ask, rng).ok()
}

/// A payment that needs a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) segment: domain::brain::Segment,
    pub(super) amount_minor: i64,
    pub(super) candidates: &'a [Candidate],
    pub(super) key: u64,
    pub(super) attempt_no: u32,
}
