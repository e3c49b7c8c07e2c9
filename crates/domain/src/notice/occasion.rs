//! What a customer may be told of, and by which ways the customer can be reached.

use jiff::Timestamp;

use crate::attempt::{Standing, State};
use crate::catalogue::{Certainty, Reason};
use crate::id::{MerchantId, PaymentId};
use crate::money::Money;
use crate::named::named;

named! {
    /// What happened to a payment.
    pub enum Happened {
        /// It failed, was not charged, and nothing more is tried.
        Failed = "failed",
        /// It may have been charged, and is being asked for.
        Confirming = "confirming",
        /// It was charged after all, and is the order's payment.
        SettledPaid = "settled_paid",
        /// It was not charged after all.
        SettledUnpaid = "settled_unpaid",
        /// It was charged and is not wanted: the customer gets the money back.
        RefundStarted = "refund_started",
        /// The customer has the money back.
        Refunded = "refunded",
    }
}

impl Happened {
    /// What a change of an attempt's state is to the customer; `None` when nothing.
    ///
    /// `more_is_tried` says that another attempt follows or that the payment is satisfied elsewhere: then a failure is
    /// nobody's news but ours.
    #[must_use]
    pub fn of(before: State, after: State, more_is_tried: bool) -> Option<Self> {
        if before == after {
            return None;
        }
        let was_open = matches!(
            before,
            State::Unknown | State::ReversalPending | State::NeedsReview
        );
        match after {
            State::Unknown => Some(Self::Confirming),
            State::RefundPending => Some(Self::RefundStarted),
            State::Refunded => Some(Self::Refunded),
            // The customer of a success that was heard at once stands before the page that says so.
            State::Succeeded | State::ConfirmedSucceeded => {
                (was_open || before == State::LateSuccess).then_some(Self::SettledPaid)
            }
            _ if after.standing() == Standing::NoDebit && was_open => Some(Self::SettledUnpaid),
            _ if after.standing() == Standing::NoDebit && !more_is_tried => Some(Self::Failed),
            _ => None,
        }
    }

    /// Whether it tells how something ended that the customer was left in doubt about.
    #[must_use]
    pub const fn ends_doubt(self) -> bool {
        match self {
            Self::SettledPaid | Self::SettledUnpaid | Self::RefundStarted | Self::Refunded => true,
            Self::Failed | Self::Confirming => false,
        }
    }

    /// Whether a notice of `earlier` that was not sent yet says nothing any more once this has happened.
    #[must_use]
    pub fn supersedes(self, earlier: Self) -> bool {
        match self {
            Self::Failed | Self::Confirming => false,
            Self::SettledPaid => matches!(earlier, Self::Confirming | Self::Failed | Self::SettledUnpaid),
            Self::SettledUnpaid => earlier == Self::Confirming,
            Self::RefundStarted => matches!(earlier, Self::Confirming | Self::Failed | Self::SettledUnpaid),
            Self::Refunded => matches!(
                earlier,
                Self::Confirming | Self::Failed | Self::SettledUnpaid | Self::RefundStarted
            ),
        }
    }
}

named! {
    /// By what a notice is sent.
    pub enum Way {
        /// A signed call to the merchant's own service, which tells the customer as it likes.
        Webhook = "webhook",
        /// A text message.
        Sms = "sms",
        /// A template message of the merchant's WeChat official account.
        Wechat = "wechat",
    }
}

impl Way {
    /// Whether it wakes a person: quiet hours are for these.
    #[must_use]
    pub const fn reaches_a_person(self) -> bool {
        match self {
            Self::Webhook => false,
            Self::Sms | Self::Wechat => true,
        }
    }
}

/// Whether the customer may be told by one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consent {
    /// There is no number, account or address.
    #[default]
    NoContact,
    /// There is one.
    Given,
    /// There is one, and the customer does not want to be told by it.
    OptedOut,
}

/// The ways by which a customer can be reached. The numbers and names themselves stay with who sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Contacts {
    /// The merchant's endpoint.
    pub webhook: Consent,
    /// A telephone number.
    pub sms: Consent,
    /// An account that follows the merchant's.
    pub wechat: Consent,
}

impl Contacts {
    /// Whether the customer may be told by `way`.
    #[must_use]
    pub const fn by(self, way: Way) -> Consent {
        match way {
            Way::Webhook => self.webhook,
            Way::Sms => self.sms,
            Way::Wechat => self.wechat,
        }
    }
}

/// Something that a customer may be told of.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'o> {
    /// Whose customer.
    pub merchant: &'o MerchantId,
    /// The payment.
    pub payment: &'o PaymentId,
    /// What happened to it.
    pub event: Happened,
    /// Why, as far as there is a reason.
    pub reason: Option<Reason>,
    /// Whether money can have moved.
    pub certainty: Certainty,
    /// The payment method.
    pub method: &'o str,
    /// How much.
    pub amount: Money,
    /// When it happened.
    pub at: Timestamp,
    /// The customer's language, BCP 47.
    pub locale: &'o str,
    /// How the customer can be reached.
    pub contacts: Contacts,
}

impl Occasion<'_> {
    /// The name under which the customer is told of it once: of names that cannot hold a space, so no two run
    /// together.
    pub(super) fn key(&self) -> String {
        format!("{} {} {}", self.merchant, self.payment, self.event)
    }
}
