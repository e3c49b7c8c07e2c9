//! Counting outcomes on the server, where they are.

use std::time::Duration;

use domain::attempt::State;
use domain::id::{AttemptId, ChannelId, MerchantId};
use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeId;
use domain::window::Latencies;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};
use tokio::time::timeout;

use super::PostgresLedger;
use super::failure::settle;
use super::value::Micros;
use crate::error::LedgerError;
use crate::port::Answer;
use crate::row::Columns;
use crate::row::attempt::{TABLE, class};
use crate::row::observation;
use crate::statistics::{KnownOutcome, LastOutcome, Recount, Span, StatisticsSource, Tally};

/// How long counting a span may take.
const LIMIT: Duration = Duration::from_mins(1);

/// What an attempt counts as, as `AttemptRecord::known_class` has it; `$3` are the states in which it was charged.
macro_rules! known_class {
    () => {
        "case when state = any ($3) then 'success' else class end"
    };
}

/// The names of the states in which an attempt was charged.
pub(super) fn charged() -> Vec<&'static str> {
    let all = State::ALL.into_iter();
    all.filter(|state| state.was_charged())
        .map(State::as_str)
        .collect()
}

/// The names of the states in which nobody knows by now whether an attempt charged.
pub(super) fn unsettled() -> Vec<&'static str> {
    let all = State::ALL.into_iter();
    all.filter(|state| state.may_charge())
        .map(State::as_str)
        .collect()
}

/// A statement with its arguments.
pub(super) type Question = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Counts `span` in buckets of `secs` seconds.
fn tallies(span: Span, secs: u32) -> Question {
    let statement = concat!(
        "select channel_id, method, issuer, date_bin(make_interval(secs => $4), received_at, 'epoch') as bucket, ",
        known_class!(),
        // The number of a bin is how many bounds are less than the latency, and the server counts those that are not
        // greater than its operand. All bins of a tally one after the other, two bytes each: grouping by them, too,
        // takes twice the time, for there are nearly as many groups as outcomes then, and an array's elements take
        // longer to read than to count.
        " as class, count(*) as count, \
         string_agg(int2send(width_bucket(latency_ms - 1, $5)::smallint), '') \
         filter (where class <> 'timeout') as bins \
         from attempt where received_at >= $1 and received_at < $2 and class is not null group by 1, 2, 3, 4, 5"
    );
    let bounds: Vec<i64> = Latencies::bounds_ms().iter().copied().map(i64::from).collect();
    sqlx::query(statement)
        .bind(Micros::from(span.from))
        .bind(Micros::from(span.until))
        .bind(charged())
        .bind(f64::from(secs))
        .bind(bounds)
}

fn tally(row: &PgRow, secs: u32) -> Result<Tally, LedgerError> {
    let columns = Columns::of(TABLE, row);
    Ok(Tally {
        channel: columns.parse("channel_id", ChannelId::new)?,
        method: columns.text("method")?,
        issuer: columns.text_some("issuer")?,
        bucket: columns.time("bucket")?.as_second().div_euclid(i64::from(secs)),
        class: columns.parse("class", class)?,
        count: columns.whole("count")?,
        bins: row
            .try_get("bins")
            .map(|bins: Option<&[u8]>| bin_counts(bins.unwrap_or_default()))
            .map_err(|error| columns.corrupt("bins", error))?,
    })
}

/// Names the outcomes of `span`.
fn names(span: Span) -> Question {
    let statement = concat!(
        "select merchant_id, attempt_id, channel_id, received_at, class as reported, ",
        known_class!(),
        " as class from attempt where received_at >= $1 and received_at < $2 and class is not null \
         order by received_at, seq"
    );
    sqlx::query(statement)
        .bind(Micros::from(span.from))
        .bind(Micros::from(span.until))
        .bind(charged())
}

fn known_outcome(row: &PgRow) -> Result<KnownOutcome, LedgerError> {
    let columns = Columns::of(TABLE, row);
    let merchant = columns.parse("merchant_id", MerchantId::new)?;
    let attempt = columns.parse("attempt_id", AttemptId::new)?;
    let reported: OutcomeClass = columns.parse("reported", class)?;
    let known = columns.parse("class", class)?;
    let corrected = (reported != known).then_some(reported);
    Ok(KnownOutcome {
        id: OutcomeId::of(&merchant, &attempt, None),
        correction: corrected.map(|_| OutcomeId::of(&merchant, &attempt, corrected)),
        channel: columns.parse("channel_id", ChannelId::new)?,
        reported,
        class: known,
        received_at: columns.time("received_at")?,
    })
}

impl PostgresLedger {
    async fn read_tallies(&self, span: Span, bucket_secs: u32) -> Result<Vec<Tally>, LedgerError> {
        let secs = bucket_secs.clamp(1, 3_600);
        let [rows] = self.count("count outcomes", [tallies(span, secs)]).await?;
        rows.iter().map(|row| tally(row, secs)).collect()
    }

    async fn read_recount(&self, span: Span, bucket_secs: u32) -> Result<Recount, LedgerError> {
        let secs = bucket_secs.clamp(1, 3_600);
        let questions = [tallies(span, secs), names(span)];
        let [counts, outcomes] = self.count("count outcomes by name", questions).await?;
        Ok(Recount {
            tallies: counts
                .iter()
                .map(|row| tally(row, secs))
                .collect::<Result<_, _>>()?,
            outcomes: outcomes.iter().map(known_outcome).collect::<Result<_, _>>()?,
        })
    }

    async fn read_last(&self, span: Span, limit: u32) -> Result<Vec<LastOutcome>, LedgerError> {
        let statement = concat!(
            "select channel_id, method, issuer, reported, class, received_at from (select channel_id, method, issuer, \
             class as reported, ",
            known_class!(),
            " as class, received_at, seq, \
             row_number() over (partition by channel_id order by received_at desc, seq desc) as place \
             from attempt where received_at >= $1 and received_at < $2 and class is not null) as latest \
             where place <= $4 order by received_at, seq"
        );
        let query = sqlx::query(statement)
            .bind(Micros::from(span.from))
            .bind(Micros::from(span.until))
            .bind(charged())
            .bind(i64::from(limit));
        let [rows] = self.count("read the latest outcomes", [query]).await?;
        let last = |row: &PgRow| {
            let columns = Columns::of(TABLE, row);
            Ok(LastOutcome {
                channel: columns.parse("channel_id", ChannelId::new)?,
                method: columns.text("method")?,
                issuer: columns.text_some("issuer")?,
                reported: columns.parse("reported", class)?,
                class: columns.parse("class", class)?,
                received_at: columns.time("received_at")?,
            })
        };
        rows.iter().map(last).collect()
    }

    /// Asks what takes longer than a look-up, and reads many rows. All answers are of the same moment.
    pub(super) async fn count<const N: usize>(
        &self,
        operation: &'static str,
        questions: [Question; N],
    ) -> Result<[Vec<PgRow>; N], LedgerError> {
        let during = |error| self.failure.during(operation, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let counted = async { at_large(&mut connection, questions).await.map_err(during) };
        let outcome = timeout(LIMIT, counted).await;
        settle(connection, outcome, operation)
    }
}

/// How often each bin is among `bins`, in ascending order.
pub(super) fn bin_counts(bins: &[u8]) -> Vec<(u8, u32)> {
    let (pairs, _) = bins.as_chunks::<2>();
    // There are fewer bins than a byte can tell: the first byte is zero.
    observation::bin_counts(pairs.iter().map(|[_, bin]| *bin).collect())
}

/// Asks `questions` without what keeps look-ups short: here it may be right to read a partition from end to end.
async fn at_large<const N: usize>(
    connection: &mut PgConnection,
    questions: [Question; N],
) -> Result<[Vec<PgRow>; N], sqlx::Error> {
    let mut snapshot = connection
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    // Sorting an hour by five texts to group it takes three times as long as hashing it, and is what the server chooses.
    sqlx::raw_sql(
        "set local enable_seqscan = on; set local enable_hashjoin = on; set local statement_timeout = 60000; \
         set local work_mem = '64MB'; set local hash_mem_multiplier = 4; set local enable_sort = off",
    )
    .execute(&mut *snapshot)
    .await?;
    let mut answers = [const { Vec::new() }; N];
    for (answer, question) in answers.iter_mut().zip(questions) {
        // Not kept: the best plan depends on how long the span is.
        *answer = question.persistent(false).fetch_all(&mut *snapshot).await?;
    }
    snapshot.rollback().await?;
    Ok(answers)
}

impl StatisticsSource for PostgresLedger {
    fn tallies(&self, span: Span, bucket_secs: u32) -> Answer<'_, Vec<Tally>> {
        Box::pin(self.read_tallies(span, bucket_secs))
    }

    fn recount(&self, span: Span, bucket_secs: u32) -> Answer<'_, Recount> {
        Box::pin(self.read_recount(span, bucket_secs))
    }

    fn last_outcomes(&self, span: Span, limit: u32) -> Answer<'_, Vec<LastOutcome>> {
        Box::pin(self.read_last(span, limit))
    }
}
