//! The tokens that are accepted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::scope::Scope;

/// A caller that has shown its token: the name in the tokens file, for logs and the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name.
    pub name: Arc<str>,
}

/// Why a tokens file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokens {
    /// A line that is not `NAME SHA256 [SCOPES]`.
    #[error("line {line}: expected `NAME SHA256 [SCOPES]`, the hash as 64 hexadecimal digits")]
    BadLine {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A scope that does not exist.
    #[error("line {line}: `{scope}` is not a scope; there are call, read and operate")]
    BadScope {
        /// Number of the line, from 1.
        line: usize,
        /// What stands there.
        scope: String,
    },
    /// The file has no token, so nobody could call.
    #[error("holds no token")]
    Empty,
}

/// Who holds a token.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) name: Arc<str>,
    pub(crate) scopes: Vec<Scope>,
}

/// The tokens that are accepted, by their SHA-256. Looking a hash up tells a guesser nothing about the token.
#[derive(Clone, Debug, Default)]
pub struct Tokens(HashMap<[u8; 32], Holder>);

impl Tokens {
    /// Reads the text of a tokens file: `NAME SHA256 [SCOPES]` a line, the scopes separated by commas, empty lines
    /// and `#` comments skipped. A name may stand twice, so that a token can be replaced while the old one is still
    /// in use. A line without scopes has [`Scope::DEFAULT`].
    ///
    /// # Errors
    /// When a line is something else, or no token is left.
    pub fn parse(text: &str) -> Result<Self, InvalidTokens> {
        let mut tokens = HashMap::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (hash, holder) = read(text, line)?;
            tokens.insert(hash, holder);
        }
        if tokens.is_empty() {
            Err(InvalidTokens::Empty)
        } else {
            Ok(Self(tokens))
        }
    }

    /// The line to put into a tokens file for `token`.
    #[must_use]
    pub fn line(name: &str, token: &str, scopes: &[Scope]) -> String {
        let mut line = format!("{name} ");
        for byte in Sha256::digest(token) {
            let _ = write!(line, "{byte:02x}");
        }
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        let _ = write!(line, " {}", scopes.join(","));
        line
    }

    /// Who holds the token of an `authorization` header; `None` when it is not known.
    pub(crate) fn holder(&self, header: &str) -> Option<&Holder> {
        let (scheme, token) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token.trim()).into();
        self.0.get(&hash)
    }
}

fn read(text: &str, line: usize) -> Result<([u8; 32], Holder), InvalidTokens> {
    let bad = InvalidTokens::BadLine { line };
    let mut words = text.split_whitespace();
    let (Some(name), Some(hash)) = (words.next(), words.next().and_then(unhex)) else {
        return Err(bad);
    };
    let scopes = match words.next() {
        None => Scope::DEFAULT.to_vec(),
        Some(scopes) => scopes
            .split(',')
            .map(|scope| {
                Scope::from_name(scope).ok_or_else(|| InvalidTokens::BadScope {
                    line,
                    scope: scope.to_owned(),
                })
            })
            .collect::<Result<_, _>>()?,
    };
    if words.next().is_some() {
        return Err(bad);
    }
    let name = name.into();
    Ok((hash, Holder { name, scopes }))
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

    fn refused(text: &str) -> InvalidTokens {
        Tokens::parse(text).unwrap_err()
    }

    #[test]
    fn a_line_that_is_no_token_is_named() {
        let good = Tokens::line("checkout", "s3cret", &Scope::ALL);
        assert_eq!(
            refused("# ours\ncheckout abc"),
            InvalidTokens::BadLine { line: 2 }
        );
        assert_eq!(
            refused(&format!("{good} more")),
            InvalidTokens::BadLine { line: 1 }
        );
        assert_eq!(refused("\n"), InvalidTokens::Empty);
    }

    #[test]
    fn a_scope_that_does_not_exist_is_named() {
        let line = Tokens::line("checkout", "s3cret", &[Scope::Call]);
        let scope = "everything".to_owned();
        assert_eq!(
            refused(&line.replace("call", "call,everything")),
            InvalidTokens::BadScope { line: 1, scope }
        );
    }

    #[test]
    fn a_line_without_scopes_cannot_change_anything() {
        let line = Tokens::line("checkout", "s3cret", &[]);
        let tokens = Tokens::parse(&line).unwrap();
        assert_eq!(tokens.holder("Bearer s3cret").unwrap().scopes, Scope::DEFAULT);
    }
}
