//! What customers are told, by the rules of a shop.

use ledger::delivery::{Deliveries as _, Filter, Record};
use ledger::{Ledger as _, SqliteLedger};
use proto::v1;

use crate::shop::{Desk, failure, report};

const RULES: &str = "
version: 1
timezone: Asia/Shanghai
quiet_hours: {from: '22:00', to: '08:00'}
receivers: {webhook: hook, sms: texts, wechat: account}
rules:
  - {name: failed, events: [failed], reasons: [insufficient_funds], send: [wechat, sms, webhook], template: failed}
  - {name: settled, events: [settled_paid, settled_unpaid], send: [sms], template: settled}
templates:
  failed:
    wechat: {zh-CN: {template: TM_1, fields: {thing1: '{what}'}}}
    sms: {zh-CN: {template: SMS_1, fields: {amount: '{amount}'}}}
    webhook: {en: {fields: {text: '{what}'}}}
  settled:
    sms: {zh-CN: {template: SMS_2, fields: {amount: '{amount}'}}}
";

fn contact(phone: &str, open_id: &str, opted_out: bool) -> v1::CustomerContact {
    v1::CustomerContact {
        phone: phone.to_owned(),
        wechat_open_id: open_id.to_owned(),
        opted_out,
    }
}

async fn told(ledger: &SqliteLedger) -> Vec<Record> {
    let filter = Filter {
        limit: 100,
        ..Filter::default()
    };
    ledger.list(&filter).await.unwrap()
}

fn receivers(told: &[Record]) -> Vec<&str> {
    told.iter().map(|record| record.receiver.as_str()).collect()
}

/// A refusal for want of money, of which a customer who is reached so is told.
async fn declined(desk: &Desk, payment: &str, contact: Option<v1::CustomerContact>) -> v1::NextAction {
    let said = v1::ReportOutcomeRequest {
        contact,
        ..failure(&desk.route(payment), payment, "INSUFFICIENT_FUNDS")
    };
    desk.report(said).await.unwrap().next.unwrap().action()
}

#[tokio::test]
async fn a_last_failure_is_told_once_by_the_way_that_reaches_the_customer() {
    let (desk, ledger) = Desk::telling(RULES).await;
    for _ in 0..2 {
        let said = Some(contact("13800138000", "", false));
        assert_eq!(declined(&desk, "ord_1", said).await, v1::NextAction::AskCustomer);
    }
    let sent = told(&ledger).await;
    assert_eq!(receivers(&sent), ["texts"]);
    let (merchant, attempt) = ("shop".parse().unwrap(), "ord_1".parse().unwrap());
    let kept = ledger.attempt(&merchant, &attempt).await.unwrap();
    assert!(kept.is_some_and(|kept| kept.notices.is_empty()));
    declined(&desk, "ord_2", Some(contact("", "oABC", false))).await;
    declined(&desk, "ord_3", None).await;
    let mut all = told(&ledger).await;
    all.sort_by_key(|record| record.id);
    assert_eq!(receivers(&all), ["texts", "account", "hook"]);
}

#[tokio::test]
async fn who_opted_out_or_has_another_channel_left_is_not_told() {
    let (desk, ledger) = Desk::telling(RULES).await;
    declined(&desk, "ord_1", Some(contact("13800138000", "oABC", true))).await;
    let busy = v1::ReportOutcomeRequest {
        contact: Some(contact("13800138000", "", false)),
        ..failure(&desk.route("ord_2"), "ord_2", "SYSTEM_BUSY")
    };
    desk.report(busy).await.unwrap();
    assert!(told(&ledger).await.is_empty());
}

#[tokio::test]
async fn how_an_unknown_ended_is_told_in_the_morning_and_once() {
    let (desk, ledger) = Desk::telling(RULES).await;
    let lost = report(&desk.route("ord_1"), "ord_1", v1::Result::TimedOut);
    let receipt = desk.report(lost).await.unwrap().receipt;
    // 20:00 in the test's world; five hours later it is night.
    desk.pass(jiff::SignedDuration::from_hours(5));
    for duplicate in [false, true] {
        let request = v1::ResolveAttemptRequest {
            receipt: receipt.clone(),
            resolution: v1::Resolution::Succeeded.into(),
            source: v1::ResolutionSource::Query.into(),
            contact: Some(contact("13800138000", "", false)),
            ..v1::ResolveAttemptRequest::default()
        };
        let answer = desk.routing.resolve(request).await.unwrap();
        assert_eq!(answer.duplicate, duplicate);
    }
    let sent = told(&ledger).await;
    assert_eq!(receivers(&sent), ["texts"]);
    assert_eq!(sent[0].due_at, "2026-03-03T08:00:00+08:00".parse().unwrap());
}
