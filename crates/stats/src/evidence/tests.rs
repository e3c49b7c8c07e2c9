//! What is written is read back, and what is damaged is refused.

use std::sync::Arc;

use domain::amount_band::AmountBand;
use domain::brain::{Answered, Brain, Deed, Dispatched, Exploration, Lane, Origin, Params};
use domain::clock::ManualClock;
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::replica::Estimator;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn lane(channel: &str) -> Lane {
    Lane {
        channel: ChannelId::new(channel).unwrap(),
        method: "card".into(),
        issuer: "icbc".into(),
        band: AmountBand::from_index(3).unwrap(),
    }
}

/// A packet numbered `seq` about `payments` payments.
pub(crate) fn packet(seq: u64, payments: u64) -> Packet {
    let deeds = (0..payments).flat_map(|payment| {
        let key = payment.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [
            Deed::Dispatched(Dispatched {
                key,
                lane: lane(["a", "b"][usize::from(payment % 2 == 0)]),
                at: now(),
                timeout_ms: 8_000,
                attempt_no: 1,
                exploration: Exploration::Draw,
                earned: Some(0.02),
            }),
            Deed::Arrived { key },
            Deed::Answered(Answered {
                key,
                lane: lane("a"),
                class: OutcomeClass::SoftDecline,
                latency_ms: 230,
                attempt_no: 1,
                decided_at: now(),
                received_at: now(),
            }),
            Deed::Dismissed { key },
        ]
    });
    Packet {
        origin: Origin(7),
        seq,
        sent_at: now(),
        deeds: deeds.collect(),
    }
}

/// What an estimator writes that has heard one payment.
pub(crate) fn checkpoint() -> Checkpoint {
    let mut brain = Brain::new(Params::default());
    brain.set_channels(&[ChannelId::new("a").unwrap(), ChannelId::new("b").unwrap()]);
    let mut estimator = Estimator::new(brain);
    estimator.read(Position { ms: 5, seq: 1 }, packet(1, 3), now());
    estimator.checkpoint(now())
}

/// What every log does.
pub(crate) async fn conformance(log: &impl EvidenceLog) {
    assert!(log.checkpoint().await.unwrap().is_none());
    assert!(log.read(Position::BEGINNING, 10).await.unwrap().is_empty());
    let mut places = Vec::new();
    for seq in 1..=5 {
        places.push(log.append(&packet(seq, 2)).await.unwrap());
    }
    assert!(places.is_sorted_by(|one, other| one < other));
    let all = log.read(Position::BEGINNING, 10).await.unwrap();
    assert_eq!(all.iter().map(|(at, _)| *at).collect::<Vec<_>>(), places);
    assert_eq!(all[0].1, packet(1, 2));
    let later = log.read(places[1], 2).await.unwrap();
    assert_eq!(
        later.iter().map(|(_, packet)| packet.seq).collect::<Vec<_>>(),
        [3, 4]
    );
    assert!(log.read(places[4], 2).await.unwrap().is_empty());
    log.put_checkpoint(&checkpoint()).await.unwrap();
    let read = log.checkpoint().await.unwrap().unwrap();
    assert_eq!(read.position, Position { ms: 5, seq: 1 });
    let apart = log.time().await.unwrap().duration_since(places[4].time());
    assert!(apart.abs() < jiff::SignedDuration::from_secs(5));
}

#[tokio::test]
async fn memory_keeps_what_a_log_keeps() {
    conformance(&MemoryLog::new(Arc::new(ManualClock::at(now())))).await;
}

#[test]
fn a_packet_is_read_as_it_was_written() {
    let written = packet(4, 20);
    assert_eq!(decode_packet(&encode_packet(&written).unwrap()).unwrap(), written);
}

#[test]
fn a_payment_takes_few_bytes() {
    let bytes = |payments| encode_packet(&packet(1, payments)).unwrap().len();
    let each = (bytes(1_000) - bytes(0)) / 1_000;
    assert!(each < 90, "{each}");
}

#[test]
fn another_version_is_refused() {
    let mut bytes = encode_packet(&packet(1, 1)).unwrap();
    bytes[0] = 2;
    let refused = decode_packet(&bytes).unwrap_err();
    assert_eq!(refused.to_string(), "evidence of version 2, expected 1");
    let mut bytes = encode_checkpoint(&checkpoint()).unwrap();
    bytes[0] = 9;
    let refused = decode_checkpoint(&bytes).unwrap_err();
    assert_eq!(refused.to_string(), "evidence of version 9, expected 1");
}

#[test]
fn what_is_cut_off_or_changed_is_refused_or_read_but_never_a_panic() {
    let bytes = encode_packet(&packet(1, 5)).unwrap();
    for end in 0..bytes.len() {
        assert!(decode_packet(&bytes[..end]).is_err());
        let mut changed = bytes.clone();
        changed[end] ^= 0x55;
        let _ = decode_packet(&changed);
    }
    let bytes = encode_checkpoint(&checkpoint()).unwrap();
    for end in 0..bytes.len() {
        assert!(decode_checkpoint(&bytes[..end]).is_err());
        let mut changed = bytes.clone();
        changed[end] ^= 0x55;
        assert!(decode_checkpoint(&changed).is_err());
    }
}
