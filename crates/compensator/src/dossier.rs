//! A payment as the rules of `domain::attempt::payment` see it, made of what the ledger keeps of it.

use domain::attempt::State;
use domain::attempt::payment::{Duty, Kept, Made, Order, Payment, Slot};
use domain::id::AttemptId;
use domain::money::Money;
use jiff::Timestamp;
use ledger::attempt::{AttemptRecord, Transition};
use ledger::payment::PaymentRecord;

use crate::unreported::is_stand_in;

/// A payment and what has to be done about its attempts.
#[derive(Debug)]
pub(crate) struct Dossier<'p> {
    attempts: &'p [AttemptRecord],
    duties: Vec<Duty>,
}

impl<'p> Dossier<'p> {
    /// What `payment` asks for, whose order is as `order` says.
    pub(crate) fn of(payment: &'p PaymentRecord, order: Order) -> Self {
        let attempts = payment.attempts.as_slice();
        let counted = || {
            let attempts = attempts.iter().enumerate();
            attempts.filter(|(place, attempt)| {
                sibling(&payment.attempts, attempt).is_none() && !is_told_again(&payment.attempts, *place)
            })
        };
        let made = counted().filter_map(|(place, attempt)| {
            Some(Made {
                slot: slot(place),
                channel: attempt.channel.clone(),
                state: State::from_name(&attempt.verdict.state)?,
                charged: charged(attempt, &payment.transitions),
            })
        });
        let satisfied = counted()
            .filter_map(|(place, attempt)| Some((satisfied_at(attempt, &payment.transitions)?, place)));
        let kept = attempts.first().map(|first| Kept {
            money: first.amount,
            order,
            // Whether it has passed, the guard's `order` says.
            expires_at: None,
            attempts: made.collect(),
            satisfied_by: satisfied.min().map(|(_, place)| slot(place)),
        });
        Self {
            attempts,
            duties: kept
                .map(|kept| Payment::restore(kept).duties())
                .unwrap_or_default(),
        }
    }

    /// The attempt of that name.
    pub(crate) fn attempt(&self, name: &AttemptId) -> Option<&'p AttemptRecord> {
        self.attempts.iter().find(|attempt| attempt.attempt == *name)
    }

    /// The report that came after all of a submit that `attempt` stands for.
    pub(crate) fn reported_as(&self, attempt: &AttemptRecord) -> Option<&'p AttemptRecord> {
        sibling(self.attempts, attempt)
    }

    /// What has to be done about that attempt.
    pub(crate) fn duty(&self, name: &AttemptId) -> Option<Duty> {
        let place = self
            .attempts
            .iter()
            .position(|attempt| attempt.attempt == *name)?;
        self.duties
            .iter()
            .copied()
            .find(|duty| about(*duty) == slot(place))
    }

    /// The other attempts that satisfied the payment too, and have to be paid back.
    pub(crate) fn others_to_refund(&self, name: &AttemptId) -> Vec<&'p AttemptRecord> {
        let attempts = self.attempts.iter().enumerate();
        attempts
            .filter(|(place, attempt)| {
                let refund = |duty: &Duty| matches!(duty, Duty::Refund(at, _) if *at == slot(*place));
                let state = State::from_name(&attempt.verdict.state);
                attempt.attempt != *name
                    && state.is_some_and(State::satisfies_payment)
                    && self.duties.iter().any(refund)
            })
            .map(|(_, attempt)| attempt)
            .collect()
    }
}

/// The record of the same submit that its caller reported, when `attempt` only stands for it.
fn sibling<'p>(attempts: &'p [AttemptRecord], attempt: &AttemptRecord) -> Option<&'p AttemptRecord> {
    let submit = attempt.submit.filter(|_| is_stand_in(&attempt.attempt))?;
    attempts.iter().find(|other| {
        other.submit == Some(submit)
            && other.attempt_no == attempt.attempt_no
            && other.channel == attempt.channel
            && !is_stand_in(&other.attempt)
    })
}

/// Whether the attempt at `place` is a charge that an earlier one told of already: the provider knew both by one key, and
/// answered the second with the result of the first.
fn is_told_again(attempts: &[AttemptRecord], place: usize) -> bool {
    let state = |attempt: &AttemptRecord| State::from_name(&attempt.verdict.state);
    let (earlier, later) = attempts.split_at(place);
    later.first().is_some_and(|attempt| {
        state(attempt).is_some_and(State::satisfies_payment)
            && earlier.iter().any(|other| {
                other.attempt_no == attempt.attempt_no
                    && other.channel == attempt.channel
                    // One that is being paid back, or was, was the charge all the same.
                    && state(other).is_some_and(State::was_charged)
            })
    })
}

/// Each attempt stands for itself here, whatever number its caller gave it.
fn slot(place: usize) -> Slot {
    Slot::first(u32::try_from(place).unwrap_or(u32::MAX))
}

const fn about(duty: Duty) -> Slot {
    match duty {
        Duty::Adopt(slot) | Duty::Refund(slot, _) | Duty::TakeBack(slot) => slot,
    }
}

/// When the attempt first satisfied its payment; `None` when it never did.
fn satisfied_at(attempt: &AttemptRecord, transitions: &[Transition]) -> Option<Timestamp> {
    let mut own = transitions.iter().filter(|it| it.attempt == attempt.attempt);
    let satisfies = |name: &str| State::from_name(name).is_some_and(State::satisfies_payment);
    let first = own
        .clone()
        .next()
        .map_or(&attempt.verdict.state, |it| &it.from_state);
    if satisfies(first) {
        return Some(attempt.received_at);
    }
    own.find(|it| satisfies(&it.to_state)).map(|it| it.at)
}

/// What somebody said that the customer was charged; the last word counts.
fn charged(attempt: &AttemptRecord, transitions: &[Transition]) -> Option<Money> {
    let own = transitions.iter().filter(|it| it.attempt == attempt.attempt);
    own.rev().find_map(|it| {
        let charged = it.content.get("charged")?;
        let minor = charged.get("amount_minor")?.as_i64()?;
        let currency = charged.get("currency")?.as_str()?.parse().ok()?;
        Money::new(minor, currency).ok()
    })
}

#[cfg(test)]
mod tests;
