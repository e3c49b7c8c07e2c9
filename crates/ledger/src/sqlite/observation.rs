//! Counting what alert rules are evaluated on, in the file.

use domain::attempt::State;
use domain::id::ChannelId;
use domain::window::Latencies;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::SqliteLedger;
use crate::error::LedgerError;
use crate::observation::{Impact, ObservationSource, Observed, ReportedCode, Whom};
use crate::port::Answer;
use crate::row::{Columns, attempt, observation};
use crate::statistics::Span;

/// A statement with its arguments.
type Question = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

const OBSERVED: &str = "select received_at_us / ?4 * ?4 as bucket, channel_id, method, issuer, region, merchant_id, \
     case when state in (select value from json_each(?3)) then 'success' else class end as class, \
     count(*) as count, sum(attempt_no > 1) as later, \
     sum(state in (select value from json_each(?5))) as unknown, \
     group_concat(case when class <> 'timeout' then latency_ms end) as latencies \
     from attempt where class is not null and received_at_us >= ?1 and received_at_us < ?2 \
     group by 1, 2, 3, 4, 5, 6, 7";

/// The attempts with an outcome within the span and for whom it is asked, as a condition on `attempt`.
macro_rules! asked {
    () => {
        "received_at_us >= ?1 and received_at_us < ?2 and class is not null \
         and (?4 = '[]' or channel_id in (select value from json_each(?4))) and (?5 is null or method = ?5) \
         and (?6 is null or issuer = ?6) and (?7 is null or region = ?7) and (?8 is null or merchant_id = ?8)"
    };
}

/// That an attempt failed.
macro_rules! failed {
    () => {
        "class <> 'success' and state not in (select value from json_each(?3))"
    };
}

const TOTALS: &str = concat!(
    "select count(*) as attempts, coalesce(sum(",
    failed!(),
    "), 0) as failed, coalesce(sum(state in (select value from json_each(?9))), 0) as unknown from attempt \
     where ?10 > 0 and ",
    asked!()
);

const LOSSES: &str = concat!(
    "select currency, count(*) as payments, sum(amount_minor) as amount_minor from \
     (select distinct merchant_id, payment_id, currency, amount_minor from attempt where ?9 <> '' and ?10 > 0 and ",
    failed!(),
    " and ",
    asked!(),
    ") as hit where not exists (select 1 from attempt as paid where paid.merchant_id = hit.merchant_id \
     and paid.payment_id = hit.payment_id \
     and (paid.class = 'success' or paid.state in (select value from json_each(?3)))) \
     group by currency order by payments desc, currency"
);

/// The failed attempts counted by one of their columns.
macro_rules! part {
    ($kind:literal, $column:literal) => {
        concat!(
            "select * from (select '",
            $kind,
            "' as kind, ",
            $column,
            " as name, count(*) as failed from attempt where ",
            $column,
            " is not null and ?9 <> '' and ",
            failed!(),
            " and ",
            asked!(),
            " group by 2 order by 3 desc, 2 limit ?10)"
        )
    };
}

const PARTS: &str = concat!(
    part!("reason", "reason"),
    " union all ",
    part!("issuer", "issuer"),
    " union all ",
    part!("method", "method"),
    " union all ",
    part!("channel", "channel_id"),
);

const SAMPLES: &str = concat!(
    "select merchant_id, payment_id, channel_id, reason from attempt where ?9 <> '' and ",
    failed!(),
    " and ",
    asked!(),
    " order by received_at_us desc, seq desc limit ?10"
);

const CODES: &str = "select provider, code, sub_code, count(*) as count, min(received_at_us) as first_at, \
     max(received_at_us) as last_at, min(reason) as reason, min(message) as message from attempt \
     where received_at_us >= ?1 and received_at_us < ?2 and reason is not null \
     and coalesce(code, sub_code) is not null \
     group by provider, code, sub_code order by 4 desc, 1, 2, 3 limit ?3";

/// The names of the states of which `are` is true, as a JSON list.
fn states(are: impl Fn(State) -> bool) -> String {
    let names: Vec<&str> = State::ALL
        .into_iter()
        .filter(|state| are(*state))
        .map(State::as_str)
        .collect();
    serde_json::json!(names).to_string()
}

fn observed(row: &SqliteRow, secs: u32) -> Result<Observed, LedgerError> {
    let columns = Columns::of(attempt::TABLE, row);
    let latencies = columns.text_some("latencies")?.unwrap_or_default();
    let bins = latencies
        .split_terminator(',')
        .map(|ms| ms.parse().map(Latencies::bin))
        .collect::<Result<_, _>>()
        .map_err(|error| columns.corrupt("latency_ms", error))?;
    observation::observed(row, secs, observation::bin_counts(bins))
}

/// One of the statements about an impact, which all take the same.
fn question(statement: &'static str, span: Span, whom: &Whom, limit: u32) -> Question {
    let channels: Vec<&str> = whom.channels.iter().map(ChannelId::as_str).collect();
    sqlx::query(statement)
        .bind(span.from.as_microsecond())
        .bind(span.until.as_microsecond())
        .bind(states(State::was_charged))
        .bind(serde_json::json!(channels).to_string())
        .bind(whom.method.clone())
        .bind(whom.issuer.clone())
        .bind(whom.region.clone())
        .bind(whom.merchant.as_ref().map(ToString::to_string))
        .bind(states(State::may_charge))
        .bind(limit)
}

impl SqliteLedger {
    async fn read_observed(&self, span: Span, bucket_secs: u32) -> Result<Vec<Observed>, LedgerError> {
        let secs = bucket_secs.clamp(1, 3_600);
        sqlx::query(OBSERVED)
            .bind(span.from.as_microsecond())
            .bind(span.until.as_microsecond())
            .bind(states(State::was_charged))
            .bind(i64::from(secs) * 1_000_000)
            .bind(states(State::may_charge))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.failure.during("observe outcomes", error))?
            .iter()
            .map(|row| observed(row, secs))
            .collect()
    }

    async fn read_impact(&self, span: Span, whom: &Whom, limit: u32) -> Result<Impact, LedgerError> {
        let during = |error| self.failure.during("measure an impact", error);
        let mut connection = self.readers.acquire().await.map_err(during)?;
        let mut snapshot = connection.begin().await.map_err(during)?;
        let mut answers = [const { Vec::new() }; 4];
        for (answer, statement) in answers.iter_mut().zip([TOTALS, LOSSES, PARTS, SAMPLES]) {
            let asked = question(statement, span, whom, limit);
            *answer = asked.fetch_all(&mut *snapshot).await.map_err(during)?;
        }
        snapshot.rollback().await.map_err(during)?;
        let [totals, losses, parts, samples] = answers;
        observation::impact(&totals, &losses, &parts, &samples)
    }

    async fn read_codes(&self, span: Span, limit: u32) -> Result<Vec<ReportedCode>, LedgerError> {
        let rows = sqlx::query(CODES)
            .bind(span.from.as_microsecond())
            .bind(span.until.as_microsecond())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.failure.during("count codes", error))?;
        rows.iter().map(|row| observation::reported_code(row)).collect()
    }
}

impl ObservationSource for SqliteLedger {
    fn observe(&self, span: Span, bucket_secs: u32) -> Answer<'_, Vec<Observed>> {
        Box::pin(self.read_observed(span, bucket_secs))
    }

    fn impact<'a>(&'a self, span: Span, whom: &'a Whom, limit: u32) -> Answer<'a, Impact> {
        Box::pin(self.read_impact(span, whom, limit))
    }

    fn reported_codes(&self, span: Span, limit: u32) -> Answer<'_, Vec<ReportedCode>> {
        Box::pin(self.read_codes(span, limit))
    }
}
