//! The compensation queue: a case for every attempt whose money is not settled.
//!
//! A case is opened in the transaction in which its attempt becomes open, and follows it in every transaction that
//! changes its state (`follow`), so there is no moment in which an attempt is open and nobody is bound to look at it.
//! Work is claimed by a lease and finished only by who holds it: what a process had in hand when it died is due again
//! when the lease ends. Whatever changes the attempt meanwhile takes the lease away, for what was planned is out of date.

mod follow;

use std::fmt;

use domain::attempt::State;
use domain::compensation::{Case, Cause};
use domain::control::Actor;
use domain::id::{AttemptId, ChannelId, MerchantId, PaymentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::attempt::{AttemptRecord, Resolution};
use crate::control::Draft;
use crate::delivery::NewDelivery;
use crate::port::Answer;

pub(crate) use follow::{Change, Follow, TWICE_WITHIN, openings, to_be_looked_at};

/// How the case of an attempt begins, as far as its reporter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Why there is a case.
    pub cause: Cause,
    /// When there is something to do about it.
    pub due_at: Timestamp,
}

/// A case as it is kept. Times are kept to the microsecond.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseRecord {
    /// Whose attempt it is.
    pub merchant: MerchantId,
    /// Which attempt.
    pub attempt: AttemptId,
    /// The payment it belongs to.
    pub payment: PaymentId,
    /// The channel it went to.
    pub channel: ChannelId,
    /// What was done about it so far.
    pub case: Case,
    /// How often anything was asked for.
    pub ask_count: u32,
    /// When to look at it; `None` while it waits for a person.
    pub due_at: Option<Timestamp>,
    /// The request that is out.
    pub request: Option<Uuid>,
}

/// Who takes cases in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who: a name for each round of work, so that a round that was lost is told from the next.
    pub by: Uuid,
    /// What is due by then.
    pub now: Timestamp,
    /// Until when they are in hand.
    pub until: Timestamp,
    /// How many at most.
    pub limit: u32,
}

/// What becomes of a case that was in hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// Whose attempt it is.
    pub merchant: MerchantId,
    /// Which attempt.
    pub attempt: AttemptId,
    /// Who has it in hand.
    pub leased_by: Uuid,
    /// What is kept of it from now on; `None`: it is closed.
    pub kept: Option<Kept>,
    /// Changes of attempts of the same payment, the case's own included, that belong to it.
    pub resolutions: Vec<Resolution>,
    /// What is told of it, beside the notices of its changes.
    pub deliveries: Vec<NewDelivery>,
}

/// What a person has decided of an attempt.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The change of the attempt.
    pub resolution: Resolution,
    /// Who decided.
    pub by: Actor,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// Its entry in the audit log, at the present `revision` of the configuration.
    pub(crate) fn draft(&self, revision: u64) -> Draft {
        let change = &self.resolution;
        let name = format!("attempt {} {}", change.merchant, change.attempt);
        Draft {
            at: change.at,
            actor: self.by.clone(),
            action: "settle_attempt",
            revision,
            before: json!({ name.as_str(): { "state": change.from_state } }).to_string(),
            after: json!({ name.as_str(): { "state": change.to_state, "because": self.reason } }).to_string(),
        }
    }
}

/// What changes attempts and their cases in one transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write<'w> {
    /// A step of the compensator.
    Finish(&'w Finish),
    /// A person's decision.
    Decide(&'w Decision),
}

impl Write<'_> {
    /// The changes of attempts.
    pub(crate) fn resolutions(&self) -> &[Resolution] {
        match self {
            Self::Finish(finish) => &finish.resolutions,
            Self::Decide(decision) => std::slice::from_ref(&decision.resolution),
        }
    }

    /// Whether the case of `change` follows it: that which a step has in hand is kept as the step says.
    pub(crate) fn moves(&self, change: &Change) -> bool {
        match self {
            Self::Finish(finish) => {
                (&change.merchant, &change.attempt) != (&finish.merchant, &finish.attempt)
            }
            Self::Decide(_) => true,
        }
    }

    /// All that is told with it, in an order that is the same for everybody: see [`Batch`](crate::port::Batch).
    pub(crate) fn told(&self) -> Vec<NewDelivery> {
        let own = match self {
            Self::Finish(finish) => finish.deliveries.as_slice(),
            Self::Decide(_) => &[],
        };
        let news = self.resolutions().iter().flat_map(|change| &change.notices);
        let mut told: Vec<NewDelivery> = own.iter().chain(news).cloned().collect();
        told.sort_by(|a, b| (&a.receiver, &a.dedup_key).cmp(&(&b.receiver, &b.dedup_key)));
        told
    }
}

/// What is kept of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// What was done about it.
    pub case: Case,
    /// When to look at it again; `None`: when a person or a notice says something.
    pub due_at: Option<Timestamp>,
    /// The request that is out from now on.
    pub request: Option<Uuid>,
}

/// Whether a case was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It was, with everything that belongs to it.
    Done,
    /// It is not in hand any more, or an attempt changed meanwhile or is not known; nothing was written.
    Lost,
}

/// Requests that are to be handed to somebody who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOut {
    /// Whose requests; `None`: everybody's.
    pub merchant: Option<MerchantId>,
    /// Now: what somebody else has until later is left out.
    pub now: Timestamp,
    /// Until when the listener has them.
    pub until: Timestamp,
    /// How many at most.
    pub limit: u32,
}

/// Which cases to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose; `None`: everybody's.
    pub merchant: Option<MerchantId>,
    /// In which state; `None`: in any.
    pub state: Option<State>,
    /// Those after this one, in their order.
    pub after: Option<Place>,
    /// How many at most.
    pub limit: u32,
}

/// A place in the list of cases, which goes from the oldest to the youngest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the case was opened.
    pub opened_at: Timestamp,
    /// Whose attempt it is.
    pub merchant: MerchantId,
    /// Which attempt.
    pub attempt: AttemptId,
}

/// How many cases there are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Why they are there.
    pub cause: Cause,
    /// The state of their attempts.
    pub state: State,
    /// How many.
    pub count: u64,
    /// When the oldest was opened.
    pub oldest: Timestamp,
}

/// The compensation queue of a ledger.
///
/// Every adapter passes the tests of the module `conformance::compensation`.
pub trait Cases: Send + Sync + fmt::Debug {
    /// Takes cases in hand that are due and that nobody has, those due longest first.
    ///
    /// # Errors
    /// When the store does not do it.
    fn claim<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Vec<CaseRecord>>;

    /// Writes what became of a case, and all that belongs to it, in one transaction.
    ///
    /// # Errors
    /// When the store does not take it; whether it was written is open then, and the lease ends by itself.
    fn finish<'a>(&'a self, finish: &'a Finish) -> Answer<'a, Finished>;

    /// Writes what a person decided, with its entry in the audit log and all that follows, in one transaction.
    ///
    /// # Errors
    /// When the store does not take it.
    fn decide<'a>(&'a self, decision: &'a Decision) -> Answer<'a, Finished>;

    /// Hands out requests that were not answered and that no listener has, those asked for longest first.
    ///
    /// # Errors
    /// When the store does not do it.
    fn hand_out<'a>(&'a self, to: &'a HandOut) -> Answer<'a, Vec<CaseRecord>>;

    /// Takes the request about an attempt back, as it was answered with nothing new. `is_over` says that nothing is to
    /// be done any more about an order that nobody can pay.
    ///
    /// # Errors
    /// When the store does not do it; the request is handed out again then.
    fn answered<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
        is_over: bool,
        at: Timestamp,
    ) -> Answer<'a, ()>;

    /// Opens a case for up to `limit` open attempts that arrived before `before` and have none, and says how many
    /// those were. There are none, unless an earlier release wrote them.
    ///
    /// # Errors
    /// When the store does not do it.
    fn sweep(&self, before: Timestamp, limit: u32) -> Answer<'_, u64>;

    /// Opens a case for up to `limit` attempts that arrived from `from` on and before `before` and satisfied their
    /// payment, though another submit did within the day before, and says how many those were. Of the submits that nobody
    /// registered before they were made, nothing else tells that there were two: a second click goes out as the same
    /// attempt, to another channel.
    ///
    /// # Errors
    /// When the store does not do it.
    fn sweep_charged_twice(&self, from: Timestamp, before: Timestamp, limit: u32) -> Answer<'_, u64>;

    /// The case of an attempt; `None` when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn case<'a>(&'a self, merchant: &'a MerchantId, attempt: &'a AttemptId)
    -> Answer<'a, Option<CaseRecord>>;

    /// Cases, from the oldest to the youngest.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<CaseRecord>>;

    /// How many cases there are, by cause and state.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn standing(&self) -> Answer<'_, Vec<Standing>>;
}

impl CaseRecord {
    /// The case that an attempt begins with.
    pub(crate) fn opened(attempt: &AttemptRecord, state: State, opening: Opening) -> Self {
        Self {
            merchant: attempt.merchant.clone(),
            attempt: attempt.attempt.clone(),
            payment: attempt.payment.clone(),
            channel: attempt.channel.clone(),
            case: Case::open(opening.cause, state, attempt.received_at),
            ask_count: 0,
            due_at: Some(opening.due_at),
            request: None,
        }
    }
}
