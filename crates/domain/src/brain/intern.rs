//! Dense numbers for methods, issuers and segments, so that what is learnt stands in plain tables.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::params::Limits;
use crate::amount_band::AmountBand;

/// What of a payment decides how it fares: method, issuer and amount band, as dense numbers.
///
/// Only meaningful to the [`Brain`](super::Brain) that gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segment {
    pub(super) method: u16,
    pub(super) issuer: u16,
    pub(super) pair: u32,
    pub(super) leaf: Option<u32>,
    pub(super) band: AmountBand,
}

impl Segment {
    /// The method's table index.
    pub(super) fn method_index(self) -> usize {
        usize::from(self.method)
    }

    /// The issuer's table index.
    pub(super) fn issuer_index(self) -> usize {
        usize::from(self.issuer)
    }

    /// The table index of method x issuer.
    pub(super) fn pair_index(self) -> usize {
        index(self.pair)
    }

    /// The table index of the segment itself, unless there were too many when it appeared.
    pub(super) fn leaf_index(self) -> Option<usize> {
        self.leaf.map(index)
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The name under which everything beyond a cap is learnt together.
pub const OTHER: &str = "other";

/// The issuer of a payment that has none.
pub const NO_ISSUER: &str = "none";

/// Names in the order in which they appeared; the first is [`OTHER`].
#[derive(Clone, Debug)]
struct Names {
    numbers: HashMap<Arc<str>, u16>,
    list: Vec<Arc<str>>,
    cap: u16,
}

impl Names {
    fn new(cap: u16) -> Self {
        let other: Arc<str> = OTHER.into();
        Self {
            numbers: HashMap::from([(Arc::clone(&other), 0)]),
            list: vec![other],
            cap,
        }
    }

    /// The names of `list`, in its order, without a bound; [`OTHER`] is the first in any case.
    fn of(list: Vec<Arc<str>>) -> Self {
        let mut names = Self::new(u16::MAX);
        for name in list {
            names.number(&name);
        }
        names
    }

    fn number(&mut self, name: &str) -> u16 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        match u16::try_from(self.list.len()) {
            Ok(number) if number <= self.cap => {
                let name: Arc<str> = name.into();
                self.list.push(Arc::clone(&name));
                self.numbers.insert(name, number);
                number
            }
            _ => 0,
        }
    }

    fn name(&self, number: u16) -> &str {
        self.list.get(usize::from(number)).map_or(OTHER, |name| name)
    }
}

/// Gives out the numbers.
#[derive(Clone, Debug)]
pub(super) struct Interner {
    methods: Names,
    issuers: Names,
    pairs: HashMap<(u16, u16), u32>,
    leaves: HashMap<(u32, u8), u32>,
    max_leaves: usize,
}

impl Interner {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            methods: Names::new(limits.methods),
            issuers: Names::new(limits.issuers),
            pairs: HashMap::new(),
            leaves: HashMap::new(),
            max_leaves: index(limits.segments),
        }
    }

    /// The segment of `method`, `issuer` and `band`, new or known.
    pub(super) fn segment(&mut self, method: &str, issuer: Option<&str>, band: AmountBand) -> Segment {
        let method = self.methods.number(method);
        let issuer = self.issuers.number(issuer.unwrap_or(NO_ISSUER));
        // At most 64 x 512 pairs, so this stays far below the largest number.
        let next = u32::try_from(self.pairs.len()).unwrap_or(u32::MAX);
        let pair = *self.pairs.entry((method, issuer)).or_insert(next);
        let key = (pair, band.index());
        let leaf = match self.leaves.get(&key) {
            Some(leaf) => Some(*leaf),
            None if self.leaves.len() < self.max_leaves => {
                let next = u32::try_from(self.leaves.len()).ok();
                next.inspect(|next| {
                    self.leaves.insert(key, *next);
                })
            }
            None => None,
        };
        Segment {
            method,
            issuer,
            pair,
            leaf,
            band,
        }
    }

    /// Bounds what is told apart from now on; what is known stays known.
    pub(super) fn set_limits(&mut self, limits: &Limits) {
        self.methods.cap = limits.methods;
        self.issuers.cap = limits.issuers;
        self.max_leaves = index(limits.segments);
    }

    /// The names of the method and issuer of `segment`, shared.
    pub(super) fn names(&self, segment: Segment) -> (Arc<str>, Arc<str>) {
        let shared = |names: &Names, number: u16| match names.list.get(usize::from(number)) {
            Some(name) => Arc::clone(name),
            None => OTHER.into(),
        };
        (
            shared(&self.methods, segment.method),
            shared(&self.issuers, segment.issuer),
        )
    }

    /// How many methods are known, [`OTHER`] aside.
    pub(super) fn methods(&self) -> usize {
        self.methods.list.len().saturating_sub(1)
    }

    /// How many issuers are known, [`OTHER`] aside.
    pub(super) fn issuers(&self) -> usize {
        self.issuers.list.len().saturating_sub(1)
    }

    /// The name of method `number`.
    pub(super) fn method_name(&self, number: u16) -> &str {
        self.methods.name(number)
    }

    /// The name of issuer `number`.
    pub(super) fn issuer_name(&self, number: u16) -> &str {
        self.issuers.name(number)
    }
}

/// The numbers as lists, where a place is a number: the same for the same numbers, whatever the order of the maps.
#[derive(Serialize, Deserialize)]
struct Listed {
    methods: Vec<Arc<str>>,
    issuers: Vec<Arc<str>>,
    pairs: Vec<(u16, u16)>,
    leaves: Vec<(u32, u8)>,
}

fn listed<K: Copy>(numbers: &HashMap<K, u32>) -> Vec<K> {
    let mut by_number: Vec<(u32, K)> = numbers.iter().map(|(key, number)| (*number, *key)).collect();
    by_number.sort_unstable_by_key(|(number, _)| *number);
    by_number.into_iter().map(|(_, key)| key).collect()
}

impl Serialize for Interner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = Listed {
            methods: self.methods.list.clone(),
            issuers: self.issuers.list.clone(),
            pairs: listed(&self.pairs),
            leaves: listed(&self.leaves),
        };
        listed.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Interner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let listed = Listed::deserialize(deserializer)?;
        Ok(Self {
            methods: Names::of(listed.methods),
            issuers: Names::of(listed.issuers),
            pairs: listed.pairs.into_iter().zip(0..).collect(),
            leaves: listed.leaves.into_iter().zip(0..).collect(),
            max_leaves: usize::MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Money;

    fn band() -> AmountBand {
        AmountBand::of(Money::new(2_000, "CNY".parse().unwrap()).unwrap())
    }

    #[test]
    fn the_same_names_give_the_same_segment() {
        let mut interner = Interner::new(&Limits::default());
        let first = interner.segment("card", Some("icbc"), band());
        assert_ne!(interner.segment("card", None, band()), first);
        assert_eq!(interner.segment("card", Some("icbc"), band()), first);
        assert_eq!(interner.method_name(first.method), "card");
        assert_eq!(interner.issuer_name(first.issuer), "icbc");
    }

    #[test]
    fn issuers_beyond_the_cap_fold_into_other() {
        let limits = Limits {
            issuers: 2,
            ..Limits::default()
        };
        let mut interner = Interner::new(&limits);
        let known = interner.segment("card", Some("a"), band());
        interner.segment("card", Some("b"), band());
        let third = interner.segment("card", Some("c"), band());
        assert_eq!(third, interner.segment("card", Some("d"), band()));
        assert_eq!(interner.issuer_name(third.issuer), OTHER);
        assert_eq!(interner.segment("card", Some("a"), band()), known);
    }

    #[test]
    fn segments_beyond_the_cap_have_no_term_of_their_own() {
        let limits = Limits {
            segments: 1,
            ..Limits::default()
        };
        let mut interner = Interner::new(&limits);
        assert!(interner.segment("card", None, band()).leaf.is_some());
        assert!(interner.segment("wallet", None, band()).leaf.is_none());
    }
}
