//! One attempt at a payment as the ledger keeps it, and what can happen to it later.
//!
//! Words of the failure catalogue and of the attempt's state machine are kept as text: the ledger stores and compares
//! them, and a ledger that was written by another release must stay readable. Only the class is typed, because the
//! rebuild of the windows counts by it.

use domain::amount_band::AmountBand;
use domain::attempt::State;
use domain::attempt::payment::Submit;
use domain::decision::attempt_key;
use domain::id::{AccountId, AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::network_retry::Fingerprint;
use domain::outcome::OutcomeClass;
use domain::outcome_event::{OutcomeEvent, OutcomeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::compensation::Opening;
use crate::delivery::NewDelivery;

/// An attempt with its reported outcome. Times are kept to the microsecond.
///
/// Its serialised form is that of the spool: a field that is added needs `#[serde(default)]`, so that what an earlier
/// release left there can be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Whose payment it is.
    pub merchant: MerchantId,
    /// Its name, unique within the merchant.
    pub attempt: AttemptId,
    /// The payment it belongs to.
    pub payment: PaymentId,
    /// Which attempt at the payment it is, from 1.
    pub attempt_no: u32,
    /// The decision that sent it to the channel.
    pub decision: Uuid,
    /// The channel it went to.
    pub channel: ChannelId,
    /// The account there.
    pub account: Option<AccountId>,
    /// What it was for.
    pub amount: Money,
    /// Where it counts besides its channel.
    pub segment: Segment,
    /// What the caller reported.
    pub report: Report,
    /// What the failure catalogue made of it.
    pub verdict: Verdict,
    /// When it was decided: tells a breaker the stragglers from the answers to its present state.
    pub decided_at: Timestamp,
    /// The W3C trace id of the report, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// When the caller submitted it.
    pub started_at: Timestamp,
    /// When the report arrived here.
    pub received_at: Timestamp,
    /// How long the channel took, in milliseconds.
    pub latency_ms: u32,
    /// SHA-256 over the reported content: tells a repeated report from a contradicting one.
    pub digest: [u8; 32],
    /// Which submit of a guarded attempt it was; `None` when the attempt is not guarded.
    #[serde(default)]
    pub submit: Option<Submit>,
    /// What the caller knows the card or token by.
    #[serde(default)]
    pub credential: Option<Fingerprint>,
    /// How its case begins in the compensation queue, where its reporter knows better than its state tells. Not kept
    /// with the attempt: the case is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Opening>,
    /// What the customer is told when this is kept, in the same transaction. Not kept with the attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NewDelivery>,
}

impl AttemptRecord {
    /// The outcome as it was reported; `None` while there is none, as when the customer has yet to act.
    #[must_use]
    pub fn outcome(&self) -> Option<OutcomeEvent> {
        Some(self.event(self.verdict.class?, None))
    }

    /// The outcome as it is known by now, when that is another one: a timeout may have proved a success.
    #[must_use]
    pub fn settled_as(&self, class: OutcomeClass) -> OutcomeEvent {
        self.event(class, self.verdict.class)
    }

    /// What it counts as: the class that it was reported with, or a success when its state says that it was charged
    /// after all. `None` while there is no outcome.
    #[must_use]
    pub fn known_class(&self) -> Option<OutcomeClass> {
        if State::from_name(&self.verdict.state).is_some_and(State::was_charged) {
            Some(OutcomeClass::Success)
        } else {
            self.verdict.class
        }
    }

    /// What the statistics must be told when a finding says that this attempt, in the state it had before, counts as
    /// `class`: an outcome where there was none, or a success that was taken for something else. `None` when it
    /// changes nothing, for of two findings of the same success the first has told.
    #[must_use]
    pub fn news(&self, class: Option<OutcomeClass>) -> Option<OutcomeEvent> {
        let class = class?;
        let counts = match self.known_class() {
            None => true,
            Some(before) => class == OutcomeClass::Success && before != class,
        };
        counts.then(|| self.settled_as(class))
    }

    fn event(&self, class: OutcomeClass, corrects: Option<OutcomeClass>) -> OutcomeEvent {
        OutcomeEvent {
            id: OutcomeId::of(&self.merchant, &self.attempt, corrects),
            channel: self.channel.clone(),
            method: self.segment.method.clone(),
            issuer: self.segment.issuer.clone(),
            band: AmountBand::of(self.amount),
            class,
            corrects,
            key: attempt_key(&self.merchant, &self.payment, self.attempt_no),
            attempt_no: self.attempt_no,
            decided_at: self.decided_at,
            started_at: self.started_at,
            received_at: self.received_at,
            latency_ms: self.latency_ms,
        }
    }
}

/// The attributes of a payment that its statistics are kept by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The payment method, such as `wechat_pay`.
    pub method: String,
    /// The customer's bank, such as `icbc`.
    pub issuer: Option<String>,
    /// The region or province, as the merchant names it.
    pub region: Option<String>,
}

/// What the caller reported, as it came, bounded and checked for card numbers by the receiving service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The result in the wire's word, such as `timed_out`.
    pub result: String,
    /// Whose code it is: a provider of the failure catalogue.
    pub provider: String,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's second code.
    pub sub_code: Option<String>,
    /// The HTTP status of the provider's answer.
    pub http_status: Option<u16>,
    /// What happened to the connection.
    pub transport_event: Option<String>,
    /// The provider's message.
    pub message: Option<String>,
    /// The provider's own number for the attempt.
    pub provider_reference: Option<String>,
    /// The card network's advice whether to try again.
    pub network_advice_code: Option<String>,
}

/// What the failure catalogue made of a report, and the state the attempt is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The reason of the catalogue; `None` for a success.
    pub reason: Option<String>,
    /// How sure it is whether money moved.
    pub certainty: String,
    /// What it says about the channel; `None` while there is no outcome, as when the customer has yet to act.
    pub class: Option<OutcomeClass>,
    /// The state of the attempt: when written the first one, when read the current one.
    pub state: String,
}

/// What became of a reported attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    /// Kept. The only answer after which the outcome may be counted.
    New,
    /// The same content was kept before; nothing changed.
    Duplicate(Box<AttemptRecord>),
    /// Another content was kept before under the same name; nothing changed.
    Conflict,
}

/// A later finding about an attempt: the answer to a query, a reversal, a late notice, an operator's word.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// Whose attempt it is.
    pub merchant: MerchantId,
    /// Which attempt it is.
    pub attempt: AttemptId,
    /// The state that the finding was judged against; the change is refused when it is not the current one.
    pub from_state: String,
    /// The state it leads to.
    pub to_state: String,
    /// What the attempt counts as from now on, if it had no outcome before. A class that it has stays.
    pub class: Option<OutcomeClass>,
    /// Where it comes from, such as `query`.
    pub source: String,
    /// What was found, for people.
    pub content: serde_json::Value,
    /// When it was found.
    pub at: Timestamp,
    /// What the customer is told when the change is made, in the same transaction.
    pub notices: Vec<NewDelivery>,
}

/// What became of a resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The state was changed, and the change is in the history.
    Applied,
    /// The attempt is in another state than the resolution supposed; nothing changed.
    Stale {
        /// The state it is in.
        current: String,
    },
    /// There is no such attempt.
    UnknownAttempt,
}

/// One change of an attempt's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The attempt that changed.
    pub attempt: AttemptId,
    /// The state before.
    pub from_state: String,
    /// The state after.
    pub to_state: String,
    /// Where the finding came from.
    pub source: String,
    /// What was found, for people.
    pub content: serde_json::Value,
    /// When it was found.
    pub at: Timestamp,
}
