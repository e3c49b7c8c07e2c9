//! What alert rules are evaluated on, counted by the store as one would count by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::attempt::State;
use domain::id::{AttemptId, ChannelId};
use domain::outcome::OutcomeClass;
use domain::window::Latencies;

use super::sample::{at, attempt, merchant, payment};
use crate::attempt::AttemptRecord;
use crate::observation::{ObservationSource, Observed, Sampled, Whom};
use crate::port::{Batch, Ledger};
use crate::statistics::Span;

/// A ledger that can be observed.
pub(crate) trait Watched: Ledger + ObservationSource {}
impl<T: Ledger + ObservationSource> Watched for T {}

/// Attempts of every class, over two channels, three buckets and the ends of them.
fn attempts() -> Vec<AttemptRecord> {
    (0_usize..64)
        .map(|number| {
            let mut one = attempt(&format!("a{number}"));
            one.attempt = AttemptId::new(format!("a{number}")).unwrap();
            one.payment = payment(&format!("p{}", number / 2));
            one.attempt_no = u32::try_from(number % 2 + 1).unwrap();
            one.channel = ChannelId::new(["bank_a", "bank_b"][number % 2]).unwrap();
            one.segment.issuer = (number % 3 > 0).then(|| format!("issuer_{}", number % 3));
            one.segment.region = (number % 5 == 0).then(|| "guangdong".to_owned());
            one.verdict.class = (number % 9 > 0).then(|| OutcomeClass::ALL[number % 8]);
            one.verdict.state = match one.verdict.class {
                Some(OutcomeClass::Success) => State::Succeeded,
                Some(OutcomeClass::Timeout) if number % 16 == 4 => State::LateSuccess,
                Some(OutcomeClass::Timeout) => State::Unknown,
                _ => State::Declined,
            }
            .as_str()
            .to_owned();
            one.latency_ms = u32::try_from(number * 17).unwrap();
            one.received_at = at(i64::try_from(number / 20).unwrap() * 10_000_000);
            one
        })
        .collect()
}

fn whole() -> Span {
    Span {
        from: at(0),
        until: at(60_000_000),
    }
}

async fn filled(ledger: &Arc<dyn Watched>) -> Vec<AttemptRecord> {
    let attempts = attempts();
    let batch = Batch {
        attempts: attempts.clone(),
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    attempts
}

pub(crate) async fn what_is_observed_is_what_counting_one_by_one_gives(ledger: Arc<dyn Watched>) {
    let attempts = filled(&ledger).await;
    let mut expected: BTreeMap<Observed, Vec<(Option<u8>, u32, u32)>> = BTreeMap::new();
    for one in &attempts {
        let Some(reported) = one.verdict.class else {
            continue;
        };
        let key = Observed {
            bucket: one.received_at.as_second().div_euclid(10),
            channel: one.channel.clone(),
            method: one.segment.method.clone(),
            issuer: one.segment.issuer.clone(),
            region: one.segment.region.clone(),
            merchant: one.merchant.clone(),
            class: one.known_class().unwrap(),
            count: 0,
            later: 0,
            unknown: 0,
            bins: Vec::new(),
        };
        let bin = (reported != OutcomeClass::Timeout).then(|| Latencies::bin(one.latency_ms));
        let unknown = u32::from(one.verdict.state == State::Unknown.as_str());
        expected
            .entry(key)
            .or_default()
            .push((bin, u32::from(one.attempt_no > 1), unknown));
    }
    let expected: Vec<Observed> = expected
        .into_iter()
        .map(|(key, ones)| Observed {
            count: u32::try_from(ones.len()).unwrap(),
            later: ones.iter().map(|one| one.1).sum(),
            unknown: ones.iter().map(|one| one.2).sum(),
            bins: crate::row::observation::bin_counts(ones.iter().filter_map(|one| one.0).collect()),
            ..key
        })
        .collect();
    let mut observed = ledger.observe(whole(), 10).await.unwrap();
    observed.sort();
    assert_eq!(observed, expected);
    let past = Span {
        from: at(-60_000_000),
        until: at(0),
    };
    assert_eq!(ledger.observe(past, 10).await.unwrap(), [], "the end is left out");
}

pub(crate) async fn an_impact_counts_what_failed_and_what_nobody_paid(ledger: Arc<dyn Watched>) {
    let attempts = filled(&ledger).await;
    let has_failed = |one: &&AttemptRecord| {
        let known = one.known_class();
        known.is_some_and(|class| !class.is_success())
    };
    let whom = Whom {
        channels: vec![ChannelId::new("bank_b").unwrap()],
        method: Some("card".to_owned()),
        merchant: Some(merchant()),
        ..Whom::default()
    };
    let at_b = || attempts.iter().filter(|one| one.channel.as_str() == "bank_b");
    let impact = ledger.impact(whole(), &whom, 5).await.unwrap();
    let with_outcome = at_b().filter(|one| one.verdict.class.is_some()).count();
    assert_eq!(usize::try_from(impact.attempts).unwrap(), with_outcome);
    let failed: Vec<_> = at_b().filter(has_failed).collect();
    assert_eq!(usize::try_from(impact.failed).unwrap(), failed.len());
    let paid = |payment| {
        attempts
            .iter()
            .any(|one| one.payment == payment && one.known_class() == Some(OutcomeClass::Success))
    };
    let lost = failed.iter().filter(|one| !paid(one.payment.clone())).count();
    let [cny] = impact.lost.as_slice() else {
        panic!("one currency");
    };
    assert_eq!(
        (usize::try_from(cny.payments).unwrap(), cny.currency.as_str()),
        (lost, "CNY")
    );
    assert_eq!(cny.amount_minor, 12_345 * i64::try_from(lost).unwrap());
    let names = |parts: &[crate::Part]| parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&impact.channels), ["bank_b"]);
    assert_eq!(names(&impact.reasons), ["channel_timeout"]);
    assert_eq!(impact.issuers.len(), 2);
    let latest = failed.last().unwrap();
    assert_eq!(impact.sampled.len(), 5);
    assert_eq!(
        impact.sampled[0],
        Sampled {
            merchant: latest.merchant.clone(),
            payment: latest.payment.clone(),
            channel: latest.channel.clone(),
            reason: latest.verdict.reason.clone(),
        }
    );
    let nowhere = Whom {
        region: Some("nowhere".to_owned()),
        ..Whom::default()
    };
    assert_eq!(
        ledger.impact(whole(), &nowhere, 5).await.unwrap(),
        crate::Impact::default()
    );
}

pub(crate) async fn codes_of_failures_are_counted_the_most_frequent_first(ledger: Arc<dyn Watched>) {
    let codes = [
        (Some("E1"), None),
        (Some("E2"), Some("fine")),
        (Some("E2"), Some("fine")),
        (None, Some("fine")),
        (None, None),
    ];
    let mut attempts: Vec<AttemptRecord> = (0..)
        .zip(codes)
        .map(|(number, (code, sub_code))| {
            let mut one = attempt(&format!("a{number}"));
            one.report.code = code.map(ToOwned::to_owned);
            one.report.sub_code = sub_code.map(ToOwned::to_owned);
            one.received_at = at(number);
            one
        })
        .collect();
    // A success may bear a code, too.
    let mut paid = attempts[0].clone();
    paid.attempt = AttemptId::new("paid").unwrap();
    paid.verdict.reason = None;
    attempts.push(paid);
    let batch = Batch {
        attempts,
        ..Batch::default()
    };
    ledger.commit(&batch).await.unwrap();
    let found = ledger.reported_codes(whole(), 9).await.unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.code.as_deref(), found.sub_code.as_deref(), found.count))
        .collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0], (Some("E2"), Some("fine"), 2));
    assert!(told.contains(&(Some("E1"), None, 1)) && told.contains(&(None, Some("fine"), 1)));
    assert_eq!((found[0].first_at, found[0].last_at), (at(1), at(2)));
    assert_eq!(found[0].reason.as_deref(), Some("channel_timeout"));
    assert_eq!(ledger.reported_codes(whole(), 1).await.unwrap().len(), 1);
}
