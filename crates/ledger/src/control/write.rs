//! A change, ready to be written in one transaction.

use domain::control::{Actor, Applied, Change, Control, Document, Kind, difference};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Digest;

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
            let digest = Digest::of([document.text.as_bytes()]).to_string();
            after.insert(
                format!("document {kind} {}", document.version),
                json!({"digest": digest}),
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
