//! The drainer: takes what was spooled to the ledger, oldest first, as soon as the ledger takes it.

use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::hooks::Hooks;
use super::pace::Pace;
use super::shared::{SharedSpool, Stage};
use super::store::{Store, passes};
use crate::attempt::Recorded;
use crate::error::LedgerError;
use crate::port::Batch;
use crate::spool::{Entry, Refused};

/// The drainer's task.
pub(super) struct Drainer {
    store: Store,
    shared: SharedSpool,
    hooks: Hooks,
    pace: Pace,
    /// Attempts and decisions in one transaction: fewer after a failure, so that a store that is slow is asked for
    /// less and one that is away for nearly nothing, and more after each success.
    portion: usize,
    most: usize,
}

impl Drainer {
    /// A drainer that commits up to about `most` attempts and decisions at a time.
    pub(super) fn new(store: Store, shared: SharedSpool, hooks: Hooks, (seed, most): (u64, usize)) -> Self {
        Self {
            store,
            shared,
            hooks,
            pace: Pace::new(seed),
            portion: most,
            most,
        }
    }

    /// Drains whenever there is something, until `closing` is told or dropped; then on to the end, or to the first
    /// failure: what is left then stays in the spool for the next start.
    pub(super) async fn run(mut self, mut closing: oneshot::Receiver<()>) {
        let mut progress = self.shared.watch();
        let mut closed = false;
        loop {
            let stage = progress.borrow_and_update().stage;
            match stage {
                Stage::Empty if closed => break,
                Stage::Empty => {
                    tokio::select! {
                        _ = &mut closing => closed = true,
                        _ = progress.changed() => {}
                    }
                    continue;
                }
                Stage::Down if !closed => {
                    tokio::select! {
                        _ = &mut closing => closed = true,
                        () = sleep(self.pace.wait()) => {}
                    }
                }
                Stage::Down | Stage::Draining => {}
            }
            let went_on = self.step().await;
            if closed && !went_on {
                break;
            }
        }
        let left = self.shared.progress().entries;
        if left > 0 {
            warn!(
                entries = left,
                "{left} attempts and decisions stay in the spool: they are drained at the next start"
            );
        }
    }

    /// Takes one portion to the ledger; `false` when it did not go.
    async fn step(&mut self) -> bool {
        let was_down = self.shared.progress().stage == Stage::Down;
        match self.drain().await {
            Ok(()) => {
                self.pace.reset();
                self.portion = self.portion.saturating_mul(2).clamp(1, self.most);
                let left = self.shared.progress().entries;
                if was_down || left == 0 {
                    info!(left, "the ledger takes what was spooled: {left} entries are left");
                }
                true
            }
            Err(error) => {
                self.portion = (self.portion / 2).max(1);
                warn!(
                    cause = std::error::Error::source(&error).map(tracing::field::display),
                    "what was spooled waits on: {error}"
                );
                if let Err(error) = self.shared.down().await {
                    error!(%error, "the spool cannot be used: {error}");
                }
                false
            }
        }
    }

    async fn drain(&mut self) -> Result<(), LedgerError> {
        let Some(portion) = self.shared.next(self.portion).await? else {
            return Ok(());
        };
        let (recorded, mut refused) = match self.commit(&portion.batch).await {
            Ok(recorded) => (recorded.into_iter().map(Some).collect(), Vec::new()),
            Err(error) if is_for_now(&error) => return Err(error),
            Err(_) => self.sift(&portion.batch).await?,
        };
        let attempts = portion.batch.attempts.into_iter().zip(recorded).enumerate();
        for (index, (attempt, recorded)) in attempts {
            match recorded {
                // What an earlier process has left was not told in this one.
                Some(Recorded::New) if index < portion.inherited => self.hooks.new_attempt(&attempt),
                Some(Recorded::New | Recorded::Duplicate(_)) | None => {}
                Some(Recorded::Conflict) => refused.push(Refused {
                    because: "another content was reported before under the same name".to_owned(),
                    entry: Entry::Attempt(Box::new(attempt)),
                }),
            }
        }
        self.shared.advance(portion.upto, refused).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Recorded>, LedgerError> {
        let committed = self.store.commit(batch).await?;
        self.hooks.committed(&committed);
        Ok(committed.attempts)
    }

    /// Commits each entry alone, so that those that the ledger will never take keep no other back.
    async fn sift(&self, batch: &Batch) -> Result<(Vec<Option<Recorded>>, Vec<Refused>), LedgerError> {
        let mut recorded = Vec::with_capacity(batch.attempts.len());
        let mut refused = Vec::new();
        for attempt in &batch.attempts {
            let alone = Batch {
                attempts: vec![attempt.clone()],
                ..Batch::default()
            };
            match self.commit(&alone).await {
                Ok(answers) => recorded.push(answers.into_iter().next()),
                Err(error) if is_for_now(&error) => return Err(error),
                Err(error) => {
                    recorded.push(None);
                    refused.push(Refused {
                        because: error.to_string(),
                        entry: Entry::Attempt(Box::new(attempt.clone())),
                    });
                }
            }
        }
        for decision in &batch.decisions {
            let alone = Batch {
                decisions: vec![decision.clone()],
                ..Batch::default()
            };
            match self.commit(&alone).await {
                Ok(_) => {}
                Err(error) if is_for_now(&error) => return Err(error),
                Err(error) => refused.push(Refused {
                    because: error.to_string(),
                    entry: Entry::Decision(Box::new(decision.clone())),
                }),
            }
        }
        Ok((recorded, refused))
    }
}

/// Whether the same may be taken by the store, or by that of the next process.
const fn is_for_now(error: &LedgerError) -> bool {
    passes(error) || matches!(error, LedgerError::Closed)
}
