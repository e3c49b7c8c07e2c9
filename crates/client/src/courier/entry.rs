//! An entry of the journal, and how entries stand in a file: each with its length and a checksum, so that one that was
//! torn by a crash is recognised.

use prost::Message;
use proto::v1;

/// What a file begins with: its name and the form of its entries.
pub(super) const HEAD: &[u8; 8] = b"PRTJRNL1";

/// Length and checksum.
const FRAME: usize = 8;

/// The longest entry that is believed: a report with its token has a few kilobytes.
const MAX_LEN: usize = 1 << 20;

/// What is known of one letter. A later entry with the same number takes the place of an earlier one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    /// Its number, from 1.
    #[prost(uint64, tag = "1")]
    pub(super) seq: u64,
    /// The number of the letter whose answer it waits for; 0: none.
    #[prost(uint64, tag = "2")]
    pub(super) after: u64,
    /// It was delivered; nothing else is given then.
    #[prost(bool, tag = "3")]
    pub(super) done: bool,
    #[prost(string, tag = "4")]
    pub(super) merchant_id: String,
    #[prost(string, tag = "5")]
    pub(super) payment_id: String,
    #[prost(string, tag = "6")]
    pub(super) attempt_id: String,
    #[prost(string, tag = "7")]
    pub(super) channel_id: String,
    #[prost(message, optional, tag = "8")]
    pub(super) report: Option<v1::ReportOutcomeRequest>,
    #[prost(message, optional, tag = "9")]
    pub(super) resolve: Option<v1::ResolveAttemptRequest>,
}

impl Entry {
    /// That the letter of that number was delivered.
    pub(super) fn done(seq: u64) -> Self {
        Self {
            seq,
            done: true,
            ..Self::default()
        }
    }

    /// As it stands in the file.
    pub(super) fn frame(&self) -> Vec<u8> {
        let bytes = self.encode_to_vec();
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut frame = Vec::with_capacity(FRAME + bytes.len());
        frame.extend(len.to_le_bytes());
        frame.extend(crc32fast::hash(&bytes).to_le_bytes());
        frame.extend(bytes);
        frame
    }

    /// The entry at the beginning of `bytes`, and what follows it; `None` when there is none, or it is torn.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (entry, rest) = rest.split_at_checked(len).filter(|_| len <= MAX_LEN)?;
        if crc32fast::hash(entry) != u32::from_le_bytes(*sum) {
            return None;
        }
        Some((Self::decode(entry).ok()?, rest))
    }
}
