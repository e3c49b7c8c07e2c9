//! What to do next about a case.

use jiff::{SignedDuration, Timestamp};

use super::case::{Ask, Case, Cause};
use super::without_debit;
use crate::attempt::payment::Duty;
use crate::attempt::{self, Claim, Event, ProviderProfile, Source, State, after};
use crate::channel::Capabilities;

/// How long to wait before looking again at a case that nothing is known to do about.
const LOOK_AGAIN_MS: u32 = 60_000;

/// Longest time that an attempt may be out without a report before it counts as lost, beside its channel's timeout.
const UNREPORTED_MS: u32 = 60_000;

/// What the next step depends on besides the case.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How the channel's provider wants to be asked.
    pub profile: ProviderProfile,
    /// What the channel's interface can do.
    pub capabilities: Capabilities,
    /// What the payment as a whole asks for about this attempt.
    pub duty: Option<Duty>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until then.
    Wait(Timestamp),
    /// Ask the merchant's integration.
    Ask(Ask),
    /// Let it happen to the attempt, which comes into that state.
    Move(Event, State),
    /// Tell that a person has to look.
    TellReview,
    /// Nothing until a person or a late notice says something.
    Park,
    /// Tell that it is settled, and close the case.
    Settle,
}

/// What to do next about `case` at `now`.
///
/// Times of the schedule that have passed while nobody looked are not made up for at once: two requests keep the
/// distance that the provider wants between them.
#[must_use]
pub fn next(case: &Case, facts: &Facts, now: Timestamp) -> Next {
    match case.state {
        State::Created | State::Submitted => at(after(case.since, UNREPORTED_MS), now, || {
            happens(case, Event::Restarted, now)
        }),
        State::Unknown => unknown(case, facts, now),
        State::ReversalPending => reversal(case, facts, now),
        State::AwaitingCustomer => customer(case, facts, now),
        State::RefundPending => refund(case, facts, now),
        State::LateSuccess => match facts.duty {
            Some(Duty::Adopt(_)) => happens(case, Event::Adopted, now),
            Some(Duty::Refund(..)) => happens(case, Event::RefundOrdered, now),
            // The payment names a duty for every late success, so this is a payment that cannot be read.
            Some(Duty::TakeBack(_)) | None => Next::Wait(after(now, LOOK_AGAIN_MS)),
        },
        State::NeedsReview | State::RefundNeedsReview if case.told => Next::Park,
        State::NeedsReview | State::RefundNeedsReview => Next::TellReview,
        State::Succeeded | State::ConfirmedSucceeded if matches!(facts.duty, Some(Duty::Refund(..))) => {
            happens(case, Event::RefundOrdered, now)
        }
        state if without_debit(state) && case.cause == Cause::Orphan => orphan(case, facts, now),
        State::Declined
        | State::FailedNotProcessed
        | State::Closed
        | State::Reversed
        | State::Succeeded
        | State::ConfirmedSucceeded
        | State::Refunded => Next::Settle,
    }
}

/// Asks as the provider wants it, then takes the attempt back.
fn unknown(case: &Case, facts: &Facts, now: Timestamp) -> Next {
    let profile = &facts.profile;
    let delays = profile.query_delays_ms;
    let times = case.times(Ask::Query);
    let place = usize::try_from(times).unwrap_or(usize::MAX);
    // An attempt that is not wanted any more is not asked about: it is taken back, which says what it was.
    let asks = facts.capabilities.query && !is_unwanted(facts);
    if let Some(delay) = delays.as_slice().get(place).filter(|_| asks) {
        let before = place
            .checked_sub(1)
            .and_then(|before| delays.as_slice().get(before));
        let gap = delay.saturating_sub(before.copied().unwrap_or(0));
        let spaced = case.asked.map_or(case.since, |asked| after(asked.at, gap));
        return at(after(case.since, *delay).max(spaced), now, || {
            Next::Ask(Ask::Query)
        });
    }
    let earliest = after(case.since, profile.reverse_not_before_ms);
    let answered = case
        .asked
        .map_or(case.since, |asked| after(asked.at, profile.reverse_retry_ms));
    at(earliest.max(answered), now, || {
        happens(case, Event::QueriesSpent, now)
    })
}

/// Takes the attempt back until somebody says how that went.
fn reversal(case: &Case, facts: &Facts, now: Timestamp) -> Next {
    if !facts.capabilities.reversal {
        return happens(case, Event::ReversalsSpent, now);
    }
    let profile = &facts.profile;
    let earliest = after(case.opened_at, profile.reverse_not_before_ms).max(case.since);
    repeat(
        case,
        Ask::Reverse,
        now,
        &Repeat {
            earliest,
            retry_ms: profile.reverse_retry_ms,
            tries: profile.reverse_tries,
            spent: Event::ReversalsSpent,
        },
    )
}

/// Lets the customer pay as long as the provider's schedule goes, asks once more, then closes the order.
///
/// The caller was given that schedule, so what it finds out by itself is not asked for again.
fn customer(case: &Case, facts: &Facts, now: Timestamp) -> Next {
    let profile = &facts.profile;
    let time = if is_unwanted(facts) {
        0
    } else {
        profile.customer_query_delays_ms.last()
    };
    let over = after(case.since, time);
    if facts.capabilities.query && case.asked.is_none() {
        return at(over, now, || Next::Ask(Ask::Query));
    }
    let answered = case
        .asked
        .map_or(over, |asked| after(asked.at, profile.reverse_retry_ms));
    let earliest = after(case.opened_at, profile.close_not_before_ms)
        .max(over)
        .max(answered);
    repeat(
        case,
        Ask::Close,
        now,
        &Repeat {
            earliest,
            retry_ms: profile.reverse_retry_ms,
            tries: profile.reverse_tries,
            // Nobody can say whether it can still be paid: it is asked for and taken back as any unknown one.
            spent: Event::Said(Claim::Unclear, Source::Payroute),
        },
    )
}

/// Pays back until somebody says how that went.
fn refund(case: &Case, facts: &Facts, now: Timestamp) -> Next {
    repeat(
        case,
        Ask::Refund,
        now,
        &Repeat {
            earliest: case.since,
            retry_ms: facts.profile.refund_retry_ms,
            tries: facts.profile.refund_tries,
            spent: Event::RefundsSpent,
        },
    )
}

/// Closes an order that nobody can pay. Should nobody answer, it lapses at the provider: there is nothing to review.
fn orphan(case: &Case, facts: &Facts, now: Timestamp) -> Next {
    let profile = &facts.profile;
    let times = case.times(Ask::Close);
    let earliest = after(case.opened_at, profile.close_not_before_ms);
    let due = case
        .asked
        .map_or(earliest, |asked| after(asked.at, profile.reverse_retry_ms));
    if times < profile.reverse_tries {
        at(due, now, || Next::Ask(Ask::Close))
    } else {
        at(due, now, || Next::Settle)
    }
}

/// Asking for one thing again and again.
struct Repeat {
    /// Not before this time.
    earliest: Timestamp,
    /// How long an answer may take, in milliseconds.
    retry_ms: u32,
    /// How often.
    tries: u32,
    /// What happens when all tries went without an answer.
    spent: Event,
}

fn repeat(case: &Case, what: Ask, now: Timestamp, how: &Repeat) -> Next {
    let times = case.times(what);
    let last = case.asked.filter(|asked| asked.what == what);
    let due = last.map_or(how.earliest, |asked| {
        // Longer from try to try, up to eight times: a provider in trouble is not helped by being asked.
        let doubled = how
            .retry_ms
            .saturating_mul(1 << asked.times.saturating_sub(1).min(3));
        after(asked.at, doubled).max(how.earliest)
    });
    if times < how.tries {
        at(due, now, || Next::Ask(what))
    } else {
        at(due, now, || happens(case, how.spent, now))
    }
}

/// Whether the payment was satisfied by another attempt.
const fn is_unwanted(facts: &Facts) -> bool {
    matches!(facts.duty, Some(Duty::TakeBack(_)))
}

/// `then` when it is time, else the wait for it.
fn at(due: Timestamp, now: Timestamp, then: impl FnOnce() -> Next) -> Next {
    if due <= now { then() } else { Next::Wait(due) }
}

/// Lets `event` happen, which the state allows wherever it is called; should it not, the case is looked at again.
fn happens(case: &Case, event: Event, now: Timestamp) -> Next {
    match attempt::next(case.state, event) {
        Ok(state) if state != case.state => Next::Move(event, state),
        Ok(_) | Err(_) => Next::Wait(after(now, LOOK_AGAIN_MS)),
    }
}

impl Next {
    /// When the case has to be looked at again after this was done; `None` when only a person or a notice moves it.
    #[must_use]
    pub fn look_again_at(self, after: &Case, facts: &Facts, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Wait(until) => Some(until),
            Self::Ask(_) | Self::Move(..) | Self::TellReview => match next(after, facts, now) {
                Self::Wait(until) => Some(until),
                Self::Park => None,
                Self::Ask(_) | Self::Move(..) | Self::TellReview | Self::Settle => Some(now),
            },
            Self::Park | Self::Settle => None,
        }
    }
}

/// How long a case has been open at `now`.
#[must_use]
pub fn age(case: &Case, now: Timestamp) -> SignedDuration {
    now.duration_since(case.opened_at).max(SignedDuration::ZERO)
}
