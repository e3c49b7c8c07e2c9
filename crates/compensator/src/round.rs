//! One round of work: due cases are taken in hand, and each goes one step further.

use domain::attempt::payment::Order;
use domain::attempt::{Event, State};
use domain::compensation::{Facts, Next, is_open, next};
use jiff::{SignedDuration, Timestamp};
use ledger::LedgerError;
use ledger::attempt::{AttemptRecord, Resolution};
use ledger::compensation::{CaseRecord, Finish, Finished, Kept, Lease};
use ledger::delivery::NewDelivery;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dossier::Dossier;
use crate::event::{self, Draft};
use crate::{Compensator, metric};

/// How many cases are taken in hand at once.
const AT_ONCE: u32 = 32;

/// How long a case is in hand: far longer than a round takes, and as long as it waits when its process dies.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// When a case whose attempt cannot be found is looked at again.
const LOST_FOR: SignedDuration = SignedDuration::from_mins(10);

/// When a submit that was reported after all is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// Who changed an attempt, in its history.
const SOURCE: &str = "payroute";

/// What a case comes to in this step.
struct Step {
    kept: Option<Kept>,
    resolutions: Vec<Resolution>,
    next: Next,
}

impl Compensator {
    /// Works on due cases until there are none, or until `stop` is cancelled.
    pub(crate) async fn work(&mut self, stop: &CancellationToken) -> Result<(), LedgerError> {
        loop {
            let now = self.parts.clock.now();
            let lease = Lease {
                by: Uuid::now_v7(),
                now,
                until: now.checked_add(LEASE).unwrap_or(Timestamp::MAX),
                limit: AT_ONCE,
            };
            let cases = self.parts.cases.claim(&lease).await?;
            if cases.is_empty() {
                return Ok(());
            }
            self.channels.refresh().await?;
            for case in &cases {
                self.go_on(case, lease.by).await?;
            }
            if stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Goes one step further with `case`.
    async fn go_on(&self, case: &CaseRecord, leased_by: Uuid) -> Result<(), LedgerError> {
        let payment = self.parts.ledger.payment(&case.merchant, &case.payment).await?;
        let guarded = self.parts.guards.guarded(&case.merchant, &case.payment).await?;
        let order = guarded.map_or(Order::Open, |guarded| guarded.payment.kept().order);
        let now = self.parts.clock.now();
        let dossier = payment.as_ref().map(|payment| Dossier::of(payment, order));
        let attempt = dossier.as_ref().and_then(|it| it.attempt(&case.attempt));
        let step = match dossier.as_ref().zip(attempt) {
            Some((dossier, attempt)) => match dossier.reported_as(attempt) {
                Some(reported) => self.as_reported(case, (attempt, reported), now),
                None => self.step(case, (dossier, attempt), now),
            },
            None => lost(case, now),
        };
        let finish = Finish {
            merchant: case.merchant.clone(),
            attempt: case.attempt.clone(),
            leased_by,
            kept: step.kept,
            resolutions: step.resolutions,
            deliveries: attempt
                .and_then(|attempt| self.event(case, attempt, (step.next, step.kept), now))
                .into_iter()
                .collect(),
        };
        match self.parts.cases.finish(&finish).await? {
            Finished::Done => tell(case, step.next),
            // Somebody said something about it meanwhile: it is due again, and looked at as it is by then.
            Finished::Lost => tracing::debug!(attempt = %case.attempt, "a case changed while it was in hand"),
        }
        Ok(())
    }

    /// What is told of a step. Of an attempt that settled before anybody was asked, nothing: its caller knows.
    fn event(
        &self,
        record: &CaseRecord,
        attempt: &AttemptRecord,
        (next, kept): (Next, Option<Kept>),
        at: Timestamp,
    ) -> Option<NewDelivery> {
        let receiver = self.parts.receiver.as_deref()?;
        if next == Next::Settle && record.ask_count == 0 {
            return None;
        }
        let case = kept.map_or(record.case, |kept| kept.case);
        let asks = matches!(next, Next::Ask(_));
        let draft = Draft {
            receiver,
            attempt,
            case: &case,
            request: kept.and_then(|kept| kept.request).filter(|_| asks),
            at,
        };
        event::delivery(next, &draft, asks.then(|| self.parts.clerk.papers(attempt)))
    }

    fn step(
        &self,
        record: &CaseRecord,
        (dossier, attempt): (&Dossier<'_>, &AttemptRecord),
        now: Timestamp,
    ) -> Step {
        let (profile, capabilities) = self.channels.of(attempt);
        let mut case = record.case;
        // A router of an earlier release settles attempts and knows nothing of cases.
        if let Some(state) = State::from_name(&attempt.verdict.state)
            && state != case.state
        {
            case = case.moved(state, now);
        }
        let facts = Facts {
            profile,
            capabilities,
            duty: dossier.duty(&record.attempt),
        };
        let step = next(&case, &facts, now);
        let mut resolutions = Vec::new();
        let mut request = record.request;
        let after = match step {
            Next::Wait(_) | Next::Park => case,
            Next::Ask(what) => {
                request = Some(Uuid::now_v7());
                case.after_asking(what, now)
            }
            Next::Move(event, state) => {
                request = None;
                resolutions.push(self.change(attempt, state, because(event), now));
                case.moved(state, now)
            }
            Next::TellReview => {
                request = None;
                case.after_telling()
            }
            Next::Settle => {
                let others = dossier.others_to_refund(&record.attempt).into_iter();
                let refund = |it| self.change(it, State::RefundPending, because(Event::RefundOrdered), now);
                return Step {
                    kept: None,
                    resolutions: others.map(refund).collect(),
                    next: step,
                };
            }
        };
        Step {
            kept: Some(Kept {
                case: after,
                due_at: step.look_again_at(&after, &facts, now),
                request,
            }),
            resolutions,
            next: step,
        }
    }

    /// A submit that was reported after all: what stands for it follows the report, once that is settled. The customer
    /// was told of the report.
    fn as_reported(
        &self,
        case: &CaseRecord,
        (attempt, reported): (&AttemptRecord, &AttemptRecord),
        now: Timestamp,
    ) -> Step {
        let state = State::from_name(&reported.verdict.state).filter(|state| !is_open(*state));
        let Some(state) = state else {
            return wait(case, now.checked_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX));
        };
        let change = Resolution {
            notices: Vec::new(),
            ..self.change(attempt, state, "it was reported after all", now)
        };
        Step {
            kept: None,
            resolutions: vec![change],
            next: Next::Settle,
        }
    }

    /// The change of `attempt` into `to`, with what the customer is told of it.
    fn change(&self, attempt: &AttemptRecord, to: State, because: &'static str, at: Timestamp) -> Resolution {
        Resolution {
            merchant: attempt.merchant.clone(),
            attempt: attempt.attempt.clone(),
            from_state: attempt.verdict.state.clone(),
            to_state: to.as_str().to_owned(),
            class: None,
            source: SOURCE.to_owned(),
            content: serde_json::json!({ "because": because }),
            at,
            notices: self.parts.clerk.notices(attempt, to, at),
        }
    }
}

fn wait(case: &CaseRecord, until: Timestamp) -> Step {
    Step {
        kept: Some(Kept {
            case: case.case,
            due_at: Some(until),
            request: None,
        }),
        resolutions: Vec::new(),
        next: Next::Wait(until),
    }
}

/// A case whose attempt is not there: it is kept, and looked at now and then, for nothing is dropped.
fn lost(case: &CaseRecord, now: Timestamp) -> Step {
    tracing::error!(merchant = %case.merchant, attempt = %case.attempt, "the attempt of a case is not in the ledger");
    wait(case, now.checked_add(LOST_FOR).unwrap_or(Timestamp::MAX))
}

/// Why, for people who read the history.
const fn because(event: Event) -> &'static str {
    match event {
        Event::QueriesSpent => "no query was answered with certainty",
        Event::ReversalsSpent => "no reversal was answered, or the channel takes nothing back",
        Event::RefundOrdered => "the payment does not want this charge",
        Event::RefundsSpent => "no refund was answered",
        Event::Adopted => "the order is open and nothing else satisfied it",
        Event::Restarted => "it was never reported",
        Event::Said(..) => "its order could not be closed in time",
        Event::Submitted | Event::ReversalAccepted | Event::ReversalRefused | Event::RefundDone => {
            "it was said so"
        }
    }
}

fn tell(case: &CaseRecord, next: Next) {
    let (merchant, attempt) = (&case.merchant, &case.attempt);
    match next {
        Next::Ask(what) => {
            counter!(metric::REQUESTS, "action" => what.as_str()).increment(1);
            tracing::info!(%merchant, %attempt, "a {what} is asked for");
        }
        Next::TellReview => {
            counter!(metric::REVIEWS).increment(1);
            tracing::warn!(%merchant, %attempt, "an attempt needs review: `payroute ctl compensation list`");
        }
        Next::Settle => counter!(metric::SETTLED).increment(1),
        Next::Move(_, state) => tracing::info!(%merchant, %attempt, %state, "an attempt is {state} now"),
        Next::Wait(_) | Next::Park => {}
    }
}
