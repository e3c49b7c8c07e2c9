//! The histories of many credentials, in bounded memory.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::{History, Tried};
use super::{Rules, Verdict, later};
use crate::card_number;

/// The lengths a fingerprint may have, in bytes: shorter ones would collide, longer ones are no hashes.
const FINGERPRINT_LEN: std::ops::RangeInclusive<usize> = 8..=128;

/// What a caller knows a card or token by: the same for the same credential, on whatever channel, and not its number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(Arc<str>);

/// Why a text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFingerprint {
    /// Too short or too long, or not printable ASCII without spaces.
    #[error("expected 8 to 128 printable ASCII characters without spaces")]
    Malformed,
    /// It is a card number, which never enters. The text is not repeated.
    #[error("holds a card number: give a keyed hash of it instead")]
    CardNumber,
}

impl Fingerprint {
    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// When it is no fingerprint, or a card number.
    pub fn new(text: &str) -> Result<Self, InvalidFingerprint> {
        if card_number::find(text).is_some() {
            return Err(InvalidFingerprint::CardNumber);
        }
        let fits = FINGERPRINT_LEN.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(InvalidFingerprint::Malformed)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, InvalidFingerprint> {
        Self::new(&text)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.as_str().to_owned()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to follow one through a log, too little to look it up elsewhere.
        let shown: String = self.0.chars().take(6).collect();
        write!(f, "Fingerprint({shown}…)")
    }
}

/// The histories of many credentials.
///
/// When there are too many, the one that was declined longest ago makes room, those that are forbidden last.
#[derive(Clone, Debug)]
pub struct Credentials {
    rules: Rules,
    histories: HashMap<Fingerprint, Kept>,
    /// Every credential: the forgettable first, then by its last decline.
    by_worth: BTreeSet<(bool, Timestamp, Fingerprint)>,
    capacity: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    history: History,
    is_forbidden: bool,
    last_at: Timestamp,
}

impl Credentials {
    /// None yet; at most `capacity` are kept, one at least.
    #[must_use]
    pub fn new(rules: Rules, capacity: usize) -> Self {
        Self {
            rules,
            histories: HashMap::new(),
            by_worth: BTreeSet::new(),
            capacity: capacity.max(1),
        }
    }

    /// Whether `credential`, a card of `network` such as `visa`, may be tried now. One that was never declined may.
    #[must_use]
    pub fn judge(&self, credential: &Fingerprint, network: &str, now: Timestamp) -> Verdict {
        self.histories.get(credential).map_or(Verdict::Allowed, |kept| {
            self.rules.judge(network, &kept.history, now)
        })
    }

    /// Remembers that `credential` was declined.
    pub fn declined(&mut self, credential: &Fingerprint, tried: Tried) {
        self.forget_expired(tried.at);
        let kept = match self.histories.remove(credential) {
            Some(kept) => {
                self.by_worth
                    .remove(&(kept.is_forbidden, kept.last_at, credential.clone()));
                kept
            }
            None => Kept {
                history: History::default(),
                is_forbidden: false,
                last_at: tried.at,
            },
        };
        while self.histories.len() >= self.capacity && self.forget_first() {}
        let mut history = kept.history;
        let last_at = kept.last_at.max(tried.at);
        history.note(tried);
        let is_forbidden = !history.is_forgettable();
        self.by_worth.insert((is_forbidden, last_at, credential.clone()));
        let kept = Kept {
            history,
            is_forbidden,
            last_at,
        };
        self.histories.insert(credential.clone(), kept);
    }

    /// Remembers that `credential` was approved at that time.
    pub fn approved(&mut self, credential: &Fingerprint, at: Timestamp) {
        if let Some(kept) = self.histories.get_mut(credential) {
            kept.history.approved(at);
        }
    }

    /// Takes other rules from now on. What is known of the credentials stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// How many credentials are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.histories.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histories.is_empty()
    }

    /// Drops up to two credentials that no rule can speak of any more: more than one for each that comes, so they
    /// all go.
    fn forget_expired(&mut self, now: Timestamp) {
        let memory_secs = self.rules.memory_secs();
        for _ in 0..2 {
            match self.by_worth.first() {
                Some((false, last_at, _)) if later(*last_at, memory_secs) < now => self.forget_first(),
                _ => return,
            };
        }
    }

    /// Whether there was one to forget.
    fn forget_first(&mut self) -> bool {
        let first = self.by_worth.pop_first();
        first.is_some_and(|(_, _, credential)| self.histories.remove(&credential).is_some())
    }
}
