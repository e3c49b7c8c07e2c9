//! The attributes of a payment as the JSON document that a decision is stored with.
//!
//! Merchant, payment and attempt number are columns beside it and not in it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::id::{MerchantId, PaymentId};
use domain::money::{Currency, Money, NotPositive};
use domain::payment::{Attributes, Card, Customer, Device, Operation, Stage};
use serde::{Deserialize, Serialize};

/// The stored form. A field that a later release adds is optional here, so that older documents stay readable.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document<'a> {
    amount_minor: i64,
    currency: Currency,
    operation: Operation,
    stage: Stage,
    method: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    presentment: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer_country: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    card: Option<Cow<'a, Card>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Cow<'a, str>>,
    customer: Cow<'a, Customer>,
    device: Cow<'a, Device>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    risk_score: Option<u32>,
    #[serde(default)]
    metadata: Cow<'a, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locale: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Attributes> for Document<'a> {
    fn from(attributes: &'a Attributes) -> Self {
        let text = |value: &'a Option<String>| value.as_deref().map(Cow::Borrowed);
        Self {
            amount_minor: attributes.amount.minor(),
            currency: attributes.amount.currency(),
            operation: attributes.operation,
            stage: attributes.stage,
            method: Cow::Borrowed(&attributes.method),
            presentment: text(&attributes.presentment),
            issuer: text(&attributes.issuer),
            issuer_country: text(&attributes.issuer_country),
            card: attributes.card.as_ref().map(Cow::Borrowed),
            country: text(&attributes.country),
            region: text(&attributes.region),
            customer: Cow::Borrowed(&attributes.customer),
            device: Cow::Borrowed(&attributes.device),
            risk_score: attributes.risk_score,
            metadata: Cow::Borrowed(&attributes.metadata),
            locale: text(&attributes.locale),
        }
    }
}

impl Document<'_> {
    /// The attributes again, with what stands in columns of its own.
    pub(crate) fn into_attributes(
        self,
        merchant: MerchantId,
        payment: PaymentId,
        attempt_no: u32,
    ) -> Result<Attributes, NotPositive> {
        let text = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned);
        Ok(Attributes {
            merchant,
            payment,
            attempt_no,
            amount: Money::new(self.amount_minor, self.currency)?,
            operation: self.operation,
            stage: self.stage,
            method: self.method.into_owned(),
            presentment: text(self.presentment),
            issuer: text(self.issuer),
            issuer_country: text(self.issuer_country),
            card: self.card.map(Cow::into_owned),
            country: text(self.country),
            region: text(self.region),
            customer: self.customer.into_owned(),
            device: self.device.into_owned(),
            risk_score: self.risk_score,
            metadata: self.metadata.into_owned(),
            locale: text(self.locale),
        })
    }
}
