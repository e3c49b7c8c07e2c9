//! The log of a fleet in Redis: a capped stream, and a key with the latest checkpoint. Both lie in one slot.

use domain::replica::{Checkpoint, Packet, Position};
use jiff::{SignedDuration, Timestamp};
use redis::streams::StreamRangeReply;
use redis::{FromRedisValue, cmd};

use super::{StatsError, Store};

use crate::evidence::{
    EvidenceLog, LogError, decode_checkpoint, decode_packet, encode_checkpoint, encode_packet,
};

/// Most packets kept, about: a minute of thirty busy replicas.
const MOST_PACKETS: usize = 20_000;

/// How long packets are kept: much longer than the checkpoint that a late reader begins with is old.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

/// How long a checkpoint is kept, in seconds: what was learnt an hour ago is better asked of the ledger.
const CHECKPOINT_TTL_S: u32 = 3_600;

/// How many appends there are between two that drop what is older than [`KEPT`].
const TRIM_EVERY: u64 = 64;

/// The field of a stream entry that holds the packet.
const FIELD: &str = "p";

/// The log of the fleet that shares a [`Store`].
#[derive(Clone, Debug)]
pub struct RedisLog {
    store: Store,
    stream: String,
    checkpoint: String,
}

impl RedisLog {
    /// The log beside the statistics of `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            stream: store.keys.evidence(),
            checkpoint: store.keys.checkpoint(),
            store,
        }
    }

    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, LogError> {
        self.store.query(command).await.map_err(failed)
    }
}

fn failed(error: StatsError) -> LogError {
    LogError::Store(Box::new(error))
}

/// The position of an entry's id; `None` if it is none.
fn position(id: &str) -> Option<Position> {
    let (ms, seq) = id.split_once('-')?;
    Some(Position {
        ms: ms.parse().ok()?,
        seq: seq.parse().ok()?,
    })
}

impl EvidenceLog for RedisLog {
    async fn append(&self, packet: &Packet) -> Result<Position, LogError> {
        let bytes = encode_packet(packet)?;
        let mut add = cmd("XADD");
        add.arg(&self.stream).arg("MAXLEN").arg("~").arg(MOST_PACKETS);
        add.arg("*").arg(FIELD).arg(bytes);
        let id: String = self.ask(&add).await?;
        let at = position(&id).unwrap_or_default();
        if packet.seq.is_multiple_of(TRIM_EVERY) {
            let kept_ms = u64::try_from(KEPT.as_millis()).unwrap_or(0);
            let mut trim = cmd("XTRIM");
            trim.arg(&self.stream).arg("MINID").arg("~");
            trim.arg(at.ms.saturating_sub(kept_ms));
            let _: u64 = self.ask(&trim).await?;
        }
        Ok(at)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<(Position, Packet)>, LogError> {
        let mut range = cmd("XRANGE");
        range.arg(&self.stream).arg(format!("({after}")).arg("+");
        range.arg("COUNT").arg(limit);
        let reply: StreamRangeReply = self.ask(&range).await?;
        let packets = reply.ids.into_iter().filter_map(|entry| {
            let bytes: Vec<u8> = entry.get(FIELD)?;
            Some((position(&entry.id)?, decode_packet(&bytes).ok()?))
        });
        Ok(packets.collect())
    }

    async fn time(&self) -> Result<Timestamp, LogError> {
        let (seconds, micros): (i64, i64) = self.ask(&cmd("TIME")).await?;
        let time = Timestamp::from_microsecond(seconds.saturating_mul(1_000_000).saturating_add(micros));
        Ok(time.map_err(|_| crate::evidence::BadEvidence::Time)?)
    }

    async fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), LogError> {
        let mut set = cmd("SET");
        set.arg(&self.checkpoint).arg(encode_checkpoint(checkpoint)?);
        set.arg("EX").arg(CHECKPOINT_TTL_S);
        self.ask::<()>(&set).await
    }

    async fn checkpoint(&self) -> Result<Option<Checkpoint>, LogError> {
        let mut get = cmd("GET");
        get.arg(&self.checkpoint);
        let bytes: Option<Vec<u8>> = self.ask(&get).await?;
        Ok(bytes.map(|bytes| decode_checkpoint(&bytes)).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::tests::{checkpoint, conformance, packet};
    use crate::redis::Settings;

    fn log(server: &rig::Redis) -> RedisLog {
        let mut settings = Settings::single(server.url());
        settings.prefix = "test".to_owned();
        RedisLog::new(Store::open(&settings).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn redis_keeps_what_a_log_keeps() {
        let server = rig::Redis::start().unwrap();
        conformance(&log(&server)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_checkpoint_expires_and_its_keys_share_a_slot() {
        let server = rig::Redis::start().unwrap();
        let log = log(&server);
        log.put_checkpoint(&checkpoint()).await.unwrap();
        log.append(&packet(1, 2)).await.unwrap();
        let ttl: i64 = server
            .ask(&["TTL", "test:1:{ev}:checkpoint"])
            .unwrap()
            .parse()
            .unwrap();
        assert!((3_500..=3_600).contains(&ttl), "{ttl}");
        assert_eq!(server.ask(&["XLEN", "test:1:{ev}"]).unwrap(), "1");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_entry_that_cannot_be_read_is_a_gap_and_no_error() {
        let server = rig::Redis::start().unwrap();
        let log = log(&server);
        log.append(&packet(1, 1)).await.unwrap();
        server
            .ask(&["XADD", "test:1:{ev}", "*", "p", "nonsense"])
            .unwrap();
        log.append(&packet(3, 1)).await.unwrap();
        let read = log.read(Position::BEGINNING, 10).await.unwrap();
        assert_eq!(
            read.iter().map(|(_, packet)| packet.seq).collect::<Vec<_>>(),
            [1, 3]
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dead_server_is_an_error() {
        let mut server = rig::Redis::start().unwrap();
        let log = log(&server);
        server.kill();
        let asked = tokio::time::timeout(std::time::Duration::from_secs(5), log.append(&packet(1, 1))).await;
        assert!(!matches!(asked, Ok(Ok(_))));
    }
}
