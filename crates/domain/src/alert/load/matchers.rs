//! Reading which alerts, or which outcomes, are meant.

use super::super::matcher::{Matcher, Pattern};
use super::short;
use crate::document::Value;
use crate::document::field::{Field, Findings};

/// Reads `{channel: [a, b], provider: {not: c}}`; `known` are the labels that there can be, any when `None`.
pub(in super::super) fn read(
    field: &Field<'_>,
    known: Option<&[&str]>,
    found: &mut Findings,
) -> Vec<Matcher> {
    let table = match known {
        Some(known) => field.table(known, found),
        None => field.open_table(found),
    };
    let Some(table) = table else { return Vec::new() };
    let mut matchers = Vec::new();
    for (label, field) in table.fields() {
        let (values, negated) = match field.value() {
            Value::Table(_) => {
                let not = field.table(&["not"], found);
                (not.and_then(|table| table.required("not", found)), true)
            }
            _ => (Some(field.clone()), false),
        };
        let Some(values) = values else { continue };
        let items = values.one_or_more(found);
        if items.is_empty() {
            values.refuse(found, "expected one value at least");
        }
        let patterns = items
            .iter()
            .filter_map(|item| short(item, found))
            .map(|text| Pattern::new(&text));
        matchers.push(Matcher {
            label: label.into(),
            patterns: patterns.collect(),
            negated,
        });
    }
    if table.is_empty() {
        field.refuse(found, "expected one label at least");
    }
    matchers
}
