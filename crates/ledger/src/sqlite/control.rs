//! Statements on the control state and the audit log.

use domain::control::{Actor, Control, Document, Kind};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::watch;

use super::SqliteLedger;
use super::failure::Failure;
use crate::control::{AuditEntry, Changed, ControlStore, Digest, Draft, Heading, Settings, Write};
use crate::error::LedgerError;
use crate::port::Answer;
use crate::row::Columns;

const STATE: &str = "control_state";
const DOCUMENT: &str = "control_document";
const AUDIT: &str = "audit_entry";

impl ControlStore for SqliteLedger {
    fn control(&self) -> Answer<'_, Option<Control>> {
        Box::pin(read(&self.readers, &self.failure))
    }

    fn revision(&self) -> Answer<'_, u64> {
        Box::pin(async {
            let mut connection = self
                .readers
                .acquire()
                .await
                .map_err(|error| self.failure.during("read the revision", error))?;
            revision(&mut connection, &self.failure).await
        })
    }

    fn change<'a>(&'a self, write: &'a Write) -> Answer<'a, Changed> {
        Box::pin(self.write_change(write))
    }

    fn documents(&self, kind: Kind, before: Option<u64>, limit: u32) -> Answer<'_, Vec<Heading>> {
        Box::pin(documents(&self.readers, &self.failure, (kind, before, limit)))
    }

    fn document(&self, kind: Kind, version: u64) -> Answer<'_, Option<Document>> {
        Box::pin(async move {
            let mut connection = self
                .readers
                .acquire()
                .await
                .map_err(|error| self.failure.during("read a document", error))?;
            document(&mut connection, &self.failure, (kind, version)).await
        })
    }

    fn audit(&self, before: Option<u64>, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        Box::pin(audit(&self.readers, &self.failure, (before, limit)))
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }
}

impl SqliteLedger {
    async fn write_change(&self, write: &Write) -> Result<Changed, LedgerError> {
        let during = |error| self.failure.during("begin a transaction", error);
        let mut connection = self.writer.acquire().await.map_err(during)?;
        let changed = transact(&mut connection, &self.failure, write).await;
        match &changed {
            Ok(Changed::Done) => {
                self.revisions.send_replace(write.control().revision);
            }
            Ok(Changed::Stale { .. }) => {}
            // As for a batch: the driver may have lost count of its transactions.
            Err(_) => {
                let _already_broken = connection.close().await;
            }
        }
        changed
    }
}

/// A number as SQLite stores it. Versions and revisions count changes by hand: they never get near its end.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn transact(
    connection: &mut SqliteConnection,
    failure: &Failure,
    write: &Write,
) -> Result<Changed, LedgerError> {
    let during = |error| failure.during("change the configuration", error);
    let settings = Settings::encode(write.control())?;
    let mut transaction = connection.begin_with("begin immediate").await.map_err(during)?;
    let current = revision(&mut transaction, failure).await?;
    if current != write.expected() {
        transaction.rollback().await.map_err(during)?;
        return Ok(Changed::Stale { current });
    }
    for (kind, document) in write.documents() {
        insert_document(&mut transaction, (*kind, document))
            .await
            .map_err(during)?;
    }
    let control = write.control();
    sqlx::query(
        "update control_state set revision = ?, channels_version = ?, policy_version = ?, settings = ?",
    )
    .bind(stored(control.revision))
    .bind(stored(control.channels.version))
    .bind(stored(control.policy.version))
    .bind(settings)
    .execute(&mut *transaction)
    .await
    .map_err(during)?;
    let last = last_entry(&mut transaction, failure).await?;
    let entry = AuditEntry::follow(last, write.draft());
    insert_entry(&mut transaction, &entry).await.map_err(during)?;
    transaction.commit().await.map_err(during)?;
    Ok(Changed::Done)
}

async fn insert_document(
    connection: &mut SqliteConnection,
    (kind, document): (Kind, &Document),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into control_document (kind, version, text, author, note, created_at_us) \
         values (?, ?, ?, ?, ?, ?)",
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
pub(super) async fn audit_at_present(
    connection: &mut SqliteConnection,
    failure: &Failure,
    draft: impl Fn(u64) -> Draft,
) -> Result<(), LedgerError> {
    let draft = draft(revision(connection, failure).await?);
    let last = last_entry(connection, failure).await?;
    insert_entry(connection, &AuditEntry::follow(last, &draft))
        .await
        .map_err(|error| failure.during("write the audit log", error))
}

async fn insert_entry(connection: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into audit_entry (seq, at_us, actor, action, revision, before, after, previous, digest) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
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

async fn revision(connection: &mut SqliteConnection, failure: &Failure) -> Result<u64, LedgerError> {
    let row = sqlx::query("select revision from control_state")
        .fetch_one(connection)
        .await
        .map_err(|error| failure.during("read the revision", error))?;
    Columns::of(STATE, &row).whole("revision")
}

async fn last_entry(
    connection: &mut SqliteConnection,
    failure: &Failure,
) -> Result<Option<(u64, Digest)>, LedgerError> {
    let row = sqlx::query("select seq, digest from audit_entry order by seq desc limit 1")
        .fetch_optional(connection)
        .await
        .map_err(|error| failure.during("read the audit log", error))?;
    let Some(row) = row else { return Ok(None) };
    let columns = Columns::of(AUDIT, &row);
    Ok(Some((
        columns.whole("seq")?,
        columns.bytes("digest", Digest::try_from)?,
    )))
}

async fn read(readers: &SqlitePool, failure: &Failure) -> Result<Option<Control>, LedgerError> {
    let during = |error| failure.during("read the configuration", error);
    // One transaction, so that the documents are those of the revision.
    let mut snapshot = readers.begin().await.map_err(during)?;
    let row = sqlx::query("select revision, channels_version, policy_version, settings from control_state")
        .fetch_one(&mut *snapshot)
        .await
        .map_err(during)?;
    let columns = Columns::of(STATE, &row);
    let number = |field| columns.whole::<u64>(field);
    let revision = number("revision")?;
    if revision == 0 {
        return Ok(None);
    }
    let settings = columns.parse("settings", Settings::decode)?;
    let mut documents = Vec::new();
    for (kind, field) in [
        (Kind::Channels, "channels_version"),
        (Kind::Policy, "policy_version"),
    ] {
        let version = number(field)?;
        let found = document(&mut snapshot, failure, (kind, version)).await?;
        documents.push(found.ok_or_else(|| columns.corrupt(field, "the document is not there"))?);
    }
    snapshot.rollback().await.map_err(during)?;
    let mut documents = documents.into_iter();
    let both = documents.next().zip(documents.next());
    Ok(both.map(|(channels, policy)| settings.into_control(revision, channels, policy)))
}

async fn document(
    connection: &mut SqliteConnection,
    failure: &Failure,
    (kind, version): (Kind, u64),
) -> Result<Option<Document>, LedgerError> {
    let row = sqlx::query(
        "select version, text, author, note, created_at_us from control_document \
         where kind = ? and version = ?",
    )
    .bind(kind.as_str())
    .bind(stored(version))
    .fetch_optional(connection)
    .await
    .map_err(|error| failure.during("read a document", error))?;
    let Some(row) = row else { return Ok(None) };
    let Heading {
        version,
        author,
        note,
        created_at,
    } = heading(&row)?;
    Ok(Some(Document {
        version,
        text: Columns::of(DOCUMENT, &row).text("text")?.into(),
        author,
        note,
        created_at,
    }))
}

async fn documents(
    readers: &SqlitePool,
    failure: &Failure,
    (kind, before, limit): (Kind, Option<u64>, u32),
) -> Result<Vec<Heading>, LedgerError> {
    sqlx::query(
        "select version, author, note, created_at_us from control_document \
         where kind = ? and version < ? order by version desc limit ?",
    )
    .bind(kind.as_str())
    .bind(before.map_or(i64::MAX, stored))
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(|error| failure.during("list documents", error))?
    .iter()
    .map(heading)
    .collect()
}

fn heading(row: &SqliteRow) -> Result<Heading, LedgerError> {
    let columns = Columns::of(DOCUMENT, row);
    Ok(Heading {
        version: columns.whole("version")?,
        author: columns.parse("author", Actor::new)?,
        note: columns.text("note")?,
        created_at: columns.time("created_at_us")?,
    })
}

async fn audit(
    readers: &SqlitePool,
    failure: &Failure,
    (before, limit): (Option<u64>, u32),
) -> Result<Vec<AuditEntry>, LedgerError> {
    sqlx::query(
        "select seq, at_us, actor, action, revision, before, after, previous, digest from audit_entry \
         where seq < ? order by seq desc limit ?",
    )
    .bind(before.map_or(i64::MAX, stored))
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(|error| failure.during("read the audit log", error))?
    .iter()
    .map(entry)
    .collect()
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, LedgerError> {
    let columns = Columns::of(AUDIT, row);
    Ok(AuditEntry {
        seq: columns.whole("seq")?,
        at: columns.time("at_us")?,
        actor: columns.parse("actor", Actor::new)?,
        action: columns.text("action")?,
        revision: columns.whole("revision")?,
        before: columns.text("before")?,
        after: columns.text("after")?,
        previous: columns.bytes("previous", Digest::try_from)?,
        digest: columns.bytes("digest", Digest::try_from)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sqlx::AssertSqlSafe;
    use tempfile::TempDir;

    use super::*;
    use crate::conformance::control::{editor, imported, suspend};
    use crate::conformance::control_conformance;
    use crate::control::{Audited, verify};
    use crate::sqlite::Settings as File;

    async fn open() -> (Arc<SqliteLedger>, TempDir) {
        let folder = TempDir::new().unwrap();
        let file = File {
            path: folder.path().join("ledger.db"),
            max_bytes: None,
        };
        (Arc::new(SqliteLedger::open(&file).await.unwrap()), folder)
    }

    async fn open_empty() -> (Arc<dyn ControlStore>, TempDir) {
        let (ledger, folder) = open().await;
        (ledger, folder)
    }

    control_conformance!(open_empty);

    /// A ledger with five entries in its audit log, which no longer refuses to be altered.
    async fn unguarded() -> (Arc<SqliteLedger>, TempDir) {
        let (ledger, folder) = open().await;
        let store: Arc<dyn ControlStore> = Arc::clone(&ledger) as _;
        let editor = imported(&store).await;
        for reason in ["one", "two", "three", "four"] {
            let by = Actor::new("ann").unwrap();
            editor.make(suspend("a", reason), &by, None).await.unwrap();
        }
        for trigger in ["audit_entry_is_never_changed", "audit_entry_is_never_removed"] {
            let statement = AssertSqlSafe(format!("drop trigger {trigger}"));
            sqlx::query(statement).execute(&ledger.writer).await.unwrap();
        }
        (ledger, folder)
    }

    #[tokio::test]
    async fn an_altered_audit_log_shows() {
        for (tampering, expected) in [
            ("update audit_entry set actor = 'bob' where seq = 3", 3),
            (
                "update audit_entry set after = replace(after, 'two', 'too') where seq = 3",
                3,
            ),
            ("delete from audit_entry where seq = 2", 1),
            ("delete from audit_entry where seq <= 2", 3),
            ("delete from audit_entry where seq = 5", 4),
            (
                "update control_document set text = text || ' ' where kind = 'policy'",
                1,
            ),
            ("delete from control_document where kind = 'channels'", 1),
            ("update audit_entry set digest = zeroblob(32) where seq = 5", 5),
        ] {
            let (ledger, _folder) = unguarded().await;
            assert!(matches!(
                verify(&*ledger).await.unwrap(),
                Audited::Whole { entries: 5, .. }
            ));
            sqlx::query(tampering).execute(&ledger.writer).await.unwrap();
            let Audited::Tampered { seq, .. } = verify(&*ledger).await.unwrap() else {
                panic!("not noticed: {tampering}");
            };
            assert_eq!(seq, expected, "{tampering}");
        }
    }

    #[tokio::test]
    async fn the_audit_log_refuses_to_be_altered() {
        let (ledger, _folder) = open().await;
        let store: Arc<dyn ControlStore> = Arc::clone(&ledger) as _;
        imported(&store).await;
        for statement in ["update audit_entry set actor = 'bob'", "delete from audit_entry"] {
            let refused = sqlx::query(statement).execute(&ledger.writer).await;
            assert!(
                refused.unwrap_err().to_string().contains("audit log"),
                "{statement}"
            );
        }
    }

    #[tokio::test]
    async fn what_a_later_release_wrote_is_not_guessed_at() {
        let (ledger, _folder) = open().await;
        let store: Arc<dyn ControlStore> = Arc::clone(&ledger) as _;
        editor(&store).import("", "").await.unwrap_err();
        imported(&store).await;
        let newer = "update control_state set settings = json_insert(settings, '$.quotas', 1)";
        sqlx::query(newer).execute(&ledger.writer).await.unwrap();
        let refused = store.control().await.unwrap_err();
        assert!(
            refused.to_string().contains("unknown field `quotas`"),
            "{refused}"
        );
    }
}
