//! Who calls, and what it may: extractors, so that no handler can forget to ask.

use access::{Caller, Refused, Scope};
use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, IF_MATCH};
use axum::http::request::Parts;
use domain::control::Actor;

use crate::Desk;
use crate::problem::{Kind, Problem};

/// Somebody who may read.
pub(crate) struct Reader;

/// Somebody who may change things, by the name that the audit log keeps.
pub(crate) struct Operator(pub(crate) Actor);

/// The revision that the caller knows, from `If-Match`; `None` when the caller takes any.
pub(crate) struct Known(pub(crate) Option<u64>);

fn admit(parts: &Parts, desk: &Desk, scope: Scope) -> Result<Caller, Problem> {
    let header = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok());
    desk.guard.admit(header, scope).map_err(|refused| {
        let kind = match refused {
            Refused::Unknown => Kind::Unauthenticated,
            Refused::Scope(_) => Kind::Forbidden,
        };
        Problem::new(kind, refused.to_string())
    })
}

impl FromRequestParts<Desk> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        admit(parts, desk, Scope::Read).map(|_| Self)
    }
}

impl FromRequestParts<Desk> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let caller = admit(parts, desk, Scope::Operate)?;
        let actor = Actor::new(&caller.name);
        actor
            .map(Self)
            .map_err(|error| Problem::new(Kind::Forbidden, error.to_string()))
    }
}

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = header.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let revision = text.trim_matches('"').parse();
        revision
            .map(|revision| Self(Some(revision)))
            .map_err(|_| Problem::new(Kind::BadRequest, "If-Match: expected a revision, such as \"7\""))
    }
}
