//! How far the spool was drained: the number of the last record that the ledger has.
//!
//! Overwritten in place and never flushed on its own: after the loss of power it may be an older one, and what it
//! misses is drained again, which the ledger recognises. It is never ahead of the ledger.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::error::OpenError;
use super::folder::Folder;

/// The file with the number and its checksum.
#[derive(Debug)]
pub(super) struct Position {
    file: File,
    number: u64,
}

impl Position {
    /// Reads it; one that cannot be read counts as none, for draining again is harmless.
    pub(super) fn open(folder: &Folder) -> Result<Self, OpenError> {
        let path = folder.path().join("position");
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(OpenError::failed("open", &path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(OpenError::failed("read", &path))?;
        let number = decode(&bytes).unwrap_or(0);
        Ok(Self { file, number })
    }

    /// The number of the last record that was drained; 0 when none was.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Moves on to `number`. When that cannot be written down, it still holds until the end of the process.
    pub(super) fn advance(&mut self, number: u64) -> io::Result<()> {
        self.number = self.number.max(number);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&encode(self.number))
    }
}

fn encode(number: u64) -> Vec<u8> {
    let number = number.to_le_bytes();
    [number.as_slice(), &crc32fast::hash(&number).to_le_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, sum) = bytes.split_first_chunk::<8>()?;
    let good = sum == crc32fast::hash(number).to_le_bytes();
    good.then(|| u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_a_half_written_one_is_none() {
        let bytes = encode(7_000_000_000);
        assert_eq!(decode(&bytes), Some(7_000_000_000));
        assert_eq!(decode(&bytes[..11]), None);
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[0; 12]), None);
    }
}
