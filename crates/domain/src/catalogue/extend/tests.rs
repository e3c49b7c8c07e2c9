//! What an operator's documents change, and what they cannot.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::catalogue::{
    Advice, Catalogue, Certainty, FailureKind, FailureReport, HealthSignal, Reason, Side,
};

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::built_in().unwrap());
static WITHOUT_DOCUMENTS: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::load(&[]).unwrap());

fn load(text: &str) -> Catalogue {
    match BUILT_IN.clone().extended(&[("own.yaml", text)]) {
        Ok(catalogue) => catalogue,
        Err(found) => panic!("{found:?}"),
    }
}

fn refused(text: &str) -> Vec<String> {
    let found = BUILT_IN.clone().extended(&[("own.yaml", text)]).unwrap_err();
    found.iter().map(ToString::to_string).collect()
}

fn code(line: &str) -> String {
    format!("version: 1\ncodes:\n  - {{{line}}}\n")
}

const NEW: &str = "provider: my_bank, code: E77, meaning: balance too low, reason: insufficient_funds, \
    certainty: declined, side: customer, advice: ask_customer, health_scope: none";

#[test]
fn an_override_changes_what_it_says_and_nothing_else() {
    let before = BUILT_IN.find("alipay", "ACQ.SYSTEM_ERROR").unwrap();
    let catalogue = load(&code(
        "provider: alipay, code: ACQ.SYSTEM_ERROR, note: ask Lin first",
    ));
    let after = catalogue.find("alipay", "ACQ.SYSTEM_ERROR").unwrap();
    assert_eq!(after.note.as_deref(), Some("ask Lin first"));
    assert_eq!(&*after.source, "own.yaml");
    assert_eq!(
        (after.reason, after.certainty, &after.meaning),
        (before.reason, before.certainty, &before.meaning)
    );
    assert_eq!(catalogue.codes().len(), BUILT_IN.codes().len());
    assert_eq!(catalogue.version(), "built-in 1, own.yaml 1");
}

#[test]
fn a_new_code_of_a_new_provider_is_classified() {
    let catalogue = load(&code(&format!("{NEW}, aliases: [e77]")));
    assert!(catalogue.knows_provider("my_bank"));
    for spelling in ["E77", "e77"] {
        let failure = catalogue.classify(&FailureReport {
            code: Some(spelling),
            ..FailureReport::new("my_bank", FailureKind::Declined)
        });
        assert_eq!((failure.reason, failure.known), (Reason::InsufficientFunds, true));
    }
}

#[test]
fn a_shared_code_is_overridden_for_its_provider_alone() {
    let catalogue = load(&code("provider: visa, code: '05', advice: ask_customer"));
    assert_eq!(catalogue.find("visa", "05").unwrap().advice, Advice::AskCustomer);
    assert_eq!(
        catalogue.find("mastercard", "05").unwrap().advice,
        Advice::SwitchChannel
    );
}

#[test]
fn a_mark_is_set_and_taken_away() {
    let catalogue = load(&code("provider: unionpay, code: '01', signal: busy"));
    assert_eq!(
        catalogue.find("unionpay", "01").unwrap().signal,
        Some(HealthSignal::Busy)
    );
    let catalogue = load(&code("provider: unionpay, code: '06', signal: none"));
    assert_eq!(catalogue.find("unionpay", "06").unwrap().signal, None);
    let catalogue = load(&code(
        "provider: mastercard_mac, code: '02', min_retry_delay_secs: 0",
    ));
    assert_eq!(
        catalogue
            .find("mastercard_mac", "02")
            .unwrap()
            .min_retry_delay_secs,
        None
    );
}

#[test]
fn a_later_document_goes_before_an_earlier_one() {
    let note = |note: &str| code(&format!("provider: unionpay, code: '03', note: {note}"));
    let (one, two) = (note("one"), note("two"));
    let catalogue = Catalogue::load(&[("1.yaml", &one), ("2.yaml", &two)]).unwrap();
    assert_eq!(
        catalogue.find("unionpay", "03").unwrap().note.as_deref(),
        Some("two")
    );
    assert_eq!(catalogue.version(), "built-in 1, 1.yaml 1, 2.yaml 1");
}

#[test]
fn a_provider_takes_codes_and_a_hotline_from_a_document() {
    let catalogue = load("version: 2\nproviders:\n  my_bank: {then: [iso8583], hotline: '95599'}\n");
    assert_eq!(&*catalogue.find("my_bank", "51").unwrap().provider, "iso8583");
    let failure = catalogue.classify(&FailureReport {
        code: Some("62"),
        ..FailureReport::new("my_bank", FailureKind::Declined)
    });
    let contact = catalogue.message(&failure, "my_bank", "en").contact;
    assert_eq!(contact, crate::catalogue::Contact::Hotline("95599"));
}

const FRENCH: &str = "\
version: 1
messages:
  fr:
    card_expired: {what: Cette carte a expiré., todo: Utilisez une autre carte.}
  en-AU:
    card_expired: {what: Out of date, todo: Try another}
reasons:
  card_expired: {notify_customer_afterwards: true}
";

#[test]
fn a_language_is_added_and_falls_back_reason_by_reason() {
    let catalogue = load(FRENCH);
    let what = |reason, locale| catalogue.text(reason, Certainty::Declined, locale).0.to_owned();
    assert_eq!(what(Reason::CardExpired, "fr-CA"), "Cette carte a expiré.");
    assert_eq!(
        what(Reason::PinIncorrect, "fr-CA"),
        what(Reason::PinIncorrect, "en")
    );
    assert_eq!(what(Reason::CardExpired, "en-AU"), "Out of date");
    assert_eq!(what(Reason::CardExpired, "en-GB"), "This card has expired.");
    assert!(catalogue.reason(Reason::CardExpired).notify_customer_afterwards);
}

#[test]
fn the_default_language_is_that_of_the_operator() {
    let catalogue = load("version: 1\ndefault_locale: zh-CN\n");
    let (what, _) = catalogue.text(Reason::CardExpired, Certainty::Declined, "fr");
    assert_eq!(what, "这张卡已过有效期。");
    assert_eq!(
        refused("version: 1\ndefault_locale: fr\n"),
        ["own.yaml:2:17: default_locale: reason `provider_unavailable` and 30 others have no text in `fr`"]
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(refused("codes: []\n"), ["own.yaml:1:1: `version` is missing"]);
    assert_eq!(
        refused(
            "version: 1\nmessages:\n  zh_CN: {card_expired: {what: a, todo: b}}\n  fr: {card_expird: {}}\n"
        ),
        [
            "own.yaml:3:3: messages: `zh_CN` is not a language tag of BCP 47, such as en, zh-CN or pt-BR",
            "own.yaml:4:8: messages.fr: unknown key: `card_expird`, did you mean `card_expired`?"
        ]
    );
    let missing = refused(&code("provider: my_bank, code: E1"));
    assert_eq!(missing.len(), 5, "{missing:?}");
    assert_eq!(missing[0], "own.yaml:3:5: codes[0]: `meaning` is missing");
    assert_eq!(
        refused(&code(
            "provider: stripe, code: card_decline_rate_limit_exceeded, advice: query_frist"
        )),
        ["own.yaml:3:72: codes[0].advice: `query_frist`, did you mean `query_first`?"]
    );
    assert_eq!(
        refused(&format!("{}  - {{{NEW}}}\n", code(NEW))),
        ["own.yaml:4:5: codes[1]: code `E77` of `my_bank` stands here twice"]
    );
    assert_eq!(
        refused(&code(
            "provider: wechatpay_v3, code: TRADE_ERROR, aliases: [NOTENOUGH]"
        )),
        ["own.yaml:3:59: codes[0].aliases[0]: `NOTENOUGH` is listed as `NOTENOUGH` already"]
    );
    assert_eq!(
        refused("version: 1\nproviders: {my_bank: {then: [iso]}}\n"),
        ["own.yaml:2:30: providers.my_bank.then[0]: provider `iso` has no codes"]
    );
}

#[test]
fn an_unsafe_judgement_is_refused() {
    for (change, complaint) in [
        (
            "provider: unionpay, code: '03', advice: switch_channel",
            "would charge twice",
        ),
        (
            "provider: unionpay, code: '03', certainty: declined",
            "is for an `unknown` outcome",
        ),
        (
            "provider: unionpay, code: '03', reason: insufficient_funds",
            "does not go with an `unknown`",
        ),
        (
            "provider: iso8583, code: '59', advice: retry_same",
            "does not go with side `risk`",
        ),
        (
            "provider: iso8583, code: '41', side: issuer, advice: switch_channel",
            "must never be used again",
        ),
        (
            "provider: iso8583, code: '41', never_same_credential: false",
            "visa_category 1 needs",
        ),
    ] {
        let found = refused(&code(change));
        assert!(
            found.iter().any(|line| line.contains(complaint)),
            "{change}: {found:?}"
        );
    }
}

#[test]
fn an_unknown_outcome_becomes_a_settled_one_when_the_advice_says_so_too() {
    let catalogue = load(&code(
        "provider: unionpay, code: '03', certainty: not_processed, reason: provider_unavailable, \
         advice: switch_channel",
    ));
    let code = catalogue.find("unionpay", "03").unwrap();
    assert_eq!(code.advice, Advice::SwitchChannel);
    assert_eq!(code.if_nothing_payable_was_delivered, None);
}

/// A document that changes one code at random, right or wrong.
fn any_change() -> impl Strategy<Value = String> {
    (
        0..700_usize,
        prop::option::of(prop::sample::select(&Certainty::ALL[..])),
        prop::option::of(prop::sample::select(&Advice::ALL[..])),
        prop::option::of(prop::sample::select(&Side::ALL[..])),
        prop::option::of(prop::sample::select(&Reason::ALL[..])),
    )
        .prop_map(|(at, certainty, advice, side, reason)| {
            let listed = &BUILT_IN.codes()[at % BUILT_IN.codes().len()];
            let mut line = format!("provider: {}, code: '{}'", listed.provider, listed.code);
            let mut say = |key: &str, value: Option<&str>| {
                if let Some(value) = value {
                    line = format!("{line}, {key}: {value}");
                }
            };
            say("certainty", certainty.map(Certainty::as_str));
            say("advice", advice.map(Advice::as_str));
            say("side", side.map(Side::as_str));
            say("reason", reason.map(Reason::as_str));
            code(&line)
        })
}

proptest! {
    #[test]
    fn without_documents_the_catalogue_is_the_built_in_one(at in 0..700_usize, locale in "[a-z]{2}(-[A-Z]{2})?") {
        let loaded = &*WITHOUT_DOCUMENTS;
        prop_assert_eq!(loaded.version(), "built-in 1");
        let listed = &BUILT_IN.codes()[at % BUILT_IN.codes().len()];
        prop_assert_eq!(loaded.find(&listed.provider, &listed.code), Some(listed));
        for reason in Reason::ALL {
            let text = |catalogue: &Catalogue| {
                let (what, todo) = catalogue.text(reason, Certainty::Declined, &locale);
                format!("{what} {todo}")
            };
            prop_assert_eq!(text(loaded), text(&BUILT_IN));
        }
    }

    #[test]
    fn whatever_is_accepted_is_safe_and_changes_one_code(text in any_change()) {
        let Ok(catalogue) = BUILT_IN.clone().extended(&[("own.yaml", &text)]) else {
            return Ok(());
        };
        let changed: Vec<_> = catalogue
            .codes()
            .iter()
            .zip(BUILT_IN.codes())
            .filter(|(after, before)| after != before)
            .collect();
        prop_assert_eq!(changed.len(), 1);
        let code = changed[0].0;
        prop_assert_eq!(code.certainty == Certainty::Unknown, code.advice == Advice::QueryFirst);
        if code.side == Side::Risk || code.never_same_credential {
            prop_assert!(code.advice != Advice::RetrySame);
        }
        if code.side == Side::Risk {
            prop_assert!(code.advice != Advice::SwitchChannel);
        }
    }

    #[test]
    fn no_document_makes_the_loader_panic(cut in 0..FRENCH.len(), junk in "[ -~\\n]{0,12}") {
        let mut text = FRENCH.to_owned();
        let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(cut, &junk);
        let _ = BUILT_IN.clone().extended(&[("own.yaml", &text)]);
    }
}
