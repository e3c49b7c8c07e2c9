//! Turns the driver's errors into the ledger's.
//!
//! The server's codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) come in classes of two
//! letters. Two of them speak about what was written: 22 (a value that cannot be stored) and 23 (a rule of the table).
//! Everything else is the store's own trouble, even where it looks like ours: a column that is missing while a release is
//! rolled out is there a moment later, and an outcome that is kept back until then is not lost.

use std::sync::Arc;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::time::error::Elapsed;

use crate::error::LedgerError;

/// Another transaction was faster; the same one may succeed now.
const LOST: [&str; 2] = ["40001", "40P01"];

/// `check_violation`: for our tables, whose rows have no such rule, a day without a partition.
const NO_PARTITION: &str = "23514";

/// `disk_full`.
const FULL: &str = "53100";

/// Why a transaction did not commit.
#[derive(Debug)]
pub(super) enum Setback {
    /// The same transaction may succeed at once.
    Again(LedgerError),
    /// It will not.
    Final(LedgerError),
}

impl Setback {
    /// What to tell a caller who does not try again.
    pub(super) fn into_error(self) -> LedgerError {
        match self {
            Self::Again(error) | Self::Final(error) => error,
        }
    }
}

impl From<LedgerError> for Setback {
    fn from(error: LedgerError) -> Self {
        Self::Final(error)
    }
}

/// Knows the server, to name it in errors.
#[derive(Debug)]
pub(super) struct Failure {
    server: String,
}

impl Failure {
    /// Errors of the ledger on `server`.
    pub(super) fn of(server: String) -> Self {
        Self { server }
    }

    /// What `error` means, which came while the ledger was to `operation`.
    pub(super) fn during(&self, operation: &'static str, error: sqlx::Error) -> LedgerError {
        if matches!(error, sqlx::Error::PoolClosed) {
            return LedgerError::Closed;
        }
        let code = code(&error);
        if code.as_deref() == Some(FULL) {
            return LedgerError::Full {
                ledger: self.server.clone(),
                source: Arc::new(error),
            };
        }
        let refused = code
            .as_deref()
            .is_some_and(|code| code.starts_with("22") || (code.starts_with("23") && code != NO_PARTITION));
        if refused || matches!(error, sqlx::Error::Encode(_)) {
            return LedgerError::Unstorable {
                field: operation,
                problem: error.to_string(),
            };
        }
        LedgerError::Unavailable {
            operation,
            source: Arc::new(error),
        }
    }

    /// The same, and whether trying again helps.
    pub(super) fn setback(&self, operation: &'static str, error: sqlx::Error) -> Setback {
        let again = code(&error).is_some_and(|code| LOST.contains(&&*code) || code == NO_PARTITION);
        let error = self.during(operation, error);
        if again {
            Setback::Again(error)
        } else {
            Setback::Final(error)
        }
    }
}

/// The server's code; `None` for the driver's own errors.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// The server is there and does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the server did not answer in time")]
struct Silent;

/// The error of a call that was given up.
pub(super) fn silent(operation: &'static str) -> LedgerError {
    LedgerError::Unavailable {
        operation,
        source: Arc::new(Silent),
    }
}

/// Gives back what was read on `connection`. One that failed is closed and not used again: what it still has to say would
/// come as the answer to the next question.
pub(super) fn settle<T>(
    connection: PoolConnection<Postgres>,
    outcome: Result<Result<T, LedgerError>, Elapsed>,
    operation: &'static str,
) -> Result<T, LedgerError> {
    let outcome = outcome.unwrap_or_else(|_| Err(silent(operation)));
    if outcome.is_err() {
        drop(connection.detach());
    }
    outcome
}
