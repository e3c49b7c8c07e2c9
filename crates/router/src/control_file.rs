//! The last good control state in a file, so that a router starts while its store is down.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use domain::control::Control;
use serde::{Deserialize, Serialize};

/// The format that this release writes, and the only one that it reads.
const FORMAT: u32 = 1;

/// Largest file that is read, in bytes: two documents of 1 MiB, escaped, and everything beside them.
const MAX_BYTES: u64 = 16 << 20;

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<C> {
    format: u32,
    control: C,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlFileError {
    /// The operating system refuses.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It is no control state.
    #[error("{} is no control state", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Another release wrote it.
    #[error("{} has format {format}, this release reads {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It is larger than any control state.
    #[error("{} is larger than {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Keeps `control` at `path`. Whatever happens meanwhile, the loss of power included, the file holds either this or what
/// it held before.
///
/// Blocks on the disk.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, control: &Control) -> Result<(), ControlFileError> {
    let kept = Kept {
        format: FORMAT,
        control,
    };
    let bytes = serde_json::to_vec(&kept).map_err(|source| ControlFileError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    written.map_err(failed("write", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))?;
    // The new name is durable only with its folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("flush", folder))
}

/// What was kept at `path`; `None` when there is no file.
///
/// Blocks on the disk.
///
/// # Errors
/// When the file cannot be read, or is not what this release writes.
pub fn load(path: &Path) -> Result<Option<Control>, ControlFileError> {
    let size = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(failed("read", path))?.len(),
    };
    if size > MAX_BYTES {
        return Err(ControlFileError::TooLarge {
            path: path.to_owned(),
        });
    }
    let bytes = fs::read(path).map_err(failed("read", path))?;
    let malformed = |source| ControlFileError::Malformed {
        path: path.to_owned(),
        source,
    };
    // The format first: what a later one holds need not even look like a control state.
    let kept: Kept<serde_json::Value> = serde_json::from_slice(&bytes).map_err(malformed)?;
    if kept.format != FORMAT {
        return Err(ControlFileError::Format {
            path: path.to_owned(),
            format: kept.format,
        });
    }
    serde_json::from_value(kept.control).map(Some).map_err(malformed)
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ControlFileError {
    let path = path.to_owned();
    move |source| ControlFileError::Io {
        operation,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use domain::control::{Actor, Document};
    use jiff::Timestamp;

    use super::*;

    fn control(revision: u64) -> Control {
        let document = Document {
            version: 1,
            text: "a: \"1\"\n".into(),
            author: Actor::file(),
            note: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
        };
        Control {
            revision,
            channels: document.clone(),
            policy: document,
            latest_policy: 1,
            policies_before: Vec::new(),
            suspensions: Vec::new(),
            breakers: Vec::new(),
            accounts: Vec::new(),
            limits: Vec::new(),
            imported: None,
        }
    }

    #[test]
    fn what_is_kept_last_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.json");
        assert_eq!(load(&path).unwrap(), None);
        for revision in [1, 2] {
            save(&path, &control(revision)).unwrap();
        }
        assert_eq!(load(&path).unwrap(), Some(control(2)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_save_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.json");
        save(&path, &control(1)).unwrap();
        // Where the new file should be, there is something that cannot be written.
        fs::create_dir(folder.path().join("control.json.new")).unwrap();
        let refused = save(&path, &control(2)).unwrap_err();
        assert!(refused.to_string().starts_with("cannot write"), "{refused}");
        assert_eq!(load(&path).unwrap(), Some(control(1)));
    }

    #[test]
    fn a_file_of_another_format_or_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.json");
        fs::write(&path, r#"{"format": 2, "control": {"shards": []}}"#).unwrap();
        assert!(matches!(
            load(&path),
            Err(ControlFileError::Format { format: 2, .. })
        ));
        save(&path, &control(1)).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(load(&path), Err(ControlFileError::Malformed { .. })));
    }
}
