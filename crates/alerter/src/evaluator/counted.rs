//! Outcomes of the last hours, counted by the ledger and kept in memory.
//!
//! A bucket is read as a whole and takes the place of what was known of it, so reading one twice does no harm. The
//! newest are read with every look; those before them now and then, because outcomes that waited in a spool come
//! with the time at which they were received.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::alert::{Dimension, Rules, Scope, Series, Span as Seen};
use domain::window::{BUCKET_SECS, Latencies, Statistics, bucket_number};
use jiff::{SignedDuration, Timestamp};
use ledger::{LedgerError, ObservationSource, Observed, Span};

/// How long a look at the ledger may take before it counts as failed.
const LIMIT: Duration = Duration::from_secs(5);

/// Buckets before the present one that every look reads: a transaction that began before them is over.
const NEWEST: i64 = 2;

/// How far back what was spooled for a moment is looked for, and how often.
const SHORTLY: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(5), SignedDuration::from_mins(1));

/// The same for what was spooled for long.
const LONG: (SignedDuration, SignedDuration) = (SignedDuration::from_hours(1), SignedDuration::from_mins(10));

/// The longest stretch that is read by one statement.
const SLICE: Duration = Duration::from_mins(15);

/// How old the last look may be before what it found says nothing about now.
pub(super) const STALE: SignedDuration = SignedDuration::from_secs(15);

/// What was counted, and when.
#[derive(Debug)]
pub(super) struct Counted {
    source: Arc<dyn ObservationSource>,
    series: Series,
    /// When each stretch was read last: the newest buckets, those shortly before, and all.
    read_at: [Option<Timestamp>; 3],
    error: Option<String>,
}

impl Counted {
    /// Nothing yet.
    pub(super) fn new(source: Arc<dyn ObservationSource>) -> Self {
        Self {
            source,
            series: Series::default(),
            read_at: [None; 3],
            error: None,
        }
    }

    /// Looks at the ledger. What fails is looked at again with the next look.
    pub(super) async fn look(
        &mut self,
        now: Timestamp,
        longest: SignedDuration,
        providers: &BTreeMap<String, String>,
    ) {
        let back =
            |span: SignedDuration| bucket_number(now.checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH));
        let is_due = |at: Option<Timestamp>, every: SignedDuration| {
            at.is_none_or(|at| now.duration_since(at) >= every)
        };
        let [_, shortly, long] = self.read_at;
        let (level, first) = if long.is_none() {
            // At the start everything that a rule may look at.
            (2, back(longest.max(LONG.0)))
        } else if is_due(long, LONG.1) {
            (2, back(LONG.0))
        } else if is_due(shortly, SHORTLY.1) {
            (1, back(SHORTLY.0))
        } else {
            let gap = self.read_at[0].map_or(0, |at| bucket_number(now) - bucket_number(at));
            (0, bucket_number(now) - NEWEST - gap.max(0))
        };
        match self.read((first, bucket_number(now)), providers).await {
            Ok(()) => {
                for read_at in self.read_at.iter_mut().take(level + 1) {
                    *read_at = Some(now);
                }
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
        self.series.forget_before(back(
            longest.max(LONG.0).saturating_add(SignedDuration::from_mins(1)),
        ));
    }

    async fn read(
        &mut self,
        (first, last): (i64, i64),
        providers: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let at = |bucket: i64| Timestamp::from_second(bucket.saturating_mul(BUCKET_SECS)).unwrap_or_default();
        let whole = Span {
            from: at(first),
            // Clocks of two machines differ: what comes from a moment ahead counts as well.
            until: at(last.saturating_add(13)),
        };
        let mut counted = Vec::new();
        for slice in whole.slices(SLICE) {
            counted.extend(ask(&*self.source, slice, 10).await?);
        }
        self.series.forget(first, i64::MAX);
        for observed in counted {
            let (bucket, seen) = (observed.bucket, seen(&observed));
            self.series.add(bucket, placed(observed, providers), &seen);
        }
        Ok(())
    }

    /// What was counted, or why nothing is known.
    pub(super) fn known(&self, now: Timestamp) -> Result<&Series, &str> {
        let is_new = |at: Timestamp| now.duration_since(at) <= STALE;
        if self.read_at[0].is_some_and(is_new) {
            return Ok(&self.series);
        }
        Err(self.error.as_deref().unwrap_or("the ledger was not read yet"))
    }
}

/// The longest span that `rules` look at.
pub(super) fn longest(rules: &Rules) -> SignedDuration {
    let spans = rules.list.iter().flat_map(domain::alert::Rule::spans);
    SignedDuration::from_secs(i64::from(spans.max().unwrap_or(0)))
}

async fn ask(source: &dyn ObservationSource, span: Span, secs: u32) -> Result<Vec<Observed>, String> {
    let asked = tokio::time::timeout(LIMIT, source.observe(span, secs)).await;
    let answer: Result<_, LedgerError> = asked.map_err(|_| "the ledger did not answer in time".to_owned())?;
    answer.map_err(|error| error.to_string())
}

/// How many outcomes the hour that `now` is in held a day and a week ago, the smaller number of both; a week ago does
/// not count where nothing at all was then. By what rules about silence tell apart.
pub(super) async fn hourly(
    source: &dyn ObservationSource,
    rules: &Rules,
    providers: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<BTreeMap<Scope, u32>, String> {
    let mut past = Vec::new();
    for days in [1, 7] {
        let hour = now
            .checked_sub(SignedDuration::from_hours(24 * days))
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .as_second()
            .div_euclid(3_600);
        let at = |hour: i64| Timestamp::from_second(hour.saturating_mul(3_600)).unwrap_or_default();
        let span = Span {
            from: at(hour),
            until: at(hour.saturating_add(1)),
        };
        let mut sums: BTreeMap<Scope, u32> = BTreeMap::new();
        for mut observed in ask(source, span, 3_600).await? {
            let count = observed.count;
            observed.bins.clear();
            let place = placed(observed, providers);
            let scopes: std::collections::BTreeSet<Scope> = rules
                .list
                .iter()
                .filter(|rule| rule.metric == domain::alert::Metric::SilentChannel)
                .filter_map(|rule| narrowed(&place, &rule.by))
                .collect();
            for scope in scopes {
                let sum = sums.entry(scope).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        past.push(sums);
    }
    let week = past.pop().unwrap_or_default();
    let mut day = past.pop().unwrap_or_default();
    if !week.is_empty() {
        day.retain(|scope, count| {
            *count = week.get(scope).map_or(0, |week| (*week).min(*count));
            *count > 0
        });
    }
    Ok(day)
}

fn narrowed(place: &Scope, by: &[Dimension]) -> Option<Scope> {
    by.iter().try_fold(Scope::overall(), |scope, dimension| {
        Some(scope.with(*dimension, place.get(*dimension)?))
    })
}

fn seen(observed: &Observed) -> Seen {
    let mut outcomes = Statistics::default();
    outcomes.counts.add_many(observed.class, observed.count);
    let mut latencies = Latencies::default();
    for (bin, count) in &observed.bins {
        latencies.restore(*bin, *count);
    }
    outcomes.latencies = latencies;
    Seen {
        outcomes,
        unknown: observed.unknown,
        switches: observed.later,
        expected: None,
    }
}

/// Where outcomes belong; the provider is known by the configuration.
fn placed(observed: Observed, providers: &BTreeMap<String, String>) -> Scope {
    let mut scope = Scope::overall()
        .with(Dimension::Channel, observed.channel.as_str())
        .with(Dimension::Method, &observed.method)
        .with(Dimension::Merchant, observed.merchant.as_str());
    if let Some(provider) = providers.get(observed.channel.as_str()) {
        scope = scope.with(Dimension::Provider, provider);
    }
    for (dimension, value) in [
        (Dimension::Issuer, observed.issuer),
        (Dimension::Region, observed.region),
    ] {
        if let Some(value) = value {
            scope = scope.with(dimension, &value);
        }
    }
    scope
}
