//! Finding out what became of an attempt that may have charged.

use std::time::Duration;

use proto::v1;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::advice::{Advice, Questions, Step};
use super::attempt::subject;
use super::{After, Course, Failed, Target};
use crate::channels::{Channels, Found, Reversal};
use crate::conclusion::Doubt;
use crate::confirming::Waiting;
use crate::courier::{Delivered, Slot, Ticket};
use crate::port::Payroute;
use crate::submit::Submit;

/// "Never heard of it" is believed when it was said this often in a row: a request may still be on its way.
const NOT_FOUND: u32 = 3;

/// A reversal that is not answered is sent this often, with this pause.
const REVERSALS: u32 = 3;
const REVERSE_AGAIN: Duration = Duration::from_secs(2);

/// How many schedules are followed, one after the other. After that it is the compensation service's.
const SCHEDULES: usize = 2;

/// An attempt that is open.
pub(super) struct Settling {
    pub(super) submit: Submit,
    /// What was told of it last.
    pub(super) ticket: Ticket,
    /// Room for what is told of it.
    pub(super) slot: Slot,
    pub(super) message: v1::CustomerMessage,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    resolution: v1::Resolution,
    source: v1::ResolutionSource,
    code: String,
}

impl Finding {
    const fn query(resolution: v1::Resolution) -> Self {
        Self {
            resolution,
            source: v1::ResolutionSource::Query,
            code: String::new(),
        }
    }

    const fn reversal(resolution: v1::Resolution) -> Self {
        Self {
            resolution,
            source: v1::ResolutionSource::Reversal,
            code: String::new(),
        }
    }

    const fn doubt(&self) -> Doubt {
        match self.resolution {
            v1::Resolution::Succeeded | v1::Resolution::ReversalRefused | v1::Resolution::RefundFailed => {
                Doubt::Paid
            }
            v1::Resolution::Declined | v1::Resolution::NotProcessed => Doubt::NotPaid,
            v1::Resolution::Reversed | v1::Resolution::Closed | v1::Resolution::Refunded => Doubt::TakenBack,
            v1::Resolution::StillUnknown | v1::Resolution::Unspecified => Doubt::Open,
        }
    }
}

impl<P: Payroute, C: Channels> Course<P, C> {
    /// Asks until it is known what became of the attempt, tells Payroute, and says what follows.
    pub(super) async fn settle(
        &mut self,
        target: &Target,
        mut settling: Settling,
        mut questions: Questions,
    ) -> After {
        self.mark(Doubt::Open);
        self.say_open(&settling, &questions).await;
        for _ in 0..SCHEDULES {
            let schedule = self.desk.manner.schedule;
            let finding = self
                .find_out(&settling.submit, questions.clone().on(schedule))
                .await;
            self.mark(finding.doubt());
            let known_at = Instant::now();
            self.tell(&mut settling, &finding);
            if finding.resolution == v1::Resolution::Succeeded {
                return After::Over(self.paid());
            }
            let Advice { step, message } = self.told_so(target, &mut settling, &finding, known_at).await;
            let known = Failed {
                at: known_at,
                message,
            };
            match step {
                Step::Done => {
                    self.mark(Doubt::Paid);
                    return After::Over(self.paid());
                }
                Step::Query(further) => questions = further,
                Step::Switch => return After::Switch(known),
                Step::Ask | Step::Retry(..) => return After::Over(self.not_paid(known.message, false)),
                Step::Stop => return After::Over(self.not_paid(known.message, true)),
            }
            if self.desk.closing.is_cancelled() {
                break;
            }
        }
        After::Over(self.unsettled(settling.message))
    }

    async fn say_open(&self, settling: &Settling, questions: &Questions) {
        let waiting = if questions.for_the_customer {
            Waiting::ForTheCustomer
        } else {
            Waiting::ForTheProvider
        };
        self.open(waiting, settling.message.clone()).await;
    }

    fn mark(&mut self, doubt: Doubt) {
        if let Some(tried) = self.tried.last_mut() {
            tried.doubt = Some(doubt);
        }
    }

    /// Tells Payroute what was found out. The payment's next report waits for it.
    fn tell(&mut self, settling: &mut Settling, finding: &Finding) {
        let request = v1::ResolveAttemptRequest {
            resolution: finding.resolution.into(),
            source: finding.source.into(),
            code: finding.code.clone(),
            ..v1::ResolveAttemptRequest::default()
        };
        let slot = Some(Slot::clone(&settling.slot));
        let after = Some(settling.ticket.clone());
        let ticket = self
            .desk
            .courier
            .resolve(slot, subject(&settling.submit), request, after);
        if let Some(last) = self.told.last_mut() {
            *last = ticket.clone();
        }
        settling.ticket = ticket;
    }

    /// What follows, as the answer says; when it does not come in time, as the client judges by itself.
    async fn told_so(
        &self,
        target: &Target,
        settling: &mut Settling,
        finding: &Finding,
        known_at: Instant,
    ) -> Advice {
        let until = self.budget(known_at).hear_until();
        let delivered = settling.ticket.delivered_by(until).await;
        if let Some(Delivered::Resolve(answer)) = delivered.as_deref() {
            return Advice::of_resolve(answer, self.desk.clock.now());
        }
        let step = match finding.resolution {
            v1::Resolution::Succeeded | v1::Resolution::ReversalRefused | v1::Resolution::RefundFailed => {
                Step::Done
            }
            v1::Resolution::NotProcessed | v1::Resolution::Reversed
                if self.fallbacks(target).next().is_some() && self.told.len() < MOST_ATTEMPTS =>
            {
                Step::Switch
            }
            v1::Resolution::NotProcessed
            | v1::Resolution::Reversed
            | v1::Resolution::Declined
            | v1::Resolution::Refunded
            | v1::Resolution::Closed => Step::Ask,
            v1::Resolution::StillUnknown | v1::Resolution::Unspecified => Step::Query(Questions {
                waits: vec![LATER],
                reverse_after: None,
                for_the_customer: false,
            }),
        };
        let message = match step {
            Step::Query(_) => settling.message.clone(),
            _ => self.desk.judge.unavailable(&self.request.locale),
        };
        Advice { step, message }
    }

    /// Asks at the times of `questions`, and takes the attempt back when nobody could say and that is allowed.
    async fn find_out(&self, submit: &Submit, questions: Questions) -> Finding {
        let began = Instant::now();
        let closing = self.desk.closing.clone();
        let still_unknown = Finding::query(v1::Resolution::StillUnknown);
        let asked = async {
            if let Some(finding) = self.query(submit, began, &questions.waits).await {
                return finding;
            }
            match questions.reverse_after {
                Some(after) => {
                    sleep_until(began + after).await;
                    self.reverse(submit).await
                }
                None => still_unknown.clone(),
            }
        };
        tokio::select! {
            finding = asked => finding,
            () = closing.cancelled() => still_unknown.clone(),
        }
    }

    /// Asks the provider until it knows; `None` when it never did.
    async fn query(&self, submit: &Submit, began: Instant, waits: &[Duration]) -> Option<Finding> {
        let mut not_found = 0;
        for wait in waits {
            sleep_until(began + *wait).await;
            let found = timeout(submit.timeout, self.channels.query(submit)).await;
            let resolution = match found.unwrap_or(Found::Unclear) {
                Found::Paid => v1::Resolution::Succeeded,
                Found::NotProcessed => v1::Resolution::NotProcessed,
                Found::Closed => v1::Resolution::Closed,
                Found::Declined(code) => {
                    return Some(Finding {
                        code,
                        ..Finding::query(v1::Resolution::Declined)
                    });
                }
                Found::NotFound => {
                    not_found += 1;
                    if not_found < NOT_FOUND {
                        continue;
                    }
                    v1::Resolution::NotProcessed
                }
                Found::Processing | Found::Unclear => {
                    not_found = 0;
                    continue;
                }
                Found::Cannot => return None,
            };
            return Some(Finding::query(resolution));
        }
        None
    }

    /// Takes the attempt back: after this no money is held for it, and none will be.
    async fn reverse(&self, submit: &Submit) -> Finding {
        for nth in 0..REVERSALS {
            if nth > 0 {
                sleep(REVERSE_AGAIN).await;
            }
            let reversal = timeout(submit.timeout, self.channels.reverse(submit)).await;
            let resolution = match reversal.unwrap_or(Reversal::Unclear) {
                Reversal::Reversed => v1::Resolution::Reversed,
                Reversal::Closed => v1::Resolution::Closed,
                Reversal::Paid => v1::Resolution::Succeeded,
                Reversal::Cannot => break,
                Reversal::Unclear => continue,
            };
            return Finding::reversal(resolution);
        }
        Finding::reversal(v1::Resolution::StillUnknown)
    }
}

/// The attempts that a payment may have; the rule of the domain.
const MOST_ATTEMPTS: usize = 3;

/// When to ask again while no router says when.
const LATER: Duration = Duration::from_secs(30);
