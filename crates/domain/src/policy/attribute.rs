//! The attributes that a policy may look at, by the names under which it does.

use crate::payment::{Attributes, Operation, Stage};

/// An attribute whose value is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextAttribute {
    Merchant,
    Payment,
    Currency,
    Operation,
    Stage,
    Method,
    Presentment,
    Issuer,
    IssuerCountry,
    CardBrand,
    CardFunding,
    Bin,
    Country,
    Region,
    CustomerReference,
    AgeBand,
    DeviceOs,
    Locale,
}

impl TextAttribute {
    pub(super) const ALL: [(&'static str, Self); 18] = [
        ("merchant", Self::Merchant),
        ("payment", Self::Payment),
        ("currency", Self::Currency),
        ("operation", Self::Operation),
        ("stage", Self::Stage),
        ("method", Self::Method),
        ("presentment", Self::Presentment),
        ("issuer", Self::Issuer),
        ("issuer_country", Self::IssuerCountry),
        ("card_brand", Self::CardBrand),
        ("card_funding", Self::CardFunding),
        ("bin", Self::Bin),
        ("country", Self::Country),
        ("region", Self::Region),
        ("customer_reference", Self::CustomerReference),
        ("age_band", Self::AgeBand),
        ("device_os", Self::DeviceOs),
        ("locale", Self::Locale),
    ];

    /// The attribute called `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, attribute)| attribute)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(_, attribute)| *attribute == self)
            .map_or("", |(name, _)| name)
    }

    /// What the payment says; `None` when the caller did not tell.
    pub(super) fn of(self, payment: &Attributes) -> Option<&str> {
        let card = payment.card.as_ref();
        match self {
            Self::Merchant => Some(payment.merchant.as_str()),
            Self::Payment => Some(payment.payment.as_str()),
            Self::Currency => Some(payment.amount.currency().code()),
            Self::Operation => Some(operation_name(payment.operation)),
            Self::Stage => Some(stage_name(payment.stage)),
            Self::Method => Some(&payment.method),
            Self::Presentment => payment.presentment.as_deref(),
            Self::Issuer => payment.issuer.as_deref(),
            Self::IssuerCountry => payment.issuer_country.as_deref(),
            Self::CardBrand => card.and_then(|card| card.brand.as_deref()),
            Self::CardFunding => card.and_then(|card| card.funding.as_deref()),
            Self::Bin => card.and_then(|card| card.bin.as_deref()),
            Self::Country => payment.country.as_deref(),
            Self::Region => payment.region.as_deref(),
            Self::CustomerReference => payment.customer.reference.as_deref(),
            Self::AgeBand => payment.customer.age_band.as_deref(),
            Self::DeviceOs => payment.device.os.as_deref(),
            Self::Locale => payment.locale.as_deref(),
        }
    }
}

/// Operations by name.
pub(super) const OPERATIONS: [(&str, Operation); 3] = [
    ("sale", Operation::Sale),
    ("authorize", Operation::Authorize),
    ("agreement_debit", Operation::AgreementDebit),
];

/// Stages by name.
pub(super) const STAGES: [(&str, Stage); 2] = [("prepare", Stage::Prepare), ("debit", Stage::Debit)];

const fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Sale => "sale",
        Operation::Authorize => "authorize",
        Operation::AgreementDebit => "agreement_debit",
    }
}

const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Prepare => "prepare",
        Stage::Debit => "debit",
    }
}

/// An attribute whose value is a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberAttribute {
    AttemptNo,
    RiskScore,
}

impl NumberAttribute {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AttemptNo => "attempt_no",
            Self::RiskScore => "risk_score",
        }
    }

    pub(super) fn of(self, payment: &Attributes) -> Option<i64> {
        match self {
            Self::AttemptNo => Some(i64::from(payment.attempt_no)),
            Self::RiskScore => payment.risk_score.map(i64::from),
        }
    }
}

/// An attribute that holds any number of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagAttribute {
    Segments,
    Wallets,
}

impl TagAttribute {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Wallets => "wallets",
        }
    }

    pub(super) fn of(self, payment: &Attributes) -> &[String] {
        match self {
            Self::Segments => &payment.customer.segments,
            Self::Wallets => &payment.device.wallets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::tests::payment;

    #[test]
    fn every_text_attribute_has_its_name() {
        for (name, attribute) in TextAttribute::ALL {
            assert_eq!(attribute.name(), name);
            assert_eq!(TextAttribute::named(name), Some(attribute));
        }
    }

    #[test]
    fn operations_and_stages_are_read_as_they_are_written() {
        let mut payment = payment("p");
        for (name, operation) in OPERATIONS {
            payment.operation = operation;
            assert_eq!(TextAttribute::Operation.of(&payment), Some(name));
        }
        for (name, stage) in STAGES {
            payment.stage = stage;
            assert_eq!(TextAttribute::Stage.of(&payment), Some(name));
        }
    }
}
