//! Alerts and incidents in the ledger: what rules have found, what was told of it, and what people did.
//!
//! [`AlertStore`] is the port. An evaluator reads a [`Board`], decides, and writes an [`Advance`] against the revision
//! that it has read: what changed, the incidents' timelines and the deliveries are one transaction, so a page that is
//! owed is in the outbox or nothing has happened. Of two evaluators that saw the same, one is told that it is stale.
//! People act through [`Act`], and every act is in the audit log in the same transaction.
//!
//! What alerts mean is decided in the domain: states and documents are kept here as text.

mod act;
mod advance;
mod incident;
pub(crate) mod plan;
pub(crate) mod read;
mod run;

use std::fmt;
use std::time::Duration;

use domain::alert::Matcher;
use domain::control::Actor;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

pub use act::{Act, Acted, Deed, Direction};
pub use advance::{Advance, Advanced, Resolution};
pub use incident::{Entry, Incident, Search};
pub use run::Run;

use crate::port::Answer;

/// What is known of one rule at one set of labels, while it is not at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What it is told by: a digest of rule and labels.
    pub fingerprint: String,
    /// The rule.
    pub rule: String,
    /// The word of its state.
    pub state: String,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// How often it has fired.
    pub generation: u64,
    /// All that the domain keeps of it.
    pub content: Value,
}

/// What was told last of alerts that are told of together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it is told by.
    pub key: String,
    /// All that the domain keeps of it.
    pub content: Value,
}

/// What is put into force as a whole, version by version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Book {
    /// The alert rules.
    Rules,
    /// The runbooks.
    Runbooks,
}

/// A document of a [`Book`], as it was put into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Its version, from 1.
    pub version: u64,
    /// The document.
    pub text: String,
    /// Who put it into force.
    pub author: Actor,
    /// Why; may be empty.
    pub note: String,
    /// When.
    pub created_at: Timestamp,
}

/// Somebody's wish not to be told of some alerts for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its name, a UUID of version 7.
    pub id: Uuid,
    /// Which alerts: all of these must fit.
    pub matchers: Vec<Matcher>,
    /// Why.
    pub reason: String,
    /// Who wished it.
    pub author: Actor,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it counts, inclusive.
    pub from: Timestamp,
    /// Until when, exclusive.
    pub until: Timestamp,
    /// When somebody ended it before its time, and who.
    pub ended: Option<(Timestamp, Actor)>,
}

/// Everything that rules are evaluated against, from one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Counts the changes.
    pub revision: u64,
    /// The rules in force; `None` when none were ever put into force here.
    pub rules: Option<Edition>,
    /// The runbooks in force; `None` when none were ever put into force here.
    pub runbooks: Option<Edition>,
    /// The alerts that are not at rest.
    pub instances: Vec<Instance>,
    /// What was told of groups.
    pub groups: Vec<Group>,
    /// The silences that are not over.
    pub silences: Vec<Silence>,
    /// The incidents that are not resolved.
    pub open: Vec<Incident>,
    /// The runbooks at work, of incidents that are resolved as well.
    pub runs: Vec<Run>,
}

/// A durable store of alerts and incidents.
///
/// Every adapter passes the tests of the module `conformance`.
pub trait AlertStore: Send + Sync + fmt::Debug {
    /// The board as of now; silences that were over at `now` are left out. `None` when its revision is still `known`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn board(&self, known: Option<u64>, now: Timestamp) -> Answer<'_, Option<Board>>;

    /// Writes what an evaluation has led to, when the revision is still the one that it began with.
    ///
    /// # Errors
    /// When the store does not take it. Nothing is written then, unless the connection broke off during the commit,
    /// which only the next look can tell.
    fn advance<'a>(&'a self, advance: &'a Advance) -> Answer<'a, Advanced>;

    /// Does what somebody asks for, and writes it into the audit log.
    ///
    /// # Errors
    /// As for [`AlertStore::advance`].
    fn act<'a>(&'a self, act: &'a Act) -> Answer<'a, Acted>;

    /// Takes or keeps the lease `name` for `holder`; whether it is theirs now. By the store's own clock.
    ///
    /// # Errors
    /// When the store does not answer.
    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, term: Duration) -> Answer<'a, bool>;

    /// Incidents, the latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incidents<'a>(&'a self, search: &'a Search) -> Answer<'a, Vec<Incident>>;

    /// An incident with its timeline; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incident(&self, id: Uuid) -> Answer<'_, Option<(Incident, Vec<Entry>)>>;

    /// Up to `limit` silences, the latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn silences(&self, limit: u32) -> Answer<'_, Vec<Silence>>;

    /// What runbooks do about an incident, by their names; also when it is over.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn runs(&self, incident: Uuid) -> Answer<'_, Vec<Run>>;

    /// The document of that version, or the one in force.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn edition(&self, book: Book, version: Option<u64>) -> Answer<'_, Option<Edition>>;
}
