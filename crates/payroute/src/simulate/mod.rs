//! `payroute simulate`: how a shop's policy does when channels fail, beside other ways to route.
//!
//! The simulator's shoppers are routed by exactly the decision of production, with the product's default parameters,
//! and beside it by a policy that is adaptive for everything, by a split, by a fixed order, and by an oracle. The last
//! three know only what the scenario says of a channel: what the shop's configuration forbids besides, such as a
//! presentment that a contract does not have, binds the shop alone.

mod contest;
mod router;
mod show;

use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use domain::catalogue::Catalogue;
use domain::policy::Policy;

use crate::scenarios;
use crate::settings::Settings;
use crate::shop_files::{InvalidShop, ShopFiles};
use contest::Contest;

/// The folder that is looked into when none is given.
const FOLDER: &str = "config";

/// What an adaptive policy with nothing else in it gives: the defaults of the strategy.
const ADAPTIVE: &str = "{version: 1, name: adaptive, timezone: UTC, default: {adaptive: {}}}";

/// What `simulate` takes.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The configuration folder; not given: `config`, and where that is not there, the example shop
    #[arg(long, value_name = "FOLDER")]
    config: Option<PathBuf>,
    /// A scenario that comes with Payroute, or a YAML file; may be repeated; not given: all that come with it
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Vec<String>,
    /// How many times each scenario is played, under the seeds 1, 2, 3 ...
    #[arg(long, default_value = "5")]
    seeds: NonZero<u32>,
    /// Draw the shares of channels over time by the shop's policy under the first seed; with several scenarios, the
    /// name of each is added to the file's
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Plays the scenarios and prints what came of them.
///
/// # Errors
/// When the shop or a scenario is not good, a scenario has a channel that the shop does not have, or a plot cannot be
/// written.
pub(crate) fn run(arguments: &Simulate, out: &mut impl Write) -> anyhow::Result<()> {
    let scenarios = scenarios::find(&arguments.scenario)?;
    let shop = open(arguments.config.as_deref())?;
    let channels = &shop.configuration.channels;
    for scenario in &scenarios {
        scenarios::check(scenario, channels)?;
    }
    let contest = Contest {
        adaptive: Policy::load(ADAPTIVE, "adaptive", channels).map_err(InvalidShop::Wrong)?,
        shop,
        scenarios,
        seeds: arguments.seeds,
        plots: arguments.svg.is_some(),
    };
    let runs = contest.play()?;
    let report = show::Report::of(&contest, &runs);
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        report.write(out)?;
    }
    if let Some(file) = &arguments.svg {
        for (scenario, runs) in contest.scenarios.iter().zip(&runs) {
            let several = contest.scenarios.len() > 1;
            let file = if several {
                named(file, &scenario.name)
            } else {
                file.clone()
            };
            if let Some(plot) = runs.iter().find_map(|run| run.plot.as_ref()) {
                std::fs::write(&file, plot.svg())
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
    }
    Ok(())
}

fn open(folder: Option<&Path>) -> anyhow::Result<ShopFiles> {
    let catalogue = Catalogue::built_in()?;
    let folder = folder.or_else(|| Some(Path::new(FOLDER)).filter(|folder| folder.is_dir()));
    let Some(folder) = folder else {
        return Ok(ShopFiles::example(&catalogue)?);
    };
    let settings = Settings::load(folder, std::env::vars(), &[])?;
    Ok(ShopFiles::load(folder, &settings.files, &catalogue)?)
}

/// `shares.svg` and `outage` make `shares-outage.svg`.
fn named(file: &Path, scenario: &str) -> PathBuf {
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let name = format!("{}-{scenario}", part(file.file_stem()));
    match file.extension() {
        Some(ending) => file.with_file_name(format!("{name}.{}", part(Some(ending)))),
        None => file.with_file_name(name),
    }
}
