//! Records to test with.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::{AccountId, AttemptId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use domain::payment::{Attributes, Card, Customer, Device, Operation, Stage};
use jiff::Timestamp;
use uuid::Uuid;

use crate::attempt::{AttemptRecord, Report, Resolution, Segment, Verdict};
use crate::decision::{DecisionRecord, Exclusion};

/// The merchant of all samples.
pub(crate) fn merchant() -> MerchantId {
    MerchantId::new("shop").expect("a good name")
}

/// The payment of that name.
pub(crate) fn payment(name: &str) -> PaymentId {
    PaymentId::new(name).expect("a good name")
}

/// A time some microseconds after the samples' beginning.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(1_790_000_000_000_000 + micros).expect("within the calendar")
}

/// A timed-out attempt of that name at payment `p1`, which arrived at the beginning. Every field is filled.
pub(crate) fn attempt(name: &str) -> AttemptRecord {
    AttemptRecord {
        merchant: merchant(),
        attempt: AttemptId::new(name).expect("a good name"),
        payment: payment("p1"),
        attempt_no: 1,
        decision: Uuid::from_u128(1),
        channel: ChannelId::new("bank_a").expect("a good name"),
        account: Some(AccountId::new("main").expect("a good name")),
        amount: Money::new(12_345, "CNY".parse().expect("a currency")).expect("above zero"),
        segment: Segment {
            method: "card".to_owned(),
            issuer: Some("icbc".to_owned()),
            region: Some("guangdong".to_owned()),
        },
        report: Report {
            result: "timed_out".to_owned(),
            provider: "unionpay".to_owned(),
            code: Some("98".to_owned()),
            sub_code: Some("9801".to_owned()),
            http_status: Some(504),
            transport_event: Some("read_timeout".to_owned()),
            message: Some("发卡方超时".to_owned()),
            provider_reference: Some("2026112300001".to_owned()),
            network_advice_code: Some("02".to_owned()),
        },
        verdict: Verdict {
            reason: Some("channel_timeout".to_owned()),
            certainty: "unknown".to_owned(),
            class: Some(OutcomeClass::Timeout),
            state: "unknown".to_owned(),
        },
        decided_at: at(-3_100_000),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        started_at: at(-3_000_000),
        received_at: at(0),
        latency_ms: 3_000,
        digest: [7; 32],
        submit: None,
        credential: None,
        case: None,
        notices: Vec::new(),
    }
}

/// A decision for the payment of that name, the `number`th second after the beginning.
pub(crate) fn decision(number: u32, of: &str) -> DecisionRecord {
    DecisionRecord {
        id: Uuid::from_u128(number.into()),
        attributes: Arc::new(attributes(of)),
        action: "submit".to_owned(),
        channel: Some(ChannelId::new("bank_a").expect("a good name")),
        account: None,
        policy_version: "2026-11-23.1".to_owned(),
        matched_rule: Some("cards".to_owned()),
        strategy: "split".to_owned(),
        exploration: "probe".to_owned(),
        propensity: Some(0.1),
        panic: false,
        excluded: vec![Exclusion {
            channel: ChannelId::new("alipay").expect("a good name"),
            reason: "method".to_owned(),
        }],
        decided_at: at(i64::from(number) * 1_000_000),
    }
}

/// The attributes of the payment of that name. Every field is filled.
pub(crate) fn attributes(of: &str) -> Attributes {
    let some = |text: &str| Some(text.to_owned());
    Attributes {
        merchant: merchant(),
        payment: payment(of),
        attempt_no: 1,
        amount: Money::new(12_345, "CNY".parse().expect("a currency")).expect("above zero"),
        operation: Operation::Authorize,
        stage: Stage::Debit,
        method: "card".to_owned(),
        presentment: some("app"),
        issuer: some("icbc"),
        issuer_country: some("CN"),
        card: Some(Card {
            brand: some("unionpay"),
            funding: some("credit"),
            bin: some("622202"),
        }),
        country: some("CN"),
        region: some("guangdong"),
        customer: Customer {
            reference: some("c-81f"),
            is_new: true,
            age_band: some("18-25"),
            segments: vec!["gold".to_owned()],
        },
        device: Device {
            os: some("ios"),
            wallets: vec!["apple_pay".to_owned()],
        },
        risk_score: Some(120),
        metadata: BTreeMap::from([("shelf".to_owned(), "books".to_owned())]),
        locale: some("zh-CN"),
    }
}

/// A resolution of the attempt of that name.
pub(crate) fn resolution(name: &str, from_state: &str, to_state: &str) -> Resolution {
    Resolution {
        merchant: merchant(),
        attempt: AttemptId::new(name).expect("a good name"),
        from_state: from_state.to_owned(),
        to_state: to_state.to_owned(),
        class: Some(OutcomeClass::Success),
        source: "query".to_owned(),
        content: serde_json::json!({ "trade_state": "SUCCESS" }),
        at: at(5_000_000),
        notices: Vec::new(),
    }
}
