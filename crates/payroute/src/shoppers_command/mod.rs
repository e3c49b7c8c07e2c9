//! `payroute shoppers`: simulated shoppers and channels in front of real routers.
//!
//! A caller as callers should be: it asks any router, goes on with the next one when one dies, and tells every outcome
//! until it is acknowledged. Made to try a deployment out, and to find out whether it keeps its word in trouble.

mod journal;
mod rounds;
mod tally;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use client::Client;
use domain::clock::{Clock, SystemClock};
use simulator::scenario::Scenario;
use simulator::scenario::quantity::Positive;
use telemetry::shutdown;
use tokio::time::{Instant, interval_at};

use crate::bearer;
use crate::checkout::{QUERIES, QUERY_EVERY};
use crate::scenarios;
use crate::serve::SERVICE;
use journal::Journal;
use rounds::{Play, Stage};
use tally::Tally;

/// How long somebody stands at the cash desk while no router answers.
const ROUTE_WITHIN: Duration = Duration::from_secs(10);

/// A router that has not answered by then is stuck, or gone without a word. Outcomes are durable in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Routers that do not answer, and calls that are refused.
const LOG: &str = "warn";

/// What `shoppers` takes.
#[derive(Debug, Args)]
pub(crate) struct Shoppers {
    /// A router, HOST:PORT; may be repeated: all are asked in turn, and whichever answers is good
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7433")]
    router: Vec<String>,
    /// File that holds the bearer token, where the routers ask for one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A scenario that comes with Payroute, or a YAML file; the routers must have its channels
    #[arg(long, value_name = "NAME|FILE", default_value = "demo")]
    scenario: String,
    /// Payments a second, on average; not given: as the scenario has it
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    rate: Option<Positive>,
    /// How long shoppers come: the scenario is stretched to it; 0: the scenario again and again until a signal
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=86_400))]
    seconds: u32,
    /// Seed of the simulated world; the same seed meets the same shoppers and the same faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Append every acknowledged outcome to this file, one JSON object a line: merchant, payment, attempt, channel,
    /// state, duplicate, and by which call it was told (report, resolve)
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print one JSON object at the end and nothing else
    #[arg(long)]
    json: bool,
}

/// Lets shoppers come until the scenario is over or somebody stops it, and says on `out` what came of it.
///
/// # Errors
/// When an argument is not good, or the journal or `out` cannot be written.
pub(crate) async fn run(shoppers: Shoppers, out: &mut impl Write) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(
        SERVICE,
        &telemetry::Settings {
            log_filter: LOG.to_owned(),
            ..telemetry::Settings::default()
        },
    )?;
    let token = bearer::read(shoppers.token_file.as_deref())?;
    let play = shoppers.play()?;
    let stop = shutdown::on_signal()?;
    let journal = shoppers.journal.as_deref();
    let journal = journal
        .map(|path| Journal::open(path, stop.clone()))
        .transpose()?;
    let journal = journal.map(Arc::new);
    let tally = Arc::new(Tally::new(journal.clone()));
    let mut payroute = Client::builder()
        .routers(&shoppers.router)
        .route_within(ROUTE_WITHIN)
        .answer_within(ANSWER_WITHIN)
        .query_every(QUERY_EVERY, QUERIES)
        .observer(Arc::clone(&tally) as _);
    if let Some(token) = token {
        payroute = payroute.token(token);
    }
    let stage = Stage {
        payroute: payroute.build()?,
        tally: Arc::clone(&tally),
    };

    let mut playing = std::pin::pin!(stage.play(play, stop));
    let mut lines = interval_at(Instant::now() + LINE_EVERY, LINE_EVERY);
    loop {
        tokio::select! {
            () = &mut playing => break,
            _ = lines.tick(), if !shoppers.json => tally.figures().line(out)?,
        }
    }
    if shoppers.json {
        tally.figures().json(out)?;
    } else {
        tally.figures().words(out)?;
    }
    journal.map_or(Ok(()), |journal| journal.close())
}

impl Shoppers {
    fn play(&self) -> anyhow::Result<Play> {
        let mut scenario = scenarios::find_one(&self.scenario)?;
        if let Some(rate) = self.rate {
            scenario.traffic.payments_per_s = rate;
        }
        Ok(Play {
            scenario: lasting(scenario, self.seconds)?,
            seed: self.seed,
            again: self.seconds == 0,
            run: format!("{:x}", SystemClock.now().as_millisecond()),
        })
    }
}

/// The scenario in the length that is asked for; in its own for 0.
fn lasting(scenario: Scenario, seconds: u32) -> anyhow::Result<Scenario> {
    if seconds == 0 {
        return Ok(scenario);
    }
    let length = Positive::new(f64::from(seconds))?;
    Ok(scenario.lasting(length))
}

fn positive(text: &str) -> Result<Positive, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    Positive::new(number).map_err(|error| error.to_string())
}
