//! Who is told what, and who is not.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::attempt::{Event, State, next};
use crate::catalogue::Certainty;
use crate::id::{MerchantId, PaymentId};
use crate::money::Money;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::built_in().unwrap());
static MERCHANT: LazyLock<MerchantId> = LazyLock::new(|| MerchantId::new("shop").unwrap());
static PAYMENT: LazyLock<PaymentId> = LazyLock::new(|| PaymentId::new("pay_1").unwrap());

const RULES: &str = "\
version: 3
timezone: Asia/Shanghai
quiet_hours: {from: '22:00', to: '08:00'}
rules:
  - {name: gift_cards, events: [failed, settled_unpaid], methods: [gift_card], send: []}
  - {name: paid, events: [settled_paid], send: [wechat, sms, webhook], template: paid, urgent: true}
  - {name: open, events: [failed, confirming], send: [sms, webhook], template: open, valid_secs: 3600}
  - {name: expired, events: [failed], reasons: [card_expired], send: [sms], template: open}
templates:
  paid:
    wechat:
      zh-CN: {template: OPENTM_1, fields: {first: 付款成功, keyword1: '{amount} {currency}', keyword2: '{date} {time}'}}
    sms:
      zh-CN: {template: SMS_1, fields: {amount: '{amount}'}}
    webhook:
      zh-CN: {fields: {text: '{payment} 已付款'}}
      en: {fields: {text: '{payment} of {merchant} is paid'}}
  open:
    sms:
      zh-CN: {template: SMS_2, fields: {what: '{what}', todo: '{todo}'}}
    webhook:
      en: {fields: {text: '{what} {todo}'}}
receivers: {webhook: hook, sms: texts, wechat: account}
";

fn rules() -> Rules {
    Rules::load(RULES, "notices.yaml").unwrap_or_else(|found| panic!("{found:?}"))
}

fn refused(from: &str, to: &str) -> Vec<String> {
    assert!(RULES.contains(from), "{from}");
    let found = Rules::load(&RULES.replacen(from, to, 1), "n.yaml").unwrap_err();
    found.iter().map(ToString::to_string).collect()
}

fn contacts(webhook: Consent, sms: Consent, wechat: Consent) -> Contacts {
    Contacts { webhook, sms, wechat }
}

const ALL: Contacts = Contacts {
    webhook: Consent::Given,
    sms: Consent::Given,
    wechat: Consent::Given,
};

fn occasion(event: Happened) -> Occasion<'static> {
    Occasion {
        merchant: &MERCHANT,
        payment: &PAYMENT,
        event,
        reason: None,
        certainty: Certainty::Unknown,
        method: "wechat_pay",
        amount: Money::new(1_999, "CNY".parse().unwrap()).unwrap(),
        at: "2026-01-05T14:05:00+08:00".parse().unwrap(),
        locale: "zh-CN",
        contacts: ALL,
    }
}

fn at_night(occasion: Occasion<'static>) -> Occasion<'static> {
    Occasion {
        at: "2026-01-05T23:30:00+08:00".parse().unwrap(),
        ..occasion
    }
}

fn notice(occasion: &Occasion<'_>) -> Result<Notice, Silence> {
    rules().notice(occasion, &CATALOGUE)
}

fn open() -> Occasion<'static> {
    Occasion {
        reason: Some(Reason::ProviderTimeout),
        ..occasion(Happened::Confirming)
    }
}

#[test]
fn a_payment_that_went_through_after_all_is_told_by_the_preferred_way() {
    let notice = notice(&occasion(Happened::SettledPaid)).unwrap();
    assert_eq!(notice.way, Way::Wechat);
    assert_eq!(notice.vendor_template.as_deref(), Some("OPENTM_1"));
    let fields: Vec<_> = notice
        .fields
        .iter()
        .map(|(name, text)| (&**name, text.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("first", "付款成功"),
            ("keyword1", "19.99 CNY"),
            ("keyword2", "2026-01-05 14:05")
        ]
    );
    assert_eq!(notice.key, "shop pay_1 settled_paid");
    assert_eq!(
        notice.not_after.duration_since(notice.send_at),
        SignedDuration::from_hours(24)
    );
}

#[test]
fn who_cannot_be_reached_by_one_way_is_reached_by_the_next() {
    let with = |contacts| {
        notice(&Occasion {
            contacts,
            ..occasion(Happened::SettledPaid)
        })
    };
    let (none, given, out) = (Consent::NoContact, Consent::Given, Consent::OptedOut);
    assert_eq!(with(contacts(given, given, none)).unwrap().way, Way::Sms);
    assert_eq!(with(contacts(given, none, out)).unwrap().way, Way::Webhook);
    let rule = || Box::from("paid");
    assert_eq!(
        with(contacts(none, out, none)),
        Err(Silence::OptedOut { rule: rule() })
    );
    assert_eq!(
        with(contacts(none, none, none)),
        Err(Silence::Unreachable { rule: rule() })
    );
}

#[test]
fn the_language_is_the_closest_and_else_the_first() {
    let contacts = contacts(Consent::Given, Consent::NoContact, Consent::NoContact);
    let text = |locale| {
        let occasion = Occasion {
            locale,
            contacts,
            ..occasion(Happened::SettledPaid)
        };
        notice(&occasion).unwrap().fields[0].1.clone()
    };
    assert_eq!(text("en-GB"), "pay_1 of shop is paid");
    assert_eq!(text("fr"), "pay_1 已付款");
}

#[test]
fn a_reason_is_told_in_the_language_of_the_template() {
    let english = Occasion {
        locale: "en",
        ..open()
    };
    let notice = notice(&english).unwrap();
    assert_eq!((notice.way, &*notice.locale), (Way::Sms, "zh-CN"));
    assert!(notice.fields[0].1.starts_with("支付结果还在确认中"), "{notice:?}");
}

#[test]
fn only_marked_or_named_reasons_are_told_while_nothing_is_final() {
    let failed = |reason| {
        notice(&Occasion {
            reason: Some(reason),
            ..occasion(Happened::Failed)
        })
    };
    assert_eq!(failed(Reason::InsufficientFunds), Err(Silence::NoRule));
    assert_eq!(&*failed(Reason::CardExpired).unwrap().rule, "expired");
    assert_eq!(&*failed(Reason::AlreadyPaid).unwrap().rule, "open");
}

#[test]
fn a_rule_without_a_way_keeps_silent() {
    let gift = Occasion {
        method: "gift_card",
        ..occasion(Happened::SettledUnpaid)
    };
    assert_eq!(
        notice(&gift),
        Err(Silence::Suppressed {
            rule: "gift_cards".into()
        })
    );
    assert_eq!(notice(&occasion(Happened::SettledUnpaid)), Err(Silence::NoRule));
}

#[test]
fn nobody_is_woken_but_a_machine_and_for_urgent_news() {
    let night = at_night(open());
    let sms = notice(&night).unwrap();
    assert_eq!(sms.send_at, "2026-01-06T08:00:00+08:00".parse().unwrap());
    assert_eq!(sms.not_after, "2026-01-06T09:00:00+08:00".parse().unwrap());
    let webhook = Occasion {
        contacts: Contacts {
            sms: Consent::NoContact,
            ..ALL
        },
        ..night
    };
    assert_eq!(notice(&webhook).unwrap().send_at, night.at);
    let urgent = at_night(occasion(Happened::SettledPaid));
    assert_eq!(notice(&urgent).unwrap().send_at, urgent.at);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(
        refused("template: paid, urgent", "template: payd, urgent"),
        ["n.yaml:6:82: rules[1].template: `payd`, did you mean `paid`?"]
    );
    assert_eq!(
        refused("'{amount} {currency}'", "'{amount} {curency}'"),
        [
            "n.yaml:12:67: templates.paid.wechat.zh-CN.fields.keyword1: unknown placeholder: `curency`, did you mean `currency`?"
        ]
    );
    assert_eq!(
        refused("send: [sms], template: open", "send: [wechat], template: open"),
        ["n.yaml:8:90: rules[3].template: template `open` says nothing by `wechat`"]
    );
    assert_eq!(
        refused("Asia/Shanghai", "Asia/Shangai"),
        [
            "n.yaml:2:11: timezone: `Asia/Shangai` is not a time zone of the IANA database, such as Asia/Shanghai"
        ]
    );
    assert_eq!(
        refused("to: '08:00'", "to: '22:00'"),
        ["n.yaml:3:14: quiet_hours: begins when it ends: that could mean never or always"]
    );
    assert_eq!(
        refused("text: '{payment} 已付款'", "text: '{what}'"),
        [
            "n.yaml:6:5: rules[1]: `{what}` and `{todo}` may be empty after `settled_paid`: name `reasons`, or leave them out"
        ]
    );
    assert_eq!(
        refused("{template: SMS_1, fields", "{fields"),
        ["n.yaml:14:14: templates.paid.sms.zh-CN: `template` is missing"]
    );
    assert_eq!(
        refused("name: expired", "name: open"),
        ["n.yaml:8:5: rules[3]: rule `open` is there already"]
    );
}

#[test]
fn a_change_of_state_is_news_only_when_the_customer_does_not_know_it() {
    use Happened::{Confirming, Failed, RefundStarted, SettledPaid, SettledUnpaid};
    for (before, after, more, expected) in [
        (State::Submitted, State::Succeeded, false, None),
        (State::Submitted, State::Declined, true, None),
        (State::Submitted, State::Declined, false, Some(Failed)),
        (State::Submitted, State::Unknown, false, Some(Confirming)),
        (State::Unknown, State::Succeeded, false, Some(SettledPaid)),
        (State::Unknown, State::Declined, true, Some(SettledUnpaid)),
        (
            State::ReversalPending,
            State::Reversed,
            false,
            Some(SettledUnpaid),
        ),
        (State::Unknown, State::ReversalPending, false, None),
        (State::ReversalPending, State::NeedsReview, false, None),
        (State::Declined, State::LateSuccess, false, None),
        (State::LateSuccess, State::Succeeded, false, Some(SettledPaid)),
        (
            State::LateSuccess,
            State::RefundPending,
            false,
            Some(RefundStarted),
        ),
    ] {
        assert_eq!(Happened::of(before, after, more), expected, "{before} to {after}");
    }
}

#[test]
fn the_end_of_every_doubt_is_told() {
    let doubtful = [State::Unknown, State::ReversalPending, State::NeedsReview];
    for before in doubtful {
        for event in Event::all() {
            let Ok(after) = next(before, event) else { continue };
            if !doubtful.contains(&after) {
                assert!(
                    Happened::of(before, after, true).is_some_and(Happened::ends_doubt),
                    "{before} to {after}"
                );
            }
        }
    }
}

#[test]
fn later_news_never_brings_back_what_it_superseded() {
    for event in Happened::ALL {
        assert!(!event.supersedes(event));
        for other in Happened::ALL {
            assert!(
                !(event.supersedes(other) && other.supersedes(event)),
                "{event} {other}"
            );
        }
    }
}

fn any_occasion() -> impl Strategy<Value = Occasion<'static>> {
    let consent = || prop::sample::select(&[Consent::NoContact, Consent::Given, Consent::OptedOut][..]);
    (
        prop::sample::select(&Happened::ALL[..]),
        prop::option::of(prop::sample::select(&Reason::ALL[..])),
        prop::sample::select(&Certainty::ALL[..]),
        prop::sample::select(&["gift_card", "wechat_pay"][..]),
        1_700_000_000..1_800_000_000_i64,
        prop::sample::select(&["zh-CN", "en", "fr-CA", ""][..]),
        (consent(), consent(), consent()),
    )
        .prop_map(
            |(event, reason, certainty, method, at, locale, (webhook, sms, wechat))| Occasion {
                reason,
                certainty,
                method,
                at: Timestamp::from_second(at).unwrap(),
                locale,
                contacts: contacts(webhook, sms, wechat),
                ..occasion(event)
            },
        )
}

proptest! {
    #[test]
    fn nobody_is_told_against_their_will_twice_or_in_the_night(occasion in any_occasion()) {
        let rules = rules();
        let Ok(notice) = rules.notice(&occasion, &CATALOGUE) else { return Ok(()) };
        prop_assert_eq!(occasion.contacts.by(notice.way), Consent::Given);
        prop_assert!(notice.send_at >= occasion.at && notice.not_after > notice.send_at);
        let hour = rules.timezone.to_datetime(notice.send_at).hour();
        let urgent = notice.rule.as_ref() == "paid";
        if notice.way.reaches_a_person() && !urgent {
            prop_assert!((8..22).contains(&hour), "{hour}");
        }
        for (name, text) in &notice.fields {
            prop_assert!(!text.is_empty() && !text.contains('{'), "{name}: {text}");
        }
        // Heard again, later, with other contacts: the same key, so it is told once.
        let again = Occasion { at: occasion.at.checked_add(SignedDuration::from_hours(9)).unwrap(), contacts: ALL, ..occasion };
        prop_assert_eq!(rules.notice(&again, &CATALOGUE).unwrap().key, notice.key);
    }

    #[test]
    fn an_open_result_is_never_told_as_if_nothing_was_charged(reason in prop::sample::select(&Reason::ALL[..])) {
        let occasion = Occasion { reason: Some(reason), ..open() };
        if let Ok(notice) = notice(&occasion) {
            prop_assert!(notice.fields.iter().all(|(_, text)| !text.contains("没有扣款")));
        }
    }

    #[test]
    fn no_document_makes_the_loader_panic(cut in 0..RULES.len(), junk in "[ -~\\n]{0,12}") {
        let mut text = RULES.to_owned();
        let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(cut, &junk);
        let _ = Rules::load(&text, "n.yaml");
    }
}
