//! The control state in the ledger: channels, policies and what operators set beside them, with the log of every change.
//!
//! [`ControlStore`] is the port; a change, its documents, its audit entry and the new revision are one transaction.
//! [`Editor`] makes changes through it, [`Follower`] hears of them. What a change means is decided in the domain.

mod audit;
mod digest;
mod editor;
mod follow;
mod look_up;
mod settings;
mod write;

use std::fmt;

use domain::control::{Actor, Control, Document, Kind};
use jiff::Timestamp;
use tokio::sync::watch;

pub use audit::{AuditEntry, Audited, verify};
pub use digest::{Digest, InvalidDigest};
pub use editor::{ChangeError, Editor, Imported};
pub use follow::{Follower, POLL};
pub use look_up::{policy_named, was_changed_by};
pub(crate) use settings::Settings;
pub(crate) use write::Draft;
pub use write::Write;

use crate::port::Answer;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is durable, and its revision is the present one.
    Done,
    /// Somebody else was faster: the present revision is another one than the change was made for. Nothing is changed.
    Stale {
        /// The present revision.
        current: u64,
    },
}

/// A document without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Its version.
    pub version: u64,
    /// Who stored it.
    pub author: Actor,
    /// Why; may be empty.
    pub note: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A durable store of the control state.
///
/// Every adapter passes the tests of the module `conformance`.
pub trait ControlStore: Send + Sync + fmt::Debug {
    /// The control state, from one moment; `None` when nothing was ever imported.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what a later release wrote.
    fn control(&self) -> Answer<'_, Option<Control>>;

    /// The present revision; 0 when nothing was ever imported.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn revision(&self) -> Answer<'_, u64>;

    /// Writes a change in one transaction, when the present revision is still the one that it was made for.
    ///
    /// # Errors
    /// When the store does not take it. Nothing is changed then, unless the connection broke off during the commit,
    /// which only the next look can tell.
    fn change<'a>(&'a self, write: &'a Write) -> Answer<'a, Changed>;

    /// Up to `limit` documents of a kind, the latest version first; those from `before` on are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn documents(&self, kind: Kind, before: Option<u64>, limit: u32) -> Answer<'_, Vec<Heading>>;

    /// A document; `None` when this version was never stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn document(&self, kind: Kind, version: u64) -> Answer<'_, Option<Document>>;

    /// Up to `limit` entries of the audit log, the latest first; those from number `before` on are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn audit(&self, before: Option<u64>, limit: u32) -> Answer<'_, Vec<AuditEntry>>;

    /// Changes with every revision that this process hears of, its own changes included. A hint to look at once: news
    /// can be lost, so whoever follows also looks by itself.
    fn revisions(&self) -> watch::Receiver<u64>;
}
