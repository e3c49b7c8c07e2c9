//! Making changes: load, apply, write, and again when somebody else was faster.

use std::sync::Arc;

use domain::catalogue::{Catalogue, Shared as SharedCatalogue};
use domain::clock::SharedClock;
use domain::control::{Actor, Applied, Change, Circumstances, Control, Document, Kind, Refused, apply};
use jiff::Timestamp;

use super::{Changed, ControlStore, Digest, Write};
use crate::error::LedgerError;

/// How often a change is made anew because others were faster, before the caller is told.
const ATTEMPTS: usize = 16;

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// It cannot be made.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It was asked for at another revision than the present one.
    #[error("the configuration is at revision {current}, not at {expected}")]
    Stale {
        /// The revision that the caller knows.
        expected: u64,
        /// The present one.
        current: u64,
    },
    /// Others made changes all the time.
    #[error("the configuration was changed by others {ATTEMPTS} times meanwhile")]
    Contended,
    /// The process is ending.
    #[error("the change was interrupted")]
    Interrupted,
    /// The store did not answer. Whether the change was made shows at the next look.
    #[error(transparent)]
    Store(#[from] LedgerError),
}

/// What importing files has led to.
#[derive(Clone, Debug)]
pub enum Imported {
    /// The files are those of the last import: what operators changed since stays.
    Unchanged,
    /// They are a new revision.
    New(Box<Applied>),
}

/// Makes changes to a control state.
#[derive(Clone, Debug)]
pub struct Editor {
    store: Arc<dyn ControlStore>,
    catalogue: SharedCatalogue,
    clock: SharedClock,
}

/// One change by one actor at one time.
#[derive(Clone, Debug)]
struct Request {
    change: Change,
    by: Actor,
    at: Timestamp,
    catalogue: Arc<Catalogue>,
}

impl Editor {
    /// An editor of what `store` holds, for channels of the providers that `catalogue` knows.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, catalogue: SharedCatalogue, clock: SharedClock) -> Self {
        Self {
            store,
            catalogue,
            clock,
        }
    }

    /// The store that it changes.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ControlStore> {
        &self.store
    }

    /// The catalogue whose providers channels may name.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// Makes `change`. With `expected`, only when that is the present revision; without, whatever others do meanwhile.
    ///
    /// # Errors
    /// When the change is refused or stale, or the store does not take it.
    pub async fn make(
        &self,
        change: Change,
        by: &Actor,
        expected: Option<u64>,
    ) -> Result<Applied, ChangeError> {
        let request = self.request(change, by);
        for _ in 0..ATTEMPTS {
            let before = self.before(expected).await?;
            let (applied, write) = self.apply(before, &request).await?;
            match (self.store.change(&write).await?, expected) {
                (Changed::Done, _) => return Ok(applied),
                (Changed::Stale { current }, Some(expected)) => {
                    return Err(ChangeError::Stale { expected, current });
                }
                (Changed::Stale { .. }, None) => {}
            }
        }
        Err(ChangeError::Contended)
    }

    /// What `change` would lead to now; nothing is written.
    ///
    /// # Errors
    /// When the change is refused or stale, or the store cannot be read.
    pub async fn preview(
        &self,
        change: Change,
        by: &Actor,
        expected: Option<u64>,
    ) -> Result<Applied, ChangeError> {
        let before = self.before(expected).await?;
        let (applied, _unwritten) = self.apply(before, &self.request(change, by)).await?;
        Ok(applied)
    }

    /// Imports the texts of the channel document and the policy as actor `file`, when they are not the ones that were
    /// imported last. Files that nobody touched therefore never undo what operators changed since.
    ///
    /// # Errors
    /// As [`Editor::make`].
    pub async fn import(&self, channels: &str, policy: &str) -> Result<Imported, ChangeError> {
        let digest = Digest::of([channels.as_bytes(), policy.as_bytes()]).to_string();
        for _ in 0..ATTEMPTS {
            let control = self.store.control().await?;
            if control.as_ref().and_then(|control| control.imported.as_deref()) == Some(&digest) {
                return Ok(Imported::Unchanged);
            }
            // Two processes that start together import once: the slower one looks again.
            let expected = control.map_or(0, |control| control.revision);
            let change = Change::Import {
                channels: channels.to_owned(),
                policy: policy.to_owned(),
                digest: digest.clone(),
            };
            match self.make(change, &Actor::file(), Some(expected)).await {
                Ok(applied) => return Ok(Imported::New(Box::new(applied))),
                Err(ChangeError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ChangeError::Contended)
    }

    fn request(&self, change: Change, by: &Actor) -> Request {
        let now = self.clock.now();
        Request {
            change,
            by: by.clone(),
            // As exact as it is kept, so that what is answered is what is read back.
            at: Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now),
            catalogue: self.catalogue(),
        }
    }

    async fn before(&self, expected: Option<u64>) -> Result<Option<Control>, ChangeError> {
        let before = self.store.control().await?;
        let current = before.as_ref().map_or(0, |control| control.revision);
        match expected {
            Some(expected) if expected != current => Err(ChangeError::Stale { expected, current }),
            _ => Ok(before),
        }
    }

    /// Off the threads that answer calls: a large policy takes a while to check.
    async fn apply(
        &self,
        before: Option<Control>,
        request: &Request,
    ) -> Result<(Applied, Write), ChangeError> {
        let policy = match request.change.needs_policy(before.as_ref()) {
            Some(version) => self.store.document(Kind::Policy, version).await?,
            None => None,
        };
        let request = request.clone();
        let applied = tokio::task::spawn_blocking(move || request.apply(before.as_ref(), policy.as_ref()));
        Ok(applied.await.map_err(|_| ChangeError::Interrupted)??)
    }
}

impl Request {
    fn apply(
        &self,
        before: Option<&Control>,
        policy: Option<&Document>,
    ) -> Result<(Applied, Write), Refused> {
        let with = Circumstances {
            providers: &self.catalogue.providers(),
            by: &self.by,
            now: self.at,
            policy,
        };
        let applied = apply(before, &self.change, &with)?;
        let write = Write::of(before, &applied, &self.change, &self.by, self.at);
        Ok((applied, write))
    }
}
