//! The contest: every contender meets the same shoppers of the same world, once per seed.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use domain::policy::Policy;
use simulator::drive::{Failover, Played, Router, Stage, play};
use simulator::measure::{Measures, shares};
use simulator::plot::SharePlot;
use simulator::routers::{Oracle, Split, StaticPriority};
use simulator::scenario::Scenario;
use simulator::scenario::quantity::Seconds;
use simulator::world::World;

use super::router::ShopRouter;
use crate::shop_files::ShopFiles;

/// Points of a plot over the length of a scenario, and the shortest step between two, in seconds.
const PLOT_STEPS: f64 = 180.0;
const SHORTEST_STEP_S: f64 = 0.5;

/// Who routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contender {
    /// The shop by its own policy.
    Policy,
    /// The shop by what it learns alone.
    Adaptive,
    /// 70 % to the first channel, 20 % to the second, 10 % to the rest.
    Split,
    /// The first channel that takes the payment.
    StaticPriority,
    /// Knows everything.
    Oracle,
}

impl Contender {
    /// In the order of the table.
    pub(super) const ALL: [Self; 5] = [
        Self::Policy,
        Self::Adaptive,
        Self::Split,
        Self::StaticPriority,
        Self::Oracle,
    ];

    /// The name in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Policy => "shop's policy",
            Self::Adaptive => "adaptive",
            Self::Split => "split 70/20/10",
            Self::StaticPriority => "static priority",
            Self::Oracle => "oracle",
        }
    }
}

/// What is played.
pub(super) struct Contest {
    /// The shop.
    pub(super) shop: ShopFiles,
    /// The policy of [`Contender::Adaptive`], for the channels of the shop.
    pub(super) adaptive: Policy,
    /// The scenarios.
    pub(super) scenarios: Vec<Scenario>,
    /// How many seeds, from 1 on.
    pub(super) seeds: NonZero<u32>,
    /// Whether the shop's first seed is drawn.
    pub(super) plots: bool,
}

/// One scenario under one seed.
#[derive(Debug)]
pub(super) struct Run {
    /// In the order of [`Contender::ALL`].
    pub(super) measures: Vec<Measures>,
    /// Shares of channels over time by the shop's policy, where it was asked for.
    pub(super) plot: Option<SharePlot>,
}

impl Contest {
    /// Plays everything on all processors. One list per scenario, one run per seed in it.
    ///
    /// # Errors
    /// When a shop cannot be opened.
    pub(super) fn play(&self) -> anyhow::Result<Vec<Vec<Run>>> {
        let seeds = 1..=u64::from(self.seeds.get());
        let jobs: Vec<(&Scenario, u64)> = self
            .scenarios
            .iter()
            .flat_map(|scenario| seeds.clone().map(move |seed| (scenario, seed)))
            .collect();
        let workers = thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(jobs.len());
        let next = AtomicUsize::new(0);
        // Each worker takes the next job that nobody has taken yet.
        let work = || {
            let mine = std::iter::from_fn(|| {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let (scenario, seed) = jobs.get(place)?;
                Some(self.run(scenario, *seed).map(|run| (place, run)))
            });
            mine.collect::<anyhow::Result<Vec<_>>>()
        };
        let mut runs = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let mut runs = Vec::with_capacity(jobs.len());
            for worker in workers {
                let done = worker
                    .join()
                    .map_err(|_| anyhow::anyhow!("a simulation panicked"))?;
                runs.extend(done?);
            }
            anyhow::Ok(runs)
        })?;
        runs.sort_unstable_by_key(|(place, _)| *place);
        let mut runs = runs.into_iter().map(|(_, run)| run);
        let of_scenario = |_| runs.by_ref().take(seeds.clone().count()).collect();
        Ok(self.scenarios.iter().map(of_scenario).collect())
    }

    fn run(&self, scenario: &Scenario, seed: u64) -> anyhow::Result<Run> {
        let stage = Stage::of(Arc::new(World::new(scenario.clone(), seed)));
        let mut run = Run {
            measures: Vec::with_capacity(Contender::ALL.len()),
            plot: None,
        };
        for contender in Contender::ALL {
            let mut router = self.router(contender, &stage.world)?;
            let played = play(&stage, &mut *router, Failover::default());
            run.measures.push(Measures::of(&stage, &played));
            if self.plots && seed == 1 && contender == Contender::Policy {
                run.plot = Some(plot(&stage, &played, self.shop.policy.name())?);
            }
        }
        Ok(run)
    }

    fn router(&self, contender: Contender, world: &World) -> anyhow::Result<Box<dyn Router>> {
        let by = |policy| ShopRouter::open(&self.shop.configuration, policy, world);
        Ok(match contender {
            Contender::Policy => Box::new(by(&self.shop.policy)?),
            Contender::Adaptive => Box::new(by(&self.adaptive)?),
            Contender::Split => Box::new(Split::seventy_twenty_ten()),
            Contender::StaticPriority => Box::new(StaticPriority::as_listed(world)),
            Contender::Oracle => Box::new(Oracle),
        })
    }
}

fn plot(stage: &Stage, played: &[Played], policy: &str) -> anyhow::Result<SharePlot> {
    let scenario = stage.world.scenario();
    let step_s = (scenario.duration_s.get() / PLOT_STEPS).max(SHORTEST_STEP_S);
    let rows = shares(stage, played, Seconds::new(step_s)?);
    let title = format!("{}: first attempts by {policy}", scenario.name);
    Ok(SharePlot::of(&stage.world, title, step_s, rows))
}
