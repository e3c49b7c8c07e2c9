//! How often chance alone makes an alert: the table of docs/alerts.md, by simulation.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::judge;
use super::*;

/// How many evaluations each cell is simulated with.
const EVALUATIONS: u32 = 4_000;

/// Outcomes in the window, then for a true success rate of 97, 94, 90 and 80 % how often, in percent, an evaluation says
/// "below 95 %": by the share as counted, and by the confidence interval.
const TABLE: [(u32, [(f64, f64); 4]); 6] = [
    (20, [(12.0, 2.1), (34.0, 12.0), (61.0, 32.0), (93.0, 79.0)]),
    (50, [(18.9, 0.4), (58.0, 8.0), (89.0, 38.0), (99.9, 95.0)]),
    (100, [(8.1, 0.09), (56.0, 8.0), (94.0, 55.0), (100.0, 99.8)]),
    (200, [(4.0, 0.01), (66.0, 9.0), (99.0, 79.0), (100.0, 100.0)]),
    (500, [(0.55, 0.0), (80.0, 20.0), (100.0, 99.0), (100.0, 100.0)]),
    (1_000, [(0.02, 0.0), (90.0, 32.0), (100.0, 100.0), (100.0, 100.0)]),
];

const TRUE_RATES: [f64; 4] = [0.97, 0.94, 0.90, 0.80];

/// A rule with both statistics: its first check is naive.
const BOTH: &str = "
version: 1
rules:
  - name: Low
    metric: technical_success
    below: 95%
    checks:
      - {window: 1m, min_volume: 20, mode: naive}
      - {window: 1m, min_volume: 20, mode: wilson}
    severity: critical
";

/// The chance of at most 0, 1, 2 and so on failures among `total`, each of which fails with this chance.
fn cumulative(total: u32, failing: f64) -> Vec<f64> {
    let mut chance = (f64::from(total) * (1.0 - failing).ln()).exp();
    let mut sum = 0.0;
    let mut sums = Vec::new();
    for failures in 0..=total {
        sum += chance;
        sums.push(sum);
        chance *= f64::from(total - failures) / f64::from(failures + 1) * failing / (1.0 - failing);
    }
    sums
}

/// How often, in percent, each check of `rule` sees the line crossed.
fn simulated(rule: &super::super::Rule, total: u32, rate: f64, random: &mut SmallRng) -> [f64; 2] {
    let sums = cumulative(total, 1.0 - rate);
    let mut crossed = [0_u32; 2];
    for _ in 0..EVALUATIONS {
        let draw: f64 = random.random();
        let failures = u32::try_from(sums.partition_point(|sum| *sum < draw))
            .unwrap()
            .min(total);
        let Reading::Known(seen) = seen(total, failures, 0) else {
            panic!("known")
        };
        for check in judge(rule, &seen, at(0)).held {
            crossed[check] += 1;
        }
    }
    crossed.map(|count| f64::from(count) * 100.0 / f64::from(EVALUATIONS))
}

/// Four times the sampling error, and what the table has rounded away.
fn tolerance(percent: f64) -> f64 {
    let share = (percent / 100.0).clamp(0.0005, 0.9995);
    400.0 * (share * (1.0 - share) / f64::from(EVALUATIONS)).sqrt() + 0.5
}

#[test]
fn chance_makes_as_many_alerts_as_the_table_of_the_docs_says() {
    let rule = rules(BOTH).list.remove(0);
    let mut random = SmallRng::seed_from_u64(34);
    for (total, row) in TABLE {
        for (rate, (naive, wilson)) in TRUE_RATES.into_iter().zip(row) {
            let found = simulated(&rule, total, rate, &mut random);
            for (found, expected) in found.into_iter().zip([naive, wilson]) {
                assert!(
                    (found - expected).abs() <= tolerance(expected),
                    "{total} outcomes, truly {rate}: {found} %, the table says {expected} %"
                );
            }
        }
    }
}

/// How often a day a shop with so many outcomes every ten seconds, all as good as `rate` says, is paged by `rule`.
fn pages_a_day(rule: &super::super::Rule, each: u32, rate: f64, random: &mut SmallRng) -> usize {
    let sums = cumulative(each, 1.0 - rate);
    let mut world = World::new("{version: 1, rules: []}");
    world.rules.list = vec![rule.clone()];
    let mut failed: Vec<u32> = Vec::new();
    for step in 0..8_640_i64 {
        let draw: f64 = random.random();
        failed.push(u32::try_from(sums.partition_point(|sum| *sum < draw)).unwrap());
        let Reading::Known(mut known) = seen(0, 0, 0) else {
            panic!("known")
        };
        known.latest_at = Some(at(step * 10));
        known.spans.clear();
        for secs in rule.spans() {
            let buckets = usize::try_from(secs / 10).unwrap().min(failed.len());
            let bad: u32 = failed[failed.len() - buckets..].iter().sum();
            let total = each * u32::try_from(buckets).unwrap();
            let Reading::Known(span) = seen(total, bad, 0) else {
                panic!("known")
            };
            known.spans.insert(secs, span.spans[&60].clone());
        }
        let readings = BTreeMap::from([(Scope::overall(), Reading::Known(known))]);
        let evaluated = evaluate(
            rule,
            &readings,
            std::mem::take(&mut world.instances),
            at(step * 10),
        );
        world.instances = evaluated.instances;
        world.transitions.extend(evaluated.transitions);
    }
    let fired = |transition: &&Transition| transition.change == Change::Fired;
    world.transitions.iter().filter(fired).count()
}

#[test]
fn a_healthy_shop_is_paged_by_chance_less_than_once_a_day() {
    let built_in = rules(super::super::BUILT_IN);
    let rule = built_in.rule("SuccessRateLow").unwrap();
    let mut random = SmallRng::seed_from_u64(7);
    let paged: usize = [8, 10, 20, 50]
        .into_iter()
        .map(|each| pages_a_day(rule, each, 0.97, &mut random))
        .sum();
    assert!(paged <= 1, "{paged} pages on four shops in a day");
    assert!(
        pages_a_day(rule, 50, 0.90, &mut random) >= 1,
        "and an ill one is paged"
    );
}
