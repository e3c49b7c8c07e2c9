//! How a payment ended, as the caller is told.

use std::time::Duration;

use proto::v1;

use crate::confirming::Confirming;
use crate::submit::Submit;

/// How a payment ended, or that it goes on.
#[derive(Debug)]
#[must_use = "whether the customer has paid is in here"]
pub enum Conclusion {
    /// The customer has paid.
    Paid(Paid),
    /// The customer has not, and no money is held.
    NotPaid(NotPaid),
    /// No channel can take it silently: other methods may be offered. No money is held.
    OfferMethods(OfferMethods),
    /// It may have been paid, or waits for the customer. Nothing else is submitted meanwhile; the customer is never told to pay again.
    Confirming(Confirming),
    /// It may have been paid, and everything that could be asked was asked in vain. The compensation service goes on;
    /// the customer is told to wait.
    Unsettled(Unsettled),
}

/// A payment that was paid.
#[derive(Clone, Debug)]
pub struct Paid {
    /// The submit that was paid; `None` when Payroute knows that another caller's was.
    pub submit: Option<Submit>,
    /// Every submit, oldest first.
    pub tried: Vec<Tried>,
}

/// A payment that was not paid.
#[derive(Clone, Debug)]
pub struct NotPaid {
    /// What to tell the customer, in the customer's language.
    pub message: v1::CustomerMessage,
    /// Methods to offer instead, best first; often none.
    pub methods: Vec<v1::OfferedMethod>,
    /// Whether another try with the same credential would be wrong.
    pub stop: bool,
    /// Every submit, oldest first.
    pub tried: Vec<Tried>,
}

/// A payment that another method may be offered for.
#[derive(Clone, Debug)]
pub struct OfferMethods {
    /// The methods, best first.
    pub methods: Vec<v1::OfferedMethod>,
    /// What to tell the customer of the failure before; empty when nothing was submitted.
    pub message: v1::CustomerMessage,
    /// Every submit, oldest first.
    pub tried: Vec<Tried>,
}

/// A payment whose outcome nobody knows.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// What to tell the customer, in the customer's language.
    pub message: v1::CustomerMessage,
    /// Every submit, oldest first; the last one is open.
    pub tried: Vec<Tried>,
}

/// One submit of a payment, as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The submit.
    pub submit: Submit,
    /// From knowing of the failure before to the beginning of this submit; `None` for the first one.
    pub failover: Option<Duration>,
    /// How it was settled, if its outcome was unknown at first.
    pub doubt: Option<Doubt>,
}

/// What became of a submit whose outcome was unknown at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It was paid.
    Paid,
    /// It was not.
    NotPaid,
    /// It was taken back, or closed before any money moved.
    TakenBack,
    /// Nobody knows yet.
    Open,
}

impl Conclusion {
    /// Whether the customer has paid.
    #[must_use]
    pub const fn is_paid(&self) -> bool {
        matches!(self, Self::Paid(_))
    }

    /// Every submit so far, oldest first.
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        match self {
            Self::Paid(paid) => &paid.tried,
            Self::NotPaid(not_paid) => &not_paid.tried,
            Self::OfferMethods(offer) => &offer.tried,
            Self::Confirming(confirming) => confirming.tried(),
            Self::Unsettled(unsettled) => &unsettled.tried,
        }
    }
}
