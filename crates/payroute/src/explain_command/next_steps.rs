//! What the router does after a failure, situation by situation: asked of the rules themselves.

use domain::attempt::{Limits, NextStep, OrderNumber, ProviderProfile, QueryPlan, Situation, next_step};
use domain::catalogue::{Catalogue, Code, Failure, FailureKind, FailureReport};
use domain::channel::Capabilities;
use domain::payment::Stage;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;

/// When the failure is noticed: only the time that passes from then is shown.
const NOTICED_AT: Timestamp = Timestamp::UNIX_EPOCH;

/// A channel that can do everything: what it cannot do is left out in the particular case.
const ABLE: Capabilities = Capabilities {
    idempotent: true,
    query: true,
    reversal: true,
    authorize: false,
};

/// What the router does in one situation.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// The situation.
    pub(super) situation: &'static str,
    /// The next step, as it is named on the wire.
    pub(super) action: &'static str,
    /// How.
    pub(super) how: String,
}

/// What the caller reports of an attempt that failed with `code`.
pub(super) fn report(code: &Code) -> FailureReport<'_> {
    FailureReport {
        code: Some(&code.code),
        ..FailureReport::new(&code.provider, FailureKind::Failed)
    }
}

/// What the router does after `code`: first in the plainest situation, then in each that makes it do something else.
pub(super) fn steps(catalogue: &Catalogue, code: &Code) -> Vec<Step> {
    let failure = catalogue.classify(&report(code));
    let plain = plainest(&failure, catalogue.profile(&code.provider));
    let first = step("the first attempt failed; another channel is left", &plain);
    let others = [
        (
            "it was retried on the channel already",
            Situation {
                retries_used: 1,
                ..plain
            },
        ),
        (
            "the channel is in trouble",
            Situation {
                channel_healthy: false,
                ..plain
            },
        ),
        (
            "no other channel is left",
            Situation {
                retries_used: 1,
                silent_fallbacks: 0,
                ..plain
            },
        ),
        (
            "it was the last attempt",
            Situation {
                attempt_no: Limits::default().max_attempts,
                ..plain
            },
        ),
        (
            "an earlier attempt may have charged",
            Situation {
                earlier_settled: false,
                ..plain
            },
        ),
        (
            "the order was cancelled, or is past its deadline",
            Situation {
                payment_open: false,
                ..plain
            },
        ),
    ];
    let others = others.map(|(name, situation)| step(name, &situation));
    let mut steps: Vec<Step> = others
        .into_iter()
        .filter(|other| other.action != first.action)
        .collect();
    steps.insert(0, first);
    let prepared = catalogue.classify(&FailureReport {
        stage: Stage::Prepare,
        ..report(code)
    });
    if prepared.certainty != failure.certainty {
        let situation = plainest(&prepared, catalogue.profile(&code.provider));
        steps.push(step(
            "the call only prepared a payment, and the customer got nothing to pay",
            &situation,
        ));
    }
    steps
}

/// The first attempt failed on a healthy channel, and there are others.
fn plainest(failure: &Failure, profile: ProviderProfile) -> Situation<'_> {
    Situation {
        failure,
        attempt_no: 1,
        retries_used: 0,
        silent_fallbacks: 1,
        budget_used_ms: 0,
        channel_healthy: true,
        earlier_settled: true,
        payment_open: true,
        profile,
        capabilities: ABLE,
    }
}

fn step(name: &'static str, situation: &Situation<'_>) -> Step {
    let limits = Limits::default();
    // The wait before a retry is drawn; it is told as a range, so any seed will do.
    let next = next_step(situation, &limits, NOTICED_AT, &mut StdRng::seed_from_u64(0));
    Step {
        situation: name,
        action: next.as_str(),
        how: how(&next, &limits),
    }
}

fn how(next: &NextStep, limits: &Limits) -> String {
    match next {
        NextStep::None => String::new(),
        NextStep::RetrySame { order_number, .. } => {
            let number = match order_number {
                OrderNumber::Same => "the same order number",
                OrderNumber::New => "a new order number",
            };
            format!(
                "once, on the same channel, after {} to {} ms, with {number}",
                limits.retry_delay_min_ms, limits.retry_delay_max_ms
            )
        }
        NextStep::Switch => format!("the next channel starts within {} ms", limits.budget_ms),
        NextStep::QueryFirst(plan) => schedule(plan),
        NextStep::AskCustomer => "the customer reads the message and is offered other ways to pay".to_owned(),
        NextStep::Stop => "nothing more is tried".to_owned(),
    }
}

/// `queries after 5, 15, 25 s; taken back after 25 s`.
fn schedule(plan: &QueryPlan) -> String {
    let after = |at: &Timestamp| {
        let ms = at.duration_since(NOTICED_AT).as_millis();
        if ms % 1_000 == 0 {
            (ms / 1_000).to_string()
        } else {
            format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
        }
    };
    let queries: Vec<String> = plan.query_at.iter().map(after).collect();
    let reversal = plan.reverse_not_before.as_ref().map_or_else(String::new, |at| {
        format!("; taken back after {} s if nothing is known then", after(at))
    });
    format!("the result is asked for after {} s{reversal}", queries.join(", "))
}
