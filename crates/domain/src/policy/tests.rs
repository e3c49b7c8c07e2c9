//! What a policy does as a whole: how rules combine, what loading refuses, and the properties of every plan.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::{Strategy, *};
use crate::bucket::{Draw, Purpose};
use crate::channels::tests::{channel, channels};
use crate::channels::{ChannelIndex, Channels};
use crate::eligibility::Exclusion;
use crate::id::PaymentId;
use crate::payment::Attributes;
use crate::payment::tests::payment;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A policy of these rules and default, each in YAML, for channels a, b, c and d.
fn document(rules: &[&str], default: &str) -> String {
    let mut text = String::from("version: 1\nname: test\ntimezone: Asia/Shanghai\nrules:\n");
    for rule in rules {
        text = format!("{text}  - {rule}\n");
    }
    if rules.is_empty() {
        text = text.replace("rules:\n", "");
    }
    format!("{text}default: {default}\n")
}

fn four() -> Channels {
    channels(&["a", "b", "c", "d"])
}

fn policy(rules: &[&str], default: &str) -> Policy {
    Policy::load(&document(rules, default), "p.yaml", &four()).unwrap()
}

fn refused(text: &str) -> Vec<String> {
    let diagnostics = Policy::load(text, "p.yaml", &four()).unwrap_err();
    diagnostics.iter().map(ToString::to_string).collect()
}

fn all() -> Vec<ChannelIndex> {
    four().iter().map(|(index, _)| index).collect()
}

fn order(plan: &Plan<'_>) -> String {
    let channels = four();
    plan.order
        .iter()
        .map(|index| channels.get(*index).unwrap().id.as_str())
        .collect()
}

fn planned(policy: &Policy, payment: &Attributes) -> String {
    order(&policy.plan(payment, NOW, &all()))
}

const ABCD: &str = "{priority: [a, b, c, d]}";

#[test]
fn the_first_selection_that_matches_decides() {
    let rules = [
        "{name: not me, when: {method: pay, new_customer: true}, then: {priority: [d]}}",
        "{name: me, when: {method: pay}, then: {priority: [c]}}",
    ];
    let policy = policy(&rules, ABCD);
    let payment = payment("p");
    let plan = policy.plan(&payment, NOW, &all());
    assert_eq!((plan.matched_rule, order(&plan).as_str()), ("me", "cabd"));
    assert_eq!(plan.strategy, Strategy::Priority);
}

#[test]
fn without_a_match_the_default_decides() {
    let policy = policy(
        &["{name: r, when: {new_customer: true}, then: {priority: [d]}}"],
        ABCD,
    );
    let payment = payment("p");
    assert_eq!(policy.plan(&payment, NOW, &all()).matched_rule, DEFAULT_RULE);
}

#[test]
fn filters_of_all_matching_rules_add_up() {
    let rules = [
        "{name: deny, then: {deny: [a]}}",
        "{name: only, then: {only: [a, b, c]}}",
        "{name: prefer, then: {prefer: c}}",
        "{name: select, when: {method: pay}, then: {priority: [b]}}",
        "{name: later, then: {prefer: [a, b]}}",
    ];
    let policy = policy(&rules, ABCD);
    let payment = payment("p");
    let plan = policy.plan(&payment, NOW, &all());
    assert_eq!((order(&plan).as_str(), plan.preferred), ("cb", 2));
    let out: Vec<_> = plan
        .excluded
        .iter()
        .map(|out| (out.channel.get(), out.exclusion, out.rule))
        .collect();
    assert_eq!(
        out,
        [
            (0, Exclusion::DeniedByPolicy, "deny"),
            (3, Exclusion::OutsidePolicy, "only")
        ]
    );
}

#[test]
fn rest_stands_where_it_is_written() {
    let policy = policy(&[], "{priority: [d, rest, a]}");
    assert_eq!(planned(&policy, &payment("p")), "dbca");
}

#[test]
fn offers_keep_their_order_and_are_made_once() {
    let mut second = channel("b");
    second.methods = vec!["cash".to_owned()];
    let channels = Channels::new(vec![channel("a"), second]).unwrap();
    let rules = [
        "{name: x, then: {offer: [{method: cash, reason: cheap}]}}",
        "{name: y, then: {offer: [pay, cash]}}",
    ];
    let policy = Policy::load(&document(&rules, "{priority: [a]}"), "p.yaml", &channels).unwrap();
    let payment = payment("p");
    let plan = policy.plan(&payment, NOW, &[]);
    let offers: Vec<_> = plan
        .offers
        .iter()
        .map(|offer| (&*offer.method, &*offer.reason))
        .collect();
    assert_eq!(offers, [("cash", "cheap"), ("pay", "")]);
}

#[test]
fn a_split_follows_its_shares() {
    let policy = policy(&[], "{split: {a: 70, b: 20, rest: 10}}");
    let mut firsts = [0_u32; 4];
    for i in 0..20_000 {
        let payment = payment(&format!("order-{i}"));
        let plan = policy.plan(&payment, NOW, &all());
        firsts[plan.order[0].get()] += 1;
    }
    // Five standard deviations.
    for (count, expected) in firsts.into_iter().zip([14_000_u32, 4_000, 1_000, 1_000]) {
        assert!(count.abs_diff(expected) < 5 * expected.isqrt(), "{firsts:?}");
    }
}

#[test]
fn a_closed_bucket_leaves_its_payments_to_the_others_in_proportion() {
    let policy = policy(&[], "{split: {a: 50, b: 30, c: 20}}");
    let open: Vec<ChannelIndex> = all()[1..].to_vec();
    let mut firsts = [0_u32; 4];
    for i in 0..10_000 {
        let payment = payment(&format!("order-{i}"));
        let with_all = policy.plan(&payment, NOW, &all());
        let without = policy.plan(&payment, NOW, &open);
        assert_eq!(with_all.strategy, without.strategy, "the bucket stays");
        if with_all.order[0].get() != 0 {
            assert_eq!(with_all.order[0], without.order[0], "only its own payments move");
        }
        firsts[without.order[0].get()] += 1;
    }
    assert!(
        firsts[1].abs_diff(6_000) < 250 && firsts[2].abs_diff(4_000) < 250,
        "{firsts:?}"
    );
}

#[test]
fn a_tag_names_all_that_have_it() {
    let mut list: Vec<_> = ["a", "b", "c"].map(channel).to_vec();
    list[1].tags = vec!["backup".to_owned()];
    list[2].tags = vec!["backup".to_owned()];
    let channels = Channels::new(list).unwrap();
    let text = document(
        &["{name: r, then: {deny: \"tag:backup\"}}"],
        "{adaptive: {margin_bp: 50}}",
    );
    let policy = Policy::load(&text, "p.yaml", &channels).unwrap();
    let open: Vec<ChannelIndex> = channels.iter().map(|(index, _)| index).collect();
    let payment = payment("p");
    let plan = policy.plan(&payment, NOW, &open);
    assert_eq!(plan.order.len(), 1);
    let Strategy::Adaptive(settings) = plan.strategy else {
        panic!("{plan:?}")
    };
    assert_eq!((settings.margin_bp, settings.explore_bp), (50, 200));
}

#[test]
fn what_kept_a_rule_from_matching_is_said() {
    let rules = [
        "{name: big, when: {method: pay, amount_minor: {min: 500000, currency: CNY}}, then: {priority: [d]}}",
        "{name: filter, then: {deny: [d]}}",
    ];
    let policy = policy(&rules, ABCD);
    let verdicts = policy.explain(&payment("p"), NOW);
    let unmet = Verdict::Unmet {
        condition: "amount_minor in CNY is 500000 or more".to_owned(),
        found: "10000 CNY".to_owned(),
    };
    assert_eq!(
        verdicts
            .into_iter()
            .map(|said| (said.rule, said.verdict))
            .collect::<Vec<_>>(),
        [
            ("big", unmet),
            ("filter", Verdict::Matched),
            (DEFAULT_RULE, Verdict::Selected)
        ]
    );
}

#[test]
fn breaker_rules_are_read_and_off_when_not_given() {
    assert_eq!(policy(&[], ABCD).breaker_rules(), BreakerRules::default());
    let text = document(&[], ABCD)
        + "breaker:\n  timeouts: {of_last: 3, at_least: 2}\n  \
           error_rate: {above_bp: 500, window_s: 60, min_volume: 20}\n  codes: {busy: true}\n";
    let rules = Policy::load(&text, "p.yaml", &four()).unwrap().breaker_rules();
    assert_eq!(
        rules.timeouts,
        Some(TimeoutRule {
            of_last: 3,
            at_least: 2
        })
    );
    assert_eq!(rules.error_rate.unwrap().min_volume, 20);
    assert!(rules.codes.busy && !rules.codes.maintenance);
    let impossible = text.replace("at_least: 2", "at_least: 4");
    assert_eq!(refused(&impossible).len(), 1);
}

#[test]
fn what_loading_refuses_is_said_with_its_place() {
    let cases = [
        (
            document(&[], "{split: {a: 70, b: 25}}"),
            "p.yaml:4:18: default.split: totals 95, expected 100",
        ),
        (
            document(&[], "{priority: [a, e]}"),
            "p.yaml:4:25: default.priority[1]: `e`, did you mean `a`?",
        ),
        (
            document(&["{name: r, when: {method: pya}, then: {deny: [a]}}"], ABCD),
            "p.yaml:5:30: rules[0].when.method: `pya`, did you mean `pay`?",
        ),
        (
            document(&["{name: r, then: {priority: [a]}}"], ABCD),
            "p.yaml:5:5: rules[0]: selects for every payment: say so in `default`, and no rule after it is cut off",
        ),
        (
            document(
                &["{name: r, when: {bin: {prefix: [62]}}, then: {deny: [a]}}"],
                ABCD,
            ),
            "p.yaml:5:37: rules[0].when.bin.prefix[0]: found the number 62, expected a text (put it in quotes)",
        ),
        (
            document(&[], ABCD).replace("Asia/Shanghai", "Beijing"),
            "p.yaml:3:11: timezone: `Beijing` is not a time zone of the IANA database, such as Asia/Shanghai",
        ),
        (
            document(&[], "{deny: [a]}"),
            "p.yaml:4:11: default: unknown key: `deny`, expected one of: priority, split, adaptive",
        ),
    ];
    for (text, expected) in cases {
        let found = refused(&text);
        assert!(found.contains(&expected.to_owned()), "{found:#?}");
    }
}

#[test]
fn a_missing_default_is_refused() {
    assert_eq!(
        refused("version: 1\nname: x\ntimezone: UTC\n"),
        ["p.yaml:1:1: `default` is missing"]
    );
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let rules = [
        "{name: r, when: {methd: pay, weekday: someday}, then: {deny: [x]}}",
        "{name: r, when: {time: {from: \"25:00\", to: \"06:00\"}}, then: {split: {a: 101}}}",
    ];
    let found = refused(&document(&rules, "{priority: []}"));
    // methd, someday (and so no day at all), x, 25:00, 101, the second r, and the empty priority.
    assert_eq!(found.len(), 8, "{found:#?}");
}

#[test]
fn a_policy_of_too_many_conditions_is_refused() {
    let issuers: Vec<String> = (0..1_100).map(|number| format!("bank_{number}")).collect();
    let rule = |number: usize| {
        format!(
            "{{name: r{number}, when: {{risk_score: {number}, issuer: [{}]}}, then: {{priority: [a]}}}}",
            issuers.join(", ")
        )
    };
    let rules: Vec<String> = (0..10).map(rule).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    policy(&rules[..9], ABCD);
    assert_eq!(
        refused(&document(&rules, ABCD)),
        ["p.yaml:5:3: rules: hold 11020 conditions, at most 10000 are allowed"]
    );
}

#[test]
fn a_rule_that_an_earlier_one_always_beats_is_refused() {
    let wide = "{name: wide, when: {method: [pay], risk_score: {min: 100}}, then: {priority: [a]}}";
    let narrow = "{name: narrow, when: {method: pay, risk_score: {min: 500, max: 900}, new_customer: true}, \
                  then: {priority: [b]}}";
    assert_eq!(
        refused(&document(&[wide, narrow], ABCD)),
        [
            "p.yaml:6:5: rules[1]: rule `narrow` never selects: whatever it matches, rule `wide` in line 5 has matched before"
        ]
    );
    // The other way round both can select, and so can a filter behind a wide rule.
    policy(&[narrow, wide], ABCD);
    policy(
        &[
            wide,
            "{name: f, when: {method: pay, risk_score: 500}, then: {deny: [b]}}",
        ],
        ABCD,
    );
}

#[test]
fn a_failing_test_in_the_document_refuses_it() {
    let tests =
        "tests:\n  - name: t\n    payment: {method: pay, amount_minor: 100, currency: CNY}\n    expect: ";
    let good = document(&[], ABCD) + tests + "{rule: default, first: a, order: [a, b, c, d], offers: []}\n";
    Policy::load(&good, "p.yaml", &four()).unwrap();
    assert_eq!(
        refused(&good.replace("first: a", "first: b")),
        ["p.yaml:8:36: tests[0].expect.first: the test fails: found `a`, expected `b` (rule `default`)"]
    );
    let split = document(&[], "{split: {a: 70, b: 30}}") + tests + "{split: {a: 70, b: 30}}\n";
    Policy::load(&split, "p.yaml", &four()).unwrap();
    assert_eq!(
        refused(&split.replace("expect: {split: {a: 70, b: 30}", "expect: {split: {a: 60, b: 40}")).len(),
        2
    );
}

/// A rule that may hold any of the clauses, by number.
fn any_rule() -> impl Generator<Value = String> {
    let when = prop::sample::select(vec![
        "new_customer: true",
        "new_customer: false",
        "risk_score: {min: 500}",
        "segments: vip",
        "amount_minor: {max: 20000, currency: CNY}",
        "payment: {prefix: p1}",
        "not: {segments: vip}",
        "any: [{new_customer: true}, {risk_score: {max: 100}}]",
    ]);
    let then = prop::sample::select(vec![
        "deny: [a]",
        "deny: [b, c]",
        "only: [a, b, d]",
        "prefer: [d, c]",
        "priority: [c, a]",
        "split: {b: 50, rest: 50}",
        "adaptive: {tie_order: [d]}",
    ]);
    (when, then).prop_map(|(when, then)| format!("when: {{{when}}}, then: {{{then}}}"))
}

fn any_payment() -> impl Generator<Value = Attributes> {
    (
        any::<u16>(),
        any::<bool>(),
        any::<bool>(),
        prop::option::of(0_u32..1_000),
    )
        .prop_map(|(id, is_new, is_vip, risk_score)| {
            let mut payment = payment(&format!("p{id}"));
            payment.customer.is_new = is_new;
            payment.risk_score = risk_score;
            if is_vip {
                payment.customer.segments.push("vip".to_owned());
            }
            payment
        })
}

/// Rules without those that are shadowed, which loading would refuse.
fn load_reachable(rules: &[String]) -> Policy {
    let mut kept: Vec<String> = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        kept.push(format!("{{name: r{number}, {rule}}}"));
        let list: Vec<&str> = kept.iter().map(String::as_str).collect();
        if Policy::load(&document(&list, ABCD), "p.yaml", &four()).is_err() {
            kept.pop();
        }
    }
    let list: Vec<&str> = kept.iter().map(String::as_str).collect();
    Policy::load(&document(&list, ABCD), "p.yaml", &four()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_plan_orders_eligible_channels_and_accounts_for_each(
        rules in prop::collection::vec(any_rule(), 0..6),
        payment in any_payment(),
        is_open in prop::array::uniform4(any::<bool>()),
    ) {
        let policy = load_reachable(&rules);
        let eligible: Vec<ChannelIndex> =
            all().into_iter().zip(is_open).filter(|(_, open)| *open).map(|(index, _)| index).collect();
        let plan = policy.plan(&payment, NOW, &eligible);
        let mut accounted: Vec<ChannelIndex> = plan.order.to_vec();
        accounted.extend(plan.excluded.iter().map(|out| out.channel));
        accounted.sort_unstable();
        prop_assert_eq!(accounted, eligible);
        prop_assert!(plan.preferred <= plan.order.len());
    }

    #[test]
    fn the_same_payment_gets_the_same_plan(
        rules in prop::collection::vec(any_rule(), 0..6),
        payment in any_payment(),
    ) {
        let (one, other) = (load_reachable(&rules), load_reachable(&rules));
        prop_assert_eq!(
            format!("{:?}", one.plan(&payment, NOW, &all())),
            format!("{:?}", other.plan(&payment, NOW, &all()))
        );
    }

    #[test]
    fn an_explanation_agrees_with_the_plan(
        rules in prop::collection::vec(any_rule(), 0..6),
        payment in any_payment(),
    ) {
        let policy = load_reachable(&rules);
        let selected: Vec<&str> = policy
            .explain(&payment, NOW)
            .into_iter()
            .filter(|said| said.verdict == Verdict::Selected)
            .map(|said| said.rule)
            .collect();
        prop_assert_eq!(selected, [policy.plan(&payment, NOW, &all()).matched_rule]);
    }

    #[test]
    fn a_bucket_does_not_depend_on_what_is_open(id in "[a-z0-9]{1,20}") {
        let policy = policy(&[], "{split: {a: 25, b: 25, c: 25, d: 25}}");
        let payment = payment(&id);
        let draw = Draw::of_payment(Purpose::Split, &payment.merchant, &PaymentId::new(&id).unwrap());
        let expected = ["a", "b", "c", "d"][usize::try_from(draw.below(4)).unwrap()];
        for open in 0..16_usize {
            let eligible: Vec<_> = all().into_iter().filter(|index| open >> index.get() & 1 == 1).collect();
            let plan = policy.plan(&payment, NOW, &eligible);
            prop_assert_eq!(plan.strategy, Strategy::Split { bucket: expected });
        }
    }

    #[test]
    fn no_document_makes_the_loader_panic(cut in any::<prop::sample::Index>(), junk in "[ -~\\n]{0,12}") {
        let rules = ["{name: r, when: {method: pay, time: {from: \"22:00\", to: \"06:00\"}}, then: {split: {a: 60, rest: 40}}}"];
        let mut text = document(&rules, ABCD);
        text.insert_str(cut.index(text.len()), &junk);
        let _ = Policy::load(&text, "p.yaml", &four());
    }
}
