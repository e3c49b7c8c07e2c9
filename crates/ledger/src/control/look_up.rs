//! Looking things up in the control state's history.

use domain::control::{Actor, Kind};
use domain::policy::Policy;

use super::ControlStore;
use crate::error::LedgerError;

/// How many entries are read at once.
const PAGE: u32 = 100;

/// The latest stored policy that gives itself the name `name`.
///
/// # Errors
/// When the store cannot be read.
pub async fn policy_named(store: &dyn ControlStore, name: &str) -> Result<Option<u64>, LedgerError> {
    let mut before = None;
    loop {
        let headings = store.documents(Kind::Policy, before, PAGE).await?;
        for heading in &headings {
            let document = store.document(Kind::Policy, heading.version).await?;
            let named = document.and_then(|document| Policy::name_in(&document.text));
            if named.as_deref() == Some(name) {
                return Ok(Some(heading.version));
            }
        }
        let Some(last) = headings.last() else {
            return Ok(None);
        };
        before = Some(last.version);
    }
}

/// Whether it was `actor` whose change led to `revision`, by the audit log.
///
/// # Errors
/// When the store cannot be read.
pub async fn was_changed_by(
    store: &dyn ControlStore,
    revision: u64,
    actor: &Actor,
) -> Result<bool, LedgerError> {
    let mut before = None;
    loop {
        let entries = store.audit(before, PAGE).await?;
        let Some(last) = entries.last() else {
            return Ok(false);
        };
        let found = entries
            .iter()
            .any(|entry| entry.revision == revision && entry.actor == *actor);
        if found || last.revision < revision {
            return Ok(found);
        }
        before = Some(last.seq);
    }
}
