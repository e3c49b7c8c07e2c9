//! What can go wrong in a call, and the one place where it becomes a gRPC status.

use std::time::Duration;

use domain::money::Money;
use ledger::LedgerError;
use proto::violation::Violations;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::token::InvalidToken;

/// Domain of the reasons, as in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "payroute.v1";

/// When to try again after the ledger was busy: a few group commits later.
const BUSY_RETRY: Duration = Duration::from_millis(100);
/// When to try again after the ledger failed: long enough for a disk or a person to recover something.
const FAILED_RETRY: Duration = Duration::from_secs(1);

/// Why a call is not answered. Every reason is documented in `docs/errors.md`.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Fields of the request do not hold what they must.
    #[error(transparent)]
    Invalid(#[from] Violations),
    /// A decision token or receipt was not issued by this service.
    #[error("`{field}` {source}")]
    BadToken {
        /// The field it was in.
        field: &'static str,
        /// What is wrong with it; kept from the caller.
        source: InvalidToken,
    },
    /// A decision token is too old.
    #[error(
        "`decision_token` has expired; outcomes are accepted until then, later findings go to ResolveAttempt"
    )]
    Expired,
    /// A token that is about something else.
    #[error("`{field}` is about another {what}")]
    Mismatch {
        /// The field it was in.
        field: &'static str,
        /// What differs.
        what: &'static str,
    },
    /// The attempt was reported before, with another content.
    #[error("attempt `{attempt}` was reported before with another content; the first report stands")]
    Conflict {
        /// The attempt.
        attempt: String,
    },
    /// Nothing is known of it.
    #[error("{what} `{id}` is not known")]
    Unknown {
        /// What is not known.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// The attempt was reported, and its report is not in the ledger yet.
    #[error("the report of attempt `{attempt}` waits in the spool of the router that took it")]
    Pending {
        /// The attempt.
        attempt: String,
    },
    /// The state of the attempt does not allow what was reported.
    #[error("attempt `{attempt}` is {state}: {problem}")]
    Refused {
        /// The attempt.
        attempt: String,
        /// Its state.
        state: String,
        /// Why not.
        problem: String,
    },
    /// A guarded payment has one amount.
    #[error("payment `{payment}` was registered with {registered}; every attempt at it asks for the same")]
    OtherMoney {
        /// The payment.
        payment: String,
        /// What it was registered with.
        registered: Money,
    },
    /// The number of an attempt that was made before.
    #[error("attempt {attempt_no} was made before and is {state}: route the next number")]
    AttemptTaken {
        /// The number.
        attempt_no: u32,
        /// What became of it.
        state: &'static str,
    },
    /// More outcomes are waiting than can be kept in memory.
    #[error("too many outcomes are waiting to be counted")]
    Backlog,
    /// The ledger did not take or give a record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The gRPC code, the stable reason a client may match on, and when to try again.
///
/// No `_` arm: a new variant must be classified here before it compiles.
const fn classify(error: &CallError) -> (Code, &'static str, Option<Duration>) {
    match error {
        CallError::Invalid(_) => (Code::InvalidArgument, "INVALID_REQUEST", None),
        CallError::BadToken { .. } => (Code::PermissionDenied, "BAD_TOKEN", None),
        CallError::Expired => (Code::PermissionDenied, "TOKEN_EXPIRED", None),
        CallError::Mismatch { .. } => (Code::PermissionDenied, "TOKEN_MISMATCH", None),
        CallError::Conflict { .. } => (Code::AlreadyExists, "ATTEMPT_CONFLICT", None),
        CallError::Unknown { .. } => (Code::NotFound, "NOT_FOUND", None),
        CallError::Pending { .. } => (Code::Unavailable, "REPORT_PENDING", Some(FAILED_RETRY)),
        CallError::Refused { .. } => (Code::FailedPrecondition, "STATE_REFUSED", None),
        CallError::OtherMoney { .. } => (Code::AlreadyExists, "PAYMENT_CONFLICT", None),
        CallError::AttemptTaken { .. } => (Code::FailedPrecondition, "ATTEMPT_TAKEN", None),
        CallError::Backlog => (Code::Unavailable, "BUSY", Some(BUSY_RETRY)),
        CallError::Ledger(error) => match error {
            LedgerError::Busy { .. } => (Code::Unavailable, "BUSY", Some(BUSY_RETRY)),
            LedgerError::SpoolFull { .. } => (Code::Unavailable, "SPOOL_FULL", Some(FAILED_RETRY)),
            LedgerError::Closed => (Code::Unavailable, "SHUTTING_DOWN", Some(FAILED_RETRY)),
            LedgerError::Full { .. } => (Code::Unavailable, "LEDGER_FULL", Some(FAILED_RETRY)),
            LedgerError::Unavailable { .. } => (Code::Unavailable, "LEDGER_UNAVAILABLE", Some(FAILED_RETRY)),
            LedgerError::Corrupt { .. } => (Code::Internal, "LEDGER_CORRUPT", None),
            LedgerError::Unstorable { .. } => (Code::Internal, "UNSTORABLE", None),
        },
    }
}

impl CallError {
    /// The gRPC code.
    #[must_use]
    pub const fn code(&self) -> Code {
        classify(self).0
    }

    /// What the caller is told. Internal causes stay inside; those that need somebody are logged here, once.
    fn told(&self) -> String {
        match self {
            Self::BadToken { field, .. } => format!("`{field}` was not issued by this service"),
            Self::Ledger(LedgerError::Full { .. }) => "no room is left in the ledger".to_owned(),
            Self::Ledger(LedgerError::Corrupt { .. } | LedgerError::Unstorable { .. }) => {
                "internal error".to_owned()
            }
            other => other.to_string(),
        }
    }

    fn log(&self) {
        match self {
            Self::Ledger(LedgerError::Busy { .. } | LedgerError::SpoolFull { .. } | LedgerError::Closed)
            | Self::Backlog => {
                tracing::warn!(error = %self, "a report was refused: {self}");
            }
            Self::Ledger(error) => {
                let cause = std::error::Error::source(error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::error!(%error, cause, "the ledger failed a call: {error}");
            }
            Self::BadToken { field, source } => tracing::warn!(field, "a call was refused: {field} {source}"),
            _ => tracing::debug!(error = %self, "a call was refused: {self}"),
        }
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        error.log();
        let (code, reason, retry) = classify(&error);
        if let CallError::Invalid(violations) = &error {
            return violations.into();
        }
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, std::collections::HashMap::new());
        if let Some(delay) = retry {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(code, error.told(), details)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn every() -> Vec<CallError> {
        let ledger = "/var/lib/payroute.db".to_owned();
        let source = || std::sync::Arc::new(std::io::Error::other("secret cause"));
        vec![
            Violations::one("currency", "is required").into(),
            CallError::BadToken {
                field: "decision_token",
                source: InvalidToken::Forged,
            },
            CallError::Expired,
            CallError::Mismatch {
                field: "receipt",
                what: "payment",
            },
            CallError::Conflict {
                attempt: "a_1".into(),
            },
            CallError::Unknown {
                what: "payment",
                id: "ord_1".into(),
            },
            CallError::Pending {
                attempt: "a_1".into(),
            },
            CallError::Refused {
                attempt: "a_1".into(),
                state: "succeeded".into(),
                problem: "it stays".into(),
            },
            CallError::OtherMoney {
                payment: "ord_1".into(),
                registered: Money::new(1_999, "CNY".parse().unwrap()).unwrap(),
            },
            CallError::AttemptTaken {
                attempt_no: 1,
                state: "declined",
            },
            CallError::Backlog,
            LedgerError::Busy { queue: 1 }.into(),
            LedgerError::SpoolFull { max_bytes: 1 }.into(),
            LedgerError::Closed.into(),
            LedgerError::Full {
                ledger,
                source: source(),
            }
            .into(),
            LedgerError::Unavailable {
                operation: "commit",
                source: source(),
            }
            .into(),
            LedgerError::Corrupt {
                table: "attempt",
                field: "state",
                problem: "empty".into(),
            }
            .into(),
            LedgerError::Unstorable {
                field: "message",
                problem: "too long".into(),
            }
            .into(),
        ]
    }

    #[test]
    fn every_reason_is_documented() {
        let page = include_str!("../../../docs/errors.md");
        for error in every() {
            let (_, reason, _) = classify(&error);
            assert!(
                page.contains(&format!("| `{reason}` |")),
                "{reason} is missing in docs/errors.md"
            );
        }
    }

    #[test]
    fn one_reason_has_one_code() {
        let pairs: BTreeSet<_> = every()
            .iter()
            .map(|e| (classify(e).1, format!("{:?}", classify(e).0)))
            .collect();
        let reasons: BTreeSet<_> = pairs.iter().map(|(reason, _)| reason).collect();
        assert_eq!(pairs.len(), reasons.len());
    }

    #[test]
    fn a_caller_learns_neither_causes_nor_paths() {
        for error in every() {
            let status = Status::from(error);
            assert!(!status.message().contains("secret"), "{}", status.message());
            assert!(!status.message().contains("/var/lib"), "{}", status.message());
        }
    }

    #[test]
    fn what_may_succeed_later_says_when() {
        for error in every() {
            let (code, reason, _) = classify(&error);
            let status = Status::from(error);
            let details = status.get_error_details();
            let retry = details.retry_info().and_then(|info| info.retry_delay);
            assert_eq!(retry.is_some(), code == Code::Unavailable, "{reason}");
        }
    }
}
