//! What a channel's latest outcomes were: how often in a row it failed, and when it succeeded last.
//!
//! Counts by the minute know neither. The outcomes of the last hour are there one by one; when they do not tell, the
//! channel's earlier minutes are looked at from the latest on, and read one by one only where their order matters.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use domain::id::ChannelId;
use domain::window::{Counts, Streaks, Stretch};
use jiff::Timestamp;
use ledger::{KnownOutcome, LastOutcome, LedgerError, Span, StatisticsSource};

/// Outcomes that are read of a channel's minute. The latest ones tell how a streak ended.
const MOST: u32 = 10_000;

/// Minutes with a success that are remembered, the latest ones: the last of them tells nearly always. It does not when
/// all of its successes were taken for timeouts first.
const SUCCESSES: usize = 8;

/// Minutes that were read one by one, for all channels that ask.
pub(super) type Minutes = BTreeMap<i64, Vec<LastOutcome>>;

/// What is remembered of a channel while its outcomes are counted.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Its minutes before the last hour, the latest last.
    minutes: VecDeque<(i64, Counts)>,
    /// How many of them have successes.
    successes: usize,
    recent: Stretch,
    last_success_at: Option<Timestamp>,
}

/// What is kept of a channel beside its buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) streaks: Streaks,
    pub(super) last_success_at: Option<Timestamp>,
}

impl History {
    /// Remembers a whole minute; `counts` come in the order of time.
    pub(super) fn minute(&mut self, number: i64, counts: &Counts) {
        match self.minutes.back_mut() {
            Some((last, known)) if *last == number => {
                self.successes += usize::from(known.success == 0 && counts.success > 0);
                known.merge(counts);
            }
            _ => {
                self.successes += usize::from(counts.success > 0);
                self.minutes.push_back((number, *counts));
            }
        }
        while self.successes > SUCCESSES {
            let Some((_, counts)) = self.minutes.pop_front() else {
                break;
            };
            self.successes -= usize::from(counts.success > 0);
        }
    }

    /// Remembers an outcome of the last hour; they come in the order of their arrival.
    pub(super) fn outcome(&mut self, outcome: &KnownOutcome) {
        self.recent.record(outcome.reported, outcome.received_at);
        if outcome.class.is_success() {
            self.last_success_at = self.last_success_at.max(Some(outcome.received_at));
        }
    }

    /// What is to be kept of `channel`. Reads from `source` what counts do not tell, and keeps it in `read`.
    pub(super) async fn marks(
        self,
        channel: &ChannelId,
        source: &dyn StatisticsSource,
        read: &mut Minutes,
    ) -> Result<Marks, LedgerError> {
        let mut stretch = self.recent;
        let mut last_success_at = self.last_success_at;
        for (number, counts) in self.minutes.into_iter().rev() {
            if stretch.is_complete() && last_success_at.is_some() {
                break;
            }
            let wants_success = last_success_at.is_none() && counts.success > 0;
            if !wants_success && (stretch.is_complete() || stretch.before(&counts).is_some()) {
                stretch = stretch
                    .before(&counts)
                    .map_or(stretch, |before| stretch.after(before));
                continue;
            }
            let mut before = Stretch::default();
            for outcome in minute(number, source, read)
                .await?
                .iter()
                .filter(|one| one.channel == *channel)
            {
                before.record(outcome.reported, outcome.received_at);
                if wants_success && outcome.class.is_success() {
                    last_success_at = last_success_at.max(Some(outcome.received_at));
                }
            }
            stretch = stretch.after(before);
        }
        Ok(Marks {
            streaks: stretch.streaks(),
            last_success_at,
        })
    }
}

/// The outcomes of a minute, in the order of their arrival.
async fn minute<'r>(
    number: i64,
    source: &dyn StatisticsSource,
    read: &'r mut Minutes,
) -> Result<&'r [LastOutcome], LedgerError> {
    match read.entry(number) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(unknown) => {
            let start =
                |number: i64| Timestamp::from_second(number.saturating_mul(60)).unwrap_or(Timestamp::MAX);
            let span = Span {
                from: start(number),
                until: start(number.saturating_add(1)),
            };
            Ok(unknown.insert(source.last_outcomes(span, MOST).await?))
        }
    }
}
