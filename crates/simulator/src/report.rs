//! Several runs of several routers side by side: means with their 95 % intervals, as a Markdown table.

use std::fmt;

use serde::Serialize;

use crate::measure::{Crossing, Departure, Measures};
use crate::number::float;

/// The two-sided 95 % points of Student's distribution for 1 to 30 degrees of freedom, from any table of it.
const STUDENT_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL_95: f64 = 1.960;

/// A mean over seeds and how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % interval; `None` from a single value, which says nothing about the spread.
    pub half_width: Option<f64>,
}

impl Estimate {
    /// The mean of `values`, by Student's distribution; `None` of nothing.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let number = float(values.len());
        let mean = values.iter().sum::<f64>() / number;
        let freedom = values.len() - 1;
        let half_width = (freedom > 0).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let student = STUDENT_95.get(freedom - 1).copied().unwrap_or_else(|| {
                // Cornish and Fisher's first term: right to three digits from 31 degrees on.
                NORMAL_95 + (NORMAL_95.powi(3) + NORMAL_95) / (4.0 * float(freedom))
            });
            student * (squares / float(freedom) / number).sqrt()
        });
        Some(Self { mean, half_width })
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$}", self.mean)?;
        match self.half_width {
            Some(half_width) => write!(f, " ± {half_width:.digits$}"),
            None => Ok(()),
        }
    }
}

/// One router over several seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The router.
    pub router: String,
    /// Per cent of payments that succeeded at the first attempt.
    pub first_attempt_percent: Option<Estimate>,
    /// Per cent of payments that were paid in the end.
    pub failover_percent: Option<Estimate>,
    /// Expected successes lost against the oracle, per 10 000 payments.
    pub regret_per_10k: Option<Estimate>,
    /// The part of them that exploring cost.
    pub exploration_per_10k: Option<Estimate>,
    /// Seconds to leave a failing channel, over events and seeds. One that was not left counts with the length of its
    /// event.
    pub leave_s: Option<Estimate>,
    /// Seconds to return to it. One that was not returned to counts with the time that was left.
    pub return_s: Option<Estimate>,
    /// First attempts sent to failing channels, per seed.
    pub sent_to_dead: Option<Estimate>,
    /// How many of the departures and returns were never reached.
    pub not_reached: Missed,
}

/// A part of a number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// How many it is.
    pub missed: usize,
    /// Of how many.
    pub of: usize,
}

impl Line {
    /// Sums up the runs of `router`, one per seed.
    #[must_use]
    pub fn of(router: &str, runs: &[Measures]) -> Self {
        let each = |value: fn(&Measures) -> f64| Estimate::of(&runs.iter().map(value).collect::<Vec<_>>());
        let crossings = |which: fn(&Departure) -> Option<Crossing>| -> Vec<Vec<Crossing>> {
            let of_run = |run: &Measures| run.departures.iter().filter_map(which).collect();
            runs.iter().map(of_run).collect()
        };
        let (left, returned) = (crossings(|one| one.leave), crossings(|one| one.come_back));
        let all = || left.iter().chain(&returned).flatten();
        let missed = all()
            .filter(|crossing| matches!(crossing, Crossing::NotWithin(_)))
            .count();
        let dead = |run: &Measures| float(run.departures.iter().map(|one| one.sent_to_dead).sum());
        let eventful = runs.iter().any(|run| !run.departures.is_empty());
        Self {
            router: router.to_owned(),
            first_attempt_percent: each(|run| 100.0 * run.first_attempt_rate),
            failover_percent: each(|run| 100.0 * run.failover_rate),
            regret_per_10k: each(|run| run.regret_per_10k),
            exploration_per_10k: each(|run| run.exploration_per_10k),
            leave_s: seed_means(&left),
            return_s: seed_means(&returned),
            sent_to_dead: Estimate::of(&runs.iter().map(dead).collect::<Vec<_>>()).filter(|_| eventful),
            not_reached: Missed {
                missed,
                of: all().count(),
            },
        }
    }
}

/// The events of one seed share its luck, so that only means over seeds are independent of each other.
fn seed_means(crossings: &[Vec<Crossing>]) -> Option<Estimate> {
    let seconds = |of_seed: &Vec<Crossing>| {
        let all: Vec<f64> = of_seed.iter().map(|crossing| crossing.at_least_s()).collect();
        Estimate::of(&all).map(|estimate| estimate.mean)
    };
    Estimate::of(&crossings.iter().filter_map(seconds).collect::<Vec<_>>())
}

const HEAD: [&str; 9] = [
    "router",
    "first attempt %",
    "with failover %",
    "regret /10k",
    "exploring /10k",
    "leave s",
    "return s",
    "sent to dead",
    "not reached",
];

/// The lines as a Markdown table that also reads well as plain text.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let cell = |estimate: Option<Estimate>, digits: usize| {
        estimate.map_or_else(|| "-".to_owned(), |estimate| format!("{estimate:.digits$}"))
    };
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(lines.iter().map(|line| {
        [
            line.router.clone(),
            cell(line.first_attempt_percent, 2),
            cell(line.failover_percent, 2),
            cell(line.regret_per_10k, 1),
            cell(line.exploration_per_10k, 1),
            cell(line.leave_s, 1),
            cell(line.return_s, 1),
            cell(line.sent_to_dead, 0),
            format!("{} of {}", line.not_reached.missed, line.not_reached.of),
        ]
    }));
    let mut widths = [3; HEAD.len()];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (text, width))| {
            if column == 0 {
                format!("{text:<width$}")
            } else {
                format!("{text:>width$}")
            }
        });
        push_row(&mut text, &cells.collect::<Vec<_>>());
        if number == 0 {
            let rules = widths.iter().enumerate().map(|(column, width)| {
                if column == 0 {
                    "-".repeat(*width)
                } else {
                    format!("{}:", "-".repeat(width - 1))
                }
            });
            push_row(&mut text, &rules.collect::<Vec<_>>());
        }
    }
    text
}

fn push_row(text: &mut String, cells: &[String]) {
    text.push_str("| ");
    text.push_str(&cells.join(" | "));
    text.push_str(" |\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::ChannelIndex;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-3, "{found} for {expected}");
    }

    #[test]
    fn an_interval_is_students() {
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        near(estimate.mean, 3.0);
        // 2.776 * sqrt(2.5 / 5)
        near(estimate.half_width.unwrap(), 1.963);
    }

    #[test]
    fn one_value_has_no_interval() {
        let estimate = Estimate::of(&[4.0]).unwrap();
        assert_eq!(estimate.half_width, None);
        assert_eq!(format!("{estimate:.1}"), "4.0");
    }

    #[test]
    fn many_values_come_close_to_the_normal_interval() {
        let values: Vec<f64> = (0..100).map(|number| f64::from(number % 2)).collect();
        // The 95 % point for 99 degrees of freedom is 1.984; the deviation is sqrt(25 / 99).
        near(Estimate::of(&values).unwrap().half_width.unwrap(), 0.0997);
    }

    #[test]
    fn what_was_never_reached_is_counted_and_not_left_out() {
        let run = |leave| Measures {
            departures: vec![Departure {
                channel: ChannelIndex::at(0),
                kind: "outage",
                sent_to_dead: 10,
                leave: Some(leave),
                come_back: None,
            }],
            ..Measures::default()
        };
        let line = Line::of("x", &[run(Crossing::After(2.0)), run(Crossing::NotWithin(60.0))]);
        assert_eq!(line.not_reached, Missed { missed: 1, of: 2 });
        near(line.leave_s.unwrap().mean, 31.0);
        assert_eq!(line.return_s, None);
    }

    #[test]
    fn a_table_is_aligned_markdown() {
        let run = |first_attempt_rate| Measures {
            payments: 10,
            first_attempt_rate,
            failover_rate: 0.95,
            regret_per_10k: 33.33,
            ..Measures::default()
        };
        insta::assert_snapshot!(table(&[
            Line::of("payroute", &[run(0.9), run(0.92)]),
            Line::of("static priority", &[run(0.75)]),
        ]));
    }
}
