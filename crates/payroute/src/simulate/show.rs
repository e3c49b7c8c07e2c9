//! What came of a contest, as tables for people and as data for programs.

use std::io::Write;

use serde::Serialize;
use simulator::measure::Measures;
use simulator::report::{Line, table};

use super::contest::{Contender, Contest, Run};

/// The result of a contest.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The name of the shop's policy.
    policy: String,
    /// Its version.
    policy_version: String,
    /// How many seeds each mean is over.
    seeds: u32,
    /// One per scenario.
    scenarios: Vec<Table>,
    /// All scenarios together, each counting the same; nothing when there is only one.
    all: Option<Vec<Line>>,
}

/// The lines of one scenario.
#[derive(Debug, Serialize)]
struct Table {
    scenario: String,
    description: String,
    lines: Vec<Line>,
}

impl Report {
    /// Sums up `runs`, one list per scenario of `contest`.
    pub(super) fn of(contest: &Contest, runs: &[Vec<Run>]) -> Self {
        let table = |(scenario, runs): (&simulator::scenario::Scenario, &Vec<Run>)| Table {
            scenario: scenario.name.clone(),
            description: scenario.description.clone(),
            lines: lines(|place| {
                runs.iter()
                    .filter_map(|run| run.measures.get(place).cloned())
                    .collect()
            }),
        };
        let policy = &contest.shop.policy;
        Self {
            policy: policy.name().to_owned(),
            policy_version: policy.version().to_owned(),
            seeds: contest.seeds.get(),
            scenarios: contest.scenarios.iter().zip(runs).map(table).collect(),
            all: (runs.len() > 1).then(|| lines(|place| together(runs, place))),
        }
    }

    /// Writes the tables.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (policy, version, seeds) = (&self.policy, &self.policy_version, self.seeds);
        writeln!(
            out,
            "The shop's policy is {policy} {version}. Means over {seeds} seeds, ± half of their 95 % interval."
        )?;
        for scenario in &self.scenarios {
            writeln!(out, "\n{}: {}\n", scenario.scenario, scenario.description)?;
            write!(out, "{}", table(&scenario.lines))?;
        }
        if let Some(all) = &self.all {
            writeln!(out, "\nall together, each scenario counting the same\n")?;
            write!(out, "{}", table(all))?;
        }
        Ok(())
    }
}

/// One line per contender, from its measures, one per seed.
fn lines(measures: impl Fn(usize) -> Vec<Measures>) -> Vec<Line> {
    let named = Contender::ALL.into_iter().enumerate();
    named
        .map(|(place, contender)| Line::of(contender.name(), &measures(place)))
        .collect()
}

/// The measures of the contender at `place` over all scenarios, one per seed. Seeds are independent of each other;
/// scenarios under one seed are not.
fn together(runs: &[Vec<Run>], place: usize) -> Vec<Measures> {
    let seeds = runs.first().map_or(0, Vec::len);
    let of_seed = |seed: usize| {
        let of_scenario = |runs: &'_ Vec<Run>| runs.get(seed)?.measures.get(place).cloned();
        let all: Vec<Measures> = runs.iter().filter_map(of_scenario).collect();
        Measures::together(&all.iter().collect::<Vec<_>>())
    };
    (0..seeds).map(of_seed).collect()
}
