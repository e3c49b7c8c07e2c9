//! The windows of one limit, one per key, in bounded memory.

use std::collections::{BTreeSet, HashMap};

use super::window::Window;

/// A counter's key: two independent 64 bit hashes of what the limit counts by.
pub(super) type Key = u128;

/// One window per key. When there are too many, the one that was counted in longest ago makes room.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    windows: HashMap<Key, Touched>,
    /// Every key by the part it was last counted in.
    by_age: BTreeSet<(i64, Key)>,
    window_secs: u32,
    capacity: usize,
}

#[derive(Clone, Debug)]
struct Touched {
    window: Window,
    /// The part under which [`Counters::by_age`] knows the key.
    part: i64,
}

impl Counters {
    pub(super) fn new(window_secs: u32, capacity: usize) -> Self {
        Self {
            windows: HashMap::new(),
            by_age: BTreeSet::new(),
            window_secs,
            capacity: capacity.max(1),
        }
    }

    /// Keeps at most `capacity` keys from now on.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        self.make_room(self.capacity);
    }

    /// What lies in the window of `key` at `now_ms`.
    pub(super) fn total(&self, key: Key, now_ms: i64) -> i64 {
        let part = Window::part_of(now_ms, self.window_secs);
        self.windows
            .get(&key)
            .map_or(0, |touched| touched.window.total(part))
    }

    /// Counts `quantity` for `key`; the part it was counted in, for [`Self::take_back`].
    pub(super) fn add(&mut self, key: Key, now_ms: i64, quantity: i64) -> i64 {
        let part = Window::part_of(now_ms, self.window_secs);
        if !self.windows.contains_key(&key) {
            self.forget_expired(part);
            self.make_room(self.capacity - 1);
        }
        let touched = self.windows.entry(key).or_insert_with(|| Touched {
            window: Window::new(part),
            part,
        });
        let counted_in = touched.window.add(part, quantity);
        self.by_age.remove(&(touched.part, key));
        touched.part = counted_in;
        self.by_age.insert((counted_in, key));
        counted_in
    }

    /// Takes back what was counted for `key` in `part`.
    pub(super) fn take_back(&mut self, key: Key, part: i64, quantity: i64) {
        if let Some(touched) = self.windows.get_mut(&key) {
            touched.window.take_back(part, quantity);
        }
    }

    /// Drops up to two windows that hold nothing any more: more than one for each that comes, so they all go.
    fn forget_expired(&mut self, part: i64) {
        for _ in 0..2 {
            match self.by_age.first() {
                Some(&(newest, _)) if Window::is_over(newest, part) => self.forget_oldest(),
                _ => return,
            }
        }
    }

    fn make_room(&mut self, keys: usize) {
        while self.windows.len() > keys {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.by_age.pop_first() {
            self.windows.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_count_apart() {
        let mut counters = Counters::new(10, 100);
        counters.add(1, 0, 5);
        assert_eq!((counters.total(1, 0), counters.total(2, 0)), (5, 0));
    }

    #[test]
    fn the_window_counted_in_longest_ago_makes_room() {
        let mut counters = Counters::new(10, 2);
        counters.add(1, 0, 1);
        counters.add(2, 1_000, 1);
        counters.add(1, 2_000, 1);
        counters.add(3, 3_000, 1);
        assert_eq!([1, 2, 3].map(|key| counters.total(key, 3_000)), [2, 0, 1]);
    }

    #[test]
    fn empty_windows_are_forgotten() {
        let mut counters = Counters::new(10, 1_000);
        for key in 0..100 {
            counters.add(key, 0, 1);
        }
        for key in 100..200 {
            counters.add(key, 60_000, 1);
        }
        assert_eq!(counters.windows.len(), 100);
    }
}
