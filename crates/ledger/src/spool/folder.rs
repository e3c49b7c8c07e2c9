//! The folder of a spool: one process owns it, and what is made or removed in it is durable when it says so.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::OpenError;

const SEGMENT: &str = "log";

/// The numbered files in a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The segments and the number of the first record of each, oldest first.
    pub(super) segments: Vec<(u64, PathBuf)>,
    /// The largest number that any file is named by, those that were set aside included: it is never used again.
    pub(super) largest: u64,
}

/// A folder, locked until dropped; the operating system lets go of the lock when the process dies.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
    _lock: File,
}

impl Folder {
    /// Takes the folder at `path` and makes it when it is not there; the one above it must be.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        if !path.is_dir() {
            make(path).map_err(OpenError::failed("make the folder", path))?;
        }
        let name = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&name)
            .map_err(OpenError::failed("open", &name))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse {
                folder: path.to_owned(),
            },
            TryLockError::Error(source) => OpenError::failed("lock", &name)(source),
        })?;
        Ok(Self {
            path: path.to_owned(),
            handle: File::open(path).map_err(OpenError::failed("open", path))?,
            _lock: lock,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes durable which names are in it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    /// The name of the segment whose first record has that number.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:020}.{SEGMENT}"))
    }

    /// What is there.
    pub(super) fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let Some(first) = name.split('.').next().and_then(|number| number.parse().ok()) else {
                continue;
            };
            listing.largest = listing.largest.max(first);
            if path.extension() == Some(OsStr::new(SEGMENT)) {
                listing.segments.push((first, path));
            }
        }
        listing.segments.sort();
        Ok(listing)
    }

    /// Takes a segment out of the spool and keeps it for people, beside it with `.bad` at the end of its name.
    pub(super) fn set_aside(segment: &Path) -> io::Result<()> {
        let mut aside = segment.as_os_str().to_owned();
        aside.push(".bad");
        fs::rename(segment, aside)
    }

    /// Keeps `content` for people, under the number of the record it was in.
    pub(super) fn keep_aside(&self, number: u64, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.path.join(format!("{number:020}.refused.bad"));
        let mut file = File::create(&path)?;
        file.write_all(content)?;
        file.sync_all()?;
        self.sync()?;
        Ok(path)
    }
}

/// Makes a folder whose name survives the loss of power.
fn make(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    match path.parent() {
        Some(above) if above != Path::new("") => File::open(above)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
