//! The guarded payments of one transaction: locked, judged one after the other, and written back.

use std::collections::BTreeMap;

use domain::attempt::payment::{Blocked, Kept, Made, Payment, Slot, Submit};
use domain::attempt::{Claim, Event, Source, State};
use domain::id::{MerchantId, PaymentId};
use domain::money::Money;
use jiff::Timestamp;
use tracing::warn;

use super::{GuardedAttempt, GuardedPayment, Registered, Registration};
use crate::attempt::{AttemptRecord, Recorded, Resolution};
use crate::port::Batch;

/// What a payment is told by.
pub(crate) type Name = (MerchantId, PaymentId);

/// Whether a row has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It is in the store as it is here.
    No,
    /// It is in the store, and differs.
    Yes,
    /// It is not in the store.
    New,
}

/// One payment.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    payment: Payment,
    attempts: Vec<(GuardedAttempt, Changed)>,
    registered_at: Timestamp,
    changed: Changed,
}

/// The payments of a transaction, in the order in which they are locked.
#[derive(Debug, Default)]
pub(crate) struct Book {
    leaves: BTreeMap<Name, Leaf>,
}

impl Leaf {
    /// A payment as it was read. Its attempts come in the order in which they were registered.
    pub(crate) fn read(kept: &Kept, registered_at: Timestamp, attempts: Vec<GuardedAttempt>) -> Self {
        let kept = Kept {
            money: kept.money,
            order: kept.order,
            expires_at: kept.expires_at,
            attempts: attempts.iter().map(made).collect(),
            satisfied_by: kept.satisfied_by,
        };
        Self {
            payment: Payment::restore(kept),
            attempts: attempts
                .into_iter()
                .map(|attempt| (attempt, Changed::No))
                .collect(),
            registered_at,
            changed: Changed::No,
        }
    }

    fn new(money: Money, registered_at: Timestamp) -> Self {
        Self {
            payment: Payment::new(money),
            attempts: Vec::new(),
            registered_at,
            changed: Changed::New,
        }
    }

    /// What is written down of it, its attempts aside.
    pub(crate) const fn kept(&self) -> &Kept {
        self.payment.kept()
    }

    /// When it was first heard of.
    pub(crate) const fn registered_at(&self) -> Timestamp {
        self.registered_at
    }

    /// Whether it has to be written.
    pub(crate) const fn changed(&self) -> Changed {
        self.changed
    }

    /// Its attempts, each with whether it has to be written.
    pub(crate) fn attempts(&self) -> &[(GuardedAttempt, Changed)] {
        &self.attempts
    }

    /// What callers see of it.
    pub(crate) fn into_guarded(self) -> GuardedPayment {
        GuardedPayment {
            payment: self.payment,
            attempts: self.attempts.into_iter().map(|(attempt, _)| attempt).collect(),
        }
    }

    fn find(&self, slot: Slot) -> Option<&GuardedAttempt> {
        let mut attempts = self.attempts.iter();
        attempts
            .find(|(attempt, _)| attempt.slot == slot)
            .map(|(attempt, _)| attempt)
    }

    fn register(&mut self, of: &Registration) -> Registered {
        let registered = self.kept().money;
        if registered != of.money {
            return Registered::OtherMoney { registered };
        }
        // The same submit is known by its slot: where it goes was decided when it was registered.
        if let Some(attempt) = self.find(of.slot) {
            return Registered::Again(attempt.clone());
        }
        if let Some(at) = of.expires_at {
            self.change(|payment| payment.expires(at));
        }
        self.pass(of.at);
        match self.payment.register(of.slot, &of.channel, of.most) {
            Ok(_) => {
                self.add(of.clone().into());
                Registered::New
            }
            Err(why) => {
                let by = standing_in_the_way(&why)
                    .and_then(|slot| self.find(slot))
                    .cloned();
                Registered::Blocked { why, by }
            }
        }
    }

    /// Lets the time be `now`.
    fn pass(&mut self, now: Timestamp) {
        self.change(|payment| payment.pass(now));
    }

    fn change(&mut self, change: impl FnOnce(&mut Payment)) {
        let (order, expires_at) = (self.kept().order, self.kept().expires_at);
        change(&mut self.payment);
        if (order, expires_at) != (self.kept().order, self.kept().expires_at) {
            self.changed = written(self.changed);
        }
    }

    /// Lets `event` happen to a submit.
    fn apply(&mut self, slot: Slot, event: Event) {
        let satisfied_by = self.kept().satisfied_by;
        match self.payment.apply(slot, event) {
            Ok(state) => {
                let mut attempts = self.attempts.iter_mut();
                if let Some((attempt, changed)) = attempts.find(|(attempt, _)| attempt.slot == slot)
                    && attempt.state != state
                {
                    attempt.state = state;
                    *changed = written(*changed);
                }
                if self.kept().satisfied_by != satisfied_by {
                    self.changed = written(self.changed);
                }
            }
            // What is known stays: a success is not undone by an older word.
            Err(problem) => warn!(%problem, "the guard keeps what it knows: {problem}"),
        }
    }

    /// A submit that nobody registered happened all the same: its payment is blocked by it from now on.
    fn admit(&mut self, attempt: GuardedAttempt) {
        let kept = self.kept();
        let mut attempts = kept.attempts.clone();
        attempts.push(made(&attempt));
        self.payment = Payment::restore(Kept {
            attempts,
            ..kept.clone()
        });
        self.add(attempt);
    }

    fn add(&mut self, attempt: GuardedAttempt) {
        self.attempts.push((attempt, Changed::New));
    }
}

impl Book {
    /// The payments that a transaction is to lock, each once and in order.
    pub(crate) fn names(batch: &Batch, recorded: &[Recorded], resolved: &[Guarded]) -> Vec<Name> {
        let registrations = batch.registrations.iter();
        let mut names: Vec<Name> = registrations
            .map(|of| (of.merchant.clone(), of.payment.clone()))
            .collect();
        names.extend(reports(batch, recorded).map(|(of, _)| (of.merchant.clone(), of.payment.clone())));
        names.extend(resolved.iter().map(|of| of.name.clone()));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Keeps a payment that was read.
    pub(crate) fn insert(&mut self, name: Name, leaf: Leaf) {
        self.leaves.insert(name, leaf);
    }

    /// Takes in what a transaction says of its payments, in the order: reports, findings, registrations.
    pub(crate) fn enter(
        &mut self,
        batch: &Batch,
        recorded: &[Recorded],
        resolved: &[Guarded],
    ) -> Vec<Registered> {
        for (report, submit) in reports(batch, recorded) {
            self.report(report, submit);
        }
        for guarded in resolved {
            if let Some(leaf) = self.leaves.get_mut(&guarded.name)
                && let Some(event) = guarded.event
            {
                leaf.pass(guarded.at);
                leaf.apply(guarded.slot, event);
            }
        }
        batch
            .registrations
            .iter()
            .map(|registration| self.register(registration))
            .collect()
    }

    /// The payment of that name, when it was read.
    pub(crate) fn take(mut self, name: &Name) -> Option<Leaf> {
        self.leaves.remove(name)
    }

    /// The payments, as they are after what was taken in.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn into_leaves(self) -> impl Iterator<Item = (Name, Leaf)> {
        self.leaves.into_iter()
    }

    /// The payments, in order.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (&Name, &Leaf)> {
        self.leaves.iter()
    }

    fn register(&mut self, of: &Registration) -> Registered {
        let name = (of.merchant.clone(), of.payment.clone());
        if let Some(leaf) = self.leaves.get_mut(&name) {
            return leaf.register(of);
        }
        let mut leaf = Leaf::new(of.money, of.at);
        let registered = leaf.register(of);
        // A payment of which nothing could be registered is not one that is guarded.
        if registered == Registered::New {
            self.leaves.insert(name, leaf);
        }
        registered
    }

    fn report(&mut self, report: &AttemptRecord, submit: Submit) {
        let Some(claim) = claim(&report.verdict.state) else {
            return;
        };
        let name = (report.merchant.clone(), report.payment.clone());
        let leaf = self
            .leaves
            .entry(name)
            .or_insert_with(|| Leaf::new(report.amount, report.received_at));
        let slot = Slot {
            attempt_no: report.attempt_no,
            submit,
        };
        if leaf.find(slot).is_none() {
            leaf.admit(GuardedAttempt {
                slot,
                channel: report.channel.clone(),
                state: State::Submitted,
                request: None,
                decision: Vec::new(),
                registered_at: report.received_at,
                due_at: report.received_at,
            });
        }
        leaf.pass(report.received_at);
        leaf.apply(slot, Event::Said(claim, Source::Reply));
    }
}

/// A finding about a guarded attempt.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    name: Name,
    slot: Slot,
    event: Option<Event>,
    at: Timestamp,
}

impl Guarded {
    /// What an applied `resolution` says of the payment of `attempt`; `None` when that is not guarded.
    pub(crate) fn about(attempt: &AttemptRecord, resolution: &Resolution) -> Option<Self> {
        let slot = Slot {
            attempt_no: attempt.attempt_no,
            submit: attempt.submit?,
        };
        let name = (attempt.merchant.clone(), attempt.payment.clone());
        Some(Self::of(resolution, name, slot))
    }

    /// What an applied `resolution` says of the payment `name`, whose attempt was the submit `slot`.
    pub(crate) fn of(resolution: &Resolution, name: Name, slot: Slot) -> Self {
        Self {
            name,
            slot,
            event: event(resolution),
            at: resolution.at,
        }
    }
}

impl From<Registration> for GuardedAttempt {
    fn from(of: Registration) -> Self {
        Self {
            slot: of.slot,
            channel: of.channel,
            state: State::Submitted,
            request: of.request,
            decision: of.decision,
            registered_at: of.at,
            due_at: of.due_at,
        }
    }
}

/// The reports of guarded attempts that are new.
fn reports<'b>(
    batch: &'b Batch,
    recorded: &'b [Recorded],
) -> impl Iterator<Item = (&'b AttemptRecord, Submit)> {
    let recorded = batch.attempts.iter().zip(recorded);
    recorded.filter_map(|(attempt, recorded)| {
        let submit = attempt.submit.filter(|_| *recorded == Recorded::New)?;
        Some((attempt, submit))
    })
}

fn made(attempt: &GuardedAttempt) -> Made {
    Made {
        slot: attempt.slot,
        channel: attempt.channel.clone(),
        state: attempt.state,
        charged: None,
    }
}

const fn written(before: Changed) -> Changed {
    match before {
        Changed::New => Changed::New,
        Changed::No | Changed::Yes => Changed::Yes,
    }
}

const fn standing_in_the_way(why: &Blocked) -> Option<Slot> {
    match why {
        Blocked::Unsettled { slot, .. } | Blocked::Paid { slot } => Some(*slot),
        Blocked::OrderOver | Blocked::Taken { .. } | Blocked::NotRetriable { .. } | Blocked::Spent { .. } => {
            None
        }
    }
}

/// What the state that a report led to says of the money. A state that no release of ours reports says nothing, and
/// leaves the payment blocked.
fn claim(state: &str) -> Option<Claim> {
    match State::from_name(state)? {
        State::Succeeded | State::ConfirmedSucceeded | State::LateSuccess => Some(Claim::Paid),
        State::Declined => Some(Claim::Declined),
        State::FailedNotProcessed => Some(Claim::NotProcessed),
        State::Closed => Some(Claim::Closed),
        State::AwaitingCustomer => Some(Claim::AwaitingCustomer),
        State::Unknown => Some(Claim::Unclear),
        State::Created
        | State::Submitted
        | State::ReversalPending
        | State::NeedsReview
        | State::Reversed
        | State::RefundPending
        | State::RefundNeedsReview
        | State::Refunded => None,
    }
}

/// What happened to an attempt, by the state that it led to and whose word it was.
fn event(resolution: &Resolution) -> Option<Event> {
    let from = State::from_name(&resolution.from_state);
    let source = match resolution.source.as_str() {
        // The answer to a reversal is an answer to a question of ours.
        "reversal" => Source::Query,
        source => Source::from_name(source).unwrap_or(Source::Payroute),
    };
    let said = |claim| Event::Said(claim, source);
    Some(match State::from_name(&resolution.to_state)? {
        State::Succeeded if from == Some(State::LateSuccess) => Event::Adopted,
        State::Succeeded | State::ConfirmedSucceeded | State::LateSuccess => said(Claim::Paid),
        State::Declined => said(Claim::Declined),
        State::FailedNotProcessed => said(Claim::NotProcessed),
        State::Closed => said(Claim::Closed),
        State::AwaitingCustomer => said(Claim::AwaitingCustomer),
        State::Unknown => said(Claim::Unclear),
        State::ReversalPending => Event::QueriesSpent,
        State::NeedsReview => Event::ReversalsSpent,
        State::Reversed => Event::ReversalAccepted,
        State::RefundPending => Event::RefundOrdered,
        State::Refunded => Event::RefundDone,
        State::RefundNeedsReview => Event::RefundsSpent,
        State::Created | State::Submitted => return None,
    })
}
