//! The table of cases.

use domain::compensation::Cause;
use domain::id::AttemptId;
use domain::id::MerchantId;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};

use super::SqliteLedger;
use super::attempt::columns as attempt_columns;
use super::failure::Failure;
use crate::attempt::{AttemptRecord, Recorded, Resolved};
use crate::compensation::{
    CaseRecord, Cases, Change, Decision, Filter, Finish, Finished, Follow, HandOut, Kept, Lease, Standing,
    TWICE_WITHIN, Write, openings, to_be_looked_at,
};
use crate::error::LedgerError;
use crate::port::{Answer, Batch};
use crate::row;
use crate::row::compensation::{read, read_standing};

macro_rules! columns {
    () => {
        "merchant_id, attempt_id, payment_id, channel_id, cause, state, opened_at_us, since_at_us, asked, asked_times, \
         asked_at_us, told, ask_count, due_at_us, request_id"
    };
}

/// What is forgotten when an attempt changes.
macro_rules! afresh {
    () => {
        "asked = null, asked_times = 0, asked_at_us = null, told = 0, request_id = null, handed_until_us = null, \
         leased_by = null, leased_until_us = null"
    };
}

/// What is told when a sweep fails.
const SWEEP: &str = "look for attempts that want a case";

/// Opens the cases of those of `attempts` that are new, and says how many.
pub(super) async fn open(
    connection: &mut SqliteConnection,
    failure: &Failure,
    attempts: &[AttemptRecord],
    recorded: &[Recorded],
) -> Result<u64, LedgerError> {
    let mut opened = 0;
    for (case, received_at) in openings(attempts.iter().zip(recorded)) {
        let done = sqlx::query(
            "insert into compensation_case (merchant_id, attempt_id, payment_id, channel_id, received_at_us, cause, \
             state, opened_at_us, since_at_us, due_at_us) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             on conflict (merchant_id, attempt_id) do nothing",
        )
        .bind(case.merchant.as_str())
        .bind(case.attempt.as_str())
        .bind(case.payment.as_str())
        .bind(case.channel.as_str())
        .bind(received_at.as_microsecond())
        .bind(case.case.cause.as_str())
        .bind(case.case.state.as_str())
        .bind(case.case.opened_at.as_microsecond())
        .bind(case.case.since.as_microsecond())
        .bind(case.due_at.map(Timestamp::as_microsecond))
        .execute(&mut *connection)
        .await
        .map_err(|error| failure.during("open a case", error))?;
        opened += done.rows_affected();
    }
    Ok(opened)
}

/// Lets the cases follow what became of their attempts.
pub(super) async fn follow(
    connection: &mut SqliteConnection,
    failure: &Failure,
    changes: Vec<Change>,
) -> Result<(), LedgerError> {
    let Follow { open, settle, drop } = Follow::of(changes);
    for change in &drop {
        sqlx::query(
            "delete from compensation_case where merchant_id = ? and attempt_id = ? and ask_count = 0",
        )
        .bind(change.merchant.as_str())
        .bind(change.attempt.as_str())
        .execute(&mut *connection)
        .await
        .map_err(|error| failure.during("close a case", error))?;
    }
    for change in &open {
        upsert(connection, failure, change).await?;
    }
    for change in settle.iter().chain(&drop) {
        sqlx::query(concat!(
            "update compensation_case set state = ?, since_at_us = ?, due_at_us = ?, ",
            afresh!(),
            " where merchant_id = ? and attempt_id = ?"
        ))
        .bind(&change.to)
        .bind(change.at.as_microsecond())
        .bind(change.at.as_microsecond())
        .bind(change.merchant.as_str())
        .bind(change.attempt.as_str())
        .execute(&mut *connection)
        .await
        .map_err(|error| failure.during("settle a case", error))?;
    }
    Ok(())
}

async fn upsert(
    connection: &mut SqliteConnection,
    failure: &Failure,
    change: &Change,
) -> Result<(), LedgerError> {
    let at = change.at.as_microsecond();
    sqlx::query(concat!(
        "insert into compensation_case (merchant_id, attempt_id, payment_id, channel_id, received_at_us, cause, \
         state, opened_at_us, since_at_us, due_at_us) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         on conflict (merchant_id, attempt_id) do update set state = excluded.state, \
         since_at_us = excluded.since_at_us, due_at_us = excluded.due_at_us, ",
        afresh!()
    ))
    .bind(change.merchant.as_str())
    .bind(change.attempt.as_str())
    .bind(change.payment.as_str())
    .bind(change.channel.as_str())
    .bind(change.received_at.as_microsecond())
    .bind(Cause::Unsettled.as_str())
    .bind(&change.to)
    .bind(at)
    .bind(at)
    .bind(at)
    .execute(connection)
    .await
    .map(std::mem::drop)
    .map_err(|error| failure.during("move a case", error))
}

/// Writes what is kept of the case that `finish` has in hand, or closes it; `false` when it has it no more.
async fn keep(
    connection: &mut SqliteConnection,
    failure: &Failure,
    finish: &Finish,
) -> Result<bool, LedgerError> {
    let during = |error| failure.during("finish a case", error);
    let Some(Kept {
        case,
        due_at,
        request,
    }) = finish.kept
    else {
        return sqlx::query(
            "delete from compensation_case where merchant_id = ? and attempt_id = ? and leased_by = ?",
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
        "update compensation_case set cause = ?4, state = ?5, opened_at_us = ?6, since_at_us = ?7, asked = ?8, \
         asked_times = ?9, asked_at_us = ?10, told = ?11, due_at_us = ?12, \
         ask_count = ask_count + (case when ?13 is not null and request_id is not ?13 then 1 else 0 end), \
         request_id = ?13, handed_until_us = null, leased_by = null, leased_until_us = null \
         where merchant_id = ?1 and attempt_id = ?2 and leased_by = ?3",
    )
    .bind(finish.merchant.as_str())
    .bind(finish.attempt.as_str())
    .bind(finish.leased_by.to_string())
    .bind(case.cause.as_str())
    .bind(case.state.as_str())
    .bind(case.opened_at.as_microsecond())
    .bind(case.since.as_microsecond())
    .bind(case.asked.map(|asked| asked.what.as_str()))
    .bind(case.asked.map_or(0, |asked| i64::from(asked.times)))
    .bind(case.asked.map(|asked| asked.at.as_microsecond()))
    .bind(case.told)
    .bind(due_at.map(Timestamp::as_microsecond))
    .bind(request.map(|request| request.to_string()))
    .execute(connection)
    .await
    .map(|done| done.rows_affected() > 0)
    .map_err(during)
}

impl SqliteLedger {
    async fn write_case(&self, write: Write<'_>) -> Result<Finished, LedgerError> {
        let failure = &self.failure;
        let during = |error| failure.during("finish a case", error);
        let mut connection = self.writer.acquire().await.map_err(during)?;
        let outcome = async {
            let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
            let resolved = super::transition::resolve(&mut transaction, failure, write.resolutions()).await?;
            let applied = resolved.answers.iter().all(|answer| *answer == Resolved::Applied);
            let kept = match write {
                Write::Finish(finish) if applied => keep(&mut transaction, failure, finish).await?,
                Write::Finish(_) | Write::Decide(_) => applied,
            };
            if !kept {
                transaction.rollback().await.map_err(during)?;
                return Ok(Finished::Lost);
            }
            let told = (&[][..], resolved.guarded.as_slice());
            super::guard::enter(&mut transaction, failure, &Batch::default(), told).await?;
            let mut others = resolved.changes;
            others.retain(|change| write.moves(change));
            follow(&mut transaction, failure, others).await?;
            super::delivery::insert(&mut transaction, failure, &write.told()).await?;
            if let Write::Decide(decision) = write {
                super::control::audit_at_present(&mut transaction, failure, |revision| {
                    decision.draft(revision)
                })
                .await?;
            }
            transaction
                .commit()
                .await
                .map(|()| Finished::Done)
                .map_err(during)
        }
        .await;
        if outcome.is_err() {
            // As for a batch: a fresh connection begins from nothing.
            let _already_broken = connection.close().await;
        }
        outcome
    }

    async fn claim_cases(&self, lease: &Lease) -> Result<Vec<CaseRecord>, LedgerError> {
        let rows = sqlx::query(concat!(
            "update compensation_case set leased_by = ?3, leased_until_us = ?4 where (merchant_id, attempt_id) in \
             (select merchant_id, attempt_id from compensation_case \
             where due_at_us <= ?1 and coalesce(leased_until_us <= ?1, 1) order by due_at_us limit ?2) returning ",
            columns!()
        ))
        .bind(lease.now.as_microsecond())
        .bind(lease.limit)
        .bind(lease.by.to_string())
        .bind(lease.until.as_microsecond())
        .fetch_all(&self.writer)
        .await
        .map_err(|error| self.failure.during("claim cases", error))?;
        rows.iter().map(|row| read(row)).collect()
    }

    async fn hand_requests_out(&self, to: &HandOut) -> Result<Vec<CaseRecord>, LedgerError> {
        let rows = sqlx::query(concat!(
            "update compensation_case set handed_until_us = ?4 where (merchant_id, attempt_id) in \
             (select merchant_id, attempt_id from compensation_case \
             where request_id is not null and coalesce(handed_until_us <= ?1, 1) and (?2 is null or merchant_id = ?2) \
             order by asked_at_us limit ?3) returning ",
            columns!()
        ))
        .bind(to.now.as_microsecond())
        .bind(to.merchant.as_ref().map(MerchantId::as_str))
        .bind(to.limit)
        .bind(to.until.as_microsecond())
        .fetch_all(&self.writer)
        .await
        .map_err(|error| self.failure.during("hand requests out", error))?;
        rows.iter().map(|row| read(row)).collect()
    }

    async fn sweep_open(&self, before: Timestamp, limit: u32) -> Result<u64, LedgerError> {
        let rows = sqlx::query(concat!(
            "select ",
            attempt_columns!(),
            " from attempt where state in ('awaiting_customer', 'unknown', 'reversal_pending', 'needs_review', \
             'late_success', 'refund_pending', 'refund_needs_review') and received_at_us < ? \
             and not exists (select 1 from compensation_case as it \
             where it.merchant_id = attempt.merchant_id and it.attempt_id = attempt.attempt_id) \
             order by received_at_us limit ?"
        ))
        .bind(before.as_microsecond())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.failure.during(SWEEP, error))?;
        self.open_cases_of(rows).await
    }

    async fn sweep_twice(&self, from: Timestamp, before: Timestamp, limit: u32) -> Result<u64, LedgerError> {
        let since = from.checked_sub(TWICE_WITHIN).unwrap_or(Timestamp::MIN);
        let rows = sqlx::query(concat!(
            "select ",
            attempt_columns!(),
            " from attempt where class is not null and received_at_us >= ? and received_at_us < ? \
             and state in ('succeeded', 'confirmed_succeeded') and exists (select 1 from attempt as other \
             where other.merchant_id = attempt.merchant_id and other.payment_id = attempt.payment_id \
             and (other.attempt_no <> attempt.attempt_no or other.channel_id <> attempt.channel_id) \
             and other.state in ('succeeded', 'confirmed_succeeded') and other.received_at_us >= ?) \
             and not exists (select 1 from compensation_case as it \
             where it.merchant_id = attempt.merchant_id and it.attempt_id = attempt.attempt_id) \
             order by received_at_us limit ?"
        ))
        .bind(from.as_microsecond())
        .bind(before.as_microsecond())
        .bind(since.as_microsecond())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.failure.during(SWEEP, error))?;
        self.open_cases_of(rows).await
    }

    async fn open_cases_of(&self, rows: Vec<SqliteRow>) -> Result<u64, LedgerError> {
        let attempts: Vec<AttemptRecord> = rows
            .iter()
            .map(|row| row::attempt::read(row))
            .collect::<Result<_, _>>()?;
        if attempts.is_empty() {
            return Ok(0);
        }
        let found = vec![Recorded::New; attempts.len()];
        let mut connection = self
            .writer
            .acquire()
            .await
            .map_err(|error| self.failure.during(SWEEP, error))?;
        // One that is settled in this moment has a case for nothing: whoever looks at it finds it settled.
        open(&mut connection, &self.failure, &to_be_looked_at(attempts), &found).await
    }
}

impl Cases for SqliteLedger {
    fn claim<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Vec<CaseRecord>> {
        Box::pin(self.claim_cases(lease))
    }

    fn finish<'a>(&'a self, finish: &'a Finish) -> Answer<'a, Finished> {
        Box::pin(self.write_case(Write::Finish(finish)))
    }

    fn decide<'a>(&'a self, decision: &'a Decision) -> Answer<'a, Finished> {
        Box::pin(self.write_case(Write::Decide(decision)))
    }

    fn hand_out<'a>(&'a self, to: &'a HandOut) -> Answer<'a, Vec<CaseRecord>> {
        Box::pin(self.hand_requests_out(to))
    }

    fn answered<'a>(
        &'a self,
        merchant: &'a MerchantId,
        attempt: &'a AttemptId,
        is_over: bool,
        at: Timestamp,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            sqlx::query(
                "update compensation_case set request_id = null, handed_until_us = null, \
                 cause = case when ?3 then ?4 else cause end, due_at_us = case when ?3 then ?5 else due_at_us end, \
                 leased_by = null, leased_until_us = null where merchant_id = ?1 and attempt_id = ?2 \
                 and (request_id is not null or ?3)",
            )
            .bind(merchant.as_str())
            .bind(attempt.as_str())
            .bind(is_over)
            .bind(Cause::Unsettled.as_str())
            .bind(at.as_microsecond())
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|error| self.failure.during("take a request back", error))
        })
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
        Box::pin(async move {
            let row = sqlx::query(concat!(
                "select ",
                columns!(),
                " from compensation_case where merchant_id = ? and attempt_id = ?"
            ))
            .bind(merchant.as_str())
            .bind(attempt.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.failure.during("read a case", error))?;
            row.as_ref().map(|row| read(row)).transpose()
        })
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<CaseRecord>> {
        Box::pin(async move {
            let after = filter.after.as_ref();
            let rows = sqlx::query(concat!(
                "select ",
                columns!(),
                " from compensation_case where (?1 is null or merchant_id = ?1) and (?2 is null or state = ?2) \
                 and (?3 is null or (opened_at_us, merchant_id, attempt_id) > (?3, ?4, ?5)) \
                 order by opened_at_us, merchant_id, attempt_id limit ?6"
            ))
            .bind(filter.merchant.as_ref().map(MerchantId::as_str))
            .bind(filter.state.map(domain::attempt::State::as_str))
            .bind(after.map(|after| after.opened_at.as_microsecond()))
            .bind(after.map(|after| after.merchant.as_str()))
            .bind(after.map(|after| after.attempt.as_str()))
            .bind(filter.limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.failure.during("list cases", error))?;
            rows.iter().map(|row| read(row)).collect()
        })
    }

    fn standing(&self) -> Answer<'_, Vec<Standing>> {
        Box::pin(async {
            let rows = sqlx::query(
                "select cause, state, count(*) as cases, min(opened_at_us) as oldest_us \
                 from compensation_case group by cause, state order by cause, state",
            )
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.failure.during("count cases", error))?;
            rows.iter().map(|row| read_standing(row)).collect()
        })
    }
}
