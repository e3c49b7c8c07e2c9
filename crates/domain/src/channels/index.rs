//! Channels by number: what the hot path carries instead of names.

use smallvec::SmallVec;

/// Most channels of one configuration: a set of them is four machine words.
pub const MAX_CHANNELS: usize = 256;

/// The place of a channel in its [`Channels`](super::Channels). Means nothing in another configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelIndex(u8);

impl ChannelIndex {
    /// The channel at `place`; `None` from [`MAX_CHANNELS`] on.
    #[must_use]
    pub fn new(place: usize) -> Option<Self> {
        u8::try_from(place).ok().map(Self)
    }

    /// The place, for tables with one row per channel.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// Channels in an order. Up to 64 of them need no allocation.
pub type ChannelList = SmallVec<[ChannelIndex; 64]>;

/// A set of channels, without allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelSet([u64; MAX_CHANNELS / 64]);

impl ChannelSet {
    /// No channel.
    pub const EMPTY: Self = Self([0; MAX_CHANNELS / 64]);

    /// Every channel there can be.
    pub const ALL: Self = Self([u64::MAX; MAX_CHANNELS / 64]);

    /// Adds `channel`; whether it was not there before.
    pub fn insert(&mut self, channel: ChannelIndex) -> bool {
        let (word, bit) = Self::place(channel);
        match self.0.get_mut(word) {
            Some(word) => {
                let is_new = *word & bit == 0;
                *word |= bit;
                is_new
            }
            None => false,
        }
    }

    /// Takes `channel` out; whether it was there.
    pub fn remove(&mut self, channel: ChannelIndex) -> bool {
        let (word, bit) = Self::place(channel);
        match self.0.get_mut(word) {
            Some(word) => {
                let was_there = *word & bit != 0;
                *word &= !bit;
                was_there
            }
            None => false,
        }
    }

    /// Whether `channel` is in the set.
    #[must_use]
    pub fn contains(&self, channel: ChannelIndex) -> bool {
        let (word, bit) = Self::place(channel);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether no channel is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    fn place(channel: ChannelIndex) -> (usize, u64) {
        (channel.get() / 64, 1 << (channel.get() % 64))
    }
}

impl FromIterator<ChannelIndex> for ChannelSet {
    fn from_iter<I: IntoIterator<Item = ChannelIndex>>(channels: I) -> Self {
        let mut set = Self::EMPTY;
        for channel in channels {
            set.insert(channel);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(place: usize) -> ChannelIndex {
        ChannelIndex::new(place).unwrap()
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: ChannelSet = [0, 63, 64, 255].map(index).into_iter().collect();
        for place in 0..MAX_CHANNELS {
            assert_eq!(set.contains(index(place)), [0, 63, 64, 255].contains(&place));
        }
    }

    #[test]
    fn a_channel_is_new_once() {
        let mut set = ChannelSet::EMPTY;
        assert!(set.insert(index(7)));
        assert!(!set.insert(index(7)));
    }

    #[test]
    fn a_channel_is_taken_out_once() {
        let mut set = ChannelSet::ALL;
        assert!(set.remove(index(7)) && !set.contains(index(7)));
        assert!(!set.remove(index(7)));
        assert!(ChannelSet::EMPTY.is_empty() && !set.is_empty());
    }

    #[test]
    fn there_is_no_channel_beyond_the_last() {
        assert!(ChannelIndex::new(255).is_some());
        assert!(ChannelIndex::new(256).is_none());
    }
}
