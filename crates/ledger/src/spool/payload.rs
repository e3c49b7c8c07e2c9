//! What a record holds: the attempts and decisions of one group, as JSON with the fields' names.
//!
//! Named fields let the next release read what this one left, and let people read what was set aside.

use domain::id::{AttemptId, MerchantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptRecord;
use crate::decision::DecisionRecord;
use crate::error::LedgerError;

#[derive(Serialize)]
struct Written<'a> {
    attempts: &'a [&'a AttemptRecord],
    decisions: &'a [DecisionRecord],
}

/// A group as it was kept.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Group {
    #[serde(default)]
    pub(super) attempts: Vec<AttemptRecord>,
    #[serde(default)]
    pub(super) decisions: Vec<DecisionRecord>,
}

/// What must be known of a group while it waits.
#[derive(Debug, Deserialize)]
pub(super) struct Outline {
    #[serde(default)]
    pub(super) attempts: Vec<Named>,
    #[serde(default)]
    decisions: Vec<Decided>,
}

/// What tells an attempt from others.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) merchant: MerchantId,
    pub(super) attempt: AttemptId,
    pub(super) digest: [u8; 32],
    received_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Decided {
    decided_at: Timestamp,
}

impl Outline {
    /// Attempts and decisions together.
    pub(super) fn entries(&self) -> usize {
        self.attempts.len() + self.decisions.len()
    }

    /// When the first of it arrived; `None` when there is nothing in it.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let attempts = self.attempts.iter().map(|attempt| attempt.received_at);
        let decisions = self.decisions.iter().map(|decision| decision.decided_at);
        attempts.chain(decisions).min()
    }
}

/// The payload of a group.
pub(super) fn encode(
    attempts: &[&AttemptRecord],
    decisions: &[DecisionRecord],
) -> Result<Vec<u8>, LedgerError> {
    let written = Written { attempts, decisions };
    serde_json::to_vec(&written).map_err(|error| LedgerError::Unstorable {
        field: "spool record",
        problem: error.to_string(),
    })
}

/// The group again, or as much of it as `T` asks for.
pub(super) fn decode<'de, T: Deserialize<'de>>(payload: &'de [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;

    #[test]
    fn a_group_is_read_as_it_was_written() {
        let attempt = sample::attempt("a1");
        let decision = DecisionRecord {
            // Not to be had from its decimal digits by the fast way of reading.
            propensity: Some(0.1 + 0.2),
            ..sample::decision(1, "p1")
        };
        let payload = encode(&[&attempt], std::slice::from_ref(&decision)).unwrap();
        let group: Group = decode(&payload).unwrap();
        assert_eq!(group.attempts, [attempt]);
        assert_eq!(group.decisions, [decision]);
    }

    #[test]
    fn the_outline_says_since_when_and_how_many() {
        let payload = encode(&[&sample::attempt("a1")], &[sample::decision(7, "p1")]).unwrap();
        let outline: Outline = decode(&payload).unwrap();
        assert_eq!((outline.entries(), outline.since()), (2, Some(sample::at(0))));
    }

    /// As the first release with a spool wrote it. Frozen: a change that makes this fail loses outcomes on upgrade.
    #[test]
    fn a_record_of_the_first_release_is_read() {
        let group: Group = decode(include_bytes!("first_release.json")).unwrap();
        assert_eq!(group.attempts, [sample::attempt("a1")]);
        assert_eq!(group.decisions, [sample::decision(1, "p1")]);
    }
}
