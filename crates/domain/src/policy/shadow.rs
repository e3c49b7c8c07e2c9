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
