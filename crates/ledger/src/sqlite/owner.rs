//! One process owns a ledger: two would each answer from their own windows and breakers.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;

/// The lock on a ledger, held until dropped; the operating system lets go of it when the process dies.
///
/// The lock is on a file of its own: SQLite's own locks come and go with its transactions.
#[derive(Debug)]
pub(super) struct Owner {
    _locked: File,
}

impl Owner {
    /// Takes the ledger at `path`.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        refuse_unwritable(path)?;
        // Two names of one file, by a symbolic link, are one ledger. A file that is not there yet has one name.
        let lock = beside(&path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let unwritable = |source| OpenError::Unwritable {
            path: lock.clone(),
            source: Arc::new(source),
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _locked: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.to_owned(),
                lock,
            }),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }
}

/// Finds out beforehand what SQLite would only call "unable to open database file".
fn refuse_unwritable(path: &Path) -> Result<(), OpenError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(OpenError::NoDirectory {
            path: path.to_owned(),
        });
    }
    let unwritable = |source| OpenError::Unwritable {
        path: path.to_owned(),
        source: Arc::new(source),
    };
    match path.metadata() {
        // The administrator's rights would let us write it all the same; whoever marked it meant that nobody should.
        Ok(metadata) if metadata.is_file() && metadata.permissions().readonly() => {
            Err(unwritable(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                "the file is marked read-only",
            )))
        }
        Ok(metadata) if metadata.is_file() => OpenOptions::new()
            .append(true)
            .open(path)
            .map(drop)
            .map_err(unwritable),
        Ok(_) => Err(OpenError::NotALedger {
            path: path.to_owned(),
            problem: "it is not a regular file",
        }),
        // Whether a new file can be made shows when it is made.
        Err(_) => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
