//! What a change has changed, as it is kept in the audit log.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Control, Document};

/// The parts of the control state that differ between two revisions. A part is named by what it is about
/// (`policy`, `suspension 7`, `account alipay/main`); one that is not there is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// As the parts were.
    pub before: BTreeMap<String, Value>,
    /// As they are now.
    pub after: BTreeMap<String, Value>,
}

/// What differs between `before`, where `None` is nothing at all, and `after`. Documents appear by their version, author
/// and note: their texts are kept once, by version.
#[must_use]
pub fn difference(before: Option<&Control>, after: &Control) -> Difference {
    let before = before.map_or_else(BTreeMap::new, outline);
    let after = outline(after);
    let mut difference = Difference {
        before: BTreeMap::new(),
        after: BTreeMap::new(),
    };
    let parts = before
        .keys()
        .chain(after.keys().filter(|part| !before.contains_key(*part)));
    for part in parts {
        let [was, is] = [&before, &after].map(|state| state.get(part).cloned().unwrap_or_default());
        if was != is {
            difference.before.insert(part.clone(), was);
            difference.after.insert(part.clone(), is);
        }
    }
    difference
}

fn outline(control: &Control) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::from([
        ("channels".to_owned(), document(&control.channels)),
        ("policy".to_owned(), document(&control.policy)),
        ("latest_policy".to_owned(), json!(control.latest_policy)),
        ("imported".to_owned(), json!(control.imported)),
    ]);
    for standing in &control.suspensions {
        parts.insert(format!("suspension {}", standing.id), value(standing));
    }
    for set in &control.breakers {
        parts.insert(format!("breaker {}", set.channel), value(set));
    }
    for set in &control.accounts {
        parts.insert(format!("account {}/{}", set.channel, set.account), value(set));
    }
    for set in &control.limits {
        parts.insert(format!("limit {}", set.id()), value(set));
    }
    parts
}

fn document(document: &Document) -> Value {
    json!({
        "version": document.version,
        "author": document.author,
        "note": document.note,
        "created_at": document.created_at,
    })
}

/// `part` as JSON. Names, numbers and times always are.
fn value(part: &impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}
