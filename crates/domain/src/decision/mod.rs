//! The decision: from a payment to the channel it goes to. Everything that Route does, without the wire.
//!
//! Earlier attempts are looked at first, because one that may have charged forbids another. Then, in this order:
//! eligibility, policy, the brain's ranking, and the hard limits, which are taken at the last moment and send a payment
//! on to the next channel when they are reached. Simulation and production call the same function.

mod answer;
mod previous;
mod shop;

use jiff::Timestamp;
use rand::Rng;
use smallvec::SmallVec;

pub use answer::{Action, Decision, Halt, MAX_TARGETS, Target};
pub use previous::Previous;
pub use shop::Shop;

use crate::attempt;
use crate::brain::{Adaptive, Ask, Brain, Candidate, Choice, Mode, NoChoice, Segment};
use crate::bucket::{Draw, Purpose};
use crate::channels::ChannelIndex;
use crate::eligibility::{Circumstances, Exclusion, Restrictions, eligible};
use crate::id::{ChannelId, MerchantId, PaymentId};
use crate::limit::Limits;
use crate::payment::Attributes;
use crate::policy::Strategy;

/// Channels with what the payment would cost and how long they may take, in the policy's order.
type Candidates = SmallVec<[Candidate; 16]>;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    /// The payment.
    pub attributes: &'q Attributes,
    /// Only these may be chosen; any when empty.
    pub candidates: &'q [ChannelId],
    /// These may not.
    pub exclude: &'q [ChannelId],
    /// Channels that could use the credential at hand; all when empty.
    pub portable_to: &'q [ChannelId],
    /// The earlier attempts at the payment, oldest first.
    pub previous: &'q [Previous],
    /// Until when the order wants money; `None` when it has no deadline.
    pub order_expires_at: Option<Timestamp>,
}

/// What changes with every decision.
#[derive(Debug)]
pub struct Desk<'d> {
    /// What was learnt, and the breakers.
    pub brain: &'d mut Brain,
    /// What the limits have counted.
    pub limits: &'d mut Limits,
}

/// The number by which the brain knows an attempt: the same for the same attempt, on every replica and after a restart.
#[must_use]
pub fn attempt_key(merchant: &MerchantId, payment: &PaymentId, attempt_no: u32) -> u64 {
    let draw = Draw::of_payment(Purpose::Attempt, merchant, payment).bits();
    // Attempts of one payment are as far apart as those of two.
    draw.wrapping_add(u64::from(attempt_no).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Where the payment goes now, and why.
///
/// Deterministic for the given state, query, time and generator. The brain takes note of the attempt; a hard limit
/// of the chosen channel counts it.
pub fn decide<'p, R: Rng + ?Sized>(
    shop: &'p Shop,
    desk: &mut Desk<'_>,
    query: &Query<'_>,
    now: Timestamp,
    rng: &mut R,
) -> Decision<'p> {
    let payment = query.attributes;
    let restrictions = Restrictions {
        candidates: query.candidates,
        exclude: query.exclude,
    };
    let circumstances = Circumstances {
        channels: &shop.channels,
        suspensions: &shop.suspensions,
        limits: desk.limits,
    };
    let mut sorted = eligible(circumstances, payment, restrictions, now);
    keep_portable(shop, query.portable_to, &mut sorted);
    let plan = shop.policy.plan(payment, now, &sorted.eligible);
    let mut decision = Decision::new(&plan, sorted.excluded);
    let order_over = query.order_expires_at.is_some_and(|at| at <= now);
    if let Some(halt) = previous::halt(query.previous, payment, order_over, &attempt::Limits::default()) {
        return decision.halted(halt);
    }
    let candidates = candidates(shop, payment, &plan.order);
    let segment = desk
        .brain
        .segment(&payment.method, payment.issuer.as_deref(), payment.band());
    let ask = ask(payment, segment, plan.strategy, &candidates);
    match rank(desk.brain, &ask, plan.preferred, now, rng) {
        Ok(choice) => decision.ranked(shop, payment, &plan.order, &choice),
        Err(NoChoice::NoChannel) => return decision.halted(Halt::NoChannel),
        Err(NoChoice::IssuerIncident | NoChoice::MethodIncident) => return decision.halted(Halt::Incident),
    }
    reserve(shop, desk.limits, payment, &mut decision, now);
    decision
}

/// Leaves out the channels that cannot use the credential: a token of one provider is worth nothing to another.
fn keep_portable(shop: &Shop, portable_to: &[ChannelId], sorted: &mut crate::eligibility::Eligible) {
    if portable_to.is_empty() {
        return;
    }
    let portable = |index: &ChannelIndex| {
        let channel = shop.channels.get(*index);
        channel.is_some_and(|channel| portable_to.contains(&channel.id))
    };
    let excluded = &mut sorted.excluded;
    sorted.eligible.retain(|index| {
        let keep = portable(index);
        if !keep {
            excluded.push((*index, Exclusion::NotPortable));
        }
        keep
    });
}

/// The brain's ranking of what the plan allows. An adaptive choice ranks the first `preferred` channels among
/// themselves, and goes to the others only when none of those takes payments.
fn rank<R: Rng + ?Sized>(
    brain: &mut Brain,
    ask: &Ask<'_>,
    preferred: usize,
    now: Timestamp,
    rng: &mut R,
) -> Result<Choice, NoChoice> {
    let tiered = preferred > 0 && matches!(ask.mode, Mode::Adaptive(_));
    let Some((first, others)) = ask.candidates.split_at_checked(preferred).filter(|_| tiered) else {
        return brain.route(now, ask, rng);
    };
    // Looked at beforehand, because routing takes note of the attempt: it cannot be tried and taken back.
    let takes = |brain: &Brain, candidate: &Candidate| brain.takes(candidate.channel, ask.segment, now);
    if !first.iter().any(|candidate| takes(brain, candidate)) {
        return brain.route(now, ask, rng);
    }
    let among = Ask {
        candidates: first,
        ..*ask
    };
    let mut choice = brain.route(now, &among, rng)?;
    let others = others.iter().filter(|candidate| takes(brain, candidate));
    let others = others.map(|other| brain.ranked(other.channel, ask.segment));
    choice.ranking.extend(others);
    Ok(choice)
}

fn candidates(shop: &Shop, payment: &Attributes, order: &[ChannelIndex]) -> Candidates {
    let candidate = |index: &ChannelIndex| {
        let channel = shop.channels.get(*index)?;
        Some(Candidate {
            channel: shop.known_as(*index)?,
            cost_minor: channel.cost.of(payment.amount.minor()),
            timeout_ms: channel.timeout_ms,
        })
    };
    order.iter().filter_map(candidate).collect()
}

fn ask<'c>(
    payment: &Attributes,
    segment: Segment,
    strategy: Strategy<'_>,
    candidates: &'c [Candidate],
) -> Ask<'c> {
    let mode = match strategy {
        Strategy::Priority | Strategy::Split { .. } => Mode::Ordered,
        Strategy::Adaptive(settings) => Mode::Adaptive(Adaptive {
            margin: f64::from(settings.margin_bp) / 10_000.0,
            exploration: f64::from(settings.explore_bp) / 10_000.0,
            max_explored_minor: settings.explore_max_amount_minor,
            latency_budget_ms: settings.latency_budget_ms,
        }),
    };
    Ask {
        segment,
        amount_minor: payment.amount.minor(),
        candidates,
        key: attempt_key(&payment.merchant, &payment.payment, payment.attempt_no),
        attempt_no: payment.attempt_no,
        mode,
        may_probe: true,
    }
}

/// Counts the payment in the hard limits of the first target that has room; those before it are excluded.
fn reserve(
    shop: &Shop,
    limits: &mut Limits,
    payment: &Attributes,
    decision: &mut Decision<'_>,
    now: Timestamp,
) {
    while let Some(target) = decision.targets.first() {
        let index = target.channel;
        let room = shop
            .channels
            .get(index)
            .map(|channel| limits.reserve(payment, &channel.id, now));
        if let Some(Ok(reservation)) = room {
            decision.reservation = Some(reservation);
            return;
        }
        decision.targets.remove(0);
        decision.excluded.push((index, Exclusion::LimitReached));
    }
    decision.halt(Halt::NoChannel);
}

#[cfg(test)]
mod tests;
