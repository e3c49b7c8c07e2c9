//! A payment to be taken: what Route is told of it, checked before anything is sent.

use std::time::Duration;

use jiff::Timestamp;
use proto::route::RouteQuery;
use proto::{time, v1};

pub use proto::violation::{Violation, Violations};

/// A payment, checked: every field holds what the contract asks for, and no card number stands in any of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    pub(crate) request: v1::RouteRequest,
    pub(crate) confirm_within: Option<Duration>,
}

impl Payment {
    /// Begins to describe the payment that `merchant_id` calls `payment_id`.
    pub fn of(merchant_id: impl Into<String>, payment_id: impl Into<String>) -> PaymentBuilder {
        PaymentBuilder {
            request: v1::RouteRequest {
                merchant_id: merchant_id.into(),
                payment_id: payment_id.into(),
                ..v1::RouteRequest::default()
            },
            confirm_within: None,
        }
    }

    /// What the first Route of the payment asks.
    #[must_use]
    pub const fn request(&self) -> &v1::RouteRequest {
        &self.request
    }
}

impl TryFrom<v1::RouteRequest> for Payment {
    type Error = Violations;

    /// Takes a request as it is: for fields that the builder has no method for, or to go on with a payment whose earlier
    /// receipts the caller has kept.
    fn try_from(request: v1::RouteRequest) -> Result<Self, Violations> {
        PaymentBuilder {
            request,
            confirm_within: None,
        }
        .build()
    }
}

/// A payment that is being described. Amount and method are required.
#[derive(Clone, Debug)]
#[must_use = "a payment is made by `build`"]
pub struct PaymentBuilder {
    request: v1::RouteRequest,
    confirm_within: Option<Duration>,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, $name: impl Into<String>) -> Self {
                self.request.$name = $name.into();
                self
            }
        )*
    };
}

impl PaymentBuilder {
    texts! {
        /// The method that the customer chose, in lower case: `wechat_pay`, `alipay`, `card`.
        method,
        /// How the method is presented: `app`, `h5`, `jsapi`, `native_qr`, `payment_code`.
        presentment,
        /// The customer's bank, in lower case.
        issuer,
        /// Country of the issuer, ISO 3166-1 alpha-2.
        issuer_country,
        /// Country of the order, ISO 3166-1 alpha-2.
        country,
        /// Region or province, as the merchant names it.
        region,
        /// The customer's language, BCP 47; not given: `zh-CN`.
        locale,
        /// What the caller knows the card or token by: a keyed hash, 8 to 128 characters, never a card number.
        credential_fingerprint,
    }

    /// How much, in minor units of `currency` (ISO 4217): 1999 CNY is 19.99 yuan.
    pub fn amount(mut self, minor: i64, currency: impl Into<String>) -> Self {
        self.request.amount_minor = minor;
        self.request.currency = currency.into();
        self
    }

    /// What is to be done with the money; not given: a sale.
    pub fn operation(mut self, operation: v1::Operation) -> Self {
        self.request.operation = operation.into();
        self
    }

    /// How far the call to the channel goes; not given: it can move money.
    pub fn stage(mut self, stage: v1::Stage) -> Self {
        self.request.stage = stage.into();
        self
    }

    /// The card, never its number.
    pub fn card(mut self, card: v1::Card) -> Self {
        self.request.card = Some(card);
        self
    }

    /// What is known of the customer, never who it is.
    pub fn customer(mut self, customer: v1::Customer) -> Self {
        self.request.customer = Some(customer);
        self
    }

    /// The customer's device.
    pub fn device(mut self, device: v1::Device) -> Self {
        self.request.device = Some(device);
        self
    }

    /// The caller's own risk score, 0 to 1000; higher is riskier.
    pub const fn risk_score(mut self, score: u32) -> Self {
        self.request.risk_score = Some(score);
        self
    }

    /// An attribute of the caller's own; at most 20 of them.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.metadata.insert(key.into(), value.into());
        self
    }

    /// Only these channels may be chosen: those that the caller has an integration for.
    pub fn candidates<T: Into<String>>(mut self, channels: impl IntoIterator<Item = T>) -> Self {
        self.request.candidates = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Channels that could use the credential at hand; not given: all.
    pub fn portable_to<T: Into<String>>(mut self, channels: impl IntoIterator<Item = T>) -> Self {
        self.request.portable_to = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Registers every attempt before it is submitted, so that two callers (a double click, a repeated job) can never
    /// both charge. Costs a write to the ledger in each Route.
    pub const fn guard(mut self, guard: bool) -> Self {
        self.request.guard = guard;
        self
    }

    /// Until when the order wants money: nothing is submitted from then on, and with a guard a success that is found out
    /// later is paid back. Not given: no deadline.
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.request.order_expires_at = Some(time::to_wire(at));
        self
    }

    /// How long `pay` waits for an unknown outcome to be settled before it says that it is confirming; not given: as
    /// the client is set.
    pub const fn confirm_within(mut self, time: Duration) -> Self {
        self.confirm_within = Some(time);
        self
    }

    /// The payment.
    ///
    /// # Errors
    /// Every field that does not hold what it must.
    pub fn build(self) -> Result<Payment, Violations> {
        RouteQuery::try_from(self.request.clone())?;
        Ok(Payment {
            request: self.request,
            confirm_within: self.confirm_within,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_payment_is_enough() {
        let payment = Payment::of("shop", "ord_1")
            .amount(1_999, "CNY")
            .method("wechat_pay");
        let payment = payment.build().unwrap();
        assert_eq!(payment.request().payment_id, "ord_1");
        assert!(!payment.request().guard);
    }

    #[test]
    fn every_wrong_field_is_named_and_a_card_number_is_not_repeated() {
        let wrong = Payment::of("shop", "4111 1111 1111 1111").method("Card").build();
        let violations = wrong.unwrap_err();
        let fields: Vec<&str> = violations.list().iter().map(|one| &*one.field).collect();
        assert_eq!(fields, ["payment_id", "currency", "amount_minor", "method"]);
        assert!(!violations.to_string().contains("4111"));
    }

    #[test]
    fn a_whole_request_is_checked_as_well() {
        assert!(Payment::try_from(v1::RouteRequest::default()).is_err());
    }
}
