//! Who may call: bearer tokens, kept as hashes.

use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// A caller that has shown its token: the name in the tokens file, for logs and the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub String);

/// Why a tokens file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokens {
    /// A line that is not `NAME SHA256`.
    #[error("line {line}: expected `NAME SHA256`, the hash as 64 hexadecimal digits")]
    BadLine {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The file has no token, so nobody could call.
    #[error("holds no token")]
    Empty,
}

/// The tokens that are accepted, by their SHA-256. Looking a hash up tells a guesser nothing about the token.
#[derive(Clone, Debug, Default)]
pub struct Tokens(HashMap<[u8; 32], String>);

impl Tokens {
    /// Reads the text of a tokens file: `NAME SHA256` a line, empty lines and `#` comments skipped. A name may stand
    /// twice, so that a token can be replaced while the old one is still in use.
    ///
    /// # Errors
    /// When a line is something else, or no token is left.
    pub fn parse(text: &str) -> Result<Self, InvalidTokens> {
        let mut tokens = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line
                .split_once(char::is_whitespace)
                .ok_or(InvalidTokens::BadLine { line: at + 1 })?;
            let hash = unhex(hash.trim()).ok_or(InvalidTokens::BadLine { line: at + 1 })?;
            tokens.insert(hash, name.to_owned());
        }
        if tokens.is_empty() {
            Err(InvalidTokens::Empty)
        } else {
            Ok(Self(tokens))
        }
    }

    /// The line to put into a tokens file for `token`.
    #[must_use]
    pub fn line(name: &str, token: &str) -> String {
        let hex = Sha256::digest(token)
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
        format!("{name} {hex}")
    }

    /// The caller that an `authorization` header names; `None` when its token is not known.
    fn caller(&self, header: &str) -> Option<Caller> {
        let (scheme, token) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token.trim()).into();
        self.0.get(&hash).cloned().map(Caller)
    }
}

/// Lets a call pass when its token is known, or when no tokens are configured.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    tokens: Option<Tokens>,
}

impl Guard {
    /// A guard that asks for one of `tokens`; `None`: for nothing.
    #[must_use]
    pub fn new(tokens: Option<Tokens>) -> Self {
        Self { tokens }
    }

    /// Whether a call with this `authorization` header may pass, for listeners that do not speak gRPC.
    #[must_use]
    pub fn admits(&self, header: Option<&str>) -> bool {
        let Some(tokens) = &self.tokens else {
            return true;
        };
        header.and_then(|header| tokens.caller(header)).is_some()
    }
}

impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let Some(tokens) = &self.tokens else {
            return Ok(request);
        };
        let refused = || Status::unauthenticated("a bearer token is needed in the `authorization` header");
        let header = request.metadata().get("authorization");
        let header = header.and_then(|header| header.to_str().ok());
        let caller = header
            .and_then(|header| tokens.caller(header))
            .ok_or_else(refused)?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *place = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(guard: &mut Guard, header: Option<&str>) -> Result<Option<Caller>, tonic::Code> {
        let mut request = Request::new(());
        if let Some(header) = header {
            request
                .metadata_mut()
                .insert("authorization", header.parse().unwrap());
        }
        guard
            .call(request)
            .map(|request| request.extensions().get().cloned())
            .map_err(|status| status.code())
    }

    fn guard() -> Guard {
        Guard::new(Some(Tokens::parse(&Tokens::line("checkout", "s3cret")).unwrap()))
    }

    #[test]
    fn a_known_token_passes_with_its_name() {
        assert_eq!(
            call(&mut guard(), Some("Bearer s3cret")),
            Ok(Some(Caller("checkout".into())))
        );
    }

    #[test]
    fn an_unknown_or_missing_token_is_refused() {
        for header in [None, Some("Bearer other"), Some("Basic s3cret"), Some("s3cret")] {
            assert_eq!(
                call(&mut guard(), header),
                Err(tonic::Code::Unauthenticated),
                "{header:?}"
            );
        }
    }

    #[test]
    fn without_tokens_nothing_is_asked_for() {
        assert_eq!(call(&mut Guard::default(), None), Ok(None));
    }

    #[test]
    fn a_line_that_is_no_token_is_named() {
        assert_eq!(
            Tokens::parse("# ours\ncheckout abc").err(),
            Some(InvalidTokens::BadLine { line: 2 })
        );
        assert_eq!(Tokens::parse("\n").err(), Some(InvalidTokens::Empty));
    }
}
