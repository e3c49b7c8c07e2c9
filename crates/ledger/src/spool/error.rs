//! Why the spool could not be opened, and what an error of its disk is to those who write.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::LedgerError;

/// Why a spool could not be opened. Every message names the file or folder.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the spool open.
    #[error("the spool `{}` is in use by another process", folder.display())]
    InUse {
        /// The folder of the spool.
        folder: PathBuf,
    },
    /// A segment was written by a later release: this one would lose what is in it.
    #[error("`{}` holds records of form {version}, this release reads form {known}: use a newer release", path.display())]
    Newer {
        /// The segment.
        path: PathBuf,
        /// The form of its records.
        version: u8,
        /// The form that this release reads.
        known: u8,
    },
    /// The folder or a file in it could not be made, read or written.
    #[error("the spool cannot {operation} `{}`", path.display())]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// The operating system's answer to `operation` on `path`.
    pub(super) fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Failed {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// What the operating system's answer to `operation` means to who wanted to write.
pub(super) fn refused(operation: &'static str, folder: &Path, error: io::Error) -> LedgerError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
        LedgerError::Full {
            ledger: folder.display().to_string(),
            source: Arc::new(error),
        }
    } else {
        LedgerError::Unavailable {
            operation,
            source: Arc::new(error),
        }
    }
}
