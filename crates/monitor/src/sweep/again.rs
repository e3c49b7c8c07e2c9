//! Bringing again what a Redis that went back has lost.

use jiff::{SignedDuration, Timestamp};
use ledger::{Outbox, OutboxId};
use metrics::counter;
use stats::redis::{PartitionId, Store};
use tokio::time::{Duration, Instant};

use super::lookout::{Found, doubtful_since};
use super::{PAGE, SweepError, metric};

/// How long a router may go on writing to the server that was the first one, after another has taken its place: then
/// everything is brought a second time.
const TWO_SERVERS: Duration = Duration::from_secs(15);

/// A reading of the outbox, page by page over several turns.
#[derive(Debug)]
pub(super) struct Again {
    /// The partitions and their watermarks, as they were found at the beginning.
    found: Found,
    since: Timestamp,
    /// When it began, by the store's clock.
    pub(super) begun: Timestamp,
    after: Option<OutboxId>,
    second: Second,
}

/// Whether all is brought a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    Unneeded,
    Due,
    At(Instant),
}

/// How far a reading has come.
#[derive(Debug)]
pub(super) enum Progress {
    /// There is more, or it rests for a while.
    Going(Again),
    /// All of it was brought: these watermarks can be moved to that time.
    Done(Found, Timestamp),
}

impl Again {
    /// Begins for the partitions `found`, at the store's time `now`. `kept` is how long the outbox keeps what was
    /// relayed; `back` says that another server may have taken over just now.
    pub(super) fn new(found: Found, now: Timestamp, kept: SignedDuration, back: bool) -> Self {
        let all = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        let since = found
            .values()
            .map(|mark| doubtful_since(mark).unwrap_or(all))
            .min();
        Self {
            found,
            since: since.unwrap_or(now),
            begun: now,
            after: None,
            second: if back { Second::Due } else { Second::Unneeded },
        }
    }

    /// Whether it is for `partition`.
    pub(super) fn is_for(&self, partition: PartitionId) -> bool {
        self.found.contains_key(&partition)
    }

    /// Brings pages until `until`.
    pub(super) async fn go_on(
        mut self,
        store: &Store,
        outbox: &dyn Outbox,
        until: Instant,
    ) -> Result<Progress, (Self, SweepError)> {
        if let Second::At(at) = self.second
            && Instant::now() < at
        {
            return Ok(Progress::Going(self));
        }
        loop {
            match self.page(store, outbox).await {
                Ok(true) if Instant::now() < until => {}
                Ok(true) => return Ok(Progress::Going(self)),
                Ok(false) if self.second == Second::Due => {
                    self.second = Second::At(Instant::now() + TWO_SERVERS);
                    self.after = None;
                    return Ok(Progress::Going(self));
                }
                Ok(false) => return Ok(Progress::Done(self.found, self.begun)),
                Err(error) => return Err((self, error)),
            }
        }
    }

    /// Brings one page; says whether there may be another.
    async fn page(&mut self, store: &Store, outbox: &dyn Outbox) -> Result<bool, SweepError> {
        let batches = outbox.relayed_since(self.since, self.after, PAGE).await?;
        let Some(last) = batches.last().map(|batch| batch.id) else {
            return Ok(false);
        };
        let is_ours = |partition: &PartitionId| self.found.contains_key(partition);
        let mut whole = Vec::new();
        let mut events = Vec::new();
        for batch in batches {
            let before = events.len();
            let count = batch.events.len();
            let ours = batch.events.into_iter();
            events.extend(ours.filter(|event| is_ours(&PartitionId::of(&event.channel))));
            if events.len() - before == count {
                whole.push(batch.id);
            }
        }
        store.append(&events).await?;
        counter!(metric::AGAIN).increment(u64::try_from(events.len()).unwrap_or(u64::MAX));
        // Those that nobody had relayed before need not be relayed once more.
        outbox.mark_relayed(&whole).await?;
        self.after = Some(last);
        Ok(true)
    }
}
