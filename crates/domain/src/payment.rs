//! A payment as the caller describes it: everything that policy, eligibility and learning may look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::amount_band::AmountBand;
use crate::id::{MerchantId, PaymentId};
use crate::money::Money;

/// What the caller wants done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Take the money now.
    #[default]
    Sale,
    /// Hold the money, to be captured later.
    Authorize,
    /// Take the money under a standing agreement, the customer not being there.
    AgreementDebit,
}

/// How far the call to the channel goes: what a timeout can have done depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Creates something payable (an order, a QR code) and moves no money.
    Prepare,
    /// Can move money.
    #[default]
    Debit,
}

/// The card of a card payment. Never its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The scheme, in lower case: `visa`, `mastercard`, `unionpay`.
    pub brand: Option<String>,
    /// `credit`, `debit` or `prepaid`.
    pub funding: Option<String>,
    /// The first 6 to 8 digits.
    pub bin: Option<String>,
}

/// What the caller tells of the customer. Never who the customer is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// A stable pseudonym, for velocity limits.
    pub reference: Option<String>,
    /// Whether this is the customer's first order.
    pub is_new: bool,
    /// The caller's own age band, such as `18-25`.
    pub age_band: Option<String>,
    /// The caller's own tags.
    pub segments: Vec<String>,
}

/// What the caller tells of the customer's device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The operating system, in lower case: `ios`, `android`.
    pub os: Option<String>,
    /// Wallets that would work on it, in lower case: `apple_pay`.
    pub wallets: Vec<String>,
}

/// The attributes of one payment attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Whose payment it is.
    pub merchant: MerchantId,
    /// Which payment it is.
    pub payment: PaymentId,
    /// Which attempt at it this will be, from 1.
    pub attempt_no: u32,
    /// How much.
    pub amount: Money,
    /// What is to be done.
    pub operation: Operation,
    /// How far the call goes.
    pub stage: Stage,
    /// The payment method the customer chose, in lower case: `card`, `wechat_pay`, `alipay`.
    pub method: String,
    /// How the method is presented: `app`, `h5`, `jsapi`, `native_qr`, `payment_code`.
    pub presentment: Option<String>,
    /// The customer's bank, in lower case: `icbc`, `cmb`.
    pub issuer: Option<String>,
    /// The country of the issuer, ISO 3166-1 alpha-2.
    pub issuer_country: Option<String>,
    /// The card, for card payments.
    pub card: Option<Card>,
    /// The country of the order, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The region or province, as the merchant names it.
    pub region: Option<String>,
    /// The customer.
    pub customer: Customer,
    /// The customer's device.
    pub device: Device,
    /// The caller's own risk score, 0 to 1 000; higher is riskier.
    pub risk_score: Option<u32>,
    /// The caller's own attributes.
    pub metadata: BTreeMap<String, String>,
    /// The customer's language, BCP 47.
    pub locale: Option<String>,
}

impl Attributes {
    /// The amount band, for learning and statistics.
    #[must_use]
    pub fn band(&self) -> AmountBand {
        AmountBand::of(self.amount)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A payment of 100.00 CNY by method `pay` that tells nothing else.
    pub(crate) fn payment(id: &str) -> Attributes {
        Attributes {
            merchant: MerchantId::new("shop").unwrap(),
            payment: PaymentId::new(id).unwrap(),
            attempt_no: 1,
            amount: Money::new(10_000, "CNY".parse().unwrap()).unwrap(),
            operation: Operation::Sale,
            stage: Stage::Debit,
            method: "pay".to_owned(),
            presentment: None,
            issuer: None,
            issuer_country: None,
            card: None,
            country: None,
            region: None,
            customer: Customer::default(),
            device: Device::default(),
            risk_score: None,
            metadata: BTreeMap::new(),
            locale: None,
        }
    }
}
