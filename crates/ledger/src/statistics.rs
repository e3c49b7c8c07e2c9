//! The port for statistics that are counted anew from the ledger.
//!
//! An outcome counts at the time it was received, and as what it is known for by now: a timeout that has proved a
//! success is a success.

use std::fmt;
use std::time::Duration;

use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeId;
use jiff::Timestamp;

use crate::port::Answer;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning, inclusive.
    pub from: Timestamp,
    /// Its end, exclusive.
    pub until: Timestamp,
}

impl Span {
    /// Cuts it at the whole multiples of `length` since the Unix epoch: where buckets meet, when their length divides
    /// it. A length of less than a second counts as one.
    pub fn slices(self, length: Duration) -> impl Iterator<Item = Self> {
        let secs = i64::try_from(length.as_secs().max(1)).unwrap_or(i64::MAX);
        let mut from = self.from;
        std::iter::from_fn(move || {
            (from < self.until).then(|| {
                let number = from.as_second().div_euclid(secs).saturating_add(1);
                let cut = Timestamp::from_second(number.saturating_mul(secs)).unwrap_or(self.until);
                let until = cut.min(self.until);
                let slice = Self { from, until };
                from = until;
                slice
            })
        })
    }
}

/// How many outcomes of one kind fell into one bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tally {
    /// The channel.
    pub channel: ChannelId,
    /// The payment method.
    pub method: String,
    /// The customer's bank.
    pub issuer: Option<String>,
    /// The number of the bucket: seconds since the Unix epoch, divided by the length of a bucket and rounded down.
    pub bucket: i64,
    /// What the outcomes count as.
    pub class: OutcomeClass,
    /// How many.
    pub count: u32,
    /// The bins of their latencies, as `domain::window::Latencies` numbers them, in ascending order, each with how many
    /// are in it. What was reported as a timeout is in none: how long somebody waited in vain is not how long the
    /// channel takes.
    pub bins: Vec<(u8, u32)>,
}

/// An outcome by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOutcome {
    /// Its name.
    pub id: OutcomeId,
    /// The name of its correction, when it counts as something else than it was reported as.
    pub correction: Option<OutcomeId>,
    /// The channel.
    pub channel: ChannelId,
    /// What it was reported as: a streak says how often in a row nobody answered in time, which stays true.
    pub reported: OutcomeClass,
    /// What it counts as by now.
    pub class: OutcomeClass,
    /// When it was received.
    pub received_at: Timestamp,
}

/// A span counted, and everything that was counted by its name: both of the same moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// The counts, in no particular order.
    pub tallies: Vec<Tally>,
    /// The outcomes, in the order of their arrival.
    pub outcomes: Vec<KnownOutcome>,
}

/// One of the latest outcomes of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastOutcome {
    /// The channel.
    pub channel: ChannelId,
    /// The payment method.
    pub method: String,
    /// The customer's bank.
    pub issuer: Option<String>,
    /// What it was reported as: a streak says how often in a row nobody answered in time, which stays true.
    pub reported: OutcomeClass,
    /// What it counts as by now.
    pub class: OutcomeClass,
    /// When it was received.
    pub received_at: Timestamp,
}

/// A ledger that can count.
pub trait StatisticsSource: Send + Sync + fmt::Debug {
    /// The outcomes that were received within `span`, counted in buckets of `bucket_secs` seconds (1 to 3 600), in no
    /// particular order.
    ///
    /// An answer is held in memory as a whole: ask for an hour at a time, and cut where buckets meet, as
    /// [`Span::slices`] does, or the outcomes of one bucket come in two tallies.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn tallies(&self, span: Span, bucket_secs: u32) -> Answer<'_, Vec<Tally>>;

    /// As [`StatisticsSource::tallies`], with the names of what was counted. An outcome or a correction that is written
    /// meanwhile is in both or in neither.
    ///
    /// Held in memory as a whole, about 150 bytes for each outcome.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn recount(&self, span: Span, bucket_secs: u32) -> Answer<'_, Recount>;

    /// Up to `limit` of the latest outcomes of each channel within `span`, all in the order of their arrival.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn last_outcomes(&self, span: Span, limit: u32) -> Answer<'_, Vec<LastOutcome>>;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    proptest! {
        #[test]
        fn slices_follow_each_other_without_a_gap_and_meet_at_multiples(
            from in 0_i64..100, long in 0_i64..100, secs in 0_u64..40,
        ) {
            let span = Span { from: at(from), until: at(from + long) };
            let slices: Vec<_> = span.slices(Duration::from_secs(secs)).collect();
            let length = i64::try_from(secs.max(1)).unwrap();
            let mut reached = span.from;
            for slice in &slices {
                prop_assert_eq!(slice.from, reached);
                prop_assert!(slice.from < slice.until);
                prop_assert!(slice.until == span.until || slice.until.as_second() % length == 0);
                reached = slice.until;
            }
            prop_assert_eq!(reached, span.until);
            let most = usize::try_from(long / length).unwrap() + 2;
            prop_assert!(slices.len() <= most);
        }
    }
}
