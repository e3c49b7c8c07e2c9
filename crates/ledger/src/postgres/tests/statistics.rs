//! Counting on the server against counting here.

use std::collections::BTreeMap;

use domain::attempt::State;
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::window::Latencies;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::conformance::sample;
use crate::statistics::{KnownOutcome, Span, StatisticsSource, Tally};

const BUCKET_SECS: u32 = 10;

/// Any class, state, segment, latency and time within ten minutes, at a bucket's very edge now and then.
fn attempts() -> impl Strategy<Value = Vec<AttemptRecord>> {
    let one = (
        proptest::option::of(proptest::sample::select(OutcomeClass::ALL.as_slice())),
        proptest::sample::select(State::ALL.as_slice()),
        (0..3_u8, 0..2_u8, proptest::option::of(0..2_u8)),
        prop_oneof![
            0..50_u32,
            any::<u32>(),
            proptest::sample::select(Latencies::bounds_ms())
        ],
        prop_oneof![
            0..600_000_000_i64,
            (0..60_i64).prop_map(|bucket| bucket * 10_000_000)
        ],
    );
    proptest::collection::vec(one, 300).prop_map(|rows| rows.into_iter().enumerate().map(record).collect())
}

/// Class, state, channel with method and issuer, latency in milliseconds, microseconds after the beginning.
type Row = (Option<OutcomeClass>, State, (u8, u8, Option<u8>), u32, i64);

fn record((number, row): (usize, Row)) -> AttemptRecord {
    let (class, state, (channel, method, issuer), latency_ms, micros) = row;
    let mut attempt = sample::attempt(&format!("a{number}"));
    attempt.channel = ChannelId::new(format!("channel_{channel}")).unwrap();
    attempt.segment.method = format!("method_{method}");
    attempt.segment.issuer = issuer.map(|issuer| format!("issuer_{issuer}"));
    attempt.verdict.class = class;
    // An attempt that was charged has an outcome.
    let state = if class.is_none() { State::Unknown } else { state };
    attempt.verdict.state = state.as_str().to_owned();
    attempt.latency_ms = latency_ms;
    attempt.received_at = sample::at(micros);
    attempt
}

async fn ledger_of(attempts: &[AttemptRecord]) -> PostgresLedger {
    let ledger = open(&database().await).await;
    ledger.commit(&batch(attempts.iter().cloned())).await.unwrap();
    ledger
}

fn some_attempts() -> Vec<AttemptRecord> {
    let mut runner = TestRunner::deterministic();
    attempts().new_tree(&mut runner).unwrap().current()
}

fn bin(ms: u32) -> u8 {
    let bin = Latencies::bounds_ms().partition_point(|bound| *bound < ms);
    u8::try_from(bin).unwrap()
}

fn whole() -> Span {
    Span {
        from: sample::at(0),
        until: sample::at(600_000_000),
    }
}

#[tokio::test]
async fn tallies_are_what_counting_one_by_one_gives() {
    let attempts = some_attempts();
    let ledger = ledger_of(&attempts).await;
    for bucket_secs in [BUCKET_SECS, 60] {
        let mut expected: BTreeMap<Tally, Vec<Option<u8>>> = BTreeMap::new();
        for attempt in &attempts {
            let Some(reported) = attempt.verdict.class else {
                continue;
            };
            let key = Tally {
                channel: attempt.channel.clone(),
                method: attempt.segment.method.clone(),
                issuer: attempt.segment.issuer.clone(),
                bucket: attempt.received_at.as_second().div_euclid(i64::from(bucket_secs)),
                class: attempt.known_class().unwrap(),
                count: 0,
                bins: Vec::new(),
            };
            let bin = (reported != OutcomeClass::Timeout).then(|| bin(attempt.latency_ms));
            expected.entry(key).or_default().push(bin);
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(tally, outcomes)| {
                let mut bins: BTreeMap<u8, u32> = BTreeMap::new();
                for bin in outcomes.iter().flatten() {
                    *bins.entry(*bin).or_default() += 1;
                }
                Tally {
                    count: u32::try_from(outcomes.len()).unwrap(),
                    bins: bins.into_iter().collect(),
                    ..tally
                }
            })
            .collect();
        let mut counted = ledger.tallies(whole(), bucket_secs).await.unwrap();
        counted.sort();
        assert_eq!(counted, expected);
        // Cut where buckets meet, the slices hold the same.
        let mut sliced = Vec::new();
        for slice in whole().slices(Duration::from_mins(2)) {
            sliced.extend(ledger.tallies(slice, bucket_secs).await.unwrap());
        }
        sliced.sort();
        assert_eq!(sliced, expected);
    }
}

#[tokio::test]
async fn every_outcome_and_every_correction_has_its_name() {
    let mut attempts = some_attempts();
    let ledger = ledger_of(&attempts).await;
    let recount = ledger.recount(whole(), BUCKET_SECS).await.unwrap();
    // A stable sort: attempts that arrived together keep the order of their batch.
    attempts.sort_by_key(|attempt| attempt.received_at);
    let expected: Vec<_> = attempts
        .iter()
        .filter_map(|attempt| {
            let reported = attempt.outcome()?;
            let known = attempt.settled_as(attempt.known_class()?);
            let correction = (known.class != reported.class).then_some(known.id);
            Some(KnownOutcome {
                id: reported.id,
                correction,
                channel: reported.channel,
                reported: reported.class,
                class: known.class,
                received_at: reported.received_at,
            })
        })
        .collect();
    assert!(expected.len() > attempts.len() / 2);
    assert!(expected.iter().any(|outcome| outcome.correction.is_some()));
    assert_eq!(recount.outcomes, expected);
    let tallies = ledger.tallies(whole(), BUCKET_SECS).await.unwrap();
    let sorted = |mut tallies: Vec<Tally>| {
        tallies.sort();
        tallies
    };
    assert_eq!(sorted(recount.tallies), sorted(tallies));
}

#[tokio::test]
async fn the_latest_outcomes_of_each_channel_are_in_the_order_of_their_arrival() {
    let attempts = some_attempts();
    let ledger = ledger_of(&attempts).await;
    let last = ledger.last_outcomes(whole(), 7).await.unwrap();
    assert!(last.is_sorted_by_key(|outcome| outcome.received_at));
    for number in 0..3 {
        let channel = ChannelId::new(format!("channel_{number}")).unwrap();
        let mut all: Vec<_> = attempts
            .iter()
            .filter(|attempt| attempt.channel == channel && attempt.verdict.class.is_some())
            .collect();
        // A stable sort: attempts that arrived together keep the order of their batch.
        all.sort_by_key(|attempt| attempt.received_at);
        let expected: Vec<_> = all
            .split_off(all.len() - 7)
            .into_iter()
            .map(|attempt| (attempt.verdict.class.unwrap(), attempt.known_class().unwrap()))
            .collect();
        let found: Vec<_> = last
            .iter()
            .filter(|outcome| outcome.channel == channel)
            .map(|outcome| (outcome.reported, outcome.class))
            .collect();
        assert_eq!(found, expected);
    }
}
