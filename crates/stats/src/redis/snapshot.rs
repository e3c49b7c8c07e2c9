//! What readers see of a partition, as bytes.
//!
//! ```text
//! byte 0      version of the format
//! bytes 1-8   xxh3 of the rest, least byte first
//! rest        postcard
//! ```

use domain::snapshot::ChannelRow;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::connection::Store;
use super::error::StatsError;
use super::partition_id::PartitionId;
use super::state::Epoch;

/// Version of the format. A reader refuses every other one: it keeps what it has until it is upgraded too.
const SCHEMA: u8 = 1;

/// The health of a partition's channels at one moment, without their breakers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSnapshot {
    /// The life of the statistics.
    pub epoch: Epoch,
    /// Its number in this life. Readers keep the one with the highest epoch and number.
    pub seq: u64,
    /// The moment it describes, by the server's clock.
    pub as_of: Timestamp,
    /// Its channels that had outcomes, in no particular order.
    pub rows: Vec<ChannelRow>,
}

/// Why bytes are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSnapshot {
    /// They were written by another version.
    #[error("is of format {0}, not {SCHEMA}")]
    Schema(u8),
    /// They are damaged.
    #[error("is damaged")]
    Corrupt,
}

impl PartitionSnapshot {
    /// The snapshot as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        seal(self)
    }

    /// The snapshot that `bytes` hold.
    ///
    /// # Errors
    /// When they hold none, or one of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        open(bytes)
    }
}

/// Anything as bytes that tell when they were damaged.
pub(super) fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain data has a form always; were there none, readers would refuse the empty one.
    let body = postcard::to_stdvec(value).unwrap_or_default();
    let mut bytes = vec![SCHEMA];
    bytes.extend(xxh3_64(&body).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// What [`seal`] made bytes of.
pub(super) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadSnapshot> {
    let (schema, rest) = bytes.split_first().ok_or(BadSnapshot::Corrupt)?;
    if *schema != SCHEMA {
        return Err(BadSnapshot::Schema(*schema));
    }
    let (sum, body) = rest.split_first_chunk().ok_or(BadSnapshot::Corrupt)?;
    if u64::from_le_bytes(*sum) != xxh3_64(body) {
        return Err(BadSnapshot::Corrupt);
    }
    postcard::from_bytes(body).map_err(|_| BadSnapshot::Corrupt)
}

impl Store {
    /// The published snapshots, as bytes, of the partitions that have one.
    ///
    /// # Errors
    /// When Redis could not be asked for any of them; when only for some, those are left out.
    pub async fn snapshots(&self) -> Result<Vec<(PartitionId, Vec<u8>)>, StatsError> {
        let partitions: Vec<PartitionId> = PartitionId::all().collect();
        let ask = async |partition: &PartitionId| {
            let key = self.keys.snapshot(*partition);
            self.query::<Option<Vec<u8>>>(redis::cmd("GET").arg(key)).await
        };
        let mut found = Vec::new();
        let mut answered = false;
        let mut failure = None;
        for (partition, answer) in partitions.iter().zip(join_all(partitions.iter().map(ask)).await) {
            match answer {
                Ok(bytes) => {
                    answered = true;
                    found.extend(bytes.map(|bytes| (*partition, bytes)));
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !answered => Err(error),
            _ => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::id::ChannelId;
    use domain::snapshot::ChannelRow;

    use super::*;

    fn snapshot() -> PartitionSnapshot {
        PartitionSnapshot {
            epoch: Epoch(7),
            seq: 3,
            as_of: "2026-05-01T00:00:00.123456Z".parse().unwrap(),
            rows: vec![ChannelRow::of(
                ChannelId::new("a").unwrap(),
                None,
                Timestamp::UNIX_EPOCH,
            )],
        }
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        assert_eq!(PartitionSnapshot::decode(&snapshot().encode()), Ok(snapshot()));
    }

    #[test]
    fn f26_a_damaged_or_foreign_snapshot_is_refused_wherever_the_damage_is() {
        let good = snapshot().encode();
        for at in 1..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_eq!(
                PartitionSnapshot::decode(&bad),
                Err(BadSnapshot::Corrupt),
                "byte {at}"
            );
            assert!(PartitionSnapshot::decode(&good[..at]).is_err(), "cut at {at}");
        }
        let mut older = good;
        older[0] = 0;
        assert_eq!(PartitionSnapshot::decode(&older), Err(BadSnapshot::Schema(0)));
        assert_eq!(PartitionSnapshot::decode(&[]), Err(BadSnapshot::Corrupt));
    }
}
