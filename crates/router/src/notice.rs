//! Customer notices: what a report or a finding leaves to be told, in the transaction that makes it known.

use delivery::message::{Event, Message, Notice, Recipient};
use domain::attempt::{NextStep, Standing, State};
use domain::catalogue::{Certainty, Reason, Shared as SharedCatalogue};
use domain::notice::{self, Contact, Happened, Occasion, Rules, Silence, Way};
use ledger::NewDelivery;
use ledger::attempt::AttemptRecord;
use ledger::delivery::Class;
use proto::v1;
use serde_json::json;
use uuid::Uuid;

/// The type of a notice to the merchant's own service.
const TOPIC: &str = "customer.notice";

/// A change of an attempt's state that a customer may be told of.
pub(crate) struct Change<'c> {
    /// The attempt.
    pub(crate) attempt: &'c AttemptRecord,
    /// Its state before and after.
    pub(crate) states: (State, State),
    /// Whether another attempt follows.
    pub(crate) more_is_tried: bool,
    /// Why, as far as there is a reason.
    pub(crate) reason: Option<Reason>,
    /// The customer's language.
    pub(crate) locale: &'c str,
    /// When it was heard of.
    pub(crate) at: jiff::Timestamp,
}

/// Tells customers what the rules say.
#[derive(Clone, Debug)]
pub struct Teller {
    /// `None`: no customer is told anything.
    rules: Option<Rules>,
    catalogue: SharedCatalogue,
}

impl Teller {
    /// Tells what `rules` say, when there are any.
    #[must_use]
    pub const fn new(rules: Option<Rules>, catalogue: SharedCatalogue) -> Self {
        Self { rules, catalogue }
    }

    /// What the customer of `attempt` is to be told when it comes to `state` at `at` although no caller said so: the
    /// compensator or a person decided it. Nobody knows then how the customer can be reached, so it is the merchant's
    /// own service that hears of it.
    #[must_use]
    pub fn decided(&self, attempt: &AttemptRecord, state: State, at: jiff::Timestamp) -> Vec<NewDelivery> {
        let Some(before) = State::from_name(&attempt.verdict.state) else {
            return Vec::new();
        };
        let change = Change {
            attempt,
            states: (before, state),
            // Whoever has the payment in hand knows of its failures.
            more_is_tried: true,
            reason: attempt.verdict.reason.as_deref().and_then(Reason::from_name),
            locale: "",
            at,
        };
        self.notices(&change, &Contact::default())
    }

    /// What a customer who is reached by `contact` is to be told of `change`: one message or none.
    pub(crate) fn notices(&self, change: &Change<'_>, contact: &Contact) -> Vec<NewDelivery> {
        let Some(rules) = &self.rules else {
            return Vec::new();
        };
        let (before, after) = change.states;
        let Some(event) = Happened::of(before, after, change.more_is_tried) else {
            return Vec::new();
        };
        let attempt = change.attempt;
        let occasion = Occasion {
            merchant: &attempt.merchant,
            payment: &attempt.payment,
            event,
            reason: change.reason,
            certainty: certainty(after),
            method: &attempt.segment.method,
            amount: attempt.amount,
            at: change.at,
            locale: change.locale,
            contacts: contact.consents(),
        };
        match rules.notice(&occasion, &self.catalogue.load()) {
            Ok(notice) => delivery(&occasion, notice, contact).into_iter().collect(),
            Err(
                Silence::NoRule
                | Silence::Suppressed { .. }
                | Silence::OptedOut { .. }
                | Silence::Unreachable { .. },
            ) => Vec::new(),
        }
    }
}

/// Whether something else is tried after `step`, so that the failure before it is no news to the customer.
pub(crate) const fn goes_on(step: &NextStep) -> bool {
    !matches!(step, NextStep::AskCustomer | NextStep::Stop)
}

/// The same of an answer on the wire.
pub(crate) fn answer_goes_on(step: &v1::NextStep) -> bool {
    !matches!(step.action(), v1::NextAction::AskCustomer | v1::NextAction::Stop)
}

/// Whether money can have moved, in that state.
fn certainty(state: State) -> Certainty {
    match state {
        State::Declined => Certainty::Declined,
        state if state.standing() == Standing::NoDebit => Certainty::NotProcessed,
        _ => Certainty::Unknown,
    }
}

/// `notice` as the outbox keeps it. `None` when it cannot be addressed, which its rules have excluded.
fn delivery(occasion: &Occasion<'_>, notice: notice::Notice, contact: &Contact) -> Option<NewDelivery> {
    let fields = notice.fields;
    let message = match notice.way {
        Way::Webhook => {
            let fields: serde_json::Map<_, _> = fields
                .into_iter()
                .map(|(name, text)| (name.into_string(), text.into()))
                .collect();
            Message::Event(Event {
                topic: TOPIC.to_owned(),
                at: occasion.at,
                data: json!({
                    "merchant_id": occasion.merchant.as_str(),
                    "payment_id": occasion.payment.as_str(),
                    "event": notice.event.as_str(),
                    "reason": occasion.reason.map(Reason::as_str),
                    "locale": &*notice.locale,
                    "fields": fields,
                }),
                not_after: Some(notice.not_after),
            })
        }
        Way::Sms | Way::Wechat => Message::Notice(Notice {
            to: Recipient::new(contact.address(notice.way)?),
            template: notice.vendor_template?.into_string(),
            parameters: fields
                .into_iter()
                .map(|(name, text)| (name.into_string(), text))
                .collect(),
            link: None,
            not_after: Some(notice.not_after),
        }),
    };
    Some(NewDelivery {
        id: Uuid::now_v7(),
        receiver: notice.receiver.into_string(),
        order_key: format!("notice {} {}", occasion.merchant, occasion.payment),
        dedup_key: format!("notice {}", notice.key),
        class: Class::Notice,
        ends: false,
        message: serde_json::to_value(message).ok()?,
        created_at: occasion.at,
        due_at: notice.send_at,
    })
}
