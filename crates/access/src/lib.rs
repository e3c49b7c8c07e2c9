//! Who may do what: bearer tokens with scopes, kept as hashes.
//!
//! Every listener asks the same [`Guard`]: gRPC, the control plane and the probes. Without a tokens file everyone who
//! reaches a listener may do everything, which is why only loopback is listened on then.

mod scope;
mod tokens;

use std::sync::Arc;

pub use scope::Scope;
pub use tokens::{Caller, InvalidTokens, Tokens};

/// The caller where no tokens are configured, as logs and the audit name it.
pub const ANYBODY: &str = "local";

/// Lets a call pass when its token is known and may do it, or when no tokens are configured.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    tokens: Option<Arc<Tokens>>,
}

/// Why a call may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It shows no token, or one that is not known.
    #[error("a bearer token is needed in the `authorization` header")]
    Unknown,
    /// Its token is for other things.
    #[error("the token lacks the scope `{}`", .0.as_str())]
    Scope(Scope),
}

impl Guard {
    /// A guard that asks for one of `tokens`; `None`: for nothing.
    #[must_use]
    pub fn new(tokens: Option<Tokens>) -> Self {
        Self {
            tokens: tokens.map(Arc::new),
        }
    }

    /// Whether tokens are asked for.
    #[must_use]
    pub const fn is_armed(&self) -> bool {
        self.tokens.is_some()
    }

    /// Who calls with this `authorization` header, if it may do `scope`.
    ///
    /// # Errors
    /// When it may not.
    pub fn admit(&self, header: Option<&str>, scope: Scope) -> Result<Caller, Refused> {
        let Some(tokens) = &self.tokens else {
            return Ok(Caller { name: ANYBODY.into() });
        };
        let holder = header
            .and_then(|header| tokens.holder(header))
            .ok_or(Refused::Unknown)?;
        if holder.scopes.contains(&scope) {
            Ok(Caller {
                name: Arc::clone(&holder.name),
            })
        } else {
            Err(Refused::Scope(scope))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(scopes: &[Scope]) -> Guard {
        Guard::new(Some(
            Tokens::parse(&Tokens::line("checkout", "s3cret", scopes)).unwrap(),
        ))
    }

    #[test]
    fn a_known_token_passes_with_its_name() {
        let admitted = guard(&[Scope::Call]).admit(Some("Bearer s3cret"), Scope::Call);
        assert_eq!(&*admitted.unwrap().name, "checkout");
    }

    #[test]
    fn an_unknown_or_missing_token_is_refused() {
        for header in [None, Some("Bearer other"), Some("Basic s3cret"), Some("s3cret")] {
            let refused = guard(&Scope::ALL).admit(header, Scope::Read);
            assert_eq!(refused, Err(Refused::Unknown), "{header:?}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_scopes_alone() {
        let guard = guard(&[Scope::Call, Scope::Read]);
        let admit = |scope| guard.admit(Some("bearer s3cret"), scope).map(drop);
        assert_eq!(admit(Scope::Read), Ok(()));
        assert_eq!(admit(Scope::Operate), Err(Refused::Scope(Scope::Operate)));
    }

    #[test]
    fn without_tokens_nothing_is_asked_for() {
        let admitted = Guard::default().admit(None, Scope::Operate);
        assert_eq!(&*admitted.unwrap().name, ANYBODY);
    }
}
