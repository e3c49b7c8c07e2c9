//! A payment as somebody describes it, for a test or a question: by the names that the conditions of rules use.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attribute::{OPERATIONS, STAGES, TextAttribute};
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings, Table};
use crate::document::{Entry, Node, Position, Value, parse};
use crate::id::{MerchantId, PaymentId};
use crate::money::{Currency, Money};
use crate::payment::{Attributes, Card, Customer, Device};

/// Merchant and payment of descriptions that name none.
const NAMELESS: &str = "test";

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

/// Prefix of a pair that describes one of the caller's own attributes.
const METADATA: &str = "metadata.";

/// A payment, and when it is made. Merchant and payment are both called `test` where nothing else is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The payment.
    pub attributes: Attributes,
    /// When; `None` when the description does not say.
    pub at: Option<Timestamp>,
}

impl Described {
    /// The payment that the YAML document `text`, called `file` in diagnostics, describes: one table, as the `payment`
    /// of a policy's test.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        Self::of(&node, file)
    }

    /// The payment that pairs of names and values describe. Tags are separated by commas, and the caller's own
    /// attributes are called `metadata.NAME`. `origin` is what diagnostics say in place of a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_pairs(pairs: &[(&str, &str)], origin: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut metadata: Vec<Entry> = Vec::new();
        for (name, text) in pairs {
            match name.strip_prefix(METADATA) {
                Some(name) => metadata.push(entry(name, Value::Text((*text).to_owned()))),
                None => entries.push(entry(name, value(name, text))),
            }
        }
        if !metadata.is_empty() {
            entries.push(entry("metadata", Value::Table(metadata)));
        }
        Self::of(&node(Value::Table(entries)), origin)
    }

    fn of(node: &Node, file: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut found = Findings::new(file);
        let described = read(&Field::root(node), &mut found);
        match described {
            Some(described) => found.finish(described),
            // Whatever made reading stop has been reported.
            None => Err(found.finish(()).err().unwrap_or_default()),
        }
    }
}

/// What `text` means as the value of `name`. What does not fit stays a text, which reading then refuses.
fn value(name: &str, text: &str) -> Value {
    let as_text = || Value::Text(text.to_owned());
    match name {
        "amount_minor" | "attempt_no" | "risk_score" => {
            text.parse().map_or_else(|_| as_text(), Value::Integer)
        }
        "new_customer" => text.parse().map_or_else(|_| as_text(), Value::Flag),
        "segments" | "wallets" => {
            let tags = text
                .split(',')
                .map(|tag| node(Value::Text(tag.trim().to_owned())));
            Value::List(tags.collect())
        }
        _ => as_text(),
    }
}

/// A value that stands nowhere.
fn node(value: Value) -> Node {
    Node {
        at: Position::default(),
        value,
    }
}

fn entry(key: &str, value: Value) -> Entry {
    Entry {
        at: Position::default(),
        key: key.to_owned(),
        node: node(value),
    }
}

/// Reads a payment.
pub(super) fn read(field: &Field<'_>, found: &mut Findings) -> Option<Described> {
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
        merchant: merchant.unwrap_or_else(|| MerchantId::new(NAMELESS).ok())?,
        payment: payment.unwrap_or_else(|| PaymentId::new(NAMELESS).ok())?,
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
    Some(Described { attributes, at })
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
    let field = table.get("at")?;
    let at = field.text(found)?.parse().ok();
    if at.is_none() {
        field.mismatch(found, "a time with its offset, such as 2026-03-01T22:00:00+08:00");
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_a_document_describe_the_same_payment() {
        let text = "{method: card, amount_minor: 9900, currency: USD, bin: \"0622\", new_customer: true, \
                    wallets: [apple_pay, google_pay], metadata: {shop: \"7\"}, at: 2026-03-01T22:00:00+08:00}";
        let pairs = [
            ("method", "card"),
            ("amount_minor", "9900"),
            ("currency", "USD"),
            ("bin", "0622"),
            ("new_customer", "true"),
            ("wallets", "apple_pay, google_pay"),
            ("metadata.shop", "7"),
            ("at", "2026-03-01T22:00:00+08:00"),
        ];
        let described = Described::load(text, "p.yaml").unwrap();
        assert_eq!(Described::from_pairs(&pairs, "payment").unwrap(), described);
        assert_eq!(described.attributes.card.unwrap().bin.as_deref(), Some("0622"));
    }

    #[test]
    fn what_is_wrong_in_pairs_is_named_without_a_place() {
        let pairs = [
            ("methd", "card"),
            ("amount_minor", "much"),
            ("currency", "CNY"),
            ("method", "card"),
        ];
        let found = Described::from_pairs(&pairs, "payment").unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "payment: unknown key: `methd`, did you mean `method`?",
                "payment: amount_minor: found the text \"much\", expected a whole number from 1",
            ]
        );
    }
}
