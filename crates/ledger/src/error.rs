//! Why the ledger could not be opened, and why it refused a call.
//!
//! What can be done about a refused write follows from [`LedgerError::is_failing_store`]: keep it and try again while
//! the store fails; give up on a batch that no store would take.

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
    /// The store does not answer, and what waits for it fills the spool; the same call succeeds when some of it was
    /// drained.
    #[error("the ledger does not answer, and its spool of {max_bytes} bytes is full")]
    SpoolFull {
        /// How many bytes the spool may hold.
        max_bytes: u64,
    },
    /// The ledger was closed, or its writer has ended.
    #[error("the ledger is closed")]
    Closed,
    /// The disk is full, or the ledger has reached its largest size.
    #[error("no room left for the ledger `{ledger}`")]
    Full {
        /// The file of the ledger, or the address of its server.
        ledger: String,
        /// What the store said.
        #[source]
        source: Cause,
    },
    /// The store did not do what it was asked: not reachable, too slow, locked, broken off, or an error of its disk.
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
        /// The column, or what was being written when the store did not say which.
        field: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
}

/// The store did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the store did not answer in time")]
struct Silent;

impl LedgerError {
    /// The error of a call that a caller gave up, because it took longer than the caller can wait.
    #[must_use]
    pub fn silent(operation: &'static str) -> Self {
        Self::Unavailable {
            operation,
            source: Arc::new(Silent),
        }
    }

    /// Whether it is the store that fails, and the same write may succeed later.
    ///
    /// It is the store when it cannot be reached, does not answer in time, is shutting down, does not let us in, or has
    /// no room. It is not when the queue in front of it is full or it was closed on purpose, nor when what was written
    /// or read is wrong by itself, which no waiting mends.
    #[must_use]
    pub const fn is_failing_store(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Unavailable { .. } => true,
            Self::Busy { .. }
            | Self::SpoolFull { .. }
            | Self::Closed
            | Self::Corrupt { .. }
            | Self::Unstorable { .. } => false,
        }
    }
}

/// Why a ledger could not be opened. Every message names the file or the server, and none a password.
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
        "the ledger `{ledger}` has schema version {version}, this release knows versions up to {known}: use a newer \
         release"
    )]
    NewerSchema {
        /// The file of the ledger, or the address of its server.
        ledger: String,
        /// The version that a release must know to work on it.
        version: i64,
        /// The latest version that this release knows.
        known: i64,
    },
    /// The address is not one of a server.
    #[error("the address of the ledger is not of the form `postgres://user:password@host:port/database`")]
    BadAddress,
    /// The server does not answer, or does not let us in.
    #[error("the ledger `{ledger}` cannot be reached")]
    Unreachable {
        /// The address of the server, without user and password.
        ledger: String,
        /// What the driver or the server said.
        #[source]
        source: Cause,
    },
    /// The ledger could not be brought to the present schema, or not be read at all.
    #[error("the ledger `{ledger}` cannot be opened")]
    Failed {
        /// The file of the ledger, or the address of its server.
        ledger: String,
        /// What the store said.
        #[source]
        source: Cause,
    },
}
