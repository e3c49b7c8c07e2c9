//! What the brain is asked, what it answers, and what it is told afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::ChannelIx;
use super::intern::Segment;
use super::state::State;
use crate::outcome::OutcomeClass;

/// A channel that may take the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which channel.
    pub channel: ChannelIx,
    /// What the payment would cost there, in minor units.
    pub cost_minor: i64,
    /// How long its answer may take by configuration, in milliseconds; 0 if unknown.
    pub timeout_ms: u32,
}

/// How the channel is chosen among the candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// In the order of the candidates; breakers move the tripped ones out.
    Ordered,
    /// By expected success, with exploration.
    Adaptive(Adaptive),
}

/// The terms of an adaptive choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// Channels whose success rate is within this of the best one's compete on cost; a probability.
    pub margin: f64,
    /// Largest share of first attempts spent on exploration; 0 switches it off.
    pub exploration: f64,
    /// Larger payments are never explored with, in minor units.
    pub max_explored_minor: Option<i64>,
    /// Answers slower than this count as lost, in milliseconds.
    pub latency_budget_ms: Option<u32>,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            margin: 0.0,
            exploration: 0.02,
            max_explored_minor: None,
            latency_budget_ms: None,
        }
    }
}

/// A question: where should this attempt go?
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The payment's segment.
    pub segment: Segment,
    /// The amount in minor units.
    pub amount_minor: i64,
    /// The eligible channels, in the policy's order. Nothing else is ever chosen.
    pub candidates: &'a [Candidate],
    /// Names the attempt; the outcome carries it too. A repeated key replaces the earlier attempt.
    pub key: u64,
    /// 1 for the first attempt of a payment.
    pub attempt_no: u32,
    /// How to choose.
    pub mode: Mode,
    /// Whether the payment may probe a tripped channel.
    pub may_probe: bool,
}

/// What, other than being the best, made a channel the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exploration {
    /// Nothing: it is the best known.
    None,
    /// A draw from what is not known well.
    Draw,
    /// A degraded channel is asked whether it is back.
    Revisit,
    /// A channel was not asked for long.
    Stale,
    /// A tripped channel is probed.
    Probe,
}

impl Exploration {
    /// The name on the wire; empty for [`Exploration::None`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Draw => "draw",
            Self::Revisit => "revisit",
            Self::Stale => "stale",
            Self::Probe => "probe",
        }
    }
}

/// A channel in the ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Which channel.
    pub channel: ChannelIx,
    /// Estimated probability of success, between 0 and 1.
    pub success: f64,
    /// Its breaker for this segment: the worst of channel, method and issuer.
    pub state: State,
}

/// When a decision was made, on the brain's time. Outcomes of decisions older than a breaker's trip are stragglers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub Timestamp);

/// The answer: where the attempt should go, and what comes after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The chosen channel first, then the fallbacks, best first. Never empty.
    pub ranking: SmallVec<[Ranked; 8]>,
    /// Why the first one is not simply the best.
    pub exploration: Exploration,
    /// The probability with which the first one was chosen, above 0 and at most 1.
    pub propensity: f64,
    /// Every candidate's breaker has tripped; the ranking goes on all the same.
    pub panic: bool,
    /// To be handed back with the outcome.
    pub generation: Generation,
}

/// Why there is no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// No candidate is left that may be used.
    #[error("no channel is left to choose from")]
    NoChannel,
    /// The payment's issuer fails on every channel, so another channel would not help.
    #[error("the issuer is down on every channel")]
    IssuerIncident,
    /// The payment's method fails on every channel, so another channel would not help.
    #[error("the method is down on every channel")]
    MethodIncident,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The attempt, as in [`Ask::key`]. It may be unknown: after a restart, or from another replica.
    pub key: u64,
    /// Where it went.
    pub channel: ChannelIx,
    /// The payment's segment.
    pub segment: Segment,
    /// What the outcome says.
    pub class: OutcomeClass,
    /// How long the answer took, in milliseconds.
    pub latency_ms: f64,
    /// When it was sent.
    pub dispatched_at: Timestamp,
    /// 1 for the first attempt of a payment.
    pub attempt_no: u32,
    /// As in [`Choice::generation`], where known.
    pub generation: Option<Generation>,
}
