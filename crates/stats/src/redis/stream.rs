//! Outcomes on their way: written by routers, read by the owner of their partition.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::outcome_event::OutcomeEvent;
use futures_util::future::join_all;
use jiff::Timestamp;
use proto::outcome_event::{self, BadEntry, MAX_ENTRY};
use redis::Script;

use super::connection::Store;
use super::error::StatsError;
use super::partition_id::PartitionId;
use super::state::{Epoch, State, StreamId};

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/read.lua")));

/// The field of an entry that holds the outcome.
const FIELD: &str = "e";

/// How many outcomes are sent at once: a server takes them in some milliseconds, well within the limit of a call, also
/// when it is busy.
const AT_ONCE: usize = 512;

/// One entry of a partition's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place; its time is the server's.
    pub id: StreamId,
    /// The outcome that it brings.
    pub outcome: Result<OutcomeEvent, Poison>,
}

/// An entry that is no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// What is wrong with it.
    pub reason: String,
    /// What it holds; nothing when it is too long to be read.
    pub bytes: Vec<u8>,
}

/// The end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last entry that was ever added.
    pub last: StreamId,
    /// How many entries were ever added.
    pub added: u64,
}

/// A partition at one moment: its state, and what its stream holds that the state does not contain.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The moment, by the server's clock.
    pub now: Timestamp,
    /// The state; `None` when the partition is unknown and must be rebuilt.
    pub state: Option<State>,
    /// The end of the stream.
    pub tail: Tail,
    /// Entries after the one that was asked for, the oldest first.
    pub entries: Vec<Entry>,
}

impl Store {
    /// Sends outcomes on their way, each to its partition. Partitions are written side by side; within one the order
    /// is kept.
    ///
    /// # Errors
    /// When any could not be written. Others may have been; sending them again is harmless.
    pub async fn append(&self, events: &[OutcomeEvent]) -> Result<(), StatsError> {
        for portion in events.chunks(AT_ONCE) {
            self.append_portion(portion).await?;
        }
        Ok(())
    }

    async fn append_portion(&self, events: &[OutcomeEvent]) -> Result<(), StatsError> {
        let mut batches = BTreeMap::<_, redis::Pipeline>::new();
        for event in events {
            let partition = PartitionId::of(&event.channel);
            batches
                .entry(partition)
                .or_default()
                .cmd("XADD")
                .arg(self.keys.stream(partition))
                .arg("*")
                .arg(FIELD)
                .arg(outcome_event::encode(event))
                .ignore();
        }
        let written = batches.values().map(|batch| self.pipeline::<()>(batch));
        // All of them, though one fails: the others need not wait for the sweep.
        join_all(written).await.into_iter().collect()
    }

    /// The partition now, and up to `count` entries after `after`.
    ///
    /// # Errors
    /// When Redis cannot be asked, or its answer is not what this version stores.
    pub async fn read(
        &self,
        partition: PartitionId,
        after: StreamId,
        count: usize,
    ) -> Result<Page, StatsError> {
        let mut call = READ.prepare_invoke();
        call.key(self.keys.state(partition))
            .key(self.keys.stream(partition))
            .arg(after.to_string())
            .arg(count)
            .arg(MAX_ENTRY);
        self.script::<Answer>(&call).await.and_then(page)
    }
}

/// What the script answers: the time, the state's four fields, the tail, and the entries.
type Answer = (
    i64,
    i64,
    String,
    String,
    String,
    String,
    String,
    u64,
    Vec<(String, i64, Vec<u8>)>,
);

fn page(answer: Answer) -> Result<Page, StatsError> {
    let (secs, micros, epoch, seq, applied, read, last, added, entries) = answer;
    let corrupt = |what: &str| StatsError::Corrupt(format!("{what} of a partition"));
    let place = |text: &str| text.parse().map_err(|_| corrupt("a place in the stream"));
    let number = |text: &str| text.parse().map_err(|_| corrupt("the state"));
    let state = if epoch.is_empty() {
        None
    } else {
        Some(State {
            epoch: Epoch(number(&epoch)?),
            seq: number(&seq)?,
            applied: place(&applied)?,
            read: number(&read)?,
        })
    };
    let entry = |(id, size, bytes): (String, i64, Vec<u8>)| {
        Ok(Entry {
            id: place(&id)?,
            outcome: outcome(size, bytes),
        })
    };
    let now = secs.saturating_mul(1_000_000).saturating_add(micros);
    Ok(Page {
        now: Timestamp::from_microsecond(now).map_err(|_| corrupt("the time"))?,
        state,
        tail: Tail {
            last: place(&last)?,
            added,
        },
        entries: entries
            .into_iter()
            .map(entry)
            .collect::<Result<_, StatsError>>()?,
    })
}

fn outcome(size: i64, bytes: Vec<u8>) -> Result<OutcomeEvent, Poison> {
    let Ok(size) = usize::try_from(size) else {
        let reason = format!("the entry has no field `{FIELD}`");
        return Err(Poison { reason, bytes });
    };
    let read = if size > MAX_ENTRY {
        Err(BadEntry::TooLarge(size))
    } else {
        outcome_event::decode(&bytes)
    };
    read.map_err(|bad| Poison {
        reason: bad.to_string(),
        bytes,
    })
}
