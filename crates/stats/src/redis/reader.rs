//! The readers' side: what was published last, in memory, and how much it can still be trusted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::id::ChannelId;
use domain::snapshot::{Breaker, ChannelRow, HealthSnapshot};
use jiff::Timestamp;
use metrics::{counter, gauge};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::connection::Store;
use super::metric;
use super::partition_id::PartitionId;
use super::snapshot::{self, BadSnapshot, PartitionSnapshot};

/// How often Redis is asked.
const PERIOD: Duration = Duration::from_millis(250);

/// How often what is known is kept in a file.
const KEEP_PERIOD: Duration = Duration::from_secs(10);

/// How much a snapshot can be trusted, by the reader's own monotonic clock since it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It is at most 3 s old.
    Fresh,
    /// It is at most 60 s old: taken as it is.
    LastKnown,
    /// It is at most 15 min old: what it says counts less and less.
    Fading,
    /// It is older, or there never was one.
    Gone,
}

impl Freshness {
    /// The freshness of what came `age` ago.
    #[must_use]
    pub const fn of(age: Duration) -> Self {
        const FRESH: Duration = Duration::from_secs(3);
        const LAST_KNOWN: Duration = Duration::from_mins(1);
        const FADING: Duration = Duration::from_mins(15);
        if age.as_nanos() <= FRESH.as_nanos() {
            Self::Fresh
        } else if age.as_nanos() <= LAST_KNOWN.as_nanos() {
            Self::LastKnown
        } else if age.as_nanos() <= FADING.as_nanos() {
            Self::Fading
        } else {
            Self::Gone
        }
    }
}

/// What became of a snapshot that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is newer than what was known.
    Taken,
    /// It is what was known already.
    Known,
    /// It is older than what is known: a replica that lags, or Redis went back in time.
    Older,
    /// It is none.
    Refused(BadSnapshot),
}

#[derive(Clone, Debug)]
struct Held {
    snapshot: PartitionSnapshot,
    received_at: Instant,
    /// How old it was then.
    age: Duration,
}

/// The latest snapshot of each partition.
#[derive(Clone, Debug, Default)]
pub struct Board {
    held: BTreeMap<PartitionId, Held>,
}

impl Board {
    /// Looks at what Redis holds for `partition`.
    pub fn offer(&mut self, partition: PartitionId, bytes: &[u8], now: Instant) -> Offered {
        let snapshot = match PartitionSnapshot::decode(bytes) {
            Ok(snapshot) => snapshot,
            Err(bad) => return Offered::Refused(bad),
        };
        let order = |snapshot: &PartitionSnapshot| (snapshot.epoch, snapshot.seq);
        match self.held.get(&partition).map(|held| order(&held.snapshot)) {
            Some(held) if order(&snapshot) == held => Offered::Known,
            Some(held) if order(&snapshot) < held => Offered::Older,
            _ => {
                let held = Held {
                    snapshot,
                    received_at: now,
                    age: Duration::ZERO,
                };
                self.held.insert(partition, held);
                Offered::Taken
            }
        }
    }

    /// How long ago the partition's snapshot came; `None` when there is none.
    #[must_use]
    pub fn age(&self, partition: PartitionId, now: Instant) -> Option<Duration> {
        let held = self.held.get(&partition)?;
        Some(
            held.age
                .saturating_add(now.saturating_duration_since(held.received_at)),
        )
    }

    /// How much the statistics of `channel` can be trusted.
    #[must_use]
    pub fn freshness(&self, channel: &ChannelId, now: Instant) -> Freshness {
        self.age(PartitionId::of(channel), now)
            .map_or(Freshness::Gone, Freshness::of)
    }

    /// What is known of `channel`: a row without outcomes when its partition had none of it, `None` when nothing is
    /// known of its partition, or too long ago.
    #[must_use]
    pub fn row(&self, channel: &ChannelId, now: Instant) -> Option<ChannelRow> {
        let partition = PartitionId::of(channel);
        self.age(partition, now)
            .filter(|age| Freshness::of(*age) < Freshness::Gone)?;
        let snapshot = &self.held.get(&partition)?.snapshot;
        let row = snapshot.rows.iter().find(|row| row.channel == *channel);
        Some(
            row.cloned()
                .unwrap_or_else(|| ChannelRow::of(channel.clone(), None, snapshot.as_of)),
        )
    }

    /// The health of `breakers`' channels, in their order. It is as old as the oldest of its parts; what is not known
    /// shows no outcomes, and [`Board::freshness`] tells it from a channel without traffic.
    #[must_use]
    pub fn merge(
        &self,
        seq: u64,
        now: Instant,
        breakers: impl IntoIterator<Item = (ChannelId, Breaker)>,
    ) -> HealthSnapshot {
        let mut as_of: Option<Timestamp> = None;
        let mut rows = Vec::new();
        for (channel, breaker) in breakers {
            if let Some(held) = self.held.get(&PartitionId::of(&channel)) {
                let part = held.snapshot.as_of;
                as_of = Some(as_of.map_or(part, |oldest| oldest.min(part)));
            }
            let row = self
                .row(&channel, now)
                .unwrap_or_else(|| ChannelRow::of(channel, None, Timestamp::UNIX_EPOCH));
            rows.push((row, breaker));
        }
        HealthSnapshot::assemble(seq, as_of.unwrap_or(Timestamp::UNIX_EPOCH), rows)
    }

    /// Everything that is known, as bytes for a file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let all: Vec<(u8, &PartitionSnapshot)> = self
            .held
            .iter()
            .map(|(partition, held)| (partition.number(), &held.snapshot))
            .collect();
        snapshot::seal(&all)
    }

    /// What a file kept. Between two processes only the wall clock tells how old it is, so it is never fresh.
    ///
    /// # Errors
    /// When the bytes are damaged or of another version.
    pub fn decode(bytes: &[u8], wall: Timestamp, now: Instant) -> Result<Self, BadSnapshot> {
        const NO_LONGER_FRESH: Duration = Duration::from_millis(3_001);
        let all: Vec<(u8, PartitionSnapshot)> = snapshot::open(bytes)?;
        let held = all.into_iter().filter_map(|(number, snapshot)| {
            let age = Duration::try_from(wall.duration_since(snapshot.as_of)).unwrap_or_default();
            let held = Held {
                snapshot,
                received_at: now,
                age: age.max(NO_LONGER_FRESH),
            };
            Some((PartitionId::new(number)?, held))
        });
        Ok(Self { held: held.collect() })
    }

    /// What the file at `path` kept; nothing when there is none, or it cannot be used, which is logged.
    pub async fn restore(path: &Path, wall: Timestamp) -> Self {
        let bytes = match tokio::fs::read(path).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the last health snapshot cannot be read");
                return Self::default();
            }
        };
        Self::decode(&bytes, wall, Instant::now()).unwrap_or_else(|error| {
            tracing::warn!(%error, path = %path.display(), "the last health snapshot cannot be used");
            Self::default()
        })
    }
}

/// Keeps a board up to date.
#[derive(Debug)]
pub struct Poller {
    /// Where snapshots are published.
    pub store: Store,
    /// What they are kept on.
    pub board: Arc<Mutex<Board>>,
    /// The file that the board is kept in for a start without Redis; `None`: it is not kept.
    pub file: Option<PathBuf>,
}

impl Poller {
    /// Asks several times a second, until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kept_at = Instant::now();
        let mut reachable = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => break,
            }
            let answered = self.poll().await;
            if answered != reachable {
                reachable = answered;
                if answered {
                    tracing::info!("health snapshots come again");
                } else {
                    tracing::warn!("no health snapshots: going on with the last ones");
                }
            }
            if kept_at.elapsed() >= KEEP_PERIOD {
                kept_at = Instant::now();
                self.keep().await;
            }
        }
        self.keep().await;
    }

    /// Asks once; whether Redis answered.
    pub async fn poll(&self) -> bool {
        let answer = self.store.snapshots().await;
        let now = Instant::now();
        let mut board = self.board.lock();
        for (partition, bytes) in answer.iter().flatten() {
            let reason = match board.offer(*partition, bytes, now) {
                Offered::Taken | Offered::Known => continue,
                Offered::Older => "older",
                Offered::Refused(BadSnapshot::Corrupt) => "corrupt",
                Offered::Refused(BadSnapshot::Schema(_)) => "schema",
            };
            counter!(metric::SNAPSHOTS_REFUSED, "reason" => reason).increment(1);
        }
        let oldest = PartitionId::all()
            .filter_map(|partition| board.age(partition, now))
            .max();
        if let Some(age) = oldest {
            gauge!(metric::SNAPSHOT_AGE).set(age.as_secs_f64());
        }
        answer.is_ok()
    }

    /// Keeps the board in its file: written aside and renamed, so that a crash leaves the old one.
    async fn keep(&self) {
        let Some(file) = &self.file else {
            return;
        };
        let bytes = self.board.lock().encode();
        let aside = file.with_extension("new");
        let kept = async {
            tokio::fs::write(&aside, bytes).await?;
            tokio::fs::rename(&aside, file).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, path = %file.display(), "the last health snapshot cannot be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::window::View;

    use super::*;
    use crate::redis::Epoch;

    fn channel() -> ChannelId {
        ChannelId::new("a").unwrap()
    }

    fn snapshot(epoch: u64, seq: u64, successes: u32) -> Vec<u8> {
        let mut row = ChannelRow::of(channel(), None, Timestamp::UNIX_EPOCH);
        row.views[0].counts.success = successes;
        PartitionSnapshot {
            epoch: Epoch(epoch),
            seq,
            as_of: Timestamp::UNIX_EPOCH,
            rows: vec![row],
        }
        .encode()
    }

    fn successes(board: &Board, now: Instant) -> Option<u32> {
        board.row(&channel(), now).map(|row| row.views[0].counts.success)
    }

    #[test]
    fn f26_health_never_goes_back_and_damage_changes_nothing() {
        let (mut board, now) = (Board::default(), Instant::now());
        let at = PartitionId::of(&channel());
        assert_eq!(successes(&board, now), None);
        assert_eq!(board.offer(at, &snapshot(5, 2, 20), now), Offered::Taken);
        assert_eq!(board.offer(at, &snapshot(5, 2, 20), now), Offered::Known);
        assert_eq!(board.offer(at, &snapshot(5, 1, 10), now), Offered::Older);
        assert_eq!(board.offer(at, &snapshot(4, 9, 90), now), Offered::Older);
        assert_eq!(
            board.offer(at, b"nonsense", now),
            Offered::Refused(BadSnapshot::Schema(b'n'))
        );
        assert_eq!(successes(&board, now), Some(20));
        assert_eq!(
            board.offer(at, &snapshot(6, 0, 60), now),
            Offered::Taken,
            "a rebuild begins a larger epoch"
        );
        assert_eq!(successes(&board, now), Some(60));
    }

    #[test]
    fn trust_goes_by_the_time_since_the_last_new_one() {
        let (mut board, start) = (Board::default(), Instant::now());
        let at = PartitionId::of(&channel());
        board.offer(at, &snapshot(1, 1, 1), start);
        let after = |millis| {
            let now = start + Duration::from_millis(millis);
            (board.freshness(&channel(), now), successes(&board, now))
        };
        assert_eq!(after(3_000), (Freshness::Fresh, Some(1)));
        assert_eq!(after(3_001), (Freshness::LastKnown, Some(1)));
        assert_eq!(after(60_001), (Freshness::Fading, Some(1)));
        assert_eq!(after(900_001), (Freshness::Gone, None));
        // The same snapshot, found again, is not news.
        board.offer(at, &snapshot(1, 1, 1), start + Duration::from_secs(30));
        assert_eq!(
            board.freshness(&channel(), start + Duration::from_secs(30)),
            Freshness::LastKnown
        );
    }

    #[test]
    fn what_a_file_kept_is_known_but_never_fresh() {
        let (mut board, now) = (Board::default(), Instant::now());
        board.offer(PartitionId::of(&channel()), &snapshot(1, 1, 7), now);
        let read = |wall| {
            let board = Board::decode(&board.encode(), Timestamp::from_second(wall).unwrap(), now).unwrap();
            (board.freshness(&channel(), now), successes(&board, now))
        };
        assert_eq!(read(0), (Freshness::LastKnown, Some(7)));
        assert_eq!(read(-100), (Freshness::LastKnown, Some(7)), "the clock went back");
        assert_eq!(read(100), (Freshness::Fading, Some(7)));
        assert_eq!(read(10_000), (Freshness::Gone, None));
        assert!(Board::decode(b"\x01nonsense", Timestamp::UNIX_EPOCH, now).is_err());
    }

    #[test]
    fn partitions_are_put_together_with_breakers_and_shares() {
        let (mut board, now) = (Board::default(), Instant::now());
        board.offer(PartitionId::of(&channel()), &snapshot(1, 1, 3), now);
        let unknown = ChannelId::new("nobody_knows").unwrap();
        let breakers = [unknown.clone(), channel()].map(|id| (id, Breaker::healthy(Timestamp::UNIX_EPOCH)));
        let merged = board.merge(9, now, breakers);
        assert_eq!((merged.seq, merged.as_of), (9, Timestamp::UNIX_EPOCH));
        let share = |id| merged.channel(id).unwrap().view(View::OneMinute).share_bp;
        assert_eq!((share(&unknown), share(&channel())), (0, 10_000));
    }
}
