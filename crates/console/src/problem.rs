//! What a caller is told when something cannot be done: problems as RFC 9457 has them.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::control::Refused;
use domain::diagnostic::Diagnostic;
use ledger::LedgerError;
use ledger::control::ChangeError;
use serde::Serialize;
use utoipa::ToSchema;

/// When a call that found the ledger busy or away may be made again, in seconds.
const RETRY_SECS: u32 = 1;

/// The kinds of problems: what a program may tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read.
    BadRequest,
    /// No token, or one that is not known.
    Unauthenticated,
    /// The token is for other things.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// What is there already does not allow it.
    Conflict,
    /// The configuration was changed since the revision that the caller knows.
    Stale,
    /// The body is too large.
    TooLarge,
    /// What is asked for is wrong, field by field.
    Invalid,
    /// The ledger cannot be asked at the moment.
    Unavailable,
    /// A mistake of ours.
    Internal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::Stale,
        Self::TooLarge,
        Self::Invalid,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The status, the name that follows `urn:payroute:problem:`, and the title.
    ///
    /// No `_` arm: a new kind must be classified here before it compiles.
    #[must_use]
    pub const fn classify(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "bad-request",
                "the request cannot be read",
            ),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "a token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "the token does not allow it"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "there is no such thing"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "the method is not offered here",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "conflict",
                "the present state does not allow it",
            ),
            Self::Stale => (
                StatusCode::PRECONDITION_FAILED,
                "stale-revision",
                "the configuration was changed meanwhile",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is too large",
            ),
            Self::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "what is asked for is wrong",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the ledger does not answer",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "a mistake of the service",
            ),
        }
    }
}

/// A problem, as it is sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Its kind: `urn:payroute:problem:` and a stable name.
    #[serde(rename = "type")]
    #[schema(example = "urn:payroute:problem:invalid")]
    uri: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// This case in words.
    detail: String,
    /// Every single thing that is wrong, with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong>,
    /// The present revision, when the caller's is stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Wrong {
    /// The document, or `change` for the request's own fields.
    file: String,
    /// Line, from 1; 0 when it has none.
    line: u32,
    /// Column, from 1; 0 when it has none.
    column: u32,
    /// The field.
    field: String,
    /// What was found and what was expected.
    message: String,
}

impl Problem {
    /// A problem of `kind`, with this case in words.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, name, title) = kind.classify();
        Self {
            uri: format!("urn:payroute:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            revision: None,
        }
    }

    /// A field of the request that is wrong.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut problem = Self::new(Kind::Invalid, format!("{field}: {message}"));
        problem.errors.push(Wrong {
            file: "change".to_owned(),
            line: 0,
            column: 0,
            field: field.to_owned(),
            message,
        });
        problem
    }
}

impl From<Diagnostic> for Wrong {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            file: diagnostic.file.to_string(),
            line: diagnostic.line,
            column: diagnostic.column,
            field: diagnostic.field,
            message: diagnostic.message,
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Invalid(diagnostics) => Self {
                errors: diagnostics.into_iter().map(Wrong::from).collect(),
                ..Self::new(Kind::Invalid, detail)
            },
            Refused::UnknownPolicy(_)
            | Refused::UnknownSuspension(_)
            | Refused::NoOverride(_)
            | Refused::LimitNotSet(_) => Self::new(Kind::NotFound, detail),
            Refused::NotImported
            | Refused::NoPolicyBefore
            | Refused::SuspensionOver(_)
            | Refused::TooMany { .. } => Self::new(Kind::Conflict, detail),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match error {
            ChangeError::Refused(refused) => refused.into(),
            ChangeError::Stale { current, .. } => Self {
                revision: Some(current),
                ..Self::new(Kind::Stale, detail)
            },
            ChangeError::Contended => Self::new(Kind::Conflict, detail),
            ChangeError::Interrupted => Self::new(Kind::Unavailable, detail),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let cause = std::error::Error::source(&error).map(tracing::field::display);
        tracing::error!(cause, "the ledger failed a call of the control plane: {error}");
        // What a store says of itself is not the caller's.
        Self::new(Kind::Unavailable, "the ledger does not answer; try again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is names, numbers and texts, which always are JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECS));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut names = Kind::ALL.map(|kind| kind.classify().1);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
