//! What a played world says about its router: success, regret, how fast it left a failing channel and came back.

use std::time::Duration;

use domain::payment::Attributes;

use crate::drive::{Played, Stage};
use crate::number::{count, float, seconds, share};
use crate::scenario::event::{Event, Kind};
use crate::scenario::quantity::Seconds;
use crate::world::{ChannelIndex, Visit};

/// A channel's share before an event is taken over this many seconds.
const BEFORE_S: f64 = 120.0;
/// Below this share before the event there is nothing to leave.
const MIN_SHARE_BEFORE: f64 = 0.2;
/// A channel has been left when its share is down to this part of what it was, and these probes on top.
const LEFT: f64 = 0.1;
const PROBES: f64 = 0.02;
/// A router has returned when the share is back at this part of what it was.
const RETURNED: f64 = 0.8;
/// Shares are taken over the payments of this many seconds, within these bounds.
const WINDOW_S: f64 = 5.0;
const WINDOW_PAYMENTS: (usize, usize) = (40, 400);
/// Fewer payments than this say nothing about a share.
const MIN_PAYMENTS: usize = 20;
/// An event is worth leaving for when its channel stays the best for at most this part of those it hits.
const STILL_BEST: f64 = 0.05;

/// What is measured on one run. Payments of the warm-up are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// Payments that came.
    pub payments: usize,
    /// The share that succeeded at the first attempt.
    pub first_attempt_rate: f64,
    /// The share that was paid in the end.
    pub failover_rate: f64,
    /// Expected successes lost at the first attempt against the best channel of each moment, per 10 000 payments.
    pub regret_per_10k: f64,
    /// The part of the regret that was spent on exploring.
    pub exploration_per_10k: f64,
    /// One for each event that was worth leaving for, in the order of the scenario.
    pub departures: Vec<Departure>,
}

/// How a router met an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    /// Where it happened.
    pub channel: ChannelIndex,
    /// What happened, in plain words.
    pub kind: &'static str,
    /// First attempts sent there between its start and its end.
    pub sent_to_dead: usize,
    /// From the start until the channel had at most a tenth of its former share; `None` when it had hardly any share
    /// before, so that there was nothing to leave.
    pub leave: Option<Crossing>,
    /// From the end until it had four fifths of its former share again; `None` when it was never left.
    pub come_back: Option<Crossing>,
}

/// When a share came to where it was watched for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// After this many seconds.
    After(f64),
    /// Not in the seconds that there were.
    NotWithin(f64),
}

impl Crossing {
    /// The seconds until it was reached, or at least watched: a lower bound for what was not reached.
    #[must_use]
    pub const fn at_least_s(self) -> f64 {
        match self {
            Self::After(seconds) | Self::NotWithin(seconds) => seconds,
        }
    }
}

impl Measures {
    /// Measures a run of `stage`.
    #[must_use]
    pub fn of(stage: &Stage, played: &[Played]) -> Self {
        let warm_up = stage.world.scenario().warm_up_s.duration();
        let counted = played
            .get(played.partition_point(|one| one.at < warm_up)..)
            .unwrap_or(&[]);
        let number = |wanted: fn(&Played) -> bool| counted.iter().filter(|one| wanted(one)).count();
        let per_10k = |wanted: fn(&Played) -> bool| {
            let lost = counted
                .iter()
                .filter(|one| wanted(one))
                .map(|one| one.best - one.chosen);
            // Folded from zero, because the sum of nothing is minus zero, and would be printed so.
            1e4 * lost.fold(0.0, |sum, one| sum + one) / float(counted.len().max(1))
        };
        Self {
            payments: counted.len(),
            first_attempt_rate: share(number(|one| one.first_succeeded), counted.len()),
            failover_rate: share(number(|one| one.paid), counted.len()),
            regret_per_10k: per_10k(|_| true),
            exploration_per_10k: per_10k(|one| one.explored),
            departures: departures(stage, played),
        }
    }
}

impl Measures {
    /// Several scenarios of one router under one seed, taken as one run: rates and regrets are their means, every
    /// scenario counting the same; payments and departures are all of them.
    #[must_use]
    pub fn together(runs: &[&Self]) -> Self {
        let mean = |value: fn(&Self) -> f64| {
            runs.iter().map(|run| value(run)).sum::<f64>() / float(runs.len().max(1))
        };
        Self {
            payments: runs.iter().map(|run| run.payments).sum(),
            first_attempt_rate: mean(|run| run.first_attempt_rate),
            failover_rate: mean(|run| run.failover_rate),
            regret_per_10k: mean(|run| run.regret_per_10k),
            exploration_per_10k: mean(|run| run.exploration_per_10k),
            departures: runs
                .iter()
                .flat_map(|run| run.departures.iter().cloned())
                .collect(),
        }
    }
}

/// The share of first attempts that each channel got, step by step. `rows[step][channel]`; a step in which nobody came
/// has only zeros.
#[must_use]
pub fn shares(stage: &Stage, played: &[Played], step: Seconds) -> Vec<Vec<f64>> {
    let channels = stage.world.channels().len();
    let step = step.duration().max(Duration::from_millis(1));
    let mut rows = Vec::new();
    let (mut from, mut until) = (0, step);
    let duration = stage.world.scenario().duration();
    while until < duration + step {
        let to = played.partition_point(|one| one.at < until);
        let mut counts = vec![0; channels];
        for first in played
            .get(from..to)
            .unwrap_or(&[])
            .iter()
            .filter_map(|one| one.tried.first())
        {
            if let Some(count) = counts.get_mut(first.place()) {
                *count += 1;
            }
        }
        rows.push(counts.iter().map(|count| share(*count, to - from)).collect());
        (from, until) = (to, until + step);
    }
    rows
}

fn departures(stage: &Stage, played: &[Played]) -> Vec<Departure> {
    let events = &stage.world.scenario().events;
    let measured: Vec<_> = events
        .iter()
        .filter_map(|event| worth_leaving(stage, event).map(|channel| (event, channel)))
        .collect();
    let departure = |(event, channel): &(&Event, ChannelIndex)| {
        let later = measured
            .iter()
            .filter(|(other, at)| at == channel && other.start_s >= event.end_s);
        let again = later.map(|(other, _)| other.start_s.get());
        let until = again.fold(stage.world.scenario().duration_s.get(), f64::min);
        Watch::on(stage, played, event, *channel).departure(event, until)
    };
    measured.iter().map(departure).collect()
}

/// The channel of `event`, when those it hits should leave it.
fn worth_leaving(stage: &Stage, event: &Event) -> Option<ChannelIndex> {
    if event.kind.killing().is_none() && !matches!(event.kind, Kind::Slow { .. }) {
        return None;
    }
    let world = &stage.world;
    let channel = world.index_of(event.channel.as_ref()?)?;
    let rate = |channel, payment: &Attributes| {
        world.success_probability(&Visit {
            channel,
            payment,
            attempt_no: 1,
            at: (event.start_s.duration() + event.end_s.duration()) / 2,
            load_tps: 0.0,
        })
    };
    let still_best = |payment: &Attributes| {
        let own = rate(channel, payment);
        world.taking(payment).all(|other| rate(other, payment) <= own)
    };
    let hit = || {
        stage
            .shoppers
            .iter()
            .map(|shopper| &shopper.payment)
            .filter(|one| hits(stage, event, channel, one))
    };
    // Every so many is enough to know, and a long scenario has millions.
    let some = || hit().step_by(17);
    let best = some().filter(|payment| still_best(payment)).count();
    let all = some().count();
    (all > 0 && share(best, all) <= STILL_BEST).then_some(channel)
}

fn hits(stage: &Stage, event: &Event, channel: ChannelIndex, payment: &Attributes) -> bool {
    let takes = stage
        .world
        .channel(channel)
        .is_some_and(|channel| channel.takes(payment));
    takes && event.matches(payment)
}

/// The payments that an event concerns: when each came, and how many of those before it went to the channel.
struct Watch {
    channel: ChannelIndex,
    came: Vec<Duration>,
    /// One longer than `came`.
    went_there: Vec<usize>,
}

impl Watch {
    fn on(stage: &Stage, played: &[Played], event: &Event, channel: ChannelIndex) -> Self {
        let mut watch = Self {
            channel,
            came: Vec::new(),
            went_there: vec![0],
        };
        let mut sum = 0;
        for (shopper, one) in stage.shoppers.iter().zip(played) {
            if hits(stage, event, channel, &shopper.payment) {
                sum += usize::from(one.tried.first() == Some(&channel));
                watch.came.push(one.at);
                watch.went_there.push(sum);
            }
        }
        watch
    }

    fn position(&self, second: f64) -> usize {
        let at = seconds(second);
        self.came.partition_point(|came| *came < at)
    }

    fn sent(&self, from: usize, to: usize) -> usize {
        let sum = |at: usize| self.went_there.get(at).copied().unwrap_or(0);
        sum(to).saturating_sub(sum(from))
    }

    fn departure(&self, event: &Event, until_s: f64) -> Departure {
        let (start_s, end_s) = (event.start_s.get(), event.end_s.get());
        let over_s = (end_s + event.ramp_out_s.get()).min(until_s);
        let (before, start, end) = (
            self.position(start_s - BEFORE_S),
            self.position(start_s),
            self.position(end_s),
        );
        let former = share(self.sent(before, start), start - before);
        let per_s = float(end - start) / (end_s - start_s).max(1e-3);
        let window = count(per_s * WINDOW_S).clamp(WINDOW_PAYMENTS.0, WINDOW_PAYMENTS.1);
        let watched = start - before >= MIN_PAYMENTS && former >= MIN_SHARE_BEFORE;
        let leave = watched.then(|| {
            let left = |share| share <= LEFT * former + PROBES;
            self.crossing(start_s, end_s, window, &left)
        });
        let was_left = matches!(leave, Some(Crossing::After(_)));
        let come_back = was_left.then(|| {
            let returned = |share| share >= RETURNED * former;
            self.crossing(over_s, until_s, window, &returned)
        });
        Departure {
            channel: self.channel,
            kind: event.kind.as_str(),
            sent_to_dead: self.sent(start, end),
            leave,
            come_back,
        }
    }

    /// When the share of the next `window` payments is first one that is looked for.
    fn crossing(&self, from_s: f64, to_s: f64, window: usize, reached: &dyn Fn(f64) -> bool) -> Crossing {
        let (from, to) = (self.position(from_s), self.position(to_s));
        let found = (from..to.saturating_sub(MIN_PAYMENTS - 1)).find(|at| {
            let until = (at + window).min(to);
            reached(share(self.sent(*at, until), until - at))
        });
        match found.and_then(|at| self.came.get(at)) {
            Some(came) => Crossing::After((came.as_secs_f64() - from_s).max(0.0)),
            None => Crossing::NotWithin((to_s - from_s).max(0.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Ask, Choice, Failover, Router, Told, play};
    use crate::fixture;
    use crate::routers::{Oracle, StaticPriority};

    /// Leaves the first channel a while after the outage began, and comes back a while after it was over.
    struct Late {
        leave: Duration,
        come_back: Duration,
    }

    impl Router for Late {
        fn route(&mut self, ask: &Ask<'_>) -> Option<Choice> {
            let away = (self.leave..self.come_back).contains(&ask.now);
            let channel = ask.candidates.get(usize::from(away)).or(ask.candidates.first());
            channel.map(|channel| Choice {
                channel: *channel,
                explores: !away,
            })
        }

        fn outcome(&mut self, _: &Told<'_>) {}
    }

    fn measured(router: &mut dyn Router) -> (Stage, Measures) {
        let stage = Stage::of(fixture::world(1));
        let measures = Measures::of(&stage, &play(&stage, router, Failover::default()));
        (stage, measures)
    }

    fn after(crossing: Option<Crossing>) -> f64 {
        match crossing.unwrap() {
            Crossing::After(seconds) => seconds,
            Crossing::NotWithin(seconds) => panic!("not within {seconds} s"),
        }
    }

    #[test]
    fn leaving_and_returning_are_timed_from_the_events_ends() {
        let (_, measures) = measured(&mut Late {
            leave: Duration::from_secs(43),
            come_back: Duration::from_secs(90),
        });
        let departure = &measures.departures[0];
        // The event begins at 40 s and ends at 80 s. A share crosses within its window of payments, which reaches
        // 5 s ahead: up to 5 s early is what the measure allows.
        let (left, returned) = (after(departure.leave), after(departure.come_back));
        assert!((2.0..=3.2).contains(&left), "{left}");
        assert!((8.5..=10.2).contains(&returned), "{returned}");
        assert!((120..=180).contains(&departure.sent_to_dead), "{departure:?}");
    }

    #[test]
    fn who_never_leaves_is_watched_to_the_end() {
        let (stage, measures) = measured(&mut StaticPriority::as_listed(&fixture::world(1)));
        let departure = &measures.departures[0];
        assert_eq!(departure.leave, Some(Crossing::NotWithin(40.0)));
        assert_eq!(departure.come_back, None);
        let during = |shopper: &&crate::shopper::Shopper| (40..80).contains(&shopper.arrives_at.as_secs());
        assert_eq!(
            departure.sent_to_dead,
            stage.shoppers.iter().filter(during).count()
        );
    }

    #[test]
    fn the_oracle_leaves_and_returns_at_once() {
        let (_, measures) = measured(&mut Oracle);
        // Of the outage, the lost answers and the duplicates, only the outage is a reason to leave.
        assert_eq!(measures.departures.len(), 1);
        assert!(after(measures.departures[0].leave) < 0.2);
        assert!(after(measures.departures[0].come_back) < 0.2);
        assert_eq!(measures.departures[0].sent_to_dead, 0);
    }

    #[test]
    fn regret_and_exploration_are_counted_apart() {
        let (_, measures) = measured(&mut Late {
            leave: Duration::from_mins(1),
            come_back: Duration::from_secs(100),
        });
        // 20 s of 110 without any success, explored; 20 s on the second best, not explored.
        assert!(measures.exploration_per_10k > 1_000.0);
        assert!(measures.regret_per_10k > measures.exploration_per_10k + 20.0);
    }

    #[test]
    fn the_warm_up_does_not_count() {
        let (stage, measures) = measured(&mut Oracle);
        let early = stage
            .shoppers
            .iter()
            .filter(|shopper| shopper.arrives_at.as_secs() < 10);
        assert_eq!(measures.payments, stage.shoppers.len() - early.count());
    }

    #[test]
    fn shares_of_a_step_add_up_to_one() {
        let stage = Stage::of(fixture::world(1));
        let played = play(&stage, &mut Oracle, Failover::default());
        let rows = shares(&stage, &played, Seconds::new(2.0).unwrap());
        assert_eq!(rows.len(), 60);
        assert!(
            rows.iter()
                .all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-9)
        );
        assert!(rows[25][0].abs() < 1e-9 && rows[5][0] > 0.9, "{rows:?}");
    }

    #[test]
    fn scenarios_together_count_the_same() {
        let run = |payments, regret_per_10k| Measures {
            payments,
            regret_per_10k,
            ..Measures::default()
        };
        let together = Measures::together(&[&run(10, 100.0), &run(1_000, 300.0)]);
        assert_eq!(together.payments, 1_010);
        assert!((together.regret_per_10k - 200.0).abs() < 1e-9, "{together:?}");
    }
}
