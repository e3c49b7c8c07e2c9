//! Counting what alert rules are evaluated on, on the server.

use domain::window::Latencies;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::PostgresLedger;
use super::statistics::{Question, bin_counts, charged, unsettled};
use super::value::Micros;
use crate::error::LedgerError;
use crate::observation::{Impact, ObservationSource, Observed, ReportedCode, Whom};
use crate::port::Answer;
use crate::row::{Columns, attempt, observation};
use crate::statistics::Span;

/// Counts `span` in buckets of `secs` seconds, by everything a rule can be scoped to.
fn observe(span: Span, secs: u32) -> Question {
    let statement = "select date_bin(make_interval(secs => $4), received_at, 'epoch') as bucket, channel_id, method, \
         issuer, region, merchant_id, case when state = any ($3) then 'success' else class end as class, \
         count(*) as count, count(*) filter (where attempt_no > 1) as later, \
         count(*) filter (where state = any ($6)) as unknown, \
         string_agg(int2send(width_bucket(latency_ms - 1, $5)::smallint), '') \
         filter (where class <> 'timeout') as bins \
         from attempt where received_at >= $1 and received_at < $2 and class is not null group by 1, 2, 3, 4, 5, 6, 7";
    let bounds: Vec<i64> = Latencies::bounds_ms().iter().copied().map(i64::from).collect();
    sqlx::query(statement)
        .bind(Micros::from(span.from))
        .bind(Micros::from(span.until))
        .bind(charged())
        .bind(f64::from(secs))
        .bind(bounds)
        .bind(unsettled())
}

fn observed(row: &PgRow, secs: u32) -> Result<Observed, LedgerError> {
    let columns = Columns::of(attempt::TABLE, row);
    let bins = row
        .try_get("bins")
        .map(|bins: Option<&[u8]>| bin_counts(bins.unwrap_or_default()))
        .map_err(|error| columns.corrupt("bins", error))?;
    observation::observed(row, secs, bins)
}

/// The attempts with an outcome within the span and for whom it is asked, as a condition on `attempt`.
macro_rules! asked {
    () => {
        "received_at >= $1 and received_at < $2 and class is not null \
         and (cardinality($4::text[]) = 0 or channel_id = any ($4)) and ($5::text is null or method = $5) \
         and ($6::text is null or issuer = $6) and ($7::text is null or region = $7) \
         and ($8::text is null or merchant_id = $8)"
    };
}

/// That an attempt failed.
macro_rules! failed {
    () => {
        "class <> 'success' and state <> all ($3)"
    };
}

const TOTALS: &str = concat!(
    "select count(*) as attempts, count(*) filter (where ",
    failed!(),
    ") as failed, count(*) filter (where state = any ($9)) as unknown from attempt where $10 > 0 and ",
    asked!()
);

const LOSSES: &str = concat!(
    "select currency, count(*) as payments, sum(amount_minor)::bigint as amount_minor from \
     (select distinct merchant_id, payment_id, currency, amount_minor from attempt where $10 > 0 and \
     cardinality($9::text[]) >= 0 and ",
    failed!(),
    " and ",
    asked!(),
    ") as hit where not exists (select from attempt as paid where paid.merchant_id = hit.merchant_id \
     and paid.payment_id = hit.payment_id and (paid.class = 'success' or paid.state = any ($3))) \
     group by currency order by payments desc, currency"
);

const PARTS: &str = concat!(
    "select kind, name, failed from (select kind, name, count(*) as failed, \
     row_number() over (partition by kind order by count(*) desc, name) as place from attempt, \
     lateral (values ('reason', reason), ('issuer', issuer), ('method', method), ('channel', channel_id)) \
     as part (kind, name) where name is not null and cardinality($9::text[]) >= 0 and ",
    failed!(),
    " and ",
    asked!(),
    " group by kind, name) as parts where place <= $10 order by kind, place"
);

const SAMPLES: &str = concat!(
    "select merchant_id, payment_id, channel_id, reason from attempt where cardinality($9::text[]) >= 0 and ",
    failed!(),
    " and ",
    asked!(),
    " order by received_at desc, seq desc limit $10"
);

const CODES: &str = "select provider, code, sub_code, count(*) as count, min(received_at) as first_at, \
     max(received_at) as last_at, min(reason) as reason, min(message) as message from attempt \
     where received_at >= $1 and received_at < $2 and reason is not null and coalesce(code, sub_code) is not null \
     group by provider, code, sub_code order by count desc, provider, code, sub_code limit $3";

/// One of the statements above, which all take the same.
fn question(statement: &'static str, span: Span, whom: &Whom, limit: u32) -> Question {
    let channels: Vec<String> = whom.channels.iter().map(ToString::to_string).collect();
    sqlx::query(statement)
        .bind(Micros::from(span.from))
        .bind(Micros::from(span.until))
        .bind(charged())
        .bind(channels)
        .bind(whom.method.clone())
        .bind(whom.issuer.clone())
        .bind(whom.region.clone())
        .bind(whom.merchant.as_ref().map(ToString::to_string))
        .bind(unsettled())
        .bind(i64::from(limit))
}

impl PostgresLedger {
    async fn read_observed(&self, span: Span, bucket_secs: u32) -> Result<Vec<Observed>, LedgerError> {
        let secs = bucket_secs.clamp(1, 3_600);
        let [rows] = self.count("observe outcomes", [observe(span, secs)]).await?;
        rows.iter().map(|row| observed(row, secs)).collect()
    }

    async fn read_impact(&self, span: Span, whom: &Whom, limit: u32) -> Result<Impact, LedgerError> {
        let questions = [TOTALS, LOSSES, PARTS, SAMPLES].map(|text| question(text, span, whom, limit));
        let [totals, losses, parts, samples] = self.count("measure an impact", questions).await?;
        observation::impact(&totals, &losses, &parts, &samples)
    }

    async fn read_codes(&self, span: Span, limit: u32) -> Result<Vec<ReportedCode>, LedgerError> {
        let question = sqlx::query(CODES)
            .bind(Micros::from(span.from))
            .bind(Micros::from(span.until))
            .bind(i64::from(limit));
        let [rows] = self.count("count codes", [question]).await?;
        rows.iter().map(|row| observation::reported_code(row)).collect()
    }
}

impl ObservationSource for PostgresLedger {
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
