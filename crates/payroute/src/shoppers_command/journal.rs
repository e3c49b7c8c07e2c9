//! The journal: every outcome that Payroute has acknowledged, for those who look later whether it kept its word.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use client::{Acknowledged, Call};
use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// A file of one JSON object a line, each written whole at the moment of its acknowledgement.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    state: Mutex<State>,
    /// Cancelled when a line cannot be written: what goes on unrecorded would prove nothing.
    broken: CancellationToken,
}

#[derive(Debug)]
struct State {
    file: File,
    failure: Option<io::Error>,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    merchant: &'a str,
    payment: &'a str,
    attempt_id: &'a str,
    channel: &'a str,
    state: &'a str,
    duplicate: bool,
    call: &'static str,
}

impl Journal {
    /// Goes on with the file at `path`, or begins it; cancels `broken` when a line cannot be written.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn open(path: &Path, broken: CancellationToken) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write the journal {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(State { file, failure: None }),
            broken,
        })
    }

    /// Writes a line. The operating system has it afterwards, so that it outlives the process.
    pub(super) fn write(&self, said: &Acknowledged<'_>) {
        let line = Line {
            merchant: &said.subject.merchant_id,
            payment: &said.subject.payment_id,
            attempt_id: &said.subject.attempt_id,
            channel: &said.subject.channel_id,
            state: said.state,
            duplicate: said.duplicate,
            call: match said.call {
                Call::Report => "report",
                Call::Resolve => "resolve",
            },
        };
        let mut state = self.state.lock();
        let written = serde_json::to_vec(&line)
            .map_err(io::Error::from)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                state.file.write_all(&bytes)
            });
        if let Err(error) = written {
            state.failure.get_or_insert(error);
            self.broken.cancel();
        }
    }

    /// Says whether every line was written.
    ///
    /// # Errors
    /// The first line's that was not.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        match self.state.lock().failure.take() {
            Some(error) => {
                Err(error).with_context(|| format!("cannot write the journal {}", self.path.display()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use client::Subject;

    use super::*;

    fn write(journal: &Journal) {
        journal.write(&Acknowledged {
            subject: &Subject {
                merchant_id: "shop".to_owned(),
                payment_id: "pay-1".to_owned(),
                attempt_id: "a-1".to_owned(),
                channel_id: "wechat_direct".to_owned(),
            },
            state: "succeeded",
            duplicate: false,
            call: Call::Report,
        });
    }

    #[test]
    fn a_line_is_in_the_file_at_once_and_the_next_run_goes_on_below() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let line = "{\"merchant\":\"shop\",\"payment\":\"pay-1\",\"attempt_id\":\"a-1\",\"channel\":\
                    \"wechat_direct\",\"state\":\"succeeded\",\"duplicate\":false,\"call\":\"report\"}\n";
        for expected in [line.to_owned(), line.repeat(2)] {
            let journal = Journal::open(&path, CancellationToken::new()).unwrap();
            write(&journal);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
            journal.close().unwrap();
        }
    }

    #[test]
    fn a_full_disk_ends_the_run() {
        let broken = CancellationToken::new();
        let journal = Journal::open(Path::new("/dev/full"), broken.clone()).unwrap();
        write(&journal);
        assert!(broken.is_cancelled());
        let said = journal.close().unwrap_err().to_string();
        assert_eq!(said, "cannot write the journal /dev/full");
    }
}
