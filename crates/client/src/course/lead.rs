//! Where a payment goes: the first Route, and what follows a failure.

use std::sync::Arc;
use std::time::Duration;

use proto::v1;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;

use super::{Course, Failed, Lead, Target};
use crate::channels::Channels;
use crate::conclusion::{Conclusion, OfferMethods, Paid};
use crate::confirming::Waiting;
use crate::error::PayError;
use crate::port::{Payroute, may_pass};

/// Pauses after all routers were asked in vain: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses between looks at the attempt of another caller.
const LOOK_AGAIN: [Duration; 8] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];

/// Why Route says stop to a payment that was paid.
const HALTED_PAID: &str = "paid";

impl<P: Payroute, C: Channels> Course<P, C> {
    /// The first Route.
    pub(super) async fn first_lead(&mut self) -> Result<Lead, PayError> {
        // Why it says stop matters when somebody else may have paid it.
        self.request.explain |= self.request.guard || !self.request.previous_attempts.is_empty();
        let until = Instant::now() + self.desk.manner.route_within;
        let mut is_known = false;
        for pause in LOOK_AGAIN.iter().map(Some).chain([None]) {
            let decision = self.route(until).await?;
            if decision.action() != v1::Action::WaitAndQuery {
                return Ok(self.lead(decision, &v1::CustomerMessage::default()));
            }
            let Some(pause) = pause.filter(|_| !self.absent.is_cancelled()) else {
                break;
            };
            if !is_known {
                let message = self.desk.judge.confirming(&self.request.locale);
                self.open(Waiting::ForAnotherCaller, message).await;
                is_known = true;
            }
            tokio::select! {
                () = sleep(*pause) => {}
                () = self.absent.cancelled() => break,
            }
        }
        let message = self.desk.judge.confirming(&self.request.locale);
        Ok(Lead::Over(self.unsettled(message)))
    }

    /// Routes until a router answers or refuses, or until it is over: one round is always made.
    async fn route(&self, until: Instant) -> Result<v1::RouteResponse, PayError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let status = match self.desk.payroute.route(&self.request).await {
                Ok(decision) => return Ok(decision),
                Err(status) if may_pass(&status) => status,
                Err(status) => return Err(PayError::Refused(status)),
            };
            if Instant::now() + pause > until {
                return Err(PayError::Unanswered(status));
            }
            if self.absent.is_cancelled() {
                return Err(PayError::Closed);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Where the payment goes on after a failure on `target`: as Route says, else to a fallback of the last decision.
    pub(super) async fn next_lead(&mut self, target: &Target, failed: &Failed) -> Lead {
        if self.absent.is_cancelled() {
            return Lead::Over(self.not_paid(failed.message.clone(), false));
        }
        let budget = self.budget(failed.at);
        match timeout_at(budget.decide_until(), self.route_again(target)).await {
            Ok(Ok(decision)) => self.lead(decision, &failed.message),
            Ok(Err(status)) => {
                let (code, message) = (status.code(), status.message());
                tracing::warn!(?code, "a payment was not routed again: {message}");
                Lead::Over(self.not_paid(failed.message.clone(), false))
            }
            Err(_) => self.fall_back(target, failed),
        }
    }

    /// To a fallback of the last decision, if one is left: its token is good for that channel as well.
    fn fall_back(&mut self, target: &Target, failed: &Failed) -> Lead {
        let choice = self.fallbacks(target).next().cloned();
        let Some(choice) = choice else {
            return Lead::Over(self.not_paid(failed.message.clone(), false));
        };
        let channel = &choice.channel_id;
        tracing::info!(
            channel,
            "no router answers in time: {channel} is taken, a fallback of the last decision"
        );
        Lead::Submit(Target {
            choice,
            ..target.clone()
        })
    }

    /// Routes the next attempt, with the proof of all that were made. Goes on until a router answers or refuses.
    async fn route_again(&mut self, target: &Target) -> Result<v1::RouteResponse, Status> {
        let mut receipts = self.request.previous_attempts.clone();
        for told in &mut self.told {
            let delivered = told.delivered().await;
            let receipt = delivered.receipt();
            receipts.push(
                receipt
                    .ok_or_else(|| Status::aborted("a report was refused"))?
                    .to_vec(),
            );
        }
        let mut exclude = self.request.exclude_channels.clone();
        for tried in &self.tried {
            if !exclude.contains(&tried.submit.channel_id) {
                exclude.push(tried.submit.channel_id.clone());
            }
        }
        let request = v1::RouteRequest {
            attempt_no: target.attempt_no + 1,
            previous_attempts: receipts,
            exclude_channels: exclude,
            ..self.request.clone()
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.desk.payroute.route(&request).await {
                Err(status) if may_pass(&status) => sleep(pause).await,
                answer => return answer,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The channels of the last decision that are left, best first. None for a guarded payment: its next attempt has to
    /// be registered before it is submitted.
    pub(super) fn fallbacks<'t>(&'t self, target: &'t Target) -> impl Iterator<Item = &'t v1::ChannelChoice> {
        let is_tried = |choice: &v1::ChannelChoice| {
            let mut tried = self.tried.iter();
            tried.any(|tried| tried.submit.channel_id == choice.channel_id)
        };
        let silent = target.decision.fallbacks.iter();
        let silent = silent.filter(|fallback| fallback.switch_kind() == v1::SwitchKind::Silent);
        silent
            .filter_map(|fallback| fallback.channel.as_ref())
            .filter(move |choice| !self.request.guard && !is_tried(choice))
    }

    fn lead(&mut self, decision: v1::RouteResponse, message: &v1::CustomerMessage) -> Lead {
        let message = || {
            if message.what.is_empty() {
                self.desk.judge.unavailable(&self.request.locale)
            } else {
                message.clone()
            }
        };
        match (decision.action(), &decision.channel) {
            (v1::Action::Submit, Some(choice)) => Lead::Submit(Target {
                choice: choice.clone(),
                attempt_no: self.next_attempt_no(),
                decision: Arc::new(decision),
            }),
            (v1::Action::OfferMethods, _) => Lead::Over(Conclusion::OfferMethods(OfferMethods {
                methods: decision.offer_methods,
                message: message(),
                tried: std::mem::take(&mut self.tried),
            })),
            // An earlier attempt of somebody else: nothing is submitted beside it.
            (v1::Action::WaitAndQuery, _) => {
                let message = self.desk.judge.confirming(&self.request.locale);
                Lead::Over(self.unsettled(message))
            }
            (v1::Action::Stop | v1::Action::Submit | v1::Action::Unspecified, _) => {
                let because = decision.explanation.map(|explanation| explanation.halted_because);
                if because.as_deref() == Some(HALTED_PAID) {
                    return Lead::Over(Conclusion::Paid(Paid {
                        submit: None,
                        tried: std::mem::take(&mut self.tried),
                    }));
                }
                let message = message();
                Lead::Over(self.not_paid(message, true))
            }
        }
    }
}
