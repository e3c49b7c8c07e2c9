//! The spool as the writer's two tasks share it: one puts in, one takes out.
//!
//! Its disk is waited for on a thread of its own. How far things are is told under the spool's lock, so "empty" is
//! never said of a spool that something was just put into.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::attempt::Recorded;
use crate::error::LedgerError;
use crate::port::Batch;
use crate::spool::{Portion, Refused, Spool};

/// How things stand with the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing waits: the writer commits directly.
    Empty,
    /// Something waits, and the store is believed to take it.
    Draining,
    /// Something waits, and the store did not take it.
    Down,
}

/// How far the drainer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// How things stand.
    pub(super) stage: Stage,
    /// Attempts and decisions that wait.
    pub(super) entries: usize,
}

/// A shared spool.
#[derive(Clone, Debug)]
pub(super) struct SharedSpool {
    spool: Arc<Mutex<Spool>>,
    progress: Arc<watch::Sender<Progress>>,
}

impl SharedSpool {
    /// Shares `spool`.
    pub(super) fn new(spool: Spool) -> Self {
        let entries = spool.usage().entries;
        let stage = if entries == 0 {
            Stage::Empty
        } else {
            Stage::Draining
        };
        Self {
            spool: Arc::new(Mutex::new(spool)),
            progress: Arc::new(watch::Sender::new(Progress { stage, entries })),
        }
    }

    /// Follows how far things are.
    pub(super) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// How far things are.
    pub(super) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Whether a batch may go to the store itself, past the spool.
    ///
    /// While the store takes what waits, each batch waits for one step of the drainer, so that the spool is emptied
    /// faster than it is filled; and when less than `few` entries are left, for the end, which is then a moment away.
    pub(super) async fn is_out_of_the_way(&self, few: usize) -> bool {
        let mut progress = self.watch();
        loop {
            match progress.borrow_and_update().stage {
                Stage::Empty => return true,
                Stage::Down => return false,
                Stage::Draining => {}
            }
            if progress.changed().await.is_err() {
                return false;
            }
            let now = *progress.borrow();
            if now.stage == Stage::Draining && now.entries > few {
                return false;
            }
        }
    }

    /// Keeps attempts and decisions of `batch`, and gives it back with what became of its attempts. `down` says that
    /// the store has just refused it.
    pub(super) async fn keep(&self, batch: Batch, down: bool) -> Result<(Batch, Kept), LedgerError> {
        self.with(move |spool, progress| {
            let kept = spool.keep(&batch);
            progress.entries = spool.usage().entries;
            progress.stage = match progress.stage {
                Stage::Empty if progress.entries == 0 => Stage::Empty,
                _ if down => Stage::Down,
                Stage::Empty => Stage::Draining,
                stage => stage,
            };
            (batch, kept)
        })
        .await
    }

    /// What waits longest, at least `entries` attempts and decisions if there are as many; `None` when nothing waits.
    pub(super) async fn next(&self, entries: usize) -> Result<Option<Portion>, LedgerError> {
        self.with(move |spool, progress| {
            let portion = spool.next(entries);
            progress.entries = spool.usage().entries;
            if progress.entries == 0 {
                progress.stage = Stage::Empty;
            }
            portion
        })
        .await?
    }

    /// The ledger has everything up to record `upto`, but for what it `refused` for good.
    pub(super) async fn advance(&self, upto: u64, refused: Vec<Refused>) -> Result<(), LedgerError> {
        self.with(move |spool, progress| {
            if !refused.is_empty() {
                spool.set_aside(upto, &refused)?;
            }
            spool.advance(upto);
            progress.entries = spool.usage().entries;
            progress.stage = if progress.entries == 0 {
                Stage::Empty
            } else {
                Stage::Draining
            };
            Ok(())
        })
        .await?
    }

    /// The store does not take what waits.
    pub(super) async fn down(&self) -> Result<(), LedgerError> {
        self.with(|_, progress| {
            if progress.stage != Stage::Empty {
                progress.stage = Stage::Down;
            }
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Spool, &mut Progress) -> T + Send + 'static,
    ) -> Result<T, LedgerError> {
        let shared = self.clone();
        let done = spawn_blocking(move || {
            let mut spool = shared.spool.lock();
            let mut progress = shared.progress();
            let answer = act(&mut spool, &mut progress);
            // Who waits for a step is not woken for nothing.
            shared
                .progress
                .send_if_modified(|before| std::mem::replace(before, progress) != progress);
            answer
        });
        done.await.map_err(|error| LedgerError::Unavailable {
            operation: "use its spool",
            source: Arc::new(error),
        })
    }
}

/// What became of the attempts of a batch in the spool.
pub(super) type Kept = Result<Vec<Recorded>, LedgerError>;
