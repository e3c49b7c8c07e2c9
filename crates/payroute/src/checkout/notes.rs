//! What a checkout does and hears, for those who write it down.

use std::time::Duration;

use domain::id::{MerchantId, PaymentId};
use simulator::world::ChannelIndex;

/// What became of an attempt whose outcome was unknown at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It was paid.
    Paid,
    /// It was not.
    NotPaid,
    /// It was taken back, or closed before any money moved.
    TakenBack,
    /// Nobody knows yet.
    Open,
}

/// One submit to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Submit {
    /// The channel.
    pub(crate) channel: ChannelIndex,
    /// When it began, since the start of the scenario.
    pub(crate) at: Duration,
    /// How long after the failure before it was known; `None` for the first submit of a payment.
    pub(crate) failover: Option<Duration>,
    /// How it was settled, if its outcome was unknown at first.
    pub(crate) doubt: Option<Doubt>,
}

/// How a payment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The customer has paid.
    Paid,
    /// The customer has not, and is told why.
    NotPaid,
    /// It may have been paid: nothing more is submitted, and the customer is told to wait.
    Open,
    /// Payroute did not answer.
    Unrouted,
}

/// Which call told Payroute of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    /// `ReportOutcome`.
    Report,
    /// `ResolveAttempt`.
    Resolve,
}

/// An outcome that Payroute has acknowledged, and so must never lose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged<'a> {
    /// Whose payment it is.
    pub(crate) merchant: &'a MerchantId,
    /// The payment, as Payroute knows it.
    pub(crate) payment: &'a PaymentId,
    /// The shop's name for the attempt.
    pub(crate) attempt_id: &'a str,
    /// Where it was submitted.
    pub(crate) channel: &'a str,
    /// Its state, as the acknowledgement has it.
    pub(crate) state: &'a str,
    /// Whether Payroute had heard of it before.
    pub(crate) duplicate: bool,
    /// What told it.
    pub(crate) call: Call,
}

/// Whoever writes down what checkouts do. Called in the middle of payments, so nothing here may wait.
pub(crate) trait Notes: Send + Sync {
    /// A submit begins; `leaves` is the channel of the payment's submit before it.
    fn begin(&self, submit: &Submit, leaves: Option<ChannelIndex>);

    /// An outcome is about to be told to Payroute.
    fn tell(&self);

    /// Payroute has acknowledged an outcome.
    fn acknowledge(&self, said: &Acknowledged<'_>);
}
