//! The journal: attempts and undelivered outcomes in a file, so that they outlive a crash of the process.
//!
//! One thread writes, in the order in which it is told. An entry is with the operating system before an attempt is
//! submitted; that outlives the process. It does not outlive the machine's losing power, which the provider's books and the
//! settlement file are for.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

use super::entry::{Entry, HEAD};

/// Entries that may wait to be written.
const QUEUE: usize = 1_024;

/// A file of this many bytes is written anew when most of it is about outcomes that were delivered.
const TIDY_AT: u64 = 1 << 20;

enum Order {
    Append(Box<Entry>, oneshot::Sender<io::Result<()>>),
    Done(u64),
    Close(oneshot::Sender<()>),
}

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    orders: mpsc::Sender<Order>,
}

impl Journal {
    /// Goes on with the file at `path`, or begins it. Gives what an earlier process left undelivered, oldest first.
    ///
    /// # Errors
    /// When the file or its folder cannot be used, another process has it, or it is not a journal.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let mut book = Book::open(path)?;
        let left = book.left.values().cloned().collect();
        let (orders, mut told) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new().name("payroute-journal".to_owned());
        writer.spawn(move || {
            while let Some(order) = told.blocking_recv() {
                if let Order::Close(closed) = order {
                    // Before the answer, so that the file is free when it comes.
                    drop(book);
                    let _nobody_waits = closed.send(());
                    return;
                }
                book.follow(order);
            }
        })?;
        Ok((Self { orders }, left))
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) async fn append(&self, entry: Entry) -> io::Result<()> {
        let (written, done) = oneshot::channel();
        let gone = || io::Error::other("the journal is closed");
        let order = Order::Append(Box::new(entry), written);
        self.orders.send(order).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    /// Writes down that a letter was delivered. Should that fail, it is delivered again, which does no harm.
    pub(super) async fn done(&self, seq: u64) {
        let _closed = self.orders.send(Order::Done(seq)).await;
    }

    /// Writes what is still to be written, and leaves the file.
    pub(super) async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.orders.send(Order::Close(closed)).await.is_ok() {
            let _closed = done.await;
        }
    }
}

/// The file and what is in it.
struct Book {
    path: PathBuf,
    file: File,
    len: u64,
    left: BTreeMap<u64, Entry>,
    /// Held so that no other process writes here.
    _lock: File,
}

impl Book {
    fn open(path: &Path) -> io::Result<Self> {
        let lock = private()
            .create(true)
            .truncate(false)
            .write(true)
            .open(beside(path, "lock"))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "another process has it open")
            }
            std::fs::TryLockError::Error(error) => error,
        })?;
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(mut file) => file.read_to_end(&mut bytes).map(drop)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let left = read(&bytes)?;
        let (file, len) = rewrite(path, &left)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            len,
            left,
            _lock: lock,
        })
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Append(entry, written) => {
                let result = self.write(&entry);
                if result.is_ok() {
                    self.left.insert(entry.seq, *entry);
                }
                let _nobody_waits = written.send(result);
            }
            Order::Done(seq) => {
                self.left.remove(&seq);
                if let Err(error) = self.write(&Entry::done(seq)) {
                    tracing::warn!(%error, "the journal of outcomes cannot be written: {error}");
                }
                self.tidy();
            }
            Order::Close(_) => {}
        }
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let frame = entry.frame();
        let written = self.file.write_all(&frame);
        if written.is_err() {
            // What is half written would hide everything behind it.
            self.file.set_len(self.len)?;
        } else {
            self.len += u64::try_from(frame.len()).unwrap_or(0);
        }
        written
    }

    /// Writes the file anew when it is long, and what is left would take less than half of it.
    fn tidy(&mut self) {
        if self.len < TIDY_AT {
            return;
        }
        let needed = self.left.values().map(prost::Message::encoded_len).sum::<usize>();
        if u64::try_from(needed).unwrap_or(u64::MAX).saturating_mul(2) > self.len {
            return;
        }
        match rewrite(&self.path, &self.left) {
            Ok((file, len)) => (self.file, self.len) = (file, len),
            Err(error) => tracing::warn!(%error, "the journal of outcomes cannot be written anew: {error}"),
        }
    }
}

/// The entries of a file that were not delivered. What follows a torn one was never acknowledged to anybody.
fn read(bytes: &[u8]) -> io::Result<BTreeMap<u64, Entry>> {
    let mut left = BTreeMap::new();
    if bytes.is_empty() {
        return Ok(left);
    }
    let Some(mut rest) = bytes.strip_prefix(HEAD) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a journal of this release",
        ));
    };
    while let Some((entry, following)) = Entry::read(rest) {
        if entry.done {
            left.remove(&entry.seq);
        } else {
            left.insert(entry.seq, entry);
        }
        rest = following;
    }
    Ok(left)
}

/// Writes `left` beside `path` and puts it in its place.
fn rewrite(path: &Path, left: &BTreeMap<u64, Entry>) -> io::Result<(File, u64)> {
    let fresh = beside(path, "new");
    let mut bytes = HEAD.to_vec();
    bytes.extend(left.values().flat_map(Entry::frame));
    let mut file = private().create(true).truncate(true).write(true).open(&fresh)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    drop(file);
    std::fs::rename(&fresh, path)?;
    let file = OpenOptions::new().append(true).open(path)?;
    Ok((file, u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Decision tokens are in the file, and they are nobody else's.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1;

    fn entry(seq: u64) -> Entry {
        let report = v1::ReportOutcomeRequest {
            attempt_id: format!("a-{seq}"),
            ..v1::ReportOutcomeRequest::default()
        };
        Entry {
            seq,
            report: Some(report),
            ..Entry::default()
        }
    }

    fn numbers(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.seq).collect()
    }

    #[tokio::test]
    async fn what_was_not_delivered_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes");
        let (journal, left) = Journal::open(&path).unwrap();
        assert!(left.is_empty());
        for seq in 1..=3 {
            journal.append(entry(seq)).await.unwrap();
        }
        journal.done(2).await;
        journal.close().await;
        let (journal, left) = Journal::open(&path).unwrap();
        assert_eq!(numbers(&left), [1, 3]);
        assert_eq!(left[0], entry(1));
        let in_use = Journal::open(&path).unwrap_err();
        assert!(in_use.to_string().contains("another process"), "{in_use}");
        journal.close().await;
    }

    #[tokio::test]
    async fn a_torn_entry_ends_the_journal_and_the_next_is_written_behind_the_whole_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes");
        let (journal, _) = Journal::open(&path).unwrap();
        for seq in 1..=2 {
            journal.append(entry(seq)).await.unwrap();
        }
        journal.close().await;
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..entry(2).frame().len() {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (journal, left) = Journal::open(&path).unwrap();
            assert_eq!(numbers(&left), [1], "cut by {cut}");
            journal.append(entry(3)).await.unwrap();
            journal.close().await;
            let (journal, left) = Journal::open(&path).unwrap();
            assert_eq!(numbers(&left), [1, 3]);
            journal.close().await;
        }
    }

    #[tokio::test]
    async fn a_journal_does_not_grow_with_what_was_delivered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes");
        let (journal, _) = Journal::open(&path).unwrap();
        let mut large = entry(1);
        large.merchant_id = "m".repeat(10_000);
        for seq in 1..=400 {
            journal.append(Entry { seq, ..large.clone() }).await.unwrap();
            journal.done(seq).await;
        }
        journal.close().await;
        let len = std::fs::metadata(&path).unwrap().len();
        assert!(len < 2 * TIDY_AT, "{len}");
    }

    #[test]
    fn another_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes");
        std::fs::write(&path, "something else").unwrap();
        assert!(Journal::open(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"something else");
    }
}
