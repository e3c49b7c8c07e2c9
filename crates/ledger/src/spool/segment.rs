//! One file of the spool, and which of its records wait.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use domain::outcome_event::OutcomeId;
use jiff::Timestamp;
use tracing::{error, warn};

use super::error::OpenError;
use super::frame::{self, Piece};
use super::names::Names;
use super::payload::{self, Group, Outline};

/// A record that waits to be drained.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its number.
    pub(super) number: u64,
    /// Where it begins in its segment.
    pub(super) offset: u64,
    /// How long it is, head and payload.
    pub(super) len: usize,
    /// Attempts and decisions in it.
    pub(super) entries: usize,
    /// When the first of them arrived.
    pub(super) since: Option<Timestamp>,
    /// The names of the attempts in it.
    pub(super) names: Vec<OutcomeId>,
    /// Whether an earlier process left it.
    pub(super) inherited: bool,
}

/// A file of records.
#[derive(Debug)]
pub(super) struct Segment {
    /// The file.
    pub(super) path: PathBuf,
    /// Its length in whole records.
    pub(super) bytes: u64,
    /// Its records that were not drained yet.
    pub(super) waiting: VecDeque<Waiting>,
    /// Whether it holds something that cannot be read: then it is kept for people when it is done with.
    pub(super) damaged: bool,
    /// The largest number in it, drained or not.
    pub(super) last: u64,
}

/// What was found in a segment besides its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Places that hold no record that can be read.
    pub(super) damaged: u64,
    /// Ends that were never written whole.
    pub(super) torn: u64,
}

impl Segment {
    /// A segment that was just made.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            bytes: 0,
            waiting: VecDeque::new(),
            damaged: false,
            last: 0,
        }
    }

    /// Reads what an earlier process left, of which the records after `position` wait; cuts off a torn end.
    ///
    /// The names of what waits go to `names`.
    pub(super) fn recover(
        path: PathBuf,
        position: u64,
        names: &mut Names,
    ) -> Result<(Self, Findings), OpenError> {
        let bytes = fs::read(&path).map_err(OpenError::failed("read", &path))?;
        let mut segment = Self::new(path);
        let mut findings = Findings::default();
        for piece in frame::scan(&bytes) {
            match piece {
                Piece::Record { number, frame } => {
                    let readable = segment.take(number, frame, (&bytes, position), names);
                    findings.damaged += u64::from(!readable);
                }
                Piece::Newer { version } => {
                    return Err(OpenError::Newer {
                        path: segment.path,
                        version,
                        known: frame::VERSION,
                    });
                }
                Piece::Damaged(place) => {
                    segment.report_damage(place.start, "no record can be read there");
                    segment.bytes = length(place.end);
                    findings.damaged += 1;
                }
                Piece::Torn(place) => {
                    segment.cut_off(&place)?;
                    findings.torn += 1;
                }
            }
        }
        Ok((segment, findings))
    }

    /// Takes in a record that was found; `false` when what it holds cannot be read.
    fn take(
        &mut self,
        number: u64,
        frame: Range<usize>,
        (bytes, position): (&[u8], u64),
        names: &mut Names,
    ) -> bool {
        self.bytes = length(frame.end);
        self.last = self.last.max(number);
        if number <= position {
            return true;
        }
        let offset = frame.start;
        let record = bytes.get(frame).unwrap_or_default();
        let payload = frame::payload(number, record).unwrap_or_default();
        let outline: Outline = match payload::decode(payload) {
            Ok(outline) => outline,
            Err(problem) => {
                self.report_damage(offset, &problem.to_string());
                return false;
            }
        };
        let digests = outline.attempts.iter().map(|attempt| {
            let name = Names::of(&attempt.merchant, &attempt.attempt);
            names.add(name, &attempt.digest);
            name
        });
        let digests = digests.collect();
        self.waiting.push_back(Waiting {
            number,
            offset: length(offset),
            len: record.len(),
            entries: outline.entries(),
            since: outline.since(),
            names: digests,
            inherited: true,
        });
        true
    }

    /// Marks the segment as one to be kept for people, and calls them.
    pub(super) fn report_damage(&mut self, offset: usize, problem: &str) {
        self.damaged = true;
        error!(
            segment = %self.path.display(),
            offset,
            problem,
            "a record of the spool is damaged: its segment will be kept with `.bad` at the end of its name, \
             and what comes after it goes on"
        );
    }

    /// What was never acknowledged, because it was never written whole, goes.
    fn cut_off(&mut self, place: &Range<usize>) -> Result<(), OpenError> {
        warn!(
            segment = %self.path.display(),
            bytes = place.len(),
            "a record of the spool was not written to its end when the process stopped, and is cut off: \
             it was never acknowledged"
        );
        self.bytes = length(place.start);
        File::options()
            .write(true)
            .open(&self.path)
            .and_then(|file| {
                file.set_len(self.bytes)?;
                file.sync_all()
            })
            .map_err(OpenError::failed("cut off the torn end of", &self.path))
    }

    /// The group of a record that waits; `Ok(Err(_))` with the problem when it can never be read.
    pub(super) fn read(file: &mut File, waiting: &Waiting) -> io::Result<Result<Group, String>> {
        let mut record = vec![0; waiting.len];
        file.seek(SeekFrom::Start(waiting.offset))?;
        match file.read_exact(&mut record) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Err("the segment ends before it".to_owned()));
            }
            Err(error) => return Err(error),
        }
        let Some(payload) = frame::payload(waiting.number, &record) else {
            return Ok(Err("its checksum is wrong".to_owned()));
        };
        Ok(payload::decode(payload).map_err(|error| error.to_string()))
    }
}

/// A length in memory as one on the disk.
fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
