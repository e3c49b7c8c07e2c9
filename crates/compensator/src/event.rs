//! What is told of a case: the events for the merchant's integration.

use domain::attempt::State;
use domain::compensation::{Ask, Case, Next};
use domain::id::AccountId;
use jiff::Timestamp;
use ledger::attempt::AttemptRecord;
use ledger::delivery::{Class, NewDelivery};
use serde_json::{Value, json};
use uuid::Uuid;

/// What a request carries besides its attempt. Whoever has the keys of receipts makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Papers {
    /// The key that the attempt was submitted with.
    pub attempt_key: String,
    /// The receipt for `ResolveAttempt`, in base64.
    pub receipt: String,
}

/// An event to be written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'d> {
    /// Who is told: a receiver of the configuration.
    pub(crate) receiver: &'d str,
    /// The attempt it is about.
    pub(crate) attempt: &'d AttemptRecord,
    /// Its case, after the step.
    pub(crate) case: &'d Case,
    /// The request that it makes, if it makes one.
    pub(crate) request: Option<Uuid>,
    /// When.
    pub(crate) at: Timestamp,
}

/// The event of `next`; `None` when nobody is told.
pub(crate) fn delivery(next: Next, draft: &Draft<'_>, papers: Option<Papers>) -> Option<NewDelivery> {
    let topic = match next {
        Next::Ask(Ask::Query) => "compensation.query_due",
        Next::Ask(Ask::Close) => "compensation.close_due",
        Next::Ask(Ask::Reverse) => "compensation.reverse_due",
        Next::Ask(Ask::Refund) => "compensation.refund_due",
        Next::TellReview => "compensation.needs_review",
        Next::Settle => "compensation.settled",
        Next::Wait(_) | Next::Park | Next::Move(..) => return None,
    };
    let id = draft.request.unwrap_or_else(Uuid::now_v7);
    let (attempt, at) = (draft.attempt, draft.at);
    Some(NewDelivery {
        id,
        receiver: draft.receiver.to_owned(),
        order_key: format!("compensation/{}/{}", attempt.merchant, attempt.attempt),
        dedup_key: format!("compensation/{id}"),
        class: Class::Event,
        ends: false,
        message: json!({ "kind": "event", "type": topic, "at": at, "data": data(draft, papers) }),
        created_at: at,
        due_at: at,
    })
}

fn data(draft: &Draft<'_>, papers: Option<Papers>) -> Value {
    let Draft {
        attempt,
        case,
        request,
        ..
    } = draft;
    let mut data = json!({
        "merchant_id": attempt.merchant.as_str(),
        "payment_id": attempt.payment.as_str(),
        "attempt_id": attempt.attempt.as_str(),
        "attempt_no": attempt.attempt_no,
        "channel_id": attempt.channel.as_str(),
        "account": attempt.account.as_ref().map(AccountId::as_str),
        "provider_reference": attempt.report.provider_reference,
        "amount_minor": attempt.amount.minor(),
        "currency": attempt.amount.currency().code(),
        "state": State::as_str(case.state),
    });
    if let (Some(request), Some(asked), Some(data)) = (request, case.asked, data.as_object_mut()) {
        data.insert("request_id".to_owned(), json!(request));
        data.insert("action".to_owned(), json!(asked.what.as_str()));
        data.insert("times".to_owned(), json!(asked.times));
    }
    if let (Some(papers), Some(data)) = (papers, data.as_object_mut()) {
        data.insert("attempt_key".to_owned(), json!(papers.attempt_key));
        data.insert("receipt".to_owned(), json!(papers.receipt));
    }
    data
}
