//! The table of cases.

use domain::compensation::{Ask, Cause};
use domain::id::{AttemptId, MerchantId};
use jiff::Timestamp;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Connection, PgConnection, Postgres};
use tokio::time::timeout;

use super::attempt::{column, columns as attempt_columns};
use super::failure::{Failure, Setback, settle, silent};
use super::value::Micros;
use super::{PostgresLedger, READ_LIMIT, TRIES, WRITE_LIMIT};
use crate::attempt::{AttemptRecord, Recorded, Resolved};
use crate::compensation::{
    CaseRecord, Cases, Change, Decision, Filter, Finish, Finished, Follow, HandOut, Kept, Lease, Standing,
    TWICE_WITHIN, Write, openings, to_be_looked_at,
};
use crate::error::LedgerError;
use crate::port::{Answer, Batch};
use crate::row;
use crate::row::compensation::{read, read_standing};

/// What is read, with times under the names that tell their unit there.
macro_rules! columns {
    () => {
        "compensation_case.merchant_id, compensation_case.attempt_id, compensation_case.payment_id, \
         compensation_case.channel_id, compensation_case.cause, compensation_case.state, \
         compensation_case.opened_at as opened_at_us, compensation_case.since_at as since_at_us, \
         compensation_case.asked, compensation_case.asked_times, compensation_case.asked_at as asked_at_us, \
         compensation_case.told, compensation_case.ask_count, compensation_case.due_at as due_at_us, \
         compensation_case.request_id::text as request_id"
    };
}

/// Opens the cases of those of `attempts` that are new.
pub(super) async fn open(
    connection: &mut PgConnection,
    failure: &Failure,
    attempts: &[AttemptRecord],
    recorded: &[Recorded],
) -> Result<u64, Setback> {
    let opened = openings(attempts.iter().zip(recorded));
    if opened.is_empty() {
        return Ok(0);
    }
    let rows: Vec<&(CaseRecord, Timestamp)> = opened.iter().collect();
    sqlx::query(
        "insert into compensation_case (merchant_id, attempt_id, payment_id, channel_id, received_at, cause, state, \
         opened_at, since_at, due_at) select merchant_id, attempt_id, payment_id, channel_id, received_at, cause, \
         state, opened_at, opened_at, due_at from unnest($1::text[], $2::text[], $3::text[], $4::text[], \
         $5::timestamptz[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[]) with ordinality as given \
         (merchant_id, attempt_id, payment_id, channel_id, received_at, cause, state, opened_at, due_at, place) \
         order by place on conflict (merchant_id, attempt_id) do nothing",
    )
    .bind(column(&rows, |(case, _)| case.merchant.as_str()))
    .bind(column(&rows, |(case, _)| case.attempt.as_str()))
    .bind(column(&rows, |(case, _)| case.payment.as_str()))
    .bind(column(&rows, |(case, _)| case.channel.as_str()))
    .bind(column(&rows, |(_, received_at)| Micros::from(*received_at)))
    .bind(column(&rows, |(case, _)| case.case.cause.as_str()))
    .bind(column(&rows, |(case, _)| case.case.state.as_str()))
    .bind(column(&rows, |(case, _)| Micros::from(case.case.opened_at)))
    .bind(column(&rows, |(case, _)| case.due_at.map(Micros::from)))
    .execute(connection)
    .await
    .map(|done| done.rows_affected())
    .map_err(|error| failure.setback("open cases", error))
}

/// Lets the cases follow what became of their attempts.
pub(super) async fn follow(
    connection: &mut PgConnection,
    failure: &Failure,
    changes: Vec<Change>,
) -> Result<(), Setback> {
    let Follow { open, settle, drop } = Follow::of(changes);
    forget_plain(connection, failure, &drop).await?;
    upsert(connection, failure, &open).await?;
    let settled: Vec<&Change> = settle.iter().chain(&drop).collect();
    if settled.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update compensation_case as it set state = given.state, since_at = given.at, due_at = given.at, \
         asked = null, asked_times = 0, asked_at = null, told = false, request_id = null, handed_until = null, \
         leased_by = null, leased_until = null \
         from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as given (merchant, attempt, state, at) \
         where it.merchant_id = given.merchant and it.attempt_id = given.attempt",
    )
    .bind(column(&settled, |change| change.merchant.as_str()))
    .bind(column(&settled, |change| change.attempt.as_str()))
    .bind(column(&settled, |change| change.to.as_str()))
    .bind(column(&settled, |change| Micros::from(change.at)))
    .execute(connection)
    .await
    .map(std::mem::drop)
    .map_err(|error| failure.setback("settle cases", error))
}

/// Removes the cases of attempts that were settled before anybody was asked.
async fn forget_plain(
    connection: &mut PgConnection,
    failure: &Failure,
    changes: &[Change],
) -> Result<(), Setback> {
    if changes.is_empty() {
        return Ok(());
    }
    let rows: Vec<&Change> = changes.iter().collect();
    sqlx::query(
        "delete from compensation_case as it using unnest($1::text[], $2::text[]) as given (merchant, attempt) \
         where it.merchant_id = given.merchant and it.attempt_id = given.attempt and it.ask_count = 0",
    )
    .bind(column(&rows, |change| change.merchant.as_str()))
    .bind(column(&rows, |change| change.attempt.as_str()))
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.setback("close cases", error))
}

async fn upsert(connection: &mut PgConnection, failure: &Failure, changes: &[Change]) -> Result<(), Setback> {
    if changes.is_empty() {
        return Ok(());
    }
    let rows: Vec<&Change> = changes.iter().collect();
    sqlx::query(
        "insert into compensation_case as it (merchant_id, attempt_id, payment_id, channel_id, received_at, cause, \
         state, opened_at, since_at, due_at) select merchant_id, attempt_id, payment_id, channel_id, received_at, $8, \
         state, at, at, at from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], \
         $7::timestamptz[]) with ordinality as given \
         (merchant_id, attempt_id, payment_id, channel_id, received_at, state, at, place) order by place \
         on conflict (merchant_id, attempt_id) do update set state = excluded.state, since_at = excluded.since_at, \
         due_at = excluded.due_at, asked = null, asked_times = 0, asked_at = null, told = false, request_id = null, \
         handed_until = null, leased_by = null, leased_until = null",
    )
    .bind(column(&rows, |change| change.merchant.as_str()))
    .bind(column(&rows, |change| change.attempt.as_str()))
    .bind(column(&rows, |change| change.payment.as_str()))
    .bind(column(&rows, |change| change.channel.as_str()))
    .bind(column(&rows, |change| Micros::from(change.received_at)))
    .bind(column(&rows, |change| change.to.as_str()))
    .bind(column(&rows, |change| Micros::from(change.at)))
    .bind(Cause::Unsettled.as_str())
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure.setback("move cases", error))
}

/// Takes due cases in hand.
async fn claim(
    connection: &mut PgConnection,
    failure: &Failure,
    lease: &Lease,
) -> Result<Vec<CaseRecord>, LedgerError> {
    let rows = sqlx::query(concat!(
        "with due as (select merchant_id, attempt_id from compensation_case \
         where due_at <= $1 and coalesce(leased_until <= $1, true) \
         order by due_at limit $2 for update skip locked) \
         update compensation_case set leased_by = $3::text::uuid, leased_until = $4 from due \
         where compensation_case.merchant_id = due.merchant_id and compensation_case.attempt_id = due.attempt_id \
         returning ",
        columns!()
    ))
    .bind(Micros::from(lease.now))
    .bind(i64::from(lease.limit))
    .bind(lease.by.to_string())
    .bind(Micros::from(lease.until))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("claim cases", error))?;
    rows.iter().map(|row| read(row)).collect()
}

/// Hands out requests that are out and that no listener has.
async fn hand_out(
    connection: &mut PgConnection,
    failure: &Failure,
    to: &HandOut,
) -> Result<Vec<CaseRecord>, LedgerError> {
    let rows = sqlx::query(concat!(
        "with out as (select merchant_id, attempt_id from compensation_case \
         where request_id is not null and coalesce(handed_until <= $1, true) \
         and ($2::text is null or merchant_id = $2) \
         order by asked_at limit $3 for update skip locked) \
         update compensation_case set handed_until = $4 from out \
         where compensation_case.merchant_id = out.merchant_id and compensation_case.attempt_id = out.attempt_id \
         returning ",
        columns!()
    ))
    .bind(Micros::from(to.now))
    .bind(to.merchant.as_ref().map(MerchantId::as_str))
    .bind(i64::from(to.limit))
    .bind(Micros::from(to.until))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("hand requests out", error))?;
    rows.iter().map(|row| read(row)).collect()
}

async fn list(
    connection: &mut PgConnection,
    failure: &Failure,
    filter: &Filter,
) -> Result<Vec<CaseRecord>, LedgerError> {
    let after = filter.after.as_ref();
    let rows = sqlx::query(concat!(
        "select ",
        columns!(),
        " from compensation_case where ($1::text is null or merchant_id = $1) and ($2::text is null or state = $2) \
         and ($3::timestamptz is null or (opened_at, merchant_id, attempt_id) > ($3, $4, $5)) \
         order by opened_at, merchant_id, attempt_id limit $6"
    ))
    .bind(filter.merchant.as_ref().map(MerchantId::as_str))
    .bind(filter.state.map(domain::attempt::State::as_str))
    .bind(after.map(|after| Micros::from(after.opened_at)))
    .bind(after.map(|after| after.merchant.as_str()))
    .bind(after.map(|after| after.attempt.as_str()))
    .bind(i64::from(filter.limit))
    .fetch_all(connection)
    .await
    .map_err(|error| failure.during("list cases", error))?;
    rows.iter().map(|row| read(row)).collect()
}

async fn by_name(
    connection: &mut PgConnection,
    failure: &Failure,
    (merchant, attempt): (&MerchantId, &AttemptId),
) -> Result<Option<CaseRecord>, LedgerError> {
    let row = sqlx::query(concat!(
        "select ",
        columns!(),
        " from compensation_case where merchant_id = $1 and attempt_id = $2"
    ))
    .bind(merchant.as_str())
    .bind(attempt.as_str())
    .fetch_optional(connection)
    .await
    .map_err(|error| failure.during("read a case", error))?;
    row.as_ref().map(|row| read(row)).transpose()
}

/// Writes what is kept of the case that `finish` has in hand, or closes it; `false` when it has it no more.
async fn keep(connection: &mut PgConnection, failure: &Failure, finish: &Finish) -> Result<bool, Setback> {
    let during = |error| failure.setback("finish a case", error);
    let Some(Kept {
        case,
        due_at,
        request,
    }) = finish.kept
    else {
        return sqlx::query(
            "delete from compensation_case where merchant_id = $1 and attempt_id = $2 and leased_by = $3::text::uuid",
        )
        .bind(finish.merchant.as_str())
        .bind(finish.attempt.as_str())
        .bind(finish.leased_by.to_string())
        .execute(connection)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(during);
    };
    sqlx::query(
        "update compensation_case set cause = $4, state = $5, opened_at = $6, since_at = $7, asked = $8, \
         asked_times = $9, asked_at = $10, told = $11, due_at = $12, \
         ask_count = ask_count + (case when $13::text is not null and request_id is distinct from $13::uuid then 1 else 0 end), \
         request_id = $13::uuid, handed_until = null, leased_by = null, leased_until = null \
         where merchant_id = $1 and attempt_id = $2 and leased_by = $3::text::uuid",
    )
    .bind(finish.merchant.as_str())
    .bind(finish.attempt.as_str())
    .bind(finish.leased_by.to_string())
    .bind(case.cause.as_str())
    .bind(case.state.as_str())
    .bind(Micros::from(case.opened_at))
    .bind(Micros::from(case.since))
    .bind(case.asked.map(|asked| Ask::as_str(asked.what)))
    .bind(case.asked.map_or(0, |asked| i64::from(asked.times)))
    .bind(case.asked.map(|asked| Micros::from(asked.at)))
    .bind(case.told)
    .bind(due_at.map(Micros::from))
    .bind(request.map(|request| request.to_string()))
    .execute(connection)
    .await
    .map(|done| done.rows_affected() > 0)
    .map_err(during)
}

/// Writes `write` in one transaction.
async fn transact(
    connection: &mut PgConnection,
    failure: &Failure,
    write: Write<'_>,
) -> Result<Finished, Setback> {
    let mut transaction = connection
        .begin()
        .await
        .map_err(|error| failure.setback("begin a transaction", error))?;
    // Attempts before cases, as everybody does who locks both.
    let resolved = super::transition::resolve(&mut transaction, failure, write.resolutions()).await?;
    let applied = resolved.answers.iter().all(|answer| *answer == Resolved::Applied);
    let mut others = resolved.changes;
    others.retain(|change| write.moves(change));
    // Guarded payments before cases, as everywhere.
    let told = (&[][..], resolved.guarded.as_slice());
    super::guard::enter(&mut transaction, failure, &Batch::default(), told).await?;
    let kept = match write {
        Write::Finish(finish) if applied => keep(&mut transaction, failure, finish).await?,
        Write::Finish(_) | Write::Decide(_) => applied,
    };
    if !kept {
        let _gone = transaction.rollback().await;
        return Ok(Finished::Lost);
    }
    follow(&mut transaction, failure, others).await?;
    super::delivery::insert::insert(&mut transaction, failure, &write.told()).await?;
    super::outbox::append(&mut transaction, failure, &Batch::default(), &[], resolved.news).await?;
    if let Write::Decide(decision) = write {
        super::control::audit_at_present(&mut transaction, failure, |revision| decision.draft(revision))
            .await?;
    }
    transaction
        .commit()
        .await
        .map(|()| Finished::Done)
        .map_err(|error| failure.setback("commit a transaction", error))
}

impl PostgresLedger {
    async fn write_case(&self, write: Write<'_>) -> Result<Finished, LedgerError> {
        const OPERATION: &str = "finish a case";
        let batch = Batch {
            resolutions: write.resolutions().to_vec(),
            ..Batch::default()
        };
        let mut tries = 1;
        loop {
            self.days.ensure(&self.pool, &self.failure, &batch).await?;
            let mut connection = self
                .pool
                .acquire()
                .await
                .map_err(|error| self.failure.during(OPERATION, error))?;
            let work = transact(&mut connection, &self.failure, write);
            let outcome = timeout(WRITE_LIMIT, work).await;
            let outcome = outcome.unwrap_or_else(|_| Err(Setback::Final(silent(OPERATION))));
            if outcome.is_err() {
                drop(connection.detach());
            }
            match outcome {
                Ok(finished) => return Ok(finished),
                Err(Setback::Again(_)) if tries < TRIES => {
                    self.days.forget();
                    tries += 1;
                }
                Err(Setback::Final(error) | Setback::Again(error)) => return Err(error),
            }
        }
    }

    async fn mark_answered(
        &self,
        (merchant, attempt): (&MerchantId, &AttemptId),
        is_over: bool,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        const OPERATION: &str = "take a request back";
        let query = sqlx::query(
            "update compensation_case set request_id = null, handed_until = null, \
             cause = case when $3 then $4 else cause end, due_at = case when $3 then $5 else due_at end, \
             leased_by = null, leased_until = null where merchant_id = $1 and attempt_id = $2 \
             and (request_id is not null or $3)",
        )
        .bind(merchant.as_str())
        .bind(attempt.as_str())
        .bind(is_over)
        .bind(Cause::Unsettled.as_str())
        .bind(Micros::from(at));
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let write = async { query.execute(&mut *connection).await.map_err(during) };
        let outcome = timeout(READ_LIMIT, write).await;
        settle(connection, outcome, OPERATION).map(drop)
    }

    async fn sweep_open(&self, before: Timestamp, limit: u32) -> Result<u64, LedgerError> {
        let open = sqlx::query(concat!(
            "select ",
            attempt_columns!(),
            " from attempt where state in ('awaiting_customer', 'unknown', 'reversal_pending', 'needs_review', \
             'late_success', 'refund_pending', 'refund_needs_review') and received_at < $1 \
             and not exists (select from compensation_case as it \
             where it.merchant_id = attempt.merchant_id and it.attempt_id = attempt.attempt_id) \
             order by received_at limit $2"
        ));
        let open = open.bind(Micros::from(before)).bind(i64::from(limit));
        self.open_cases_of(open).await
    }

    async fn sweep_twice(&self, from: Timestamp, before: Timestamp, limit: u32) -> Result<u64, LedgerError> {
        let since = from.checked_sub(TWICE_WITHIN).unwrap_or(Timestamp::MIN);
        // The last day's partitions are looked at, no others.
        let twice = sqlx::query(concat!(
            "select ",
            attempt_columns!(),
            " from attempt where received_at >= $1 and received_at < $2 \
             and state in ('succeeded', 'confirmed_succeeded') and exists (select from attempt as other \
             where other.merchant_id = attempt.merchant_id and other.payment_id = attempt.payment_id \
             and (other.attempt_no <> attempt.attempt_no or other.channel_id <> attempt.channel_id) \
             and other.state in ('succeeded', 'confirmed_succeeded') and other.received_at >= $3) \
             and not exists (select from compensation_case as it \
             where it.merchant_id = attempt.merchant_id and it.attempt_id = attempt.attempt_id) \
             order by received_at limit $4"
        ));
        let twice = twice
            .bind(Micros::from(from))
            .bind(Micros::from(before))
            .bind(Micros::from(since))
            .bind(i64::from(limit));
        self.open_cases_of(twice).await
    }

    /// Opens a case for each of the attempts that `found` finds.
    async fn open_cases_of(&self, found: Query<'_, Postgres, PgArguments>) -> Result<u64, LedgerError> {
        const OPERATION: &str = "look for attempts that want a case";
        let during = |error| self.failure.during(OPERATION, error);
        let mut connection = self.pool.acquire().await.map_err(during)?;
        let work = async {
            let rows = found.fetch_all(&mut *connection).await.map_err(during)?;
            let attempts: Vec<AttemptRecord> = rows
                .iter()
                .map(|row| row::attempt::read(row))
                .collect::<Result<_, _>>()?;
            let found = vec![Recorded::New; attempts.len()];
            // One that is settled in this moment has a case for nothing: whoever looks at it finds it settled.
            open(&mut connection, &self.failure, &to_be_looked_at(attempts), &found)
                .await
                .map_err(Setback::into_error)
        };
        let outcome = timeout(READ_LIMIT, work).await;
        settle(connection, outcome, OPERATION)
    }
}

/// Runs one statement on a connection of the pool, within the limit of look-ups.
macro_rules! on_connection {
    ($ledger:expr, $operation:literal, |$connection:ident| $work:expr) => {
        Box::pin(async move {
            let mut pooled = $ledger
                .pool
                .acquire()
                .await
                .map_err(|error| $ledger.failure.during($operation, error))?;
            let $connection = &mut *pooled;
            let outcome = timeout(READ_LIMIT, $work).await;
            settle(pooled, outcome, $operation)
        })
    };
}

impl Cases for PostgresLedger {
    fn claim<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Vec<CaseRecord>> {
        on_connection!(self, "claim cases", |connection| claim(
            connection,
            &self.failure,
            lease
        ))
    }

    fn finish<'a>(&'a self, finish: &'a Finish) -> Answer<'a, Finished> {
        Box::pin(self.write_case(Write::Finish(finish)))
    }

    fn decide<'a>(&'a self, decision: &'a Decision) -> Answer<'a, Finished> {
        Box::pin(self.write_case(Write::Decide(decision)))
    }

    fn hand_out<'a>(&'a self, to: &'a HandOut) -> Answer<'a, Vec<CaseRecord>> {
        on_connection!(self, "hand requests out", |connection| hand_out(
            connection,
            &self.failure,
            to
        ))
    }

    fn answered<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
        is_over: bool,
        at: Timestamp,
    ) -> Answer<'a, ()> {
        Box::pin(self.mark_answered((merchant, attempt), is_over, at))
    }

    fn sweep(&self, before: Timestamp, limit: u32) -> Answer<'_, u64> {
        Box::pin(self.sweep_open(before, limit))
    }

    fn sweep_charged_twice(&self, from: Timestamp, before: Timestamp, limit: u32) -> Answer<'_, u64> {
        Box::pin(self.sweep_twice(from, before, limit))
    }

    fn case<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
    ) -> Answer<'a, Option<CaseRecord>> {
        on_connection!(self, "read a case", |connection| by_name(
            connection,
            &self.failure,
            (merchant, attempt)
        ))
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<CaseRecord>> {
        on_connection!(self, "list cases", |connection| list(
            connection,
            &self.failure,
            filter
        ))
    }

    fn standing(&self) -> Answer<'_, Vec<Standing>> {
        on_connection!(self, "count cases", |connection| async {
            let rows = sqlx::query(
                "select cause, state, count(*) as cases, min(opened_at) as oldest_us \
                 from compensation_case group by cause, state order by cause, state",
            )
            .fetch_all(connection)
            .await
            .map_err(|error| self.failure.during("count cases", error))?;
            rows.iter().map(|row| read_standing(row)).collect()
        })
    }
}
