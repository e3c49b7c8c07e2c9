//! Watermarks: up to when everything in the ledger was brought to the streams. A Redis that went back in time, after a
//! failover to a replica that lagged, has an old one, and so tells by itself from when on to bring everything again.

use jiff::Timestamp;

use super::connection::Store;
use super::error::StatsError;
use super::partition_id::PartitionId;

impl Store {
    /// The time of the partition's last complete sweep; `None` when there was none since Redis was empty.
    ///
    /// # Errors
    /// When Redis cannot be asked, or holds something else.
    pub async fn watermark(&self, partition: PartitionId) -> Result<Option<Timestamp>, StatsError> {
        let key = self.keys.watermark(partition);
        let kept: Option<i64> = self.query(redis::cmd("GET").arg(key)).await?;
        let time = |ms| {
            Timestamp::from_millisecond(ms).map_err(|_| StatsError::Corrupt(format!("the watermark is {ms}")))
        };
        kept.map(time).transpose()
    }

    /// Keeps the time of a complete sweep.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn set_watermark(&self, partition: PartitionId, at: Timestamp) -> Result<(), StatsError> {
        let key = self.keys.watermark(partition);
        self.query(redis::cmd("SET").arg(key).arg(at.as_millisecond()))
            .await
    }
}
