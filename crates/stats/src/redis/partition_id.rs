//! The parts that the statistics are divided into.

use std::fmt;

use domain::id::ChannelId;
use xxhash_rust::xxh3::xxh3_64;

/// How many partitions there are. Part of the stored format: it never changes within an installation.
pub const PARTITIONS: u8 = 64;

/// One partition: all channels whose name falls in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(u8);

impl PartitionId {
    /// The partition of `channel`.
    #[must_use]
    pub fn of(channel: &ChannelId) -> Self {
        let number = xxh3_64(channel.as_str().as_bytes()) % u64::from(PARTITIONS);
        Self(u8::try_from(number).unwrap_or(0))
    }

    /// The partition of that number; `None` from 64 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < PARTITIONS {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Every partition, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// Its number, 0 to 63.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:02}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_stays_in_its_partition_for_ever() {
        let of = |name| PartitionId::of(&ChannelId::new(name).unwrap()).number();
        // Computed once; a change here would split every stored channel in two.
        assert_eq!((of("bank_a"), of("wechat_pay"), of("alipay")), (42, 1, 34));
    }

    #[test]
    fn there_are_64_and_no_more() {
        assert_eq!(PartitionId::all().count(), 64);
        assert_eq!(PartitionId::new(64), None);
    }
}
