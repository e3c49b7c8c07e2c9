//! What the domain says of a failure, in the words of the wire.

use domain::attempt::{NextStep, QueryPlan};
use domain::catalogue::{Catalogue, Certainty, Contact, Failure, Reason};
use proto::{time, v1};

/// What a failure means.
pub(crate) fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        reason: failure.reason.as_str().to_owned(),
        certainty: failure.certainty.as_str().to_owned(),
        side: failure.side.as_str().to_owned(),
        health_scope: failure.health_scope.as_str().to_owned(),
        known_code: failure.known,
    }
}

/// What to tell the customer of a failure.
pub(crate) fn message(
    catalogue: &Catalogue,
    failure: &Failure,
    provider: &str,
    locale: &str,
) -> v1::CustomerMessage {
    let message = catalogue.message(failure, provider, locale);
    v1::CustomerMessage {
        what: message.what.to_owned(),
        todo: message.todo.to_owned(),
        contact: match message.contact {
            Contact::Hotline(number) => number.to_owned(),
            Contact::Nobody | Contact::Merchant => String::new(),
        },
    }
}

/// What to tell the customer when only the reason and its certainty are known.
pub(crate) fn message_for(
    catalogue: &Catalogue,
    reason: Reason,
    certainty: Certainty,
    locale: &str,
) -> v1::CustomerMessage {
    let (what, todo) = catalogue.text(reason, certainty, locale);
    v1::CustomerMessage {
        what: what.to_owned(),
        todo: todo.to_owned(),
        contact: String::new(),
    }
}

/// What the caller does now; `same` is the channel of the attempt, `other` the one to switch to.
pub(crate) fn next_step(step: &NextStep, same: &str, other: Option<&str>) -> v1::NextStep {
    match step {
        NextStep::None => plain(v1::NextAction::None),
        NextStep::AskCustomer => plain(v1::NextAction::AskCustomer),
        NextStep::Stop => plain(v1::NextAction::Stop),
        NextStep::RetrySame { not_before, .. } => v1::NextStep {
            channel: same.to_owned(),
            not_before: Some(time::to_wire(*not_before)),
            ..plain(v1::NextAction::RetrySame)
        },
        NextStep::Switch => v1::NextStep {
            channel: other.unwrap_or_default().to_owned(),
            ..plain(v1::NextAction::Switch)
        },
        NextStep::QueryFirst(plan) => query(plan),
    }
}

/// Nothing but the action.
pub(crate) fn plain(action: v1::NextAction) -> v1::NextStep {
    v1::NextStep {
        action: action.into(),
        ..v1::NextStep::default()
    }
}

/// The provider's schedule.
pub(crate) fn query(plan: &QueryPlan) -> v1::NextStep {
    v1::NextStep {
        query_at: plan.query_at.iter().map(|at| time::to_wire(*at)).collect(),
        reverse_not_before: plan.reverse_not_before.map(time::to_wire),
        ..plain(v1::NextAction::QueryFirst)
    }
}
