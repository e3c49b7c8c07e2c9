//! Outcomes on their way from the ledger to the statistics, as bytes and back.

use domain::amount_band::AmountBand;
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::outcome_event::{OutcomeEvent, OutcomeId};
use prost::Message as _;

use crate::claims::{OutcomeBatch, OutcomeEntry};
use crate::time;

/// Longest response time that anything may claim, in milliseconds: ten minutes.
const MAX_LATENCY_MS: u32 = 600_000;

/// Longest name of a method or issuer, in bytes.
const MAX_NAME: usize = 256;

/// Largest entry, in bytes: three names and a few numbers.
pub const MAX_ENTRY: usize = 2_048;

/// Why bytes are no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// They are no entry at all.
    #[error("the entry cannot be read: {0}")]
    Unreadable(String),
    /// There are too many of them.
    #[error("the entry has {0} bytes, more than {MAX_ENTRY}")]
    TooLarge(usize),
    /// A field says what it cannot.
    #[error("field `{field}` {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// One outcome as bytes.
#[must_use]
pub fn encode(event: &OutcomeEvent) -> Vec<u8> {
    entry(event).encode_to_vec()
}

/// Outcomes that were committed together, as bytes.
#[must_use]
pub fn encode_batch(events: &[OutcomeEvent]) -> Vec<u8> {
    OutcomeBatch {
        entries: events.iter().map(entry).collect(),
    }
    .encode_to_vec()
}

/// The outcome that `bytes` hold.
///
/// # Errors
/// When they hold none, with the field that is wrong.
pub fn decode(bytes: &[u8]) -> Result<OutcomeEvent, BadEntry> {
    if bytes.len() > MAX_ENTRY {
        return Err(BadEntry::TooLarge(bytes.len()));
    }
    let entry = OutcomeEntry::decode(bytes).map_err(|error| BadEntry::Unreadable(error.to_string()))?;
    event(entry)
}

/// The outcomes that `bytes` hold.
///
/// # Errors
/// When one of them is none.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<OutcomeEvent>, BadEntry> {
    let batch = OutcomeBatch::decode(bytes).map_err(|error| BadEntry::Unreadable(error.to_string()))?;
    batch.entries.into_iter().map(event).collect()
}

fn entry(event: &OutcomeEvent) -> OutcomeEntry {
    OutcomeEntry {
        id: event.id.0,
        channel_id: event.channel.to_string(),
        method: event.method.clone(),
        issuer: event.issuer.clone().unwrap_or_default(),
        band: u32::from(event.band.index()),
        class: event.class.as_str().to_owned(),
        corrects: event.corrects.map_or("", OutcomeClass::as_str).to_owned(),
        attempt_key: event.key,
        attempt_no: event.attempt_no,
        decided_at_us: event.decided_at.as_microsecond(),
        started_at_us: event.started_at.as_microsecond(),
        received_at_us: event.received_at.as_microsecond(),
        latency_ms: u64::from(event.latency_ms),
    }
}

fn event(entry: OutcomeEntry) -> Result<OutcomeEvent, BadEntry> {
    let wrong = |field, problem| BadEntry::Field { field, problem };
    let at = |field, micros| time::from_micros(micros).ok_or(wrong(field, "is not a time"));
    let band = u8::try_from(entry.band).ok().and_then(AmountBand::from_index);
    let latency_ms = u32::try_from(entry.latency_ms)
        .ok()
        .filter(|ms| *ms <= MAX_LATENCY_MS);
    if entry.method.is_empty() || entry.method.len() > MAX_NAME {
        return Err(wrong("method", "is empty or too long"));
    }
    if entry.issuer.len() > MAX_NAME {
        return Err(wrong("issuer", "is too long"));
    }
    let class = OutcomeClass::from_name(&entry.class).ok_or(wrong("class", "is not a class"))?;
    let corrects = match entry.corrects.as_str() {
        "" => None,
        name => Some(OutcomeClass::from_name(name).ok_or(wrong("corrects", "is not a class"))?),
    };
    Ok(OutcomeEvent {
        id: OutcomeId(entry.id),
        channel: ChannelId::new(entry.channel_id).map_err(|_| wrong("channel_id", "is not a name"))?,
        method: entry.method,
        issuer: Some(entry.issuer).filter(|issuer| !issuer.is_empty()),
        band: band.ok_or(wrong("band", "is not a band"))?,
        class,
        corrects,
        key: entry.attempt_key,
        attempt_no: entry.attempt_no,
        decided_at: at("decided_at_us", entry.decided_at_us)?,
        started_at: at("started_at_us", entry.started_at_us)?,
        received_at: at("received_at_us", entry.received_at_us)?,
        latency_ms: latency_ms.ok_or(wrong("latency_ms", "is more than ten minutes"))?,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn outcome() -> OutcomeEvent {
        OutcomeEvent {
            id: OutcomeId(7),
            channel: ChannelId::new("bank_a").unwrap(),
            method: "card".to_owned(),
            issuer: Some("icbc".to_owned()),
            band: AmountBand::from_index(3).unwrap(),
            class: OutcomeClass::Success,
            corrects: Some(OutcomeClass::Timeout),
            key: u64::MAX,
            attempt_no: 2,
            decided_at: Timestamp::UNIX_EPOCH,
            started_at: Timestamp::UNIX_EPOCH,
            received_at: "2026-05-01T00:00:00.123456Z".parse().unwrap(),
            latency_ms: 850,
        }
    }

    fn refused(spoil: impl FnOnce(&mut OutcomeEntry)) -> BadEntry {
        let mut spoilt = entry(&outcome());
        spoil(&mut spoilt);
        decode(&spoilt.encode_to_vec()).unwrap_err()
    }

    #[test]
    fn an_outcome_is_read_as_it_was_written() {
        assert_eq!(decode(&encode(&outcome())), Ok(outcome()));
        let two = [outcome(), outcome()];
        assert_eq!(decode_batch(&encode_batch(&two)), Ok(two.to_vec()));
    }

    #[test]
    fn what_no_outcome_can_say_is_refused_with_its_field() {
        let field = |error| match error {
            BadEntry::Field { field, .. } => field,
            other => panic!("{other}"),
        };
        assert_eq!(field(refused(|entry| entry.latency_ms = 600_001)), "latency_ms");
        assert_eq!(field(refused(|entry| entry.latency_ms = u64::MAX)), "latency_ms");
        assert_eq!(field(refused(|entry| entry.class = "great".to_owned())), "class");
        assert_eq!(
            field(refused(|entry| entry.corrects = "great".to_owned())),
            "corrects"
        );
        assert_eq!(field(refused(|entry| entry.band = 8)), "band");
        assert_eq!(
            field(refused(|entry| entry.channel_id = String::new())),
            "channel_id"
        );
        assert_eq!(field(refused(|entry| entry.method = String::new())), "method");
        assert_eq!(
            field(refused(|entry| entry.received_at_us = i64::MAX)),
            "received_at_us"
        );
    }

    #[test]
    fn bytes_that_are_no_entry_are_refused() {
        assert!(matches!(decode(&[0xff; 8]), Err(BadEntry::Unreadable(_))));
        assert_eq!(
            decode(&vec![0; MAX_ENTRY + 1]),
            Err(BadEntry::TooLarge(MAX_ENTRY + 1))
        );
    }
}
