//! Turns the driver's errors into the ledger's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::LedgerError;

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>) that mean something to us.
pub(super) mod code {
    /// `SQLITE_READONLY`
    pub(in super::super) const READ_ONLY: u32 = 8;
    /// `SQLITE_FULL`
    pub(in super::super) const FULL: u32 = 13;
    /// `SQLITE_CANTOPEN`
    pub(in super::super) const CANNOT_OPEN: u32 = 14;
    /// `SQLITE_NOTADB`
    pub(in super::super) const NOT_A_DATABASE: u32 = 26;
}

/// The primary result code of an error that SQLite answered; `None` for the driver's own.
pub(super) fn code(error: &sqlx::Error) -> Option<u32> {
    let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
    // The low byte is the primary code, the rest says more about it.
    Some(extended & 0xff)
}

/// Knows the file, to name it in errors.
#[derive(Debug)]
pub(super) struct Failure {
    path: PathBuf,
}

impl Failure {
    /// Errors of the ledger at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// What `error` means, which came while the ledger was to `operation`.
    pub(super) fn during(&self, operation: &'static str, error: sqlx::Error) -> LedgerError {
        if matches!(error, sqlx::Error::PoolClosed) {
            return LedgerError::Closed;
        }
        match code(&error) {
            Some(code::FULL) => LedgerError::Full {
                ledger: self.path.display().to_string(),
                source: Arc::new(error),
            },
            _ => LedgerError::Unavailable {
                operation,
                source: Arc::new(error),
            },
        }
    }
}
