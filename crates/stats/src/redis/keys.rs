//! The keys: the only place that builds them.
//!
//! ```text
//! PREFIX:1:oc:{pNN}                                   stream    outcomes on their way            no TTL
//! PREFIX:1:st:{pNN}                                   hash      epoch, seq, applied, read        no TTL
//! PREFIX:1:wm:{pNN}                                   string    time of the last complete sweep  no TTL
//! PREFIX:1:snap:{pNN}                                 string    what readers see                 15 min
//! PREFIX:1:dlq:{pNN}                                  stream    entries that say nothing         30 d
//! PREFIX:1:own:{pNN}                                  string    who owns the partition           seconds
//! PREFIX:1:ix:{pNN}:EPOCH                             hash      segment -> newest bucket         25 h
//! PREFIX:1:sk:{pNN}:EPOCH:CHANNEL                     hash      streaks, last success, late      8 d
//! PREFIX:1:h:{pNN}:EPOCH:SEGMENT:BUCKET               hash      ten seconds of outcomes          75 min
//! PREFIX:1:hm:{pNN}:EPOCH:SEGMENT:MINUTE              hash      a minute of outcomes             25 h
//! PREFIX:1:dd:{pNN}:EPOCH:HALF_HOUR:SHARD             set       names of counted outcomes        2 h
//! PREFIX:1:rb:{pNN}:EPOCH                             hash      state of a rebuild under way     1 h
//! PREFIX:1:lease:NAME, PREFIX:1:monitors              leases that belong to no partition
//! ```
//!
//! The tag in braces puts everything of a partition in one slot of a cluster. `1` is the version of the format.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::id::ChannelId;
use domain::outcome_event::OutcomeId;
use domain::window::Segment;
use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_128;

use super::partition_id::PartitionId;
use super::state::Epoch;

/// What keys begin with unless the installation says otherwise.
pub const DEFAULT_PREFIX: &str = "payroute";

/// Version of everything that is stored.
const FORMAT: u8 = 1;

/// Longest name that stands in a key as it is, in bytes.
const LONGEST_NAME: usize = 32;

/// Span of time that the names of counted outcomes are kept together for, in seconds.
const SLICE_SECS: i64 = 1_800;

/// How many sets share the names of one slice: at up to 145 outcomes a second in a partition none has more than 512
/// members, beyond which Redis needs 73 instead of 8 bytes for each.
const SHARDS: u64 = 512;

/// How long what is read back into windows is kept, in seconds: an hour, and what clocks may differ by.
pub(crate) const FINE_TTL_SECS: i64 = 4_500;
/// How long minutes are kept, in seconds.
pub(crate) const MINUTE_TTL_SECS: i64 = 90_000;
/// How long names of counted outcomes are kept after the last of their slice, in seconds. What is older than an hour is
/// never counted, so a name is only ever forgotten when it cannot be needed.
pub(crate) const DIGEST_TTL_SECS: i64 = 7_200;
/// How long a channel's streaks and last success are kept without traffic, in seconds.
pub(crate) const MARKS_TTL_SECS: i64 = 691_200;
/// How long snapshots are kept, in seconds.
pub(crate) const SNAPSHOT_TTL_SECS: i64 = 900;
/// How long dead letters are kept after the last one, in seconds.
pub(crate) const DEAD_TTL_SECS: i64 = 2_592_000;
/// How long a rebuild may rest between two steps, in seconds.
pub(crate) const REBUILD_TTL_SECS: i64 = 3_600;

/// Why a text cannot be what keys begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 letters, digits, `_`, `-`, `.` or `:`")]
pub struct BadPrefix;

/// Builds the keys of one installation.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    start: Arc<str>,
}

impl Keys {
    /// The keys that begin with `prefix`.
    pub(crate) fn new(prefix: &str) -> Result<Self, BadPrefix> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(fits) {
            return Err(BadPrefix);
        }
        Ok(Self {
            start: format!("{prefix}:{FORMAT}").into(),
        })
    }

    /// What the brains of the fleet tell each other. In one slot with the checkpoint.
    pub(crate) fn evidence(&self) -> String {
        format!("{}:{{ev}}", self.start)
    }

    pub(crate) fn checkpoint(&self) -> String {
        format!("{}:{{ev}}:checkpoint", self.start)
    }

    pub(crate) fn stream(&self, partition: PartitionId) -> String {
        self.of("oc", partition)
    }

    pub(crate) fn state(&self, partition: PartitionId) -> String {
        self.of("st", partition)
    }

    pub(crate) fn watermark(&self, partition: PartitionId) -> String {
        self.of("wm", partition)
    }

    pub(crate) fn snapshot(&self, partition: PartitionId) -> String {
        self.of("snap", partition)
    }

    pub(crate) fn dead(&self, partition: PartitionId) -> String {
        self.of("dlq", partition)
    }

    pub(crate) fn owner(&self, partition: PartitionId) -> String {
        self.of("own", partition)
    }

    pub(crate) fn index(&self, partition: PartitionId, epoch: Epoch) -> String {
        format!("{}:ix:{{{partition}}}:{epoch}", self.start)
    }

    pub(crate) fn rebuild(&self, partition: PartitionId, epoch: Epoch) -> String {
        format!("{}:rb:{{{partition}}}:{epoch}", self.start)
    }

    pub(crate) fn marks(&self, partition: PartitionId, epoch: Epoch, channel: &ChannelId) -> String {
        let channel = readable(channel.as_str());
        format!("{}:sk:{{{partition}}}:{epoch}:{channel}", self.start)
    }

    pub(crate) fn fine(&self, partition: PartitionId, epoch: Epoch, segment: &str, bucket: i64) -> String {
        format!("{}:h:{{{partition}}}:{epoch}:{segment}:{bucket}", self.start)
    }

    pub(crate) fn minute(&self, partition: PartitionId, epoch: Epoch, segment: &str, minute: i64) -> String {
        format!("{}:hm:{{{partition}}}:{epoch}:{segment}:{minute}", self.start)
    }

    /// The set that `id` is looked up in. It follows from the outcome alone, so every delivery, however late, looks in
    /// the same place.
    pub(crate) fn digests(
        &self,
        partition: PartitionId,
        epoch: Epoch,
        id: OutcomeId,
        received_at: Timestamp,
    ) -> String {
        let slice = received_at.as_second().div_euclid(SLICE_SECS);
        let shard = id.0 % SHARDS;
        format!("{}:dd:{{{partition}}}:{epoch}:{slice}:{shard:x}", self.start)
    }

    /// A lease that belongs to no partition.
    pub(crate) fn lease(&self, name: &str) -> String {
        format!("{}:lease:{}", self.start, readable(name))
    }

    /// The monitors that live.
    pub(crate) fn monitors(&self) -> String {
        format!("{}:monitors", self.start)
    }

    fn of(&self, kind: &str, partition: PartitionId) -> String {
        format!("{}:{kind}:{{{partition}}}", self.start)
    }
}

/// A segment of a channel, as keys have it. Two segments never share a text.
pub(crate) fn segment_text(channel: &ChannelId, segment: Segment<'_>) -> String {
    let mut text = readable(channel.as_str());
    let parts = match segment {
        Segment::Overall => return text,
        Segment::Method(method) => ["m", &readable(method), ""].map(str::to_owned),
        Segment::Issuer(issuer) => ["i", &readable(issuer), ""].map(str::to_owned),
        Segment::MethodIssuer(method, issuer) => {
            ["p", &readable(method), &readable(issuer)].map(str::to_owned)
        }
    };
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let _never_fails = write!(text, ":{part}");
    }
    text
}

/// `name` itself when it is short and plain, its digest otherwise: names come from callers and may hold anything.
fn readable(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain) {
        name.to_owned()
    } else {
        format!("#{:032x}", xxh3_128(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelId {
        ChannelId::new(name).unwrap()
    }

    #[test]
    fn everything_of_a_partition_has_its_tag_and_the_tag_comes_first() {
        let keys = Keys::new("shop").unwrap();
        let (p, e) = (PartitionId::new(7).unwrap(), Epoch(255));
        let segment = segment_text(&channel("a{x}"), Segment::Method("m"));
        for key in [
            keys.stream(p),
            keys.index(p, e),
            keys.marks(p, e, &channel("{p08}")),
            keys.fine(p, e, &segment, -1),
            keys.minute(p, e, &segment, 1),
            keys.digests(p, e, OutcomeId(513), Timestamp::UNIX_EPOCH),
        ] {
            assert_eq!(key.find("{p07}"), key.find('{'), "{key}");
            assert!(key.starts_with("shop:1:"), "{key}");
        }
        assert_eq!(
            keys.digests(p, e, OutcomeId(513), Timestamp::UNIX_EPOCH),
            "shop:1:dd:{p07}:ff:0:1"
        );
    }

    #[test]
    fn two_segments_never_share_a_key() {
        let long = "x".repeat(200);
        let texts: Vec<String> = [
            (channel("a"), Segment::Overall),
            (channel("a"), Segment::Method("b")),
            (channel("a"), Segment::Issuer("b")),
            (channel("a:m:b"), Segment::Overall),
            (channel("a"), Segment::MethodIssuer("b", "c")),
            (channel("a"), Segment::MethodIssuer("b:c", "d")),
            (channel("a"), Segment::MethodIssuer("b", "c:d")),
            (channel("a"), Segment::Method(&long)),
            (channel("a"), Segment::Method("#")),
        ]
        .iter()
        .map(|(channel, segment)| segment_text(channel, *segment))
        .collect();
        let mut distinct = texts.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), texts.len(), "{texts:?}");
        assert_eq!(texts[4], "a:p:b:c");
        assert!(texts[7].len() < 40);
    }

    #[test]
    fn a_prefix_that_could_move_keys_to_another_slot_is_refused() {
        for prefix in ["", "a{b}", "a b", &"x".repeat(65)] {
            assert_eq!(Keys::new(prefix).unwrap_err(), BadPrefix, "{prefix}");
        }
    }
}
