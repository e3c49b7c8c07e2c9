//! Reading the payment of a test: the same names as in the conditions of a rule.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attribute::{OPERATIONS, STAGES, TextAttribute};
use crate::document::field::{Field, Findings, Table};
use crate::id::{MerchantId, PaymentId};
use crate::money::{Currency, Money};
use crate::payment::{Attributes, Card, Customer, Device};

/// Noon of a Monday in China, for tests that do not say when.
const DEFAULT_AT: &str = "2026-01-05T12:00:00+08:00";

/// Merchant and payment of tests that name none.
const TEST_NAME: &str = "test";

const OTHER_KEYS: [&str; 8] = [
    "amount_minor",
    "attempt_no",
    "risk_score",
    "new_customer",
    "segments",
    "wallets",
    "metadata",
    "at",
];

/// Reads a payment, and when it is made.
pub(super) fn read_payment(field: &Field<'_>, found: &mut Findings) -> Option<(Attributes, Timestamp)> {
    let texts = TextAttribute::ALL.iter().map(|(name, _)| *name);
    let known: Vec<&str> = texts.chain(OTHER_KEYS).collect();
    let table = field.table(&known, found)?;
    let minor = table.required("amount_minor", found);
    let minor = minor.and_then(|field| field.integer(1..=i64::MAX, found));
    let currency: Option<Currency> = table
        .required("currency", found)
        .and_then(|field| field.parsed(str::parse, found));
    let method = table
        .required("method", found)
        .and_then(|field| field.text(found));
    let customer = read_customer(&table, found);
    let device = Device {
        os: text(&table, TextAttribute::DeviceOs, found),
        wallets: tags(&table, "wallets", found),
    };
    let card = Card {
        brand: text(&table, TextAttribute::CardBrand, found),
        funding: text(&table, TextAttribute::CardFunding, found),
        bin: text(&table, TextAttribute::Bin, found),
    };
    let mut number = |key: &str| {
        table
            .get(key)
            .and_then(|field| field.number(0..=1_000_000, found))
    };
    let (attempt_no, risk_score) = (number("attempt_no"), number("risk_score"));
    let operation = table
        .get("operation")
        .and_then(|field| field.choice(&OPERATIONS, found));
    let stage = table.get("stage").and_then(|field| field.choice(&STAGES, found));
    let merchant = table
        .get("merchant")
        .map(|field| field.parsed(|id| MerchantId::new(id), found));
    let payment = table
        .get("payment")
        .map(|field| field.parsed(|id| PaymentId::new(id), found));
    let at = read_at(&table, found);
    let attributes = Attributes {
        merchant: merchant.unwrap_or_else(|| MerchantId::new(TEST_NAME).ok())?,
        payment: payment.unwrap_or_else(|| PaymentId::new(TEST_NAME).ok())?,
        attempt_no: attempt_no.unwrap_or(1),
        amount: Money::new(minor?, currency?).ok()?,
        operation: operation.unwrap_or_default(),
        stage: stage.unwrap_or_default(),
        method: method?.to_owned(),
        presentment: text(&table, TextAttribute::Presentment, found),
        issuer: text(&table, TextAttribute::Issuer, found),
        issuer_country: text(&table, TextAttribute::IssuerCountry, found),
        card: (card != Card::default()).then_some(card),
        country: text(&table, TextAttribute::Country, found),
        region: text(&table, TextAttribute::Region, found),
        customer,
        device,
        risk_score,
        metadata: read_metadata(&table, found),
        locale: text(&table, TextAttribute::Locale, found),
    };
    Some((attributes, at?))
}

fn text(table: &Table<'_>, attribute: TextAttribute, found: &mut Findings) -> Option<String> {
    table.get(attribute.name())?.text(found).map(str::to_owned)
}

fn tags(table: &Table<'_>, key: &str, found: &mut Findings) -> Vec<String> {
    table.get(key).map_or_else(Vec::new, |field| field.texts(found))
}

fn read_customer(table: &Table<'_>, found: &mut Findings) -> Customer {
    let is_new = table.get("new_customer").and_then(|field| field.flag(found));
    Customer {
        reference: text(table, TextAttribute::CustomerReference, found),
        is_new: is_new.unwrap_or(false),
        age_band: text(table, TextAttribute::AgeBand, found),
        segments: tags(table, "segments", found),
    }
}

fn read_metadata(table: &Table<'_>, found: &mut Findings) -> BTreeMap<String, String> {
    let Some(metadata) = table.get("metadata").and_then(|field| field.open_table(found)) else {
        return BTreeMap::new();
    };
    let pairs = metadata
        .fields()
        .filter_map(|(key, field)| Some((key.to_owned(), field.text(found)?.to_owned())));
    pairs.collect()
}

fn read_at(table: &Table<'_>, found: &mut Findings) -> Option<Timestamp> {
    let Some(field) = table.get("at") else {
        return DEFAULT_AT.parse().ok();
    };
    let at = field.text(found)?.parse().ok();
    if at.is_none() {
        field.mismatch(found, "a time with its offset, such as 2026-03-01T22:00:00+08:00");
    }
    at
}
