//! What is wrong with a request: every violation, with the field it is in.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// One field that does not hold what it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, as in `card.bin` or `metadata["source"]`.
    pub field: String,
    /// What is wrong with it and what was expected. Never the value of a field that may hold a card number.
    pub description: String,
}

/// Every violation of one request; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// `Ok(value)` when nothing was found, else all that was found.
    ///
    /// # Errors
    /// When `found` is not empty.
    pub fn check<T>(found: Vec<Violation>, value: T) -> Result<T, Self> {
        if found.is_empty() {
            Ok(value)
        } else {
            Err(Self(found))
        }
    }

    /// One violation.
    #[must_use]
    pub fn one(field: &str, description: impl Into<String>) -> Self {
        Self(vec![Violation {
            field: field.to_owned(),
            description: description.into(),
        }])
    }

    /// The violations, in the order of the fields.
    #[must_use]
    pub fn list(&self) -> &[Violation] {
        &self.0
    }

    fn summary(&self) -> String {
        let lines: Vec<_> = self
            .0
            .iter()
            .map(|v| format!("{} {}", v.field, v.description))
            .collect();
        format!("invalid request: {}", lines.join("; "))
    }
}

impl From<&Violations> for Status {
    /// `INVALID_ARGUMENT` with `google.rpc.BadRequest` details.
    fn from(violations: &Violations) -> Self {
        let mut details = ErrorDetails::new();
        for violation in &violations.0 {
            details.add_bad_request_violation(&violation.field, &violation.description);
        }
        Self::with_error_details(Code::InvalidArgument, violations.to_string(), details)
    }
}
