//! A local log of what was acknowledged while the ledger did not answer.
//!
//! A folder of segments, each a file of records that is only ever appended to; a record is one group of the writer. A
//! group is flushed to the disk before any of its callers is answered, and a segment is removed only after the ledger
//! has committed all of it. What lies between, a crash included, is drained again, which the ledger recognises: so
//! nothing is lost, and nothing counts twice.
//!
//! | in the folder | what it is |
//! |---|---|
//! | `<number>.log` | a segment, named by the number of its first record |
//! | `position` | the number of the last record that was drained |
//! | `lock` | held by the process that owns the spool |
//! | `<number>.log.bad` | a segment with a damaged record, kept for people when all else of it was drained |
//! | `<number>.refused.bad` | entries that the ledger will never take, with the reason, as JSON |
//!
//! After a crash the spool appends to no old segment: it drains them and begins a new one. So whatever a failed write
//! has left at the end of a file, no later record stands behind it.

mod error;
#[cfg(test)]
pub(crate) mod fault;
mod folder;
mod frame;
mod meter;
mod names;
mod payload;
mod portion;
mod position;
mod segment;

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use tracing::{error, warn};

pub use error::OpenError;
pub(crate) use portion::{Entry, Portion, Refused};

use crate::attempt::Recorded;
use crate::error::LedgerError;
use crate::port::Batch;
use folder::Folder;
use meter::Meter;
use names::Names;
use position::Position;
use segment::{Segment, Waiting};

/// Room for a quarter of a million outcomes of about a kilobyte each: three quarters of an hour at 100 a second.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// A segment is a thirty-second of the spool, so that draining gives room back early, and at most this large, so that
/// opening one takes little memory.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// Where the spool is and how large it may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder, on a disk that outlives the process. It is made when it is not there; the one above it must be.
    pub folder: PathBuf,
    /// Largest size of all segments together, in bytes; [`MAX_BYTES`] unless there is a reason. Past it outcomes are
    /// refused with [`LedgerError::SpoolFull`]. What was set aside for people does not count.
    pub max_bytes: u64,
}

/// How full a spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Groups that wait.
    pub records: usize,
    /// Attempts and decisions that wait.
    pub entries: usize,
    /// Attempts that wait.
    pub attempts: usize,
    /// Size of the segments in bytes, with what was drained of the oldest one.
    pub bytes: u64,
    /// When the oldest of it arrived; `None` when nothing waits.
    pub since: Option<Timestamp>,
}

/// An open spool, owned by this process until it is dropped.
pub struct Spool {
    folder: Folder,
    max_bytes: u64,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// The last of the segments, when it may be appended to.
    open: Option<File>,
    names: Names,
    position: Position,
    next_number: u64,
    usage: Usage,
    meter: Meter,
    #[cfg(test)]
    faults: fault::Faults,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("folder", &self.folder.path())
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens the spool and finds out what an earlier process left in it. Reads all of it: call it before serving.
    ///
    /// # Errors
    /// When another process has it, a later release has written it, or the disk does not do what it is asked.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let mut spool = Self::claim(settings)?;
        spool.recover()?;
        Ok(spool)
    }

    /// The spool before anything in it was looked at.
    fn claim(settings: &Settings) -> Result<Self, OpenError> {
        let folder = Folder::claim(&settings.folder)?;
        let position = Position::open(&folder)?;
        Ok(Self {
            max_bytes: settings.max_bytes,
            segments: VecDeque::new(),
            open: None,
            names: Names::default(),
            next_number: position.number() + 1,
            position,
            usage: Usage::default(),
            meter: Meter::new(),
            #[cfg(test)]
            faults: fault::Faults::default(),
            folder,
        })
    }

    fn recover(&mut self) -> Result<(), OpenError> {
        let failed = OpenError::failed("list", self.folder.path());
        let listing = self.folder.list().map_err(failed)?;
        self.next_number = self.next_number.max(listing.largest.saturating_add(1));
        for (_, path) in listing.segments {
            let (segment, findings) = Segment::recover(path, self.position.number(), &mut self.names)?;
            self.meter.torn.increment(findings.torn);
            self.meter.set_aside.increment(findings.damaged);
            self.next_number = self.next_number.max(segment.last.saturating_add(1));
            self.usage.bytes += segment.bytes;
            for waiting in &segment.waiting {
                self.usage.records += 1;
                self.usage.entries += waiting.entries;
            }
            self.segments.push_back(segment);
        }
        self.release();
        Ok(())
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Keeps the attempts and decisions of `batch`: when it answers, they survive the loss of power. Its resolutions
    /// are not looked at, for they need to know the present state of their attempts.
    ///
    /// Each attempt is answered as far as the spool knows: one that the ledger has had before is new to it, and found
    /// out when it is drained.
    pub(crate) fn keep(&mut self, batch: &Batch) -> Result<Vec<Recorded>, LedgerError> {
        let (fresh, answers) = self.names.judge(&batch.attempts);
        if fresh.is_empty() && batch.decisions.is_empty() {
            return Ok(answers);
        }
        let attempts: Vec<_> = fresh.iter().map(|(_, attempt)| *attempt).collect();
        let count = u64::try_from(attempts.len()).unwrap_or(u64::MAX);
        let kept = payload::encode(&attempts, &batch.decisions)
            .and_then(|payload| self.append(&payload))
            .inspect_err(|_| self.meter.refused.increment(count));
        let (number, offset, len) = kept?;
        let received = attempts.iter().map(|attempt| attempt.received_at);
        let decided = batch.decisions.iter().map(|decision| decision.decided_at);
        let waiting = Waiting {
            number,
            offset,
            len,
            entries: attempts.len() + batch.decisions.len(),
            since: received.chain(decided).min(),
            names: fresh.iter().map(|(name, _)| *name).collect(),
            inherited: false,
        };
        for (name, attempt) in &fresh {
            self.names.add(*name, &attempt.digest);
        }
        self.usage.records += 1;
        self.usage.entries += waiting.entries;
        if let Some(segment) = self.segments.back_mut() {
            segment.waiting.push_back(waiting);
        }
        self.meter.kept.increment(count);
        self.show();
        Ok(answers)
    }

    /// Writes a record and flushes it: its number, where it begins in the last segment, and how long it is.
    fn append(&mut self, payload: &[u8]) -> Result<(u64, u64, usize), LedgerError> {
        let number = self.next_number;
        let operation = "write to its spool";
        let head = frame::head(number, payload).ok_or_else(|| LedgerError::Unstorable {
            field: "spool record",
            problem: format!("{} bytes are too many", payload.len()),
        })?;
        let record = [head.as_slice(), payload].concat();
        let len = u64::try_from(record.len()).unwrap_or(u64::MAX);
        if self.usage.bytes.saturating_add(len) > self.max_bytes {
            return Err(LedgerError::SpoolFull {
                max_bytes: self.max_bytes,
            });
        }
        // A number is never used twice, also when its record failed: half of it may still be on the disk.
        self.next_number += 1;
        match self.write(number, &record) {
            Ok(()) => {
                self.usage.bytes += len;
                let offset = self.segments.back_mut().map_or(0, |segment| {
                    let offset = segment.bytes;
                    segment.bytes += len;
                    offset
                });
                Ok((number, offset, record.len()))
            }
            Err(error) => {
                self.abandon();
                Err(error::refused(operation, self.folder.path(), error))
            }
        }
    }

    fn write(&mut self, number: u64, record: &[u8]) -> io::Result<()> {
        let limit = (self.max_bytes / 32).clamp(1, SEGMENT_BYTES);
        let full = |segment: &Segment| segment.bytes >= limit;
        let file = match &mut self.open {
            Some(file) if !self.segments.back().is_none_or(full) => file,
            open => {
                let path = self.folder.segment(number);
                let file = open.insert(File::options().append(true).create_new(true).open(&path)?);
                self.segments.push_back(Segment::new(path));
                #[cfg(test)]
                self.faults.reached(fault::Step::SegmentMade)?;
                self.folder.sync()?;
                #[cfg(test)]
                self.faults.reached(fault::Step::FolderSynced)?;
                file
            }
        };
        file.write_all(record)?;
        #[cfg(test)]
        self.faults.reached(fault::Step::RecordWritten)?;
        file.sync_data()?;
        #[cfg(test)]
        self.faults.reached(fault::Step::RecordSynced)?;
        Ok(())
    }

    /// Leaves the open segment as it was before a write failed, and never touches its end again: after a failed flush
    /// nobody knows what the disk has, and a second flush that succeeds says nothing about the first.
    fn abandon(&mut self) {
        if let (Some(file), Some(segment)) = (self.open.take(), self.segments.back()) {
            let cut = file.set_len(segment.bytes).and_then(|()| file.sync_all());
            #[cfg(test)]
            let cut = cut.and_then(|()| self.faults.reached(fault::Step::TailCut));
            if let Err(error) = cut {
                warn!(
                    segment = %segment.path.display(),
                    "what a failed write has left in the spool could not be cut off; \
                     it may be drained though it was refused: {error}"
                );
            }
        }
        self.release();
    }

    /// What waits longest, whole records of at least `entries` attempts and decisions together, or all there is;
    /// `None` when nothing waits. It waits on until [`Spool::advance`].
    ///
    /// A record that cannot be read back is left out, and its segment marked to be kept.
    pub(crate) fn next(&mut self, entries: usize) -> Result<Option<Portion>, LedgerError> {
        let mut portion = Portion::default();
        for segment in &mut self.segments {
            if segment.waiting.is_empty() {
                continue;
            }
            if portion.entries() >= entries {
                break;
            }
            let failed = |error| error::refused("read its spool", self.folder.path(), error);
            let mut file = File::open(&segment.path).map_err(failed)?;
            let mut index = 0;
            while let Some(waiting) = segment.waiting.get(index) {
                match Segment::read(&mut file, waiting).map_err(failed)? {
                    Ok(group) => {
                        portion.add(waiting, group);
                        index += 1;
                    }
                    Err(problem) => {
                        let offset = usize::try_from(waiting.offset).unwrap_or(usize::MAX);
                        segment.report_damage(offset, &problem);
                        self.meter.set_aside.increment(1);
                        if let Some(waiting) = segment.waiting.remove(index) {
                            forget(&waiting, &mut self.names, &mut self.usage);
                        }
                    }
                }
                if portion.entries() >= entries {
                    break;
                }
            }
        }
        self.release();
        Ok((portion.entries() > 0).then_some(portion))
    }

    /// The ledger has all records up to number `upto`: they wait no longer.
    pub(crate) fn advance(&mut self, upto: u64) {
        let before = self.names.len();
        for segment in &mut self.segments {
            while let Some(waiting) = segment.waiting.pop_front_if(|waiting| waiting.number <= upto) {
                forget(&waiting, &mut self.names, &mut self.usage);
            }
        }
        let drained = before - self.names.len();
        self.meter
            .drained
            .increment(u64::try_from(drained).unwrap_or(u64::MAX));
        let moved = self.position.advance(upto);
        #[cfg(test)]
        let moved = moved.and_then(|()| self.faults.reached(fault::Step::PositionWritten));
        if let Err(error) = moved {
            warn!(
                "the position of the spool was not written: a restart would drain more than is left: {error}"
            );
        }
        self.release();
    }

    /// Keeps for people what the ledger will never take, durably.
    pub(crate) fn set_aside(&mut self, number: u64, refused: &[Refused]) -> Result<(), LedgerError> {
        let unstorable = |error: serde_json::Error| LedgerError::Unstorable {
            field: "set aside",
            problem: error.to_string(),
        };
        let content = serde_json::to_vec_pretty(refused).map_err(unstorable)?;
        let path = self
            .folder
            .keep_aside(number, &content)
            .map_err(|error| error::refused("set aside what it cannot take", self.folder.path(), error))?;
        self.meter
            .set_aside
            .increment(u64::try_from(refused.len()).unwrap_or(u64::MAX));
        error!(
            entries = refused.len(),
            file = %path.display(),
            "the ledger will never take some of what was spooled: it is kept in `{}`",
            path.display()
        );
        Ok(())
    }

    /// Gives up the oldest segments that nothing waits in.
    fn release(&mut self) {
        while let Some(done) = self.segments.pop_front_if(|segment| segment.waiting.is_empty()) {
            if self.segments.is_empty() {
                self.open = None;
            }
            self.usage.bytes = self.usage.bytes.saturating_sub(done.bytes);
            let gone = if done.damaged {
                Folder::set_aside(&done.path)
            } else {
                fs::remove_file(&done.path)
            };
            #[cfg(test)]
            let gone = gone.and_then(|()| self.faults.reached(fault::Step::SegmentGone));
            if let Err(error) = gone.and_then(|()| self.folder.sync()) {
                warn!(
                    segment = %done.path.display(),
                    "a drained segment of the spool is still there; a restart would look at it again: {error}"
                );
            }
        }
        self.show();
    }

    fn show(&mut self) {
        self.usage.attempts = self.names.len();
        let waiting = self.segments.iter().find_map(|segment| segment.waiting.front());
        self.usage.since = waiting.and_then(|waiting| waiting.since);
        self.meter.show(&self.usage);
    }
}

fn forget(waiting: &Waiting, names: &mut Names, usage: &mut Usage) {
    usage.records = usage.records.saturating_sub(1);
    usage.entries = usage.entries.saturating_sub(waiting.entries);
    for name in &waiting.names {
        names.remove(*name);
    }
}

#[cfg(test)]
pub(crate) mod tests;
