//! The log of every change: who, when, what it was before and after, chained so that it cannot be altered unseen.

use domain::control::Actor;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::write::{Draft, document_of, is_document};
use super::{ControlStore, Digest};
use crate::error::LedgerError;

/// Entries that are read at a time when the log is verified.
const PAGE: u32 = 500;

/// One change, as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was done, by its stable name: [`Change::action`](domain::control::Change::action).
    pub action: String,
    /// The revision that the change led to.
    pub revision: u64,
    /// The parts that it changed as they were, a JSON object; see [`Difference`](domain::control::Difference).
    pub before: String,
    /// The same parts as they became, with the digest of each document that came along.
    pub after: String,
    /// The digest of the entry before; [`Digest::ZERO`] before the first.
    pub previous: Digest,
    /// The digest of all of the above.
    pub digest: Digest,
}

impl AuditEntry {
    /// The entry that `draft` becomes after `last`, the latest entry's number and digest.
    pub(crate) fn follow(last: Option<(u64, Digest)>, draft: &Draft) -> Self {
        let (seq, previous) = last.unwrap_or((0, Digest::ZERO));
        let mut entry = Self {
            seq: seq.saturating_add(1),
            at: draft.at,
            actor: draft.actor.clone(),
            action: draft.action.to_owned(),
            revision: draft.revision,
            before: draft.before.clone(),
            after: draft.after.clone(),
            previous,
            digest: Digest::ZERO,
        };
        entry.digest = entry.computed();
        entry
    }

    fn computed(&self) -> Digest {
        Digest::of([
            self.previous.as_bytes().as_slice(),
            &self.seq.to_be_bytes(),
            &self.at.as_microsecond().to_be_bytes(),
            self.actor.as_str().as_bytes(),
            self.action.as_bytes(),
            &self.revision.to_be_bytes(),
            self.before.as_bytes(),
            self.after.as_bytes(),
        ])
    }
}

/// What looking through the audit log has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audited {
    /// Nothing was changed or left out.
    Whole {
        /// How many entries there are.
        entries: u64,
        /// The digest of the latest; whoever keeps it elsewhere can tell later whether the whole log was replaced.
        head: Digest,
    },
    /// The log is not as it was written.
    Tampered {
        /// The number of the entry where it shows, the latest one first.
        seq: u64,
        /// What is wrong there.
        problem: &'static str,
    },
}

/// Looks through the whole audit log of `store`, and at every document that it tells of.
///
/// # Errors
/// When the store cannot be read.
pub async fn verify(store: &dyn ControlStore) -> Result<Audited, LedgerError> {
    let revision = store.revision().await?;
    let mut head: Option<AuditEntry> = None;
    let mut later: Option<AuditEntry> = None;
    loop {
        let before = later.as_ref().map(|entry| entry.seq);
        let page = store.audit(before, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            if let Some(problem) = problem_of(&entry, later.as_ref()) {
                return Ok(Audited::Tampered {
                    seq: entry.seq,
                    problem,
                });
            }
            if !has_its_documents(store, &entry).await? {
                return Ok(Audited::Tampered {
                    seq: entry.seq,
                    problem: "a document that came with it is not what was written",
                });
            }
            head.get_or_insert_with(|| entry.clone());
            later = Some(entry);
        }
    }
    let (entries, known) = head.as_ref().map_or((0, 0), |head| (head.seq, head.revision));
    let first = later.map_or(1, |entry| entry.seq);
    let problem = if known < revision {
        Some((entries, "later entries are missing"))
    } else {
        (first != 1).then_some((first, "earlier entries are missing"))
    };
    Ok(match problem {
        Some((seq, problem)) => Audited::Tampered { seq, problem },
        None => Audited::Whole {
            entries,
            head: head.map_or(Digest::ZERO, |head| head.digest),
        },
    })
}

/// Whether the documents that came with the change are there as they came.
async fn has_its_documents(store: &dyn ControlStore, entry: &AuditEntry) -> Result<bool, LedgerError> {
    // That the entry itself was not altered is known by now.
    let parts: Map<String, Value> = serde_json::from_str(&entry.after).unwrap_or_default();
    for (part, value) in &parts {
        let Some((kind, version)) = document_of(part) else {
            continue;
        };
        let document = store.document(kind, version).await?;
        if !document.is_some_and(|document| is_document(value, &document)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is wrong with `entry`, which should stand right before `later`.
fn problem_of(entry: &AuditEntry, later: Option<&AuditEntry>) -> Option<&'static str> {
    if entry.computed() != entry.digest {
        return Some("it is not what was written");
    }
    if entry.seq == 1 && entry.previous != Digest::ZERO {
        return Some("there was an entry before it");
    }
    let later = later?;
    if later.seq != entry.seq.saturating_add(1) {
        return Some("entries after it are missing");
    }
    (later.previous != entry.digest).then_some("the entry after it followed another one")
}
