//! A change, ready to be written in one transaction.

use domain::control::{Actor, Applied, Change, Control, Document, Kind, difference};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Digest;

/// How the audit log calls the text of a document that came with a change.
const DOCUMENT: &str = "document";

fn part_of(kind: Kind, version: u64) -> String {
    format!("{DOCUMENT} {kind} {version}")
}

fn digest_of(document: &Document) -> String {
    Digest::of([document.text.as_bytes()]).to_string()
}

/// The kind and version of the document that `part` of an audit entry is about; `None` when it is about something else.
pub(super) fn document_of(part: &str) -> Option<(Kind, u64)> {
    let (kind, version) = part.strip_prefix(DOCUMENT)?.trim_start().split_once(' ')?;
    Some((Kind::from_name(kind)?, version.parse().ok()?))
}

/// Whether `document` is the one whose digest was kept as `value`.
pub(super) fn is_document(value: &Value, document: &Document) -> bool {
    value.get("digest").and_then(Value::as_str) == Some(&digest_of(document))
}

/// A change that was applied, with its documents and its entry in the audit log.
#[derive(Clone, Debug)]
pub struct Write {
    /// The state that the change leads to.
    control: Control,
    documents: Vec<(Kind, Document)>,
    draft: Draft,
}

/// An entry of the audit log that has no place in it yet.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) at: Timestamp,
    pub(crate) actor: Actor,
    pub(crate) action: &'static str,
    pub(crate) revision: u64,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl Write {
    /// What is to be written when `change`, made by `by` at `at`, turned `before` into `applied`.
    #[must_use]
    pub fn of(
        before: Option<&Control>,
        applied: &Applied,
        change: &Change,
        by: &Actor,
        at: Timestamp,
    ) -> Self {
        let difference = difference(before, &applied.control);
        let mut after: Map<String, Value> = difference.after.into_iter().collect();
        let before: Map<String, Value> = difference.before.into_iter().collect();
        for (kind, document) in &applied.documents {
            after.insert(
                part_of(*kind, document.version),
                json!({"digest": digest_of(document)}),
            );
        }
        Self {
            control: applied.control.clone(),
            documents: applied.documents.clone(),
            draft: Draft {
                at,
                actor: by.clone(),
                action: change.action(),
                revision: applied.control.revision,
                before: Value::Object(before).to_string(),
                after: Value::Object(after).to_string(),
            },
        }
    }

    /// The revision that must be the present one for the change to be written.
    #[must_use]
    pub const fn expected(&self) -> u64 {
        self.control.revision.saturating_sub(1)
    }

    /// The state that it leads to.
    #[must_use]
    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// The documents that come along.
    pub(crate) fn documents(&self) -> &[(Kind, Document)] {
        &self.documents
    }

    pub(crate) const fn draft(&self) -> &Draft {
        &self.draft
    }
}
