//! What is read from the ledger for a refill, and in which pieces.

use std::sync::Arc;
use std::time::Duration;

use domain::window::{BUCKET_SECS, View, bucket_number};
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use ledger::{LedgerError, Recount, Span, StatisticsSource, Tally};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How far back the statistics reach: the minutes of a day, and an hour for what is being looked at.
const REACH: SignedDuration = SignedDuration::from_hours(25);

/// How far ahead of Redis's clock an outcome may be and still count.
const AHEAD: SignedDuration = SignedDuration::from_secs(120);

/// What only minutes are kept of is counted an hour at a time.
const HOUR: Duration = Duration::from_hours(1);

/// What is read by name is read in smaller pieces, for it takes more room.
const PIECE: Duration = Duration::from_mins(10);

/// How many questions the ledger is asked at the same time: it has other work to do.
const AT_ONCE: usize = 2;

/// Answers that wait to be written.
const AHEAD_OF_WRITING: usize = 2;

const MINUTE_SECS: u32 = 60;
const FINE_SECS: u32 = 10;

/// A piece of what the ledger knows, in the order of time.
#[derive(Debug)]
pub(super) enum Piece {
    /// Outcomes that only minutes are kept of.
    Minutes(Vec<Tally>),
    /// Outcomes that windows look at.
    Recent(Recount),
}

/// The two parts of the time that statistics reach back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// What only minutes are kept of.
    pub(super) minutes: Span,
    /// What windows look at, from a whole minute on.
    recent: Span,
}

impl Reach {
    /// For partitions whose rebuilds began between `first` and `last`.
    pub(super) fn new(first: Timestamp, last: Timestamp) -> Self {
        let whole_minute = |second: i64| {
            let minute = second.div_euclid(60).saturating_mul(60);
            Timestamp::from_second(minute).unwrap_or(Timestamp::MIN)
        };
        let oldest_seen = bucket_number(first).saturating_sub(View::LONGEST.secs() / BUCKET_SECS - 1);
        let border = whole_minute(oldest_seen.saturating_mul(BUCKET_SECS));
        let from = first.checked_sub(REACH).unwrap_or(Timestamp::MIN);
        Self {
            minutes: Span {
                from: whole_minute(from.as_second()),
                until: border,
            },
            recent: Span {
                from: border,
                until: last.checked_add(AHEAD).unwrap_or(Timestamp::MAX),
            },
        }
    }
}

/// The reading, under way while what was read is written.
#[derive(Debug)]
pub(super) struct Reading {
    pieces: mpsc::Receiver<Result<Piece, LedgerError>>,
    task: JoinHandle<()>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reading {
    /// Begins to read `reach`.
    pub(super) fn begin(source: Arc<dyn StatisticsSource>, reach: Reach) -> Self {
        let (pieces, reading) = mpsc::channel(AHEAD_OF_WRITING);
        let task = tokio::spawn(async move {
            let minutes = reach.minutes.slices(HOUR).map(|span| (span, false));
            let recent = reach.recent.slices(PIECE).map(|span| (span, true));
            let mut answers = stream::iter(minutes.chain(recent))
                .map(|(span, is_recent)| read(&*source, span, is_recent))
                .buffered(AT_ONCE);
            while let Some(piece) = answers.next().await {
                if pieces.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Self {
            pieces: reading,
            task,
        }
    }

    /// The next piece; `None` when all was read.
    pub(super) async fn next(&mut self) -> Option<Result<Piece, LedgerError>> {
        self.pieces.recv().await
    }
}

async fn read(source: &dyn StatisticsSource, span: Span, is_recent: bool) -> Result<Piece, LedgerError> {
    if is_recent {
        source.recount(span, FINE_SECS).await.map(Piece::Recent)
    } else {
        source.tallies(span, MINUTE_SECS).await.map(Piece::Minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_a_whole_minute_before_all_that_windows_see() {
        for second in [1_789_948_799, 1_789_948_800, 1_789_948_859] {
            let at = |second| Timestamp::from_second(second).unwrap();
            let reach = Reach::new(at(second), at(second + 30));
            let border = reach.recent.from.as_second();
            assert_eq!((border % 60, reach.minutes.until), (0, reach.recent.from));
            assert!(
                (second - 3_600 - 60..=second - 3_590).contains(&border),
                "{second}"
            );
            assert_eq!(reach.recent.until, at(second + 150));
            assert!(reach.minutes.from <= at(second - 25 * 3_600));
        }
    }
}
