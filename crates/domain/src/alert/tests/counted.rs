//! What rules find in counted outcomes.

use proptest::prelude::*;

use super::super::{Beside, Dimension, Metric, Series, failed};
use super::*;
use crate::window::bucket_number;

fn place(channel: &str, issuer: Option<&str>) -> Scope {
    let scope = Scope::overall()
        .with(Dimension::Provider, "p")
        .with(Dimension::Channel, channel);
    issuer.map_or(scope.clone(), |issuer| scope.with(Dimension::Issuer, issuer))
}

fn span(total: u32, failed: u32) -> Span {
    let Reading::Known(seen) = seen(total, failed, 0) else {
        panic!("known")
    };
    seen.spans[&60].clone()
}

fn rule(lines: &str) -> super::super::Rule {
    let text = format!("{{version: 1, rules: [{{name: R, severity: error, {lines}}}]}}");
    rules(&text).list.remove(0)
}

fn known(reading: &Reading) -> &Observation {
    match reading {
        Reading::Known(seen) => seen,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_scope_finds_its_own_outcomes_and_the_filter_holds() {
    let mut series = Series::default();
    let bucket = bucket_number(at(0));
    series.add(bucket, place("a", Some("icbc")), &span(10, 1));
    series.add(bucket, place("b", None), &span(20, 2));
    series.add(bucket - 6, place("a", Some("icbc")), &span(40, 4));
    let checks = "checks: [{window: 1m, min_volume: 10}]";
    let by_issuer = rule(&format!(
        "metric: technical_success, below: 95%, by: issuer, {checks}"
    ));
    let readings = series.readings(&by_issuer, &Beside::default(), at(0));
    assert_eq!(readings.len(), 1, "outcomes without an issuer are left out");
    let only_b = rule(&format!(
        "metric: technical_success, below: 95%, only: {{channel: b}}, {checks}"
    ));
    let readings = series.readings(&only_b, &Beside::default(), at(0));
    let seen = known(&readings[&Scope::overall()]);
    assert_eq!((seen.spans[&60].total(), seen.spans[&300].total()), (20, 20));
    assert_eq!(seen.latest.len(), 1);
}

#[test]
fn nothing_seen_is_told_of_everything_together_and_of_what_was_expected() {
    let series = Series::default();
    let overall = rule("metric: silent_channel, checks: [{window: 5m, min_volume: 10}]");
    let beside = Beside {
        hourly: BTreeMap::from([(Scope::overall(), 119), (place("a", None), 120)]),
        ..Beside::default()
    };
    let readings = series.readings(&overall, &beside, at(0));
    assert_eq!(known(&readings[&Scope::overall()]).spans[&300].expected, Some(9));
    assert_eq!(known(&readings[&place("a", None)]).spans[&300].expected, Some(10));
}

#[test]
fn streaks_and_gauges_are_known_by_their_own_scopes() {
    let mut series = Series::default();
    series.add(bucket_number(at(0)), place("a", None), &span(10, 1));
    let beside = Beside {
        streaks: BTreeMap::from([(place("a", None), (5, 2))]),
        gauges: BTreeMap::from([((Metric::DeadLetters, Scope::overall()), 3)]),
        ..Beside::default()
    };
    let streak = rule("metric: failure_streak, by: channel, at_least: 5");
    let readings = series.readings(&streak, &beside, at(0));
    let seen = known(&readings[&place("a", None)]);
    assert_eq!((seen.failure_streak, seen.spans[&1_800].total()), (5, 10));
    let letters = rule("metric: dead_letters, above: 0");
    assert_eq!(
        known(&series.readings(&letters, &beside, at(0))[&Scope::overall()]).gauge,
        Some(3)
    );
    let other = rule("metric: spool, above: 50%");
    assert!(series.readings(&other, &beside, at(0)).is_empty());
    let readings = failed(&letters, &[], "away");
    assert_eq!(readings[&Scope::overall()], Reading::Error("away".into()));
}

#[test]
fn what_is_counted_anew_takes_the_place_of_what_was_counted() {
    let mut series = Series::default();
    let bucket = bucket_number(at(0));
    for age in 0..4 {
        series.add(bucket - age, place("a", None), &span(10, 0));
    }
    series.forget(bucket - 2, bucket - 1);
    series.add(bucket - 1, place("a", None), &span(7, 0));
    let one = rule("metric: technical_success, below: 95%, checks: [{window: 1m, min_volume: 10}]");
    let readings = series.readings(&one, &Beside::default(), at(0));
    assert_eq!(known(&readings[&Scope::overall()]).spans[&60].total(), 27);
}

proptest! {
    #[test]
    fn a_span_is_what_its_buckets_hold(
        counted in proptest::collection::vec((0..400_i64, 1..50_u32), 0..40),
        secs in proptest::sample::select(vec![60_u32, 300, 3_600]),
    ) {
        let mut series = Series::default();
        let last = bucket_number(at(0));
        for (age, total) in &counted {
            series.add(last - age, place("a", None), &span(*total, 0));
        }
        let one = rule(&format!(
            "metric: technical_success, below: 95%, checks: [{{window: {secs}s, min_volume: 10}}]"
        ));
        let readings = series.readings(&one, &Beside::default(), at(0));
        let within = |(age, _): &&(i64, u32)| *age < i64::from(secs) / 10;
        let expected: u32 = counted.iter().filter(within).map(|(_, total)| total).sum();
        prop_assert_eq!(known(&readings[&Scope::overall()]).spans[&secs].total(), expected);
    }
}
