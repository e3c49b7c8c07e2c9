//! Which rules can never select, because an earlier one always does.
//!
//! What is found: each condition of the earlier rule is implied by some condition of the later one. That covers the
//! slips of practice: the same conditions twice, a wide rule above a narrow one, a range or list inside
//! another. What is not: several earlier rules that only together cover the later one.

use super::condition::{Condition, TagTest, TextTest};

/// Whether every payment that meets `narrow` meets `wide`, as far as can be seen.
pub(super) fn implies(narrow: &Condition, wide: &Condition) -> bool {
    if narrow == wide {
        return true;
    }
    match (narrow, wide) {
        (_, Condition::All(wide)) => wide.iter().all(|wide| implies(narrow, wide)),
        (Condition::Any(narrow), wide) => narrow.iter().all(|narrow| implies(narrow, wide)),
        (Condition::All(narrow), Condition::Any(wide)) => {
            narrow
                .iter()
                .any(|narrow| implies(narrow, &Condition::Any(wide.clone())))
                || wide
                    .iter()
                    .any(|wide| implies(&Condition::All(narrow.clone()), wide))
        }
        (Condition::All(narrow), wide) => narrow.iter().any(|narrow| implies(narrow, wide)),
        (narrow, Condition::Any(wide)) => wide.iter().any(|wide| implies(narrow, wide)),
        (Condition::Not(narrow), Condition::Not(wide)) => implies(wide, narrow),
        (narrow, wide) => leaf_implies(narrow, wide),
    }
}

fn leaf_implies(narrow: &Condition, wide: &Condition) -> bool {
    match (narrow, wide) {
        (Condition::Text(a, narrow), Condition::Text(b, wide)) => a == b && text_implies(narrow, wide),
        (Condition::Number(a, narrow), Condition::Number(b, wide)) => a == b && narrow.is_within(*wide),
        (Condition::Amount(a, narrow), Condition::Amount(b, wide)) => a == b && narrow.is_within(*wide),
        (Condition::Tags(a, narrow), Condition::Tags(b, wide)) => a == b && tags_imply(narrow, wide),
        (Condition::Time(narrow), Condition::Time(wide)) => narrow.is_within(*wide),
        (Condition::Weekday(narrow), Condition::Weekday(wide)) => narrow.is_within(*wide),
        _ => false,
    }
}

fn text_implies(narrow: &TextTest, wide: &TextTest) -> bool {
    match (narrow, wide) {
        (TextTest::In(narrow), TextTest::In(wide)) => narrow.iter().all(|text| wide.contains(text)),
        (TextTest::In(narrow) | TextTest::Prefix(narrow), TextTest::Prefix(wide)) => narrow
            .iter()
            .all(|text| wide.iter().any(|prefix| text.starts_with(&**prefix))),
        (TextTest::In(_) | TextTest::Prefix(_), TextTest::Present(true)) => true,
        _ => false,
    }
}

fn tags_imply(narrow: &TagTest, wide: &TagTest) -> bool {
    match (narrow, wide) {
        (TagTest::Any(narrow), TagTest::Any(wide)) => narrow.iter().all(|tag| wide.contains(tag)),
        (TagTest::All(narrow), TagTest::Any(wide)) => narrow.iter().any(|tag| wide.contains(tag)),
        (TagTest::All(narrow), TagTest::All(wide)) => wide.iter().all(|tag| narrow.contains(tag)),
        (TagTest::None(narrow), TagTest::None(wide)) => wide.iter().all(|tag| narrow.contains(tag)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::read_condition::tests::{condition, holds};
    use super::*;
    use crate::payment::Attributes;
    use crate::payment::tests::payment;

    fn implied(narrow: &str, wide: &str) -> bool {
        implies(&condition(narrow).unwrap(), &condition(wide).unwrap())
    }

    #[test]
    fn a_narrower_condition_is_seen_to_be_narrower() {
        let cases = [
            ("{issuer: cmb, method: pay}", "{issuer: [icbc, cmb]}"),
            ("{bin: \"622848\"}", "{bin: {prefix: \"62\"}}"),
            ("{bin: {prefix: \"6228\"}}", "{bin: {prefix: [\"4\", \"62\"]}}"),
            ("{issuer: cmb}", "{issuer: {present: true}}"),
            (
                "{amount_minor: {min: 500, currency: CNY}}",
                "{amount_minor: {min: 100, currency: CNY}}",
            ),
            ("{segments: {all: [a, b]}}", "{segments: [b, c]}"),
            (
                "{time: {from: \"23:00\", to: \"01:00\"}}",
                "{time: {from: \"22:00\", to: \"06:00\"}}",
            ),
            ("{weekday: sat}", "{weekday: [sat, sun]}"),
            ("{not: {issuer: [icbc, cmb]}}", "{not: {issuer: cmb}}"),
            (
                "{issuer: cmb}",
                "{any: [{new_customer: true}, {issuer: [cmb, icbc]}]}",
            ),
            ("{any: [{issuer: cmb}, {issuer: icbc}]}", "{issuer: [cmb, icbc]}"),
        ];
        for (narrow, wide) in cases {
            assert!(implied(narrow, wide), "{narrow} {wide}");
            assert!(!implied(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn amounts_of_different_currencies_do_not_compare() {
        assert!(!implied(
            "{amount_minor: {min: 500, currency: CNY}}",
            "{amount_minor: {min: 100, currency: USD}}"
        ));
    }

    fn leaf() -> impl Strategy<Value = String> {
        let text = |test: &'static str| Just(test.to_owned());
        prop_oneof![
            text("issuer: cmb"),
            text("issuer: [cmb, icbc]"),
            text("issuer: {prefix: c}"),
            text("issuer: {present: false}"),
            text("new_customer: true"),
            text("segments: [a, b]"),
            text("segments: {all: [a, b]}"),
            text("segments: {none: [a]}"),
            (0_u32..4, 0_u32..4)
                .prop_map(|(min, more)| format!("risk_score: {{min: {min}, max: {}}}", min + more)),
        ]
    }

    fn any_condition() -> impl Strategy<Value = String> {
        leaf()
            .prop_map(|leaf| format!("{{{leaf}}}"))
            .prop_recursive(3, 8, 2, |inner| {
                prop_oneof![
                    inner.clone().prop_map(|one| format!("{{not: {one}}}")),
                    (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{any: [{a}, {b}]}}")),
                    (inner.clone(), inner).prop_map(|(a, b)| format!("{{all: [{a}, {b}]}}")),
                ]
            })
    }

    /// Every payment that the conditions above can tell apart.
    fn payments() -> Vec<Attributes> {
        let mut payments = Vec::new();
        for issuer in [None, Some("cmb"), Some("icbc"), Some("citic"), Some("boc")] {
            for segments in [&[][..], &["a"], &["b"], &["a", "b"]] {
                for risk_score in [
                    None,
                    Some(0),
                    Some(1),
                    Some(2),
                    Some(3),
                    Some(4),
                    Some(5),
                    Some(6),
                ] {
                    for is_new in [false, true] {
                        let mut payment = payment("p");
                        payment.issuer = issuer.map(str::to_owned);
                        payment.customer.segments = segments.iter().map(ToString::to_string).collect();
                        payment.risk_score = risk_score;
                        payment.customer.is_new = is_new;
                        payments.push(payment);
                    }
                }
            }
        }
        payments
    }

    proptest! {
        #[test]
        fn what_is_said_to_be_implied_is(narrow in any_condition(), wide in any_condition()) {
            let (narrow, wide) = (condition(&narrow).unwrap(), condition(&wide).unwrap());
            if implies(&narrow, &wide) {
                for payment in payments() {
                    prop_assert!(!holds(&narrow, &payment) || holds(&wide, &payment), "{:?}", payment);
                }
            }
        }
    }
}
