//! A ledger in memory, for tests that make millions of payments: it passes the tests that every ledger passes, and keeps
//! nothing when it is dropped.

use std::collections::HashMap;

use domain::id::{AttemptId, MerchantId, PaymentId};
use domain::network_retry::Fingerprint;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::attempt::{AttemptRecord, Recorded, Resolution, Resolved, Transition};
use crate::decision::DecisionRecord;
use crate::error::LedgerError;
use crate::guard::{Book, Guarded, GuardedPayment, Guards, Leaf, Unreported};
use crate::payment::{Cursor, Page, PaymentRecord};
use crate::port::{Answer, Batch, Committed, Ledger};

type Payment = (MerchantId, PaymentId);

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    kept: Mutex<Kept>,
    shared: bool,
}

#[derive(Debug, Default)]
struct Kept {
    attempts: Vec<AttemptRecord>,
    by_name: HashMap<(MerchantId, AttemptId), usize>,
    by_payment: HashMap<Payment, Vec<usize>>,
    transitions: HashMap<Payment, Vec<Transition>>,
    decisions: HashMap<Payment, Vec<DecisionRecord>>,
    guards: HashMap<Payment, Leaf>,
    closed: bool,
}

impl MemoryLedger {
    /// One that routers share which come and go: no writer that ends closes it. It keeps no decisions, which are most of
    /// what there is to keep.
    #[must_use]
    pub fn shared() -> Self {
        Self {
            shared: true,
            ..Self::default()
        }
    }

    /// How many guarded payments have an attempt that may charge, or may have, and nobody can tell.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        let may_charge = |leaf: &&Leaf| {
            let mut attempts = leaf.kept().attempts.iter();
            attempts.any(|attempt| attempt.state.may_charge())
        };
        self.kept.lock().guards.values().filter(may_charge).count()
    }

    fn ask<'a, T: Send + 'a>(&self, answer: impl FnOnce(&mut Kept) -> T) -> Answer<'a, T> {
        let mut kept = self.kept.lock();
        let answer = if kept.closed {
            Err(LedgerError::Closed)
        } else {
            Ok(answer(&mut kept))
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Kept {
    fn commit(&mut self, batch: &Batch, without_decisions: bool) -> Committed {
        let recorded: Vec<Recorded> = batch
            .attempts
            .iter()
            .map(|attempt| self.record(attempt))
            .collect();
        let mut guarded = Vec::new();
        let resolutions = batch
            .resolutions
            .iter()
            .map(|resolution| self.resolve(resolution, &mut guarded))
            .collect();
        let mut book = Book::default();
        for name in Book::names(batch, &recorded, &guarded) {
            if let Some(leaf) = self.guards.remove(&name) {
                book.insert(name, leaf);
            }
        }
        let registrations = book.enter(batch, &recorded, &guarded);
        self.guards.extend(book.into_leaves());
        if !without_decisions {
            for decision in &batch.decisions {
                let payment = (decision.merchant().clone(), decision.payment().clone());
                let decisions = self.decisions.entry(payment).or_default();
                if decisions.iter().all(|kept| kept.id != decision.id) {
                    decisions.push(decision.clone());
                }
            }
        }
        Committed {
            attempts: recorded,
            resolutions,
            registrations,
            outbox: None,
        }
    }

    fn record(&mut self, attempt: &AttemptRecord) -> Recorded {
        let name = (attempt.merchant.clone(), attempt.attempt.clone());
        if let Some(kept) = self.by_name.get(&name).and_then(|at| self.attempts.get(*at)) {
            return if kept.digest == attempt.digest {
                Recorded::Duplicate(Box::new(kept.clone()))
            } else {
                Recorded::Conflict
            };
        }
        let at = self.attempts.len();
        let payment = (attempt.merchant.clone(), attempt.payment.clone());
        self.by_name.insert(name, at);
        self.by_payment.entry(payment).or_default().push(at);
        self.attempts.push(attempt.clone());
        Recorded::New
    }

    fn resolve(&mut self, of: &Resolution, guarded: &mut Vec<Guarded>) -> Resolved {
        let name = (of.merchant.clone(), of.attempt.clone());
        let at = self.by_name.get(&name).copied();
        let Some(attempt) = at.and_then(|at| self.attempts.get_mut(at)) else {
            return Resolved::UnknownAttempt;
        };
        if attempt.verdict.state != of.from_state {
            return Resolved::Stale {
                current: attempt.verdict.state.clone(),
            };
        }
        attempt.verdict.state.clone_from(&of.to_state);
        attempt.verdict.class = attempt.verdict.class.or(of.class);
        guarded.extend(Guarded::about(attempt, of));
        let payment = (attempt.merchant.clone(), attempt.payment.clone());
        let transition = Transition {
            attempt: of.attempt.clone(),
            from_state: of.from_state.clone(),
            to_state: of.to_state.clone(),
            source: of.source.clone(),
            content: of.content.clone(),
            at: of.at,
        };
        self.transitions.entry(payment).or_default().push(transition);
        Resolved::Applied
    }

    fn payment(&self, payment: &Payment) -> Option<PaymentRecord> {
        let places = self.by_payment.get(payment);
        let attempts = places
            .into_iter()
            .flatten()
            .filter_map(|at| self.attempts.get(*at));
        let mut record = PaymentRecord {
            decisions: self.decisions.get(payment).cloned().unwrap_or_default(),
            attempts: attempts.cloned().collect(),
            transitions: self.transitions.get(payment).cloned().unwrap_or_default(),
        };
        record
            .attempts
            .sort_by_key(|attempt| (attempt.attempt_no, attempt.received_at));
        record
            .decisions
            .sort_by_key(|decision| (decision.decided_at, decision.id));
        let known = !(record.decisions.is_empty() && record.attempts.is_empty());
        known.then_some(record)
    }

    fn page(&self, since: Timestamp, after: Option<Cursor>, limit: usize) -> Page {
        let after = after.unwrap_or(Cursor {
            received_at: since,
            seq: 0,
        });
        let numbered = (1_i64..).zip(&self.attempts);
        let mut found: Vec<_> = numbered
            .filter(|(seq, attempt)| {
                (attempt.received_at, *seq) > (after.received_at, after.seq)
                    && attempt.verdict.class.is_some()
            })
            .collect();
        found.sort_by_key(|(seq, attempt)| (attempt.received_at, *seq));
        found.truncate(limit);
        let last = found.last().filter(|_| found.len() == limit);
        Page {
            next: last.map(|(seq, attempt)| Cursor {
                received_at: attempt.received_at,
                seq: *seq,
            }),
            attempts: found.into_iter().map(|(_, attempt)| attempt.clone()).collect(),
        }
    }
}

impl Ledger for MemoryLedger {
    fn commit<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Committed> {
        self.ask(|kept| kept.commit(batch, self.shared))
    }

    fn attempt<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<AttemptRecord>> {
        let name = (merchant.clone(), attempt.clone());
        self.ask(|kept| {
            let at = kept.by_name.get(&name)?;
            kept.attempts.get(*at).cloned()
        })
    }

    fn payment<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<PaymentRecord>> {
        self.ask(|kept| kept.payment(&(merchant.clone(), payment.clone())))
    }

    fn outcomes_since(&self, since: Timestamp, after: Option<Cursor>, limit: u32) -> Answer<'_, Page> {
        self.ask(|kept| kept.page(since, after, usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    fn close(&self) -> Answer<'_, ()> {
        self.ask(|kept| kept.closed = !self.shared)
    }
}

impl Guards for MemoryLedger {
    fn guarded<'a>(
        &'a self,
        merchant: &'a MerchantId,
        payment: &'a PaymentId,
    ) -> Answer<'a, Option<GuardedPayment>> {
        let name = (merchant.clone(), payment.clone());
        self.ask(|kept| kept.guards.get(&name).cloned().map(Leaf::into_guarded))
    }

    fn unreported(&self, due: Timestamp, limit: u32) -> Answer<'_, Vec<Unreported>> {
        self.ask(|kept| {
            let mut found: Vec<Unreported> = Vec::new();
            for ((merchant, payment), leaf) in &kept.guards {
                let attempts = leaf.attempts().iter().map(|(attempt, _)| attempt);
                let waiting = attempts.filter(|attempt| {
                    attempt.state == domain::attempt::State::Submitted && attempt.due_at <= due
                });
                found.extend(waiting.map(|attempt| Unreported {
                    merchant: merchant.clone(),
                    payment: payment.clone(),
                    attempt: attempt.clone(),
                }));
            }
            found.sort_by_key(|found| found.attempt.due_at);
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            found
        })
    }

    fn tried<'a>(
        &'a self,
        (merchant, credential): (&'a MerchantId, &'a Fingerprint),
        since: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<AttemptRecord>> {
        self.ask(|kept| {
            let newest_first = kept.attempts.iter().rev();
            let mut found: Vec<_> = newest_first
                .filter(|attempt| attempt.merchant == *merchant)
                .filter(|attempt| {
                    attempt.credential.as_ref() == Some(credential) && attempt.received_at >= since
                })
                .cloned()
                .collect();
            found.sort_by_key(|attempt| std::cmp::Reverse(attempt.received_at));
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::Arc;

    use super::*;
    use crate::conformance::guards::Guarding;
    use crate::conformance::{conformance, guard_conformance};

    fn open_empty() -> Ready<(Arc<dyn Ledger>, ())> {
        ready((Arc::new(MemoryLedger::default()), ()))
    }

    fn open_guarding() -> Ready<(Arc<dyn Guarding>, ())> {
        ready((Arc::new(MemoryLedger::default()), ()))
    }

    conformance!(open_empty);

    guard_conformance!(open_guarding);
}
