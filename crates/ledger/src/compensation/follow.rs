//! How a case follows its attempt: which attempts have one, and what a change of state does to it.

use std::collections::BTreeMap;

use domain::attempt::State;
use domain::compensation::{Cause, is_open};
use domain::id::{AttemptId, ChannelId, MerchantId, PaymentId};
use jiff::{SignedDuration, Timestamp};

use super::{CaseRecord, Opening};
use crate::attempt::{AttemptRecord, Recorded};

/// The cases that new attempts begin with, in the order of their names.
///
/// Besides what is open, a later attempt that succeeded is looked at once: an earlier one may have succeeded too, which
/// only a look at the payment tells.
pub(crate) fn openings<'a>(
    attempts: impl IntoIterator<Item = (&'a AttemptRecord, &'a Recorded)>,
) -> Vec<(CaseRecord, Timestamp)> {
    let mut opened: Vec<(CaseRecord, Timestamp)> = attempts
        .into_iter()
        .filter(|(_, recorded)| matches!(recorded, Recorded::New))
        .filter_map(|(attempt, _)| Some((opening(attempt)?, attempt.received_at)))
        .collect();
    opened.sort_by(|(one, _), (other, _)| {
        (&one.merchant, &one.attempt).cmp(&(&other.merchant, &other.attempt))
    });
    opened
}

fn opening(attempt: &AttemptRecord) -> Option<CaseRecord> {
    let state = State::from_name(&attempt.verdict.state)?;
    let is_second = state.satisfies_payment() && attempt.attempt_no > 1;
    let at_once = Opening {
        cause: Cause::Unsettled,
        due_at: attempt.received_at,
    };
    let opening = attempt
        .case
        .or((is_open(state) || is_second).then_some(at_once))?;
    Some(CaseRecord::opened(attempt, state, opening))
}

/// How long before a charge another one of the same payment is looked for.
pub(crate) const TWICE_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// `attempts`, each with a case to begin with, that is due at once.
pub(crate) fn to_be_looked_at(attempts: Vec<AttemptRecord>) -> Vec<AttemptRecord> {
    let with_case = |attempt: AttemptRecord| AttemptRecord {
        case: Some(Opening {
            cause: Cause::Unsettled,
            due_at: attempt.received_at,
        }),
        ..attempt
    };
    attempts.into_iter().map(with_case).collect()
}

/// A change of an attempt's state.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) merchant: MerchantId,
    pub(crate) attempt: AttemptId,
    pub(crate) payment: PaymentId,
    pub(crate) channel: ChannelId,
    pub(crate) attempt_no: u32,
    pub(crate) received_at: Timestamp,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) at: Timestamp,
}

/// What changes do to the cases, each in the order of the attempts' names.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    /// These have a case in their new state, due at once; it is opened where there is none.
    pub(crate) open: Vec<Change>,
    /// These are settled: whoever has a case for them tells so and closes it.
    pub(crate) settle: Vec<Change>,
    /// These were settled before anybody was asked, which nobody need be told: their case goes, unless something was
    /// asked for.
    pub(crate) drop: Vec<Change>,
}

impl Follow {
    /// What `changes` do, which came in this order.
    pub(crate) fn of(changes: Vec<Change>) -> Self {
        let mut last: BTreeMap<(MerchantId, AttemptId), Change> = BTreeMap::new();
        for change in changes {
            let name = (change.merchant.clone(), change.attempt.clone());
            let from = last.get(&name).map(|earlier| earlier.from.clone());
            let change = Change {
                from: from.unwrap_or_else(|| change.from.clone()),
                ..change
            };
            last.insert(name, change);
        }
        let mut follow = Self::default();
        for change in last.into_values() {
            let to = State::from_name(&change.to);
            // An only attempt that waited for its customer, and was paid or not: what most of them come to.
            let plain = change.from == State::AwaitingCustomer.as_str() && change.attempt_no == 1;
            match to {
                Some(state) if is_open(state) => follow.open.push(change),
                Some(_) if plain => follow.drop.push(change),
                // A charge that was found out is looked at once: another attempt may have charged too.
                Some(state) if state.was_charged() => follow.open.push(change),
                Some(_) => follow.settle.push(change),
                // A state of a later release: its own processes know what to do.
                None => {}
            }
        }
        follow
    }
}
