//! Secrets: read from files, printed as `***`.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// Shown of a secret that is long enough to spare them.
const HINT_CHARS: usize = 4;

/// A text that must not be seen: a signing key, a token, an address that lets everyone post who knows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Only for the bytes that go on the wire, never for an error or a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown so that a person can tell two secrets apart: the last four characters, and those only of
    /// a secret of at least sixteen.
    #[must_use]
    pub fn hint(&self) -> String {
        let chars = self.0.chars().count();
        let shown = if chars >= 4 * HINT_CHARS { HINT_CHARS } else { 0 };
        let tail: String = self.0.chars().skip(chars - shown).collect();
        format!("***{tail}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret stands in the configuration: a file, or the text itself (which the configuration may have taken
/// from the environment).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum SecretSource {
    /// The text itself.
    Inline(Secret),
    /// A file that holds it; white space around it is not part of it.
    File {
        /// Where the file is.
        file: PathBuf,
    },
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MissingSecret {
    /// Its file cannot be read.
    #[error("cannot read the secret file {}", .path.display())]
    Unreadable {
        /// Where the file should be.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// It is there, and empty.
    #[error("the secret is empty")]
    Empty,
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// When its file cannot be read, or there is nothing in it.
    pub fn read(&self) -> Result<Secret, MissingSecret> {
        let text = match self {
            Self::Inline(secret) => secret.expose().trim().to_owned(),
            Self::File { file } => match std::fs::read_to_string(file) {
                Ok(text) => text.trim().to_owned(),
                Err(source) => {
                    return Err(MissingSecret::Unreadable {
                        path: file.clone(),
                        source,
                    });
                }
            },
        };
        if text.is_empty() {
            return Err(MissingSecret::Empty);
        }
        Ok(Secret(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let source = SecretSource::Inline(Secret::new("SEC0123456789"));
        assert!(!format!("{source:?} {:?}", source.read().unwrap()).contains("0123"));
    }

    #[test]
    fn only_a_long_secret_shows_its_end() {
        assert_eq!(Secret::new("SEC0123456789abcd").hint(), "***abcd");
        assert_eq!(Secret::new("short").hint(), "***");
        assert_eq!(Secret::new("").hint(), "***");
    }

    #[test]
    fn a_file_is_read_without_its_last_newline() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "SECabc\n").unwrap();
        let source: SecretSource = serde_json::from_value(serde_json::json!({ "file": file })).unwrap();
        assert_eq!(source.read().unwrap().expose(), "SECabc");
        std::fs::write(&file, " \n").unwrap();
        assert!(matches!(source.read(), Err(MissingSecret::Empty)));
    }

    #[test]
    fn a_missing_file_is_named_and_a_misspelt_key_refused() {
        let source: SecretSource = serde_json::from_str(r#"{"file":"/nowhere/secret"}"#).unwrap();
        assert!(source.read().unwrap_err().to_string().contains("/nowhere/secret"));
        assert!(serde_json::from_str::<SecretSource>(r#"{"file":"/a","mode":1}"#).is_err());
    }
}
