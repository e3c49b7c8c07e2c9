//! Why Redis did not do what it was asked.

use redis::{ErrorKind, RedisError};

/// Why a call failed. After any of these but [`StatsError::Refused`] it may have taken effect all the same.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// There is no connection.
    #[error("Redis is not reachable")]
    Unavailable(#[source] Option<RedisError>),
    /// No answer within the limit of a call.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// Redis said no, and did nothing: it is full, read-only, still loading, or wants another password.
    #[error("Redis refused: {code} {detail}")]
    Refused {
        /// Redis's own code, such as `OOM` or `READONLY`.
        code: String,
        /// What it said besides.
        detail: String,
    },
    /// What is stored is not what this version stores.
    #[error("what Redis holds cannot be read: {0}")]
    Corrupt(String),
    /// The settings cannot be used.
    #[error("the settings of Redis are wrong: {0}")]
    Settings(String),
    /// Redis would throw statistics away when it is full.
    #[error(
        "Redis has maxmemory-policy `{policy}`, which deletes statistics when memory is short; set `noeviction`"
    )]
    Evicts {
        /// The policy that it has.
        policy: String,
    },
}

impl StatsError {
    /// Whether the call may have taken effect although it failed.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::TimedOut | Self::Corrupt(_) => true,
            Self::Refused { .. } | Self::Settings(_) | Self::Evicts { .. } => false,
        }
    }
}

impl From<RedisError> for StatsError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        // Also of a pipeline, whose own error has no code.
        let answers = error.clone().into_server_errors();
        if let Some((_, answer)) = answers.as_ref().and_then(|answers| answers.first()) {
            return match answer.code() {
                // A script that failed, or a key of the wrong type: what is stored is not ours.
                "ERR" | "WRONGTYPE" => Self::Corrupt(error.to_string()),
                "CLUSTERDOWN" | "MASTERDOWN" => Self::Unavailable(Some(error)),
                code => Self::Refused {
                    code: code.to_owned(),
                    detail: answer.details().unwrap_or_default().to_owned(),
                },
            };
        }
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Corrupt(error.to_string()),
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => Self::Unavailable(Some(error)),
            _ => Self::Refused {
                code: error.code().unwrap_or("client").to_owned(),
                detail: error.detail().unwrap_or_default().to_owned(),
            },
        }
    }
}
