//! What to do after a submit: as Payroute says, or as the client judges by itself while no router answers.

use std::sync::Arc;
use std::time::Duration;

use domain::attempt::{Limits, NextStep, ProviderProfile, QueryPlan, Situation, next_step};
use domain::catalogue::{Catalogue, Certainty, Contact, Failure, FailureKind, FailureReport, Reason};
use domain::channel::Capabilities;
use domain::payment::Stage;
use jiff::Timestamp;
use parking_lot::Mutex;
use proto::{time, v1};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::settings::Schedule;

/// The language of a payment that names none.
const DEFAULT_LOCALE: &str = "zh-CN";

/// What to do, and what to say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Advice {
    pub(super) step: Step,
    pub(super) message: v1::CustomerMessage,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is settled, and was paid.
    Done,
    /// Try the same channel once more, after this time. With the receipt that allows it.
    Retry(Duration, Vec<u8>),
    /// Find another channel.
    Switch,
    /// It may have charged, or the customer has to pay: ask at these times.
    Query(Questions),
    /// Let the customer act.
    Ask,
    /// Do not try again.
    Stop,
}

/// When to ask for an open outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Questions {
    /// How long from now to each question.
    pub(super) waits: Vec<Duration>,
    /// How long from now until it may be taken back; `None`: it is not.
    pub(super) reverse_after: Option<Duration>,
    /// Whether the customer has something to pay.
    pub(super) for_the_customer: bool,
}

/// The state in which the customer has something to pay.
const AWAITING_CUSTOMER: &str = "awaiting_customer";

impl Advice {
    /// What the answer to a report says.
    pub(super) fn of_report(answer: &v1::ReportOutcomeResponse, now: Timestamp) -> Self {
        let next = answer.next.clone().unwrap_or_default();
        Self {
            step: Step::of(&next, &answer.state, &answer.receipt, now),
            message: answer.customer_message.clone().unwrap_or_default(),
        }
    }

    /// What the answer to a resolution says.
    pub(super) fn of_resolve(answer: &v1::ResolveAttemptResponse, now: Timestamp) -> Self {
        let next = answer.next.clone().unwrap_or_default();
        Self {
            step: Step::of(&next, &answer.state, &answer.receipt, now),
            message: answer.customer_message.clone().unwrap_or_default(),
        }
    }
}

impl Step {
    fn of(next: &v1::NextStep, state: &str, receipt: &[u8], now: Timestamp) -> Self {
        let wait = |at: &prost_types::Timestamp| {
            let at = time::from_wire(at)?;
            // A time that has passed is now.
            Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
        };
        match next.action() {
            v1::NextAction::None => Self::Done,
            v1::NextAction::RetrySame => {
                let asked = next.not_before.as_ref().and_then(wait).unwrap_or_default();
                // Clocks differ; a retry never has to wait longer than this.
                let longest = Duration::from_millis(u64::from(Limits::default().retry_delay_max_ms));
                Self::Retry(asked.min(longest), receipt.to_vec())
            }
            v1::NextAction::Switch => Self::Switch,
            v1::NextAction::QueryFirst => Self::Query(Questions {
                waits: next.query_at.iter().filter_map(wait).collect(),
                reverse_after: next.reverse_not_before.as_ref().and_then(wait),
                for_the_customer: state == AWAITING_CUSTOMER,
            }),
            v1::NextAction::AskCustomer => Self::Ask,
            v1::NextAction::Stop | v1::NextAction::Unspecified => Self::Stop,
        }
    }
}

impl Questions {
    /// The same questions at the times of `schedule`.
    pub(super) fn on(self, schedule: Schedule) -> Self {
        match schedule {
            Schedule::Provider => self,
            Schedule::Every(pause, times) => Self {
                waits: (1..=times).map(|nth| pause.saturating_mul(nth)).collect(),
                reverse_after: self.reverse_after.map(|_| pause.saturating_mul(times)),
                ..self
            },
        }
    }

    fn of(plan: &QueryPlan, for_the_customer: bool, now: Timestamp) -> Self {
        let wait = |at: &Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        Self {
            waits: plan.query_at.iter().map(wait).collect(),
            reverse_after: plan.reverse_not_before.as_ref().map(wait),
            for_the_customer,
        }
    }
}

/// What the client knows of a failure that no router has judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'c> {
    pub(super) report: &'c v1::ReportOutcomeRequest,
    pub(super) request: &'c v1::RouteRequest,
    /// How many channels of this payment have been submitted to.
    pub(super) tried: usize,
    /// How many silent fallbacks of the last decision are left.
    pub(super) fallbacks: usize,
    /// How much of the time for the next submit has passed.
    pub(super) used_ms: u32,
    pub(super) now: Timestamp,
}

/// Judges failures by the catalogue that comes with this release, with the rule that the router goes by.
#[derive(Debug)]
pub(crate) struct Judge {
    catalogue: Arc<Catalogue>,
    rng: Mutex<StdRng>,
}

impl Judge {
    pub(crate) const fn new(catalogue: Arc<Catalogue>, rng: StdRng) -> Self {
        Self {
            catalogue,
            rng: Mutex::new(rng),
        }
    }

    /// A name that no other call has, by which routers know a repeated Route from that of another caller.
    pub(super) fn name_a_call(&self) -> String {
        format!("{:032x}", self.rng.lock().random::<u128>())
    }

    /// What to do after the failure of `case`. Never a retry: whether the channel deserves one, only a router knows.
    pub(super) fn advice(&self, case: &Case<'_>) -> Advice {
        let report = case.report;
        let provider = report.provider.as_str();
        let profile = ProviderProfile::of(provider);
        // Whether the channel takes attempts back is not known here; most can be asked.
        let capabilities = Capabilities {
            query: true,
            ..Capabilities::default()
        };
        let kind = match report.result() {
            v1::Result::Succeeded => {
                return Advice {
                    step: Step::Done,
                    message: v1::CustomerMessage::default(),
                };
            }
            v1::Result::AwaitingCustomer => {
                let plan = QueryPlan::for_waiting_customer(&profile, capabilities, case.now);
                return Advice {
                    step: Step::Query(Questions::of(&plan, true, case.now)),
                    message: v1::CustomerMessage::default(),
                };
            }
            v1::Result::Declined => FailureKind::Declined,
            v1::Result::Failed => FailureKind::Failed,
            v1::Result::TimedOut | v1::Result::Unspecified => FailureKind::TimedOut,
        };
        let failure = self.failure(case, kind);
        let situation = Situation {
            failure: &failure,
            attempt_no: u32::try_from(case.tried).unwrap_or(u32::MAX),
            retries_used: 0,
            silent_fallbacks: u32::try_from(case.fallbacks).unwrap_or(u32::MAX),
            budget_used_ms: case.used_ms,
            channel_healthy: false,
            earlier_settled: true,
            payment_open: true,
            profile,
            capabilities,
        };
        let step = next_step(&situation, &Limits::default(), case.now, &mut *self.rng.lock());
        Advice {
            step: match step {
                NextStep::None => Step::Done,
                NextStep::Switch => Step::Switch,
                NextStep::QueryFirst(plan) => Step::Query(Questions::of(&plan, false, case.now)),
                NextStep::RetrySame { .. } | NextStep::AskCustomer => Step::Ask,
                NextStep::Stop => Step::Stop,
            },
            message: self.message(&failure, provider, &case.request.locale),
        }
    }

    fn failure(&self, case: &Case<'_>, kind: FailureKind) -> Failure {
        let report = case.report;
        let stage = match case.request.stage() {
            v1::Stage::Prepare => Stage::Prepare,
            v1::Stage::Debit | v1::Stage::Unspecified => Stage::Debit,
        };
        self.catalogue.classify(&FailureReport {
            code: Some(&report.code),
            sub_code: Some(&report.sub_code),
            http_status: report.http_status.and_then(|status| u16::try_from(status).ok()),
            transport_event: Some(&report.transport_event),
            network_advice_code: Some(&report.network_advice_code),
            stage,
            artefact_delivered: report.artefact_delivered.unwrap_or(true),
            ..FailureReport::new(&report.provider, kind)
        })
    }

    fn message(&self, failure: &Failure, provider: &str, locale: &str) -> v1::CustomerMessage {
        let message = self.catalogue.message(failure, provider, given(locale));
        v1::CustomerMessage {
            what: message.what.to_owned(),
            todo: message.todo.to_owned(),
            contact: match message.contact {
                Contact::Hotline(number) => number.to_owned(),
                Contact::Nobody | Contact::Merchant => String::new(),
            },
        }
    }

    /// What to tell the customer while it is being confirmed.
    pub(super) fn confirming(&self, locale: &str) -> v1::CustomerMessage {
        self.text(Reason::ProviderTimeout, Certainty::Unknown, locale)
    }

    /// What to tell the customer when no channel takes the payment, and nothing was charged.
    pub(super) fn unavailable(&self, locale: &str) -> v1::CustomerMessage {
        self.text(Reason::ProviderUnavailable, Certainty::NotProcessed, locale)
    }

    fn text(&self, reason: Reason, certainty: Certainty, locale: &str) -> v1::CustomerMessage {
        let (what, todo) = self.catalogue.text(reason, certainty, given(locale));
        v1::CustomerMessage {
            what: what.to_owned(),
            todo: todo.to_owned(),
            contact: String::new(),
        }
    }
}

fn given(locale: &str) -> &str {
    if locale.is_empty() { DEFAULT_LOCALE } else { locale }
}
