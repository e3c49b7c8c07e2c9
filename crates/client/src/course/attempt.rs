//! One attempt: submitted, told, and tried once more where that is the advice.

use std::time::Duration;

use proto::v1;
use tokio::time::{Instant, sleep, timeout};

use super::advice::{Advice, Case, Questions, Step};
use super::settle::Settling;
use super::{After, Course, Failed, Target};
use crate::channels::Channels;
use crate::conclusion::Tried;
use crate::courier::{Delivered, Slot, Ticket};
use crate::error::PayError;
use crate::observer::Subject;
use crate::port::{Payroute, reason};
use crate::submit::{Origin, Submit, Submitted};

/// The shortest wait before the same channel is tried once more.
const SHORTEST_RETRY: Duration = Duration::from_millis(50);

/// How an attempt ended, and who was told.
struct Ended {
    submit: Submit,
    report: v1::ReportOutcomeRequest,
    ticket: Ticket,
    known_at: Instant,
}

impl<P: Payroute, C: Channels> Course<P, C> {
    /// Submits to `target`, after what `failed` before, and does what that channel still needs.
    pub(super) async fn attempt(
        &mut self,
        target: &Target,
        failed: Option<&Failed>,
    ) -> Result<After, PayError> {
        let slot = match self.desk.courier.room() {
            Ok(slot) => slot,
            Err(error) => return self.not_begun(error, failed),
        };
        let mut failed = failed.cloned();
        let mut retry_of = None;
        loop {
            let ended = match self.submit(target, &slot, retry_of.take(), failed.as_ref()).await {
                Ok(Some(ended)) => ended,
                Ok(None) => {
                    let message = failed.map(|failed| failed.message).unwrap_or_default();
                    return Ok(After::Over(self.not_paid(message, false)));
                }
                Err(error) => return self.not_begun(error, failed.as_ref()),
            };
            if ended.report.result() == v1::Result::Succeeded {
                return Ok(After::Over(self.paid()));
            }
            let Advice { step, message } = self.advice(target, &ended).await?;
            let known = Failed {
                at: ended.known_at,
                message,
            };
            match step {
                Step::Done => return Ok(After::Over(self.paid())),
                Step::Retry(wait, receipt) => {
                    let left = self.budget(known.at).left(Instant::now());
                    if left < SHORTEST_RETRY {
                        return Ok(After::Switch(known));
                    }
                    sleep(wait.min(left)).await;
                    // It is the same channel again, and its last report is the one that counts.
                    self.told.pop();
                    retry_of = Some(receipt);
                    failed = Some(known);
                }
                Step::Switch => return Ok(After::Switch(known)),
                Step::Query(questions) => {
                    return Ok(self
                        .settled(target, slot, ended, (questions, known.message))
                        .await);
                }
                Step::Ask => return Ok(After::Over(self.not_paid(known.message, false))),
                Step::Stop => return Ok(After::Over(self.not_paid(known.message, true))),
            }
        }
    }

    /// The conclusion when an attempt could not be begun: an error when it was the first.
    fn not_begun(&mut self, error: PayError, failed: Option<&Failed>) -> Result<After, PayError> {
        let Some(failed) = failed else {
            return Err(error);
        };
        tracing::warn!(%error, "a payment is not tried again: {error}");
        Ok(After::Over(self.not_paid(failed.message.clone(), false)))
    }

    /// One submit; `None` when it is too late for it, or nobody waits any more.
    async fn submit(
        &mut self,
        target: &Target,
        slot: &Slot,
        retry_of: Option<Vec<u8>>,
        failed: Option<&Failed>,
    ) -> Result<Option<Ended>, PayError> {
        let submit = self.submit_to(target, retry_of.is_some());
        let token = &target.decision.decision_token;
        let origin = Origin::begin(token, retry_of.unwrap_or_default(), &*self.desk.clock);
        let unknown = origin.unknown(&submit);
        let courier = self.desk.courier.clone();
        let underway = courier.begin(slot.clone(), subject(&submit), unknown).await?;
        let began = Instant::now();
        let in_time = failed.is_none_or(|failed| self.budget(failed.at).is_left(began));
        if !in_time || self.absent.is_cancelled() {
            underway.withdraw().await;
            return Ok(None);
        }
        let underway = underway.after(self.told.last().cloned());
        self.tried.push(Tried {
            submit: submit.clone(),
            failover: failed.map(|failed| began.saturating_duration_since(failed.at)),
            doubt: None,
        });
        let submitted = timeout(submit.timeout, self.channels.submit(&submit)).await;
        let submitted = submitted.unwrap_or_else(|_| Submitted::timed_out());
        let known_at = Instant::now();
        let report = origin.report(&submit, submitted, known_at.saturating_duration_since(began));
        let Some(ticket) = underway.end(report.clone()) else {
            return Ok(None);
        };
        self.told.push(ticket.clone());
        Ok(Some(Ended {
            submit,
            report,
            ticket,
            known_at,
        }))
    }

    fn submit_to(&self, target: &Target, is_retry: bool) -> Submit {
        let choice = &target.choice;
        let nth = if is_retry { 2 } else { 1 };
        Submit {
            merchant_id: self.request.merchant_id.clone(),
            payment_id: self.request.payment_id.clone(),
            channel_id: choice.channel_id.clone(),
            account: choice.account.clone(),
            attempt_key: choice.attempt_key.clone(),
            attempt_id: format!("{}-{nth}", choice.attempt_key),
            attempt_no: target.attempt_no,
            is_retry,
            timeout: Duration::from_millis(u64::from(choice.timeout_ms)),
        }
    }

    /// Which attempt the next Route would be for.
    pub(super) fn next_attempt_no(&self) -> u32 {
        let channels = u32::try_from(self.told.len()).unwrap_or(u32::MAX);
        self.request.attempt_no.saturating_add(channels)
    }

    /// What to do after a failed attempt. The answer to its report says so; when it does not come in time, the client
    /// judges by itself.
    async fn advice(&self, target: &Target, ended: &Ended) -> Result<Advice, PayError> {
        let budget = self.budget(ended.known_at);
        let mut ticket = ended.ticket.clone();
        let answer = ticket.delivered_by(budget.hear_until()).await;
        if let Some(answer) = answer {
            return self.advised(&answer, target, ended);
        }
        let own = self.own_advice(target, ended);
        if own.step == Step::Switch {
            return Ok(own);
        }
        // Nothing would be done meanwhile, so the answer has all the time that there is.
        match ticket.delivered_by(budget.decide_until()).await {
            Some(answer) => self.advised(&answer, target, ended),
            None => Ok(own),
        }
    }

    fn advised(&self, answer: &Delivered, target: &Target, ended: &Ended) -> Result<Advice, PayError> {
        match answer {
            Delivered::Report(answer) => Ok(Advice::of_report(answer, self.desk.clock.now())),
            Delivered::Refused(status) if reason(status) == "ATTEMPT_CONFLICT" => Err(PayError::Conflict {
                attempt_id: ended.submit.attempt_id.clone(),
            }),
            Delivered::Refused(_) | Delivered::GivenUp | Delivered::Resolve(_) => {
                Ok(self.own_advice(target, ended))
            }
        }
    }

    fn own_advice(&self, target: &Target, ended: &Ended) -> Advice {
        self.desk.judge.advice(&Case {
            report: &ended.report,
            request: &self.request,
            tried: self.told.len(),
            fallbacks: self.fallbacks(target).count(),
            used_ms: self.budget(ended.known_at).used_ms(Instant::now()),
            now: self.desk.clock.now(),
        })
    }

    async fn settled(
        &mut self,
        target: &Target,
        slot: Slot,
        ended: Ended,
        (questions, message): (Questions, v1::CustomerMessage),
    ) -> After {
        let settling = Settling {
            submit: ended.submit,
            ticket: ended.ticket,
            slot,
            message,
        };
        self.settle(target, settling, questions).await
    }
}

/// Whose outcome it is.
pub(super) fn subject(submit: &Submit) -> Subject {
    Subject {
        merchant_id: submit.merchant_id.clone(),
        payment_id: submit.payment_id.clone(),
        attempt_id: submit.attempt_id.clone(),
        channel_id: submit.channel_id.clone(),
    }
}
