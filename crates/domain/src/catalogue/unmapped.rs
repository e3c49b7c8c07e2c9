//! The codes that callers report and no entry lists, so that somebody can map them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::classify::{Failure, FailureReport, given};
use super::judgement::Certainty;
use super::{Catalogue, Reason};
use crate::card_number;

/// Longest code that is kept, in bytes. The longest that is listed has 42.
const MAX_CODE: usize = 128;

/// A reported code that is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnmappedCode<'r> {
    /// Whose code it is.
    pub provider: &'r str,
    /// The code, as it was reported.
    pub code: &'r str,
}

impl Catalogue {
    /// The finest reported code, when it is not listed; `None` when it is, or when none was reported.
    ///
    /// A finer code that is not listed counts although the coarse one decides in its place: the finer one would say
    /// more.
    #[must_use]
    pub fn unmapped<'r>(&self, report: &FailureReport<'r>) -> Option<UnmappedCode<'r>> {
        let provider = report.provider;
        let code = given(report.sub_code).or_else(|| given(report.code))?;
        let is_listed = self.find(provider, code).is_some();
        (!is_listed).then_some(UnmappedCode { provider, code })
    }
}

/// What is known of an unmapped code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmappedEntry {
    /// Whose code it is.
    pub provider: Box<str>,
    /// The code.
    pub code: Box<str>,
    /// How often it was reported.
    pub count: u64,
    /// When it was reported first.
    pub first_at: Timestamp,
    /// When it was reported last.
    pub last_at: Timestamp,
    /// The reason it was taken for, the last time.
    pub reason: Reason,
    /// Whether it was taken for a charge, the last time.
    pub certainty: Certainty,
}

/// The unmapped codes of a running service, in bounded memory.
///
/// When there are too many, the one that was reported least makes room: a provider that answers with random codes
/// pushes out its own, not those that matter.
#[derive(Clone, Debug)]
pub struct Unmapped {
    entries: HashMap<(Box<str>, Box<str>), UnmappedEntry>,
    capacity: usize,
    forgotten: u64,
}

impl Unmapped {
    /// None yet; at most `capacity` are kept, one at least.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            capacity: capacity.max(1),
            forgotten: 0,
        }
    }

    /// Counts `code`, which was taken for `failure`.
    ///
    /// Whatever could not be a code is not kept, only counted as forgotten: a text that is too long, or holds a
    /// card number or a control character.
    pub fn note(&mut self, code: UnmappedCode<'_>, failure: &Failure, now: Timestamp) {
        if !is_presentable(code.provider) || !is_presentable(code.code) {
            self.forgotten += 1;
            return;
        }
        let key = (Box::from(code.provider), Box::from(code.code));
        if !self.entries.contains_key(&key) && self.entries.len() >= self.capacity {
            self.make_room();
        }
        let entry = self.entries.entry(key).or_insert_with(|| UnmappedEntry {
            provider: code.provider.into(),
            code: code.code.into(),
            count: 0,
            first_at: now,
            last_at: now,
            reason: failure.reason,
            certainty: failure.certainty,
        });
        entry.count += 1;
        entry.first_at = entry.first_at.min(now);
        if now >= entry.last_at {
            entry.last_at = now;
            entry.reason = failure.reason;
            entry.certainty = failure.certainty;
        }
    }

    fn make_room(&mut self) {
        let least = self
            .entries
            .iter()
            .min_by_key(|(key, entry)| (entry.count, entry.last_at, *key));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
            self.forgotten += 1;
        }
    }

    /// Forgets what `catalogue` lists by now.
    pub fn retain_unmapped(&mut self, catalogue: &Catalogue) {
        self.entries
            .retain(|(provider, code), _| catalogue.find(provider, code).is_none());
    }

    /// The codes, the most frequent first.
    #[must_use]
    pub fn list(&self) -> Vec<&UnmappedEntry> {
        let mut entries: Vec<&UnmappedEntry> = self.entries.values().collect();
        entries.sort_unstable_by(|one, other| {
            (other.count, &one.provider, &one.code).cmp(&(one.count, &other.provider, &other.code))
        });
        entries
    }

    /// How many codes were not kept, because they could not be codes or there was no room.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

fn is_presentable(text: &str) -> bool {
    text.len() <= MAX_CODE && !text.chars().any(char::is_control) && card_number::find(text).is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::FailureKind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn report<'r>(code: &'r str, sub_code: &'r str) -> FailureReport<'r> {
        FailureReport {
            code: Some(code),
            sub_code: Some(sub_code),
            ..FailureReport::new("alipay", FailureKind::Declined)
        }
    }

    fn noted(codes: &[&str], capacity: usize) -> Unmapped {
        let catalogue = Catalogue::built_in().unwrap();
        let failure = catalogue.classify(&FailureReport::new("alipay", FailureKind::Declined));
        let mut unmapped = Unmapped::new(capacity);
        for (second, code) in (0..).zip(codes) {
            let code = UnmappedCode {
                provider: "alipay",
                code,
            };
            unmapped.note(code, &failure, at(second));
        }
        unmapped
    }

    #[test]
    fn the_finest_code_that_nobody_listed_is_named() {
        let catalogue = Catalogue::built_in().unwrap();
        let unmapped = |code, sub_code| {
            catalogue
                .unmapped(&report(code, sub_code))
                .map(|found| found.code)
        };
        assert_eq!(unmapped("40004", "ACQ.SYSTEM_ERROR"), None);
        assert_eq!(unmapped("40004", "ACQ.SOMETHING_NEW"), Some("ACQ.SOMETHING_NEW"));
        assert_eq!(unmapped("40099", " "), Some("40099"));
        assert_eq!(unmapped("", ""), None);
    }

    #[test]
    fn the_most_frequent_code_comes_first() {
        let unmapped = noted(&["a", "b", "b", "c"], 9);
        let list: Vec<_> = unmapped
            .list()
            .iter()
            .map(|entry| (&*entry.code, entry.count))
            .collect();
        assert_eq!(list, [("b", 2), ("a", 1), ("c", 1)]);
        let b = unmapped.list()[0];
        assert_eq!((b.first_at, b.last_at), (at(1), at(2)));
    }

    #[test]
    fn a_rare_code_makes_room_and_a_frequent_one_stays() {
        let unmapped = noted(&["a", "a", "b", "c", "d"], 2);
        let list: Vec<_> = unmapped.list().iter().map(|entry| &*entry.code).collect();
        assert_eq!(list, ["a", "d"]);
        assert_eq!(unmapped.forgotten(), 2);
    }

    #[test]
    fn what_could_not_be_a_code_is_not_kept() {
        let long = "x".repeat(129);
        let unmapped = noted(&["4111111111111111", "a\nb", &long, "fine"], 9);
        assert_eq!(unmapped.list().len(), 1);
        assert_eq!(unmapped.forgotten(), 3);
    }

    #[test]
    fn a_code_that_was_mapped_since_is_forgotten() {
        let mut unmapped = noted(&["ACQ.SYSTEM_ERROR", "ACQ.SOMETHING_NEW"], 9);
        unmapped.retain_unmapped(&Catalogue::built_in().unwrap());
        let list: Vec<_> = unmapped.list().iter().map(|entry| &*entry.code).collect();
        assert_eq!(list, ["ACQ.SOMETHING_NEW"]);
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_lost(codes in prop::collection::vec("[a-f]", 0..60), capacity in 1..8_usize) {
            let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
            let unmapped = noted(&codes, capacity);
            let list = unmapped.list();
            prop_assert!(list.len() <= capacity);
            let counted: u64 = list.iter().map(|entry| entry.count).sum();
            prop_assert!(counted <= u64::try_from(codes.len()).unwrap());
            if unmapped.forgotten() == 0 {
                prop_assert_eq!(counted, u64::try_from(codes.len()).unwrap());
            }
        }
    }
}
