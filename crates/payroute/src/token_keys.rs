//! The file of keys that sign decision tokens and receipts.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use router::token::{InvalidKeyring, Key, Keyring, MIN_KEY_LEN};

/// Why the keys cannot be used. Messages name the file and never a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The file cannot be read or made.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line is something else.
    #[error("{}:{line}: expected `NUMBER HEX`, the number 0 to 255", path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
    },
    /// The keys cannot be used together.
    #[error("{}", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidKeyring,
    },
    /// The operating system gave no randomness.
    #[error("no randomness for a new key")]
    NoRandomness,
}

/// The keyring of the file at `path`. A file that is not there is made with one new key, readable by its owner only, so
/// that tokens outlive a restart without anything to configure.
pub(crate) fn load_or_make(path: &Path) -> Result<Keyring, KeysError> {
    let failed = |source| KeysError::File {
        path: path.to_owned(),
        source,
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
        Err(error) => return Err(failed(error)),
    };
    let keys = parse(path, &text)?;
    Keyring::new(&keys).map_err(|source| KeysError::Keyring {
        path: path.to_owned(),
        source,
    })
}

fn make(path: &Path) -> Result<String, KeysError> {
    let failed = |source| KeysError::File {
        path: path.to_owned(),
        source,
    };
    let mut secret = [0; MIN_KEY_LEN];
    SysRng
        .try_fill_bytes(&mut secret)
        .map_err(|_| KeysError::NoRandomness)?;
    let mut line = String::from("1 ");
    for byte in secret {
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = file.map_err(failed)?;
    file.write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    Ok(line)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Key>, KeysError> {
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = || {
            let (id, hex) = line.split_once(char::is_whitespace)?;
            Some(Key {
                id: id.parse().ok()?,
                secret: unhex(hex.trim())?,
            })
        };
        keys.push(key().ok_or_else(|| KeysError::BadLine {
            path: path.to_owned(),
            line: at + 1,
        })?);
    }
    Ok(keys)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proto::claims::DecisionClaims;

    use super::*;

    #[test]
    fn a_key_that_was_made_is_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data").join("keys");
        let token = load_or_make(&path)
            .unwrap()
            .seal_decision(&DecisionClaims::default());
        assert!(load_or_make(&path).unwrap().open_decision(&token).is_ok());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_is_no_key_is_named_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, "# ours\n1 c0ffe\n").unwrap();
        let said = load_or_make(&path).unwrap_err().to_string();
        assert!(said.contains("keys:2") && !said.contains("c0ffe"), "{said}");
    }
}
