//! Why the ledger could not be opened, and why it refused a call.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// The cause of a failure, shared by all callers whose writes were in the same transaction.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// More writes are waiting than the queue holds; the same call may succeed a moment later.
    #[error("the ledger has {queue} writes waiting and takes no more for now")]
    Busy {
        /// How many writes the queue holds.
        queue: usize,
    },
    /// The ledger was closed, or its writer has ended.
    #[error("the ledger is closed")]
    Closed,
    /// The disk is full, or the ledger has reached its largest size.
    #[error("no room left for the ledger `{}`", path.display())]
    Full {
        /// The file of the ledger.
        path: PathBuf,
        /// What the store said.
        #[source]
        source: Cause,
    },
    /// The store did not do what it was asked: locked, broken off, or an error of the disk.
    #[error("the ledger failed to {operation}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Cause,
    },
    /// The store holds something that no release of Payroute wrote.
    #[error("field `{field}` of table `{table}` cannot be read: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        field: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// A record holds something that cannot be stored.
    #[error("field `{field}` cannot be stored: {problem}")]
    Unstorable {
        /// The column.
        field: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
}

/// Why a ledger could not be opened. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory that the file belongs in is not there.
    #[error("the directory of the ledger `{}` does not exist", path.display())]
    NoDirectory {
        /// The file of the ledger.
        path: PathBuf,
    },
    /// The file or its directory cannot be written.
    #[error("the ledger `{}` cannot be written", path.display())]
    Unwritable {
        /// The file that cannot be written.
        path: PathBuf,
        /// What the operating system or the store said.
        #[source]
        source: Cause,
    },
    /// Another process has the ledger open.
    #[error("the ledger `{}` is in use by another process (the lock is `{}`)", path.display(), lock.display())]
    InUse {
        /// The file of the ledger.
        path: PathBuf,
        /// The file that the other process has locked.
        lock: PathBuf,
    },
    /// The file is something else.
    #[error("`{}` is not a ledger of Payroute: {problem}", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: &'static str,
    },
    /// The file was written by a later release.
    #[error(
        "the ledger `{}` has schema version {version}, this release knows versions up to {known}: use a newer release",
        path.display()
    )]
    NewerSchema {
        /// The file of the ledger.
        path: PathBuf,
        /// The first version that this release does not know.
        version: i64,
        /// The latest version that this release knows.
        known: i64,
    },
    /// The file could not be brought to the present schema, or not be read at all.
    #[error("the ledger `{}` cannot be opened", path.display())]
    Failed {
        /// The file of the ledger.
        path: PathBuf,
        /// What the store said.
        #[source]
        source: Cause,
    },
}
