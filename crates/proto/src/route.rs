//! `RouteRequest`: from the wire.

use domain::id::{AttemptId, ChannelId};
use domain::money::Money;
use domain::network_retry::Fingerprint;
use domain::payment::{Attributes, Card, Customer, Device, Operation, Stage};
use jiff::Timestamp;

use crate::fields::{MAX_TAGS, Reader};
use crate::v1;
use crate::violation::Violations;

/// Most attempts at one payment.
pub const MAX_ATTEMPTS: u32 = 20;

/// A request for a channel, checked.
#[derive(Clone, Debug)]
pub struct RouteQuery {
    /// The payment.
    pub attributes: Attributes,
    /// Only these channels may be chosen; empty: any.
    pub candidates: Vec<ChannelId>,
    /// These may not.
    pub exclude: Vec<ChannelId>,
    /// Channels that could use the credential at hand; empty: all.
    pub portable_to: Vec<ChannelId>,
    /// Receipts of earlier attempts, oldest first, not yet verified.
    pub receipts: Vec<Vec<u8>>,
    /// Register the attempt before answering.
    pub guard: bool,
    /// Explain the decision.
    pub explain: bool,
    /// Whose registration it is.
    pub request: Option<AttemptId>,
    /// What the caller knows the card or token by.
    pub credential: Option<Fingerprint>,
    /// Until when the order wants money; `None` when it has no deadline.
    pub order_expires_at: Option<Timestamp>,
}

impl TryFrom<v1::RouteRequest> for RouteQuery {
    type Error = Violations;

    fn try_from(mut request: v1::RouteRequest) -> Result<Self, Violations> {
        let mut reader = Reader::default();
        let candidates = reader.names("candidates", &request.candidates);
        let exclude = reader.names("exclude_channels", &request.exclude_channels);
        let portable_to = reader.names("portable_to", &request.portable_to);
        if request.previous_attempts.len() > MAX_TAGS {
            let len = request.previous_attempts.len();
            reader.refuse(
                "previous_attempts",
                format!("has {len} items, at most {MAX_TAGS} are allowed"),
            );
        }
        let receipts: Vec<_> = std::mem::take(&mut request.previous_attempts)
            .into_iter()
            .take(MAX_TAGS)
            .map(|receipt| reader.token("previous_attempts", receipt))
            .collect();
        let (guard, explain) = (request.guard, request.explain);
        let request_id = reader.optional_name("request_id", &request.request_id);
        let credential = reader.fingerprint("credential_fingerprint", &request.credential_fingerprint);
        let order_expires_at = reader.time("order_expires_at", request.order_expires_at.as_ref());
        let query = attributes(&mut reader, request).map(|attributes| Self {
            attributes,
            candidates,
            exclude,
            portable_to,
            receipts,
            guard,
            explain,
            request: request_id,
            credential,
            order_expires_at,
        });
        reader.finish(query)
    }
}

fn attributes(reader: &mut Reader, request: v1::RouteRequest) -> Option<Attributes> {
    let merchant = reader.name("merchant_id", &request.merchant_id);
    let payment = reader.name("payment_id", &request.payment_id);
    let attempt_no = reader.within("attempt_no", request.attempt_no.max(1), 1..=MAX_ATTEMPTS);
    let amount = money(reader, request.amount_minor, &request.currency);
    let operation = operation(reader, request.operation);
    let stage = stage(reader, request.stage);
    let method = reader.required_word("method", request.method);
    let presentment = reader.word("presentment", request.presentment);
    let issuer = reader.word("issuer", request.issuer);
    let issuer_country = reader.country("issuer_country", request.issuer_country);
    let card = request.card.map(|card| self::card(reader, card));
    let country = reader.country("country", request.country);
    let region = reader.text("region", request.region);
    let customer = customer(reader, request.customer.unwrap_or_default());
    let device = device(reader, request.device.unwrap_or_default());
    let risk_score = request
        .risk_score
        .map(|score| reader.within("risk_score", score, 0..=1_000));
    let metadata = reader.metadata("metadata", request.metadata);
    let locale = reader.text("locale", request.locale);
    Some(Attributes {
        merchant: merchant?,
        payment: payment?,
        attempt_no,
        amount: amount?,
        operation: operation?,
        stage: stage?,
        method: method?,
        presentment,
        issuer,
        issuer_country,
        card,
        country,
        region,
        customer,
        device,
        risk_score,
        metadata,
        locale,
    })
}

fn money(reader: &mut Reader, minor: i64, code: &str) -> Option<Money> {
    let currency = match code {
        "" => {
            reader.refuse("currency", "is required");
            None
        }
        code if code.len() > 8 => {
            reader.refuse("currency", "must be an ISO 4217 code, such as CNY");
            None
        }
        code => code
            .parse()
            .map_err(|error: domain::money::UnknownCurrency| reader.refuse("currency", error.to_string()))
            .ok(),
    };
    if minor <= 0 {
        reader.refuse(
            "amount_minor",
            format!("is {minor}, an amount must be above zero"),
        );
        return None;
    }
    Money::new(minor, currency?).ok()
}

fn operation(reader: &mut Reader, value: i32) -> Option<Operation> {
    match v1::Operation::try_from(value) {
        Ok(v1::Operation::Unspecified | v1::Operation::Sale) => Some(Operation::Sale),
        Ok(v1::Operation::Authorize) => Some(Operation::Authorize),
        Ok(v1::Operation::AgreementDebit) => Some(Operation::AgreementDebit),
        Err(_) => {
            reader.refuse("operation", format!("{value} is not an operation"));
            None
        }
    }
}

fn stage(reader: &mut Reader, value: i32) -> Option<Stage> {
    match v1::Stage::try_from(value) {
        Ok(v1::Stage::Unspecified | v1::Stage::Debit) => Some(Stage::Debit),
        Ok(v1::Stage::Prepare) => Some(Stage::Prepare),
        Err(_) => {
            reader.refuse("stage", format!("{value} is not a stage"));
            None
        }
    }
}

fn card(reader: &mut Reader, card: v1::Card) -> Card {
    let bin = reader.text("card.bin", card.bin);
    if bin
        .as_ref()
        .is_some_and(|bin| !(6..=8).contains(&bin.len()) || !bin.bytes().all(|b| b.is_ascii_digit()))
    {
        reader.refuse("card.bin", "must be the first 6 to 8 digits");
    }
    Card {
        brand: reader.word("card.brand", card.brand),
        funding: reader.word("card.funding", card.funding),
        bin,
    }
}

fn customer(reader: &mut Reader, customer: v1::Customer) -> Customer {
    Customer {
        reference: reader.text("customer.reference", customer.reference),
        is_new: customer.is_new,
        age_band: reader.text("customer.age_band", customer.age_band),
        segments: reader.tags("customer.segments", customer.segments),
    }
}

fn device(reader: &mut Reader, device: v1::Device) -> Device {
    Device {
        os: reader.word("device.os", device.os),
        wallets: reader.tags("device.wallets", device.wallets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> v1::RouteRequest {
        v1::RouteRequest {
            merchant_id: "shop".into(),
            payment_id: "ord_1".into(),
            amount_minor: 1_999,
            currency: "CNY".into(),
            method: "wechat_pay".into(),
            ..v1::RouteRequest::default()
        }
    }

    fn fields(request: v1::RouteRequest) -> Vec<String> {
        let violations = RouteQuery::try_from(request).expect_err("must be refused");
        violations
            .list()
            .iter()
            .map(|violation| violation.field.clone())
            .collect()
    }

    #[test]
    fn the_least_request_is_enough() {
        let query = RouteQuery::try_from(good()).unwrap();
        assert_eq!(query.attributes.attempt_no, 1);
        assert_eq!(query.attributes.stage, Stage::Debit);
    }

    #[test]
    fn a_deadline_is_a_time_and_may_have_passed() {
        let until = |seconds| v1::RouteRequest {
            order_expires_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..good()
        };
        assert_eq!(fields(until(i64::MAX)), ["order_expires_at"]);
        let query = RouteQuery::try_from(until(1)).unwrap();
        assert_eq!(query.order_expires_at, Timestamp::from_second(1).ok());
        assert_eq!(RouteQuery::try_from(good()).unwrap().order_expires_at, None);
    }

    #[test]
    fn every_violation_is_listed() {
        assert_eq!(
            fields(v1::RouteRequest::default()),
            ["merchant_id", "payment_id", "currency", "amount_minor", "method"]
        );
    }

    #[test]
    fn a_card_number_is_refused_and_not_repeated() {
        let request = v1::RouteRequest {
            payment_id: "4111-1111-1111-1111".into(),
            ..good()
        };
        let violations = RouteQuery::try_from(request).unwrap_err();
        assert_eq!(violations.list()[0].field, "payment_id");
        assert!(!violations.to_string().contains("4111"));
    }

    #[test]
    fn a_card_number_in_a_metadata_key_is_not_repeated_either() {
        let metadata = [("4111111111111111".to_owned(), "x".to_owned())].into();
        let violations = RouteQuery::try_from(v1::RouteRequest { metadata, ..good() }).unwrap_err();
        assert_eq!(violations.list()[0].field, "metadata key");
        assert!(!violations.to_string().contains("4111"));
    }

    #[test]
    fn a_fingerprint_that_is_a_card_number_is_refused_and_not_repeated() {
        let request = v1::RouteRequest {
            credential_fingerprint: "4111111111111111".into(),
            request_id: "5555-5555-5555-4444".into(),
            ..good()
        };
        let violations = RouteQuery::try_from(request).unwrap_err();
        let fields: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["request_id", "credential_fingerprint"]);
        let text = violations.to_string();
        assert!(!text.contains("4111") && !text.contains("5555"), "{text}");
    }

    #[test]
    fn a_fingerprint_is_a_hash_and_not_a_word() {
        let with = |text: &str| v1::RouteRequest {
            credential_fingerprint: text.into(),
            ..good()
        };
        assert_eq!(fields(with("short")), ["credential_fingerprint"]);
        let kept = RouteQuery::try_from(with("hmac:9f86d081884c7d65")).unwrap();
        assert_eq!(kept.credential.unwrap().as_str(), "hmac:9f86d081884c7d65");
    }

    #[test]
    fn a_method_in_capitals_is_refused() {
        assert_eq!(
            fields(v1::RouteRequest {
                method: "Alipay".into(),
                ..good()
            }),
            ["method"]
        );
    }

    #[test]
    fn a_bin_is_six_to_eight_digits() {
        let card = Some(v1::Card {
            bin: "62258".into(),
            ..v1::Card::default()
        });
        assert_eq!(fields(v1::RouteRequest { card, ..good() }), ["card.bin"]);
    }

    #[test]
    fn an_operation_from_the_future_is_refused() {
        assert_eq!(
            fields(v1::RouteRequest {
                operation: 9,
                ..good()
            }),
            ["operation"]
        );
    }
}
