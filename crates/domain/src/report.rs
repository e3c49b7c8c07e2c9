//! What a caller reports of an attempt, before anything is made of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, ChannelId};
use crate::money::Currency;

/// What the provider's answer was, as the caller saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reported {
    /// Paid, or authorised.
    Succeeded,
    /// A definite no.
    Declined,
    /// An error: from the provider, or on the way to it.
    Failed,
    /// No answer in time.
    TimedOut,
    /// Something payable was handed to the customer, or a password is awaited.
    AwaitingCustomer,
}

impl Reported {
    /// The name in snake case, as in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::AwaitingCustomer => "awaiting_customer",
        }
    }
}

/// The outcome of one attempt in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeReport {
    /// The caller's name for the attempt.
    pub attempt: AttemptId,
    /// The channel it was submitted to.
    pub channel: ChannelId,
    /// What the answer was.
    pub result: Reported,
    /// Whose codes `code` is from; `None`: the channel's own provider.
    pub provider: Option<String>,
    /// The provider's code, verbatim.
    pub code: Option<String>,
    /// The provider's sub code, verbatim.
    pub sub_code: Option<String>,
    /// HTTP status of the answer, 100 to 599.
    pub http_status: Option<u16>,
    /// What happened on the way, where there was no answer.
    pub transport_event: Option<String>,
    /// The provider's message, for the operator.
    pub message: Option<String>,
    /// The provider's own number for the attempt.
    pub provider_reference: Option<String>,
    /// The card network's advice code.
    pub network_advice_code: Option<String>,
    /// Prepare stage: whether the customer received what can be paid; `None`: assumed received.
    pub artefact_delivered: Option<bool>,
    /// When the submit began; `None`: as long ago as the answer took.
    pub started_at: Option<Timestamp>,
    /// How long the answer took, in milliseconds, 0 to 600 000.
    pub latency_ms: u32,
    /// Language of the customer message, BCP 47; `None`: that of the decision.
    pub locale: Option<String>,
}

/// What is now known of an attempt that was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// The provider says paid.
    Succeeded,
    /// The provider says refused.
    Declined,
    /// The provider never acted on it.
    NotProcessed,
    /// Taken back: net zero.
    Reversed,
    /// Expired and closed at the provider.
    Closed,
    /// Still not known.
    StillUnknown,
    /// The customer has the money back.
    Refunded,
    /// The provider refuses to pay back, for good.
    RefundFailed,
    /// The provider says paid, and that it cannot be taken back.
    ReversalRefused,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolutionSource {
    /// The provider's query interface.
    Query,
    /// The provider's late notice.
    Notice,
    /// A reversal or cancellation that was asked for.
    Reversal,
    /// The settlement file.
    Settlement,
    /// A person.
    Operator,
    /// A refund that was asked for.
    Refund,
}

/// What a query, a reversal or a late notice said, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolutionReport {
    /// What is now known.
    pub resolution: Resolution,
    /// Who says so.
    pub source: ResolutionSource,
    /// The provider's code, verbatim.
    pub code: Option<String>,
    /// The provider's own number for the attempt.
    pub provider_reference: Option<String>,
    /// For the operator.
    pub message: Option<String>,
    /// Language of the customer message, BCP 47; `None`: that of the decision.
    pub locale: Option<String>,
    /// What the customer was charged, in minor units; `None`: the payment's amount.
    pub charged_minor: Option<i64>,
    /// The currency of it; `None`: the payment's.
    pub charged_currency: Option<Currency>,
}
