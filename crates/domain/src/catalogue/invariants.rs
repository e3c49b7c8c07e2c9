//! What must hold of the catalogue's data, whoever edits it.

use std::collections::HashSet;

use super::*;

fn codes() -> Vec<Arc<Code>> {
    Catalogue::built_in().unwrap().codes().to_vec()
}

/// Fails with every code of which `holds` is not true.
fn assert_each(holds: impl Fn(&Code) -> bool) {
    let broken: Vec<_> = codes()
        .iter()
        .filter(|code| !holds(code))
        .map(|code| format!("{} {}", code.provider, code.code))
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn the_catalogue_holds_592_provider_codes_and_31_reasons() {
    let of_providers = codes().iter().filter(|code| &*code.provider != PAYROUTE).count();
    assert_eq!(of_providers, 592);
    assert_eq!(Reason::COUNT, 31);
}

#[test]
fn each_reason_has_a_canonical_code_and_is_used_by_a_provider() {
    for reason in Reason::ALL {
        let used = |ours: bool| {
            codes()
                .iter()
                .any(|code| code.reason == reason && (&*code.provider == PAYROUTE) == ours)
        };
        assert!(used(true), "{reason} has no canonical code");
        assert!(used(false), "{reason} is used by no provider");
    }
}

#[test]
fn no_code_or_alias_of_a_provider_is_listed_twice() {
    let mut seen = HashSet::new();
    for code in codes() {
        for spelling in std::iter::once(&code.code).chain(&code.aliases) {
            assert!(
                seen.insert((code.provider.clone(), spelling.clone())),
                "{} {spelling}",
                code.provider
            );
        }
    }
}

#[test]
fn an_unknown_outcome_is_queried_first_and_nothing_else_is() {
    assert_each(|code| (code.certainty == Certainty::Unknown) == (code.advice == Advice::QueryFirst));
}

#[test]
fn what_risk_refused_is_never_retried_or_switched() {
    assert_each(|code| {
        code.side != Side::Risk || !matches!(code.advice, Advice::RetrySame | Advice::SwitchChannel)
    });
}

#[test]
fn a_credential_that_must_not_be_used_again_is_never_retried() {
    assert_each(|code| !code.never_same_credential || code.advice != Advice::RetrySame);
}

#[test]
fn a_reason_that_may_be_shown_as_open_is_used_for_every_unknown_outcome() {
    assert_each(|code| {
        code.certainty != Certainty::Unknown
            || code.reason.speaks_of_an_open_result()
            || code.reason == Reason::Unclassified
    });
}

#[test]
fn only_an_unknown_outcome_is_lifted_and_then_to_a_switch() {
    assert_each(|code| match code.if_nothing_payable_was_delivered {
        Some(lifted) => {
            code.certainty == Certainty::Unknown
                && lifted.certainty == Certainty::NotProcessed
                && lifted.advice == Advice::SwitchChannel
        }
        None => true,
    });
}

#[test]
fn a_visa_category_is_1_to_4_and_category_1_forbids_the_credential() {
    assert_each(|code| match code.visa_category {
        Some(category) => (1..=4).contains(&category) && (category != 1 || code.never_same_credential),
        None => true,
    });
}

#[test]
fn no_entry_is_without_a_meaning_or_a_source() {
    assert_each(|code| !code.meaning.is_empty() && !code.source.is_empty() && !code.code.is_empty());
}

#[test]
fn a_text_that_says_nothing_was_charged_is_never_shown_for_an_unknown_outcome() {
    let catalogue = Catalogue::built_in().unwrap();
    for reason in Reason::ALL {
        for (locale, promise) in [
            ("zh-CN", "没有扣款"),
            ("en", "not been charged"),
            ("zh-CN", "没有成功"),
            ("en", "did not go through"),
        ] {
            let (what, todo) = catalogue.text(reason, Certainty::Unknown, locale);
            assert!(
                !what.contains(promise) && !todo.contains(promise),
                "{reason}: {what} {todo}"
            );
        }
    }
}

#[test]
fn a_text_that_says_the_result_is_open_is_never_shown_for_a_settled_outcome() {
    let catalogue = Catalogue::built_in().unwrap();
    for reason in Reason::ALL {
        for certainty in [Certainty::Declined, Certainty::NotProcessed] {
            let (_, todo) = catalogue.text(reason, certainty, "en");
            assert!(!todo.contains("do not pay again"), "{reason}: {todo}");
            let (_, todo) = catalogue.text(reason, certainty, "zh");
            assert!(
                !todo.contains("不要重复付款") && !todo.contains("不要再次付款"),
                "{reason}: {todo}"
            );
        }
    }
}

#[test]
fn no_customer_is_told_of_loss_theft_or_fraud() {
    let catalogue = Catalogue::built_in().unwrap();
    let telling = ["挂失", "被盗", "欺诈", "盗刷", "lost", "stolen", "fraud"];
    for reason in Reason::ALL {
        for certainty in Certainty::ALL {
            for locale in ["zh-CN", "en"] {
                let (what, todo) = catalogue.text(reason, certainty, locale);
                let text = format!("{what} {todo}").to_lowercase();
                assert!(
                    telling.iter().all(|word| !text.contains(word)),
                    "{reason}: {text}"
                );
            }
        }
    }
}

#[test]
fn each_reason_says_what_happened_and_what_to_do_in_both_languages() {
    let catalogue = Catalogue::built_in().unwrap();
    for reason in Reason::ALL {
        let locales: Vec<_> = catalogue.reason(reason).locales().collect();
        assert_eq!(locales, ["en", "zh-CN"], "{reason}");
        for locale in locales {
            let text = catalogue.reason(reason).text(locale).unwrap();
            assert!(
                !text.what.is_empty() && !text.todo.is_empty(),
                "{reason} {locale}"
            );
        }
    }
}
