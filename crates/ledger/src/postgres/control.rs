//! The control state and the audit log, with news of every change to all processes.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use domain::control::{Actor, Control, Document, Kind};
use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgListener, PgPool, PgRow};
use sqlx::{Decode, Postgres, Row, Type};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::failure::{Failure, Setback};
use crate::control::{AuditEntry, Changed, ControlStore, Digest, Draft, Heading, Settings, Write};
use crate::error::LedgerError;
use crate::port::Answer;

/// The channel of Postgres on which every change is told, with its revision.
const NEWS: &str = "payroute_control";

/// How long the listener waits before it connects again.
const RECONNECT: Duration = Duration::from_secs(1);

/// How long it may take until the server listens: one that is ending or starting may take a connection and say nothing.
const LISTEN_WITHIN: Duration = Duration::from_secs(5);

const STATE: &str = "control_state";
const DOCUMENT: &str = "control_document";
const AUDIT: &str = "audit_entry";

/// The control state in a Postgres database of the present schema.
#[derive(Debug)]
pub struct PostgresControl {
    pool: PgPool,
    revisions: Arc<watch::Sender<u64>>,
    listener: AbortHandle,
}

impl PostgresControl {
    /// The control state in the database behind `pool`. Takes one of its connections to listen on, for as long as the
    /// pool is open. Must be called within a Tokio runtime.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let revisions = Arc::new(watch::Sender::new(0));
        let listening = tokio::spawn(listen(pool.clone(), Arc::clone(&revisions)));
        Self {
            pool,
            revisions,
            listener: listening.abort_handle(),
        }
    }

    async fn connection(
        &self,
        operation: &'static str,
    ) -> Result<sqlx::pool::PoolConnection<Postgres>, LedgerError> {
        self.pool.acquire().await.map_err(during(operation))
    }
}

impl Drop for PostgresControl {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl ControlStore for PostgresControl {
    fn control(&self) -> Answer<'_, Option<Control>> {
        Box::pin(read(&self.pool))
    }

    fn revision(&self) -> Answer<'_, u64> {
        Box::pin(async {
            let operation = "read the revision";
            let row = sqlx::query("select revision from control_state")
                .fetch_one(&mut *self.connection(operation).await?)
                .await
                .map_err(during(operation))?;
            number(STATE, &row, "revision")
        })
    }

    fn change<'a>(&'a self, write: &'a Write) -> Answer<'a, Changed> {
        Box::pin(change(&self.pool, write))
    }

    fn documents(&self, kind: Kind, before: Option<u64>, limit: u32) -> Answer<'_, Vec<Heading>> {
        Box::pin(documents(&self.pool, (kind, before, limit)))
    }

    fn document(&self, kind: Kind, version: u64) -> Answer<'_, Option<Document>> {
        Box::pin(async move {
            let mut connection = self.connection("read a document").await?;
            document(&mut connection, (kind, version)).await
        })
    }

    fn audit(&self, before: Option<u64>, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        Box::pin(audit(&self.pool, (before, limit)))
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }
}

/// Hears of changes until the pool is closed.
async fn listen(pool: PgPool, revisions: Arc<watch::Sender<u64>>) {
    loop {
        let Err(error) = hear(&pool, &revisions).await else {
            continue;
        };
        if matches!(error, sqlx::Error::PoolClosed) {
            return;
        }
        tracing::debug!(%error, "changes of the configuration are looked for, not heard of: {error}");
        sleep(RECONNECT).await;
    }
}

/// Hears of changes until the connection is lost.
async fn hear(pool: &PgPool, revisions: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let listening = timeout(LISTEN_WITHIN, async {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(NEWS).await?;
        Ok::<_, sqlx::Error>(listener)
    });
    let mut listener = listening.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    // Whatever was told while nobody listened is lost: whoever follows looks once more now.
    revisions.send_modify(|_| {});
    while let Some(told) = listener.try_recv().await? {
        if let Ok(revision) = told.payload().parse() {
            revisions.send_replace(revision);
        }
    }
    Ok(())
}

/// The error of the store, which came while it was to `operation`.
fn during(operation: &'static str) -> impl Fn(sqlx::Error) -> LedgerError {
    move |error| match error {
        sqlx::Error::PoolClosed => LedgerError::Closed,
        error => LedgerError::Unavailable {
            operation,
            source: Arc::new(error),
        },
    }
}

/// A number as Postgres stores it. Versions and revisions count changes by hand: they never get near its end.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn corrupt(table: &'static str, field: &'static str, problem: &dyn Display) -> LedgerError {
    LedgerError::Corrupt {
        table,
        field,
        problem: problem.to_string(),
    }
}

/// Column `field` of a row of `table`.
fn get<'r, T>(table: &'static str, row: &'r PgRow, field: &'static str) -> Result<T, LedgerError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(field).map_err(|error| corrupt(table, field, &error))
}

fn number(table: &'static str, row: &PgRow, field: &'static str) -> Result<u64, LedgerError> {
    u64::try_from(get::<i64>(table, row, field)?).map_err(|error| corrupt(table, field, &error))
}

fn time(table: &'static str, row: &PgRow, field: &'static str) -> Result<Timestamp, LedgerError> {
    Timestamp::from_microsecond(get(table, row, field)?).map_err(|error| corrupt(table, field, &error))
}

fn actor(table: &'static str, row: &PgRow, field: &'static str) -> Result<Actor, LedgerError> {
    Actor::new(get::<&str>(table, row, field)?).map_err(|error| corrupt(table, field, &error))
}

fn digest(row: &PgRow, field: &'static str) -> Result<Digest, LedgerError> {
    Digest::try_from(get::<&[u8]>(AUDIT, row, field)?).map_err(|error| corrupt(AUDIT, field, &error))
}

async fn change(pool: &PgPool, write: &Write) -> Result<Changed, LedgerError> {
    let during = during("change the configuration");
    let settings = Settings::encode(write.control())?;
    let mut transaction = pool.begin().await.map_err(&during)?;
    // A process that stalls in the middle must not keep everybody else from changing anything.
    sqlx::query(
        "select set_config('lock_timeout', '5s', true), \
         set_config('idle_in_transaction_session_timeout', '10s', true)",
    )
    .execute(&mut *transaction)
    .await
    .map_err(&during)?;
    // The lock on the one row puts changes in line, so that the last entry of the log is the last one.
    let row = sqlx::query("select revision from control_state for update")
        .fetch_one(&mut *transaction)
        .await
        .map_err(&during)?;
    let current = number(STATE, &row, "revision")?;
    if current != write.expected() {
        transaction.rollback().await.map_err(&during)?;
        return Ok(Changed::Stale { current });
    }
    for (kind, document) in write.documents() {
        insert_document(&mut transaction, (*kind, document))
            .await
            .map_err(&during)?;
    }
    let control = write.control();
    sqlx::query(
        "update control_state set revision = $1, channels_version = $2, policy_version = $3, settings = $4",
    )
    .bind(stored(control.revision))
    .bind(stored(control.channels.version))
    .bind(stored(control.policy.version))
    .bind(settings)
    .execute(&mut *transaction)
    .await
    .map_err(&during)?;
    let last = last_entry(&mut transaction).await?;
    let entry = AuditEntry::follow(last, write.draft());
    insert_entry(&mut transaction, &entry).await.map_err(&during)?;
    // Told at the commit, and only then.
    sqlx::query("select pg_notify($1, $2)")
        .bind(NEWS)
        .bind(control.revision.to_string())
        .execute(&mut *transaction)
        .await
        .map_err(&during)?;
    transaction.commit().await.map_err(&during)?;
    Ok(Changed::Done)
}

async fn insert_document(
    connection: &mut PgConnection,
    (kind, document): (Kind, &Document),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into control_document (kind, version, text, author, note, created_at_us) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(kind.as_str())
    .bind(stored(document.version))
    .bind(&*document.text)
    .bind(document.author.as_str())
    .bind(&document.note)
    .bind(document.created_at.as_microsecond())
    .execute(connection)
    .await
    .map(drop)
}

/// Writes what `draft` says at the present revision of the configuration, with a transaction that leaves it as it is.
/// Entries of the log come one after the other, as for changes of the configuration.
pub(super) async fn audit_at_present(
    connection: &mut PgConnection,
    failure: &Failure,
    draft: impl Fn(u64) -> Draft,
) -> Result<(), Setback> {
    let during = |error| failure.setback("write the audit log", error);
    let revision: i64 = sqlx::query_scalar("select revision from control_state for update")
        .fetch_one(&mut *connection)
        .await
        .map_err(during)?;
    let last = last_entry(connection).await?;
    let draft = draft(u64::try_from(revision).unwrap_or(0));
    insert_entry(connection, &AuditEntry::follow(last, &draft))
        .await
        .map_err(during)
}

async fn insert_entry(connection: &mut PgConnection, entry: &AuditEntry) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into audit_entry (seq, at_us, actor, action, revision, before, after, previous, digest) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(stored(entry.seq))
    .bind(entry.at.as_microsecond())
    .bind(entry.actor.as_str())
    .bind(&entry.action)
    .bind(stored(entry.revision))
    .bind(&entry.before)
    .bind(&entry.after)
    .bind(entry.previous.as_bytes().as_slice())
    .bind(entry.digest.as_bytes().as_slice())
    .execute(connection)
    .await
    .map(drop)
}

async fn last_entry(connection: &mut PgConnection) -> Result<Option<(u64, Digest)>, LedgerError> {
    let row = sqlx::query("select seq, digest from audit_entry order by seq desc limit 1")
        .fetch_optional(connection)
        .await
        .map_err(during("read the audit log"))?;
    row.map(|row| Ok((number(AUDIT, &row, "seq")?, digest(&row, "digest")?)))
        .transpose()
}

async fn read(pool: &PgPool) -> Result<Option<Control>, LedgerError> {
    let during = during("read the configuration");
    // No transaction is needed: documents never change, so those of the revision are there at any later moment too.
    let mut connection = pool.acquire().await.map_err(&during)?;
    let row = sqlx::query("select revision, channels_version, policy_version, settings from control_state")
        .fetch_one(&mut *connection)
        .await
        .map_err(&during)?;
    let revision = number(STATE, &row, "revision")?;
    if revision == 0 {
        return Ok(None);
    }
    let settings = Settings::decode(get(STATE, &row, "settings")?)
        .map_err(|error| corrupt(STATE, "settings", &error))?;
    let mut documents = Vec::new();
    for (kind, field) in [
        (Kind::Channels, "channels_version"),
        (Kind::Policy, "policy_version"),
    ] {
        let version = number(STATE, &row, field)?;
        let found = document(&mut connection, (kind, version)).await?;
        documents.push(found.ok_or_else(|| corrupt(STATE, field, &"the document is not there"))?);
    }
    let mut documents = documents.into_iter();
    let both = documents.next().zip(documents.next());
    Ok(both.map(|(channels, policy)| settings.into_control(revision, channels, policy)))
}

async fn document(
    connection: &mut PgConnection,
    (kind, version): (Kind, u64),
) -> Result<Option<Document>, LedgerError> {
    let row = sqlx::query(
        "select version, text, author, note, created_at_us from control_document \
         where kind = $1 and version = $2",
    )
    .bind(kind.as_str())
    .bind(stored(version))
    .fetch_optional(connection)
    .await
    .map_err(during("read a document"))?;
    let Some(row) = row else { return Ok(None) };
    let heading = heading(&row)?;
    Ok(Some(Document {
        version: heading.version,
        text: get::<&str>(DOCUMENT, &row, "text")?.into(),
        author: heading.author,
        note: heading.note,
        created_at: heading.created_at,
    }))
}

async fn documents(
    pool: &PgPool,
    (kind, before, limit): (Kind, Option<u64>, u32),
) -> Result<Vec<Heading>, LedgerError> {
    sqlx::query(
        "select version, author, note, created_at_us from control_document \
         where kind = $1 and version < $2 order by version desc limit $3",
    )
    .bind(kind.as_str())
    .bind(before.map_or(i64::MAX, stored))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
    .map_err(during("list documents"))?
    .iter()
    .map(heading)
    .collect()
}

fn heading(row: &PgRow) -> Result<Heading, LedgerError> {
    Ok(Heading {
        version: number(DOCUMENT, row, "version")?,
        author: actor(DOCUMENT, row, "author")?,
        note: get(DOCUMENT, row, "note")?,
        created_at: time(DOCUMENT, row, "created_at_us")?,
    })
}

async fn audit(pool: &PgPool, (before, limit): (Option<u64>, u32)) -> Result<Vec<AuditEntry>, LedgerError> {
    sqlx::query(
        "select seq, at_us, actor, action, revision, before, after, previous, digest from audit_entry \
         where seq < $1 order by seq desc limit $2",
    )
    .bind(before.map_or(i64::MAX, stored))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
    .map_err(during("read the audit log"))?
    .iter()
    .map(entry)
    .collect()
}

fn entry(row: &PgRow) -> Result<AuditEntry, LedgerError> {
    Ok(AuditEntry {
        seq: number(AUDIT, row, "seq")?,
        at: time(AUDIT, row, "at_us")?,
        actor: actor(AUDIT, row, "actor")?,
        action: get(AUDIT, row, "action")?,
        revision: number(AUDIT, row, "revision")?,
        before: get(AUDIT, row, "before")?,
        after: get(AUDIT, row, "after")?,
        previous: digest(row, "previous")?,
        digest: digest(row, "digest")?,
    })
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::PostgresLedger;
    use crate::conformance::control::{editor, imported, suspend};
    use crate::conformance::control_conformance;
    use crate::control::{Audited, verify};

    async fn database() -> PgPool {
        let address = tokio::task::spawn_blocking(|| rig::Postgres::shared().database().unwrap());
        let pool = PgPoolOptions::new().max_connections(6);
        let address = address.await.unwrap();
        PostgresLedger::migrate(&address).await.unwrap();
        pool.connect(&address).await.unwrap()
    }

    async fn open_empty() -> (Arc<dyn ControlStore>, ()) {
        (Arc::new(PostgresControl::new(database().await)), ())
    }

    control_conformance!(open_empty);

    #[tokio::test]
    async fn a_change_by_another_process_is_heard_of() {
        let pool = database().await;
        let ours = PostgresControl::new(pool.clone());
        let mut heard = ours.revisions();
        // The listener says so when it listens.
        heard.changed().await.unwrap();
        let theirs: Arc<dyn ControlStore> = Arc::new(PostgresControl::new(pool));
        imported(&theirs).await;
        heard.wait_for(|revision| *revision == 1).await.unwrap();
    }

    #[tokio::test]
    async fn news_come_again_after_the_server_was_killed() {
        let start = || {
            let server = rig::Postgres::start().unwrap();
            let address = server.database().unwrap();
            (server, address)
        };
        let (mut server, address) = tokio::task::spawn_blocking(start).await.unwrap();
        PostgresLedger::migrate(&address).await.unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .acquire_timeout(Duration::from_secs(1));
        let pool = pool.connect(&address).await.unwrap();
        let store: Arc<dyn ControlStore> = Arc::new(PostgresControl::new(pool));
        imported(&store).await;
        let mut heard = store.revisions();
        heard.wait_for(|revision| *revision == 1).await.unwrap();
        server.kill();
        assert!(store.revision().await.is_err());
        heard.mark_unchanged();
        let restart = move || server.restart().map(|()| server);
        let _server = tokio::task::spawn_blocking(restart).await.unwrap().unwrap();
        // The listener says so when it listens again.
        heard.changed().await.unwrap();
        let by = Actor::new("ann").unwrap();
        editor(&store)
            .make(suspend("a", "after"), &by, Some(1))
            .await
            .unwrap();
        heard.wait_for(|revision| *revision == 2).await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_pool_ends_the_listener() {
        let pool = database().await;
        let store = PostgresControl::new(pool.clone());
        let mut heard = store.revisions();
        heard.changed().await.unwrap();
        pool.close().await;
        assert!(matches!(store.revision().await, Err(LedgerError::Closed)));
    }

    #[tokio::test]
    async fn the_audit_log_refuses_to_be_altered_and_shows_it() {
        let pool = database().await;
        let store: Arc<dyn ControlStore> = Arc::new(PostgresControl::new(pool.clone()));
        let editor = imported(&store).await;
        for reason in ["one", "two"] {
            let by = Actor::new("ann").unwrap();
            editor.make(suspend("a", reason), &by, None).await.unwrap();
        }
        let tampering = "update audit_entry set after = replace(after, 'one', 'won') where seq = 2";
        for statement in [tampering, "delete from audit_entry", "truncate audit_entry"] {
            let refused = sqlx::query(statement).execute(&pool).await.unwrap_err();
            assert!(
                refused.to_string().contains("the audit log is never"),
                "{refused}"
            );
        }
        let disarm = "drop trigger audit_entry_is_never_changed on audit_entry";
        sqlx::query(disarm).execute(&pool).await.unwrap();
        sqlx::query(tampering).execute(&pool).await.unwrap();
        assert!(matches!(
            verify(&*store).await.unwrap(),
            Audited::Tampered { seq: 2, .. }
        ));
    }

    #[tokio::test]
    async fn two_processes_that_start_together_import_once() {
        let pool = database().await;
        let stores: [Arc<dyn ControlStore>; 2] =
            [pool.clone(), pool].map(|pool| Arc::new(PostgresControl::new(pool)) as _);
        let _both = tokio::join!(imported_or_there(&stores[0]), imported_or_there(&stores[1]));
        assert_eq!(stores[0].revision().await.unwrap(), 1);
    }

    async fn imported_or_there(store: &Arc<dyn ControlStore>) {
        let (channels, policy) = (
            crate::conformance::control::CHANNELS,
            crate::conformance::control::POLICY,
        );
        editor(store).import(channels, policy).await.unwrap();
    }
}
