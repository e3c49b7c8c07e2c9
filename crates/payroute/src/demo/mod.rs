//! `payroute demo`: a minute of a shop, with an outage in it.
//!
//! The real thing in small: the embedded Payroute with its ledger, behind gRPC on loopback, serves the example shop.
//! Only the shoppers and the channels are simulated, and the channels keep the true charges. Nothing has to be
//! installed, and nothing is left behind.

mod measure;
mod news;
mod record;
mod screen;
mod shop;
mod shoppers;
mod summary;
mod terminal;

use std::collections::HashSet;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::Client;
use simulator::live::{LiveProviders, Pace};
use simulator::scenario::quantity::Positive;
use simulator::world::World;
use telemetry::listen::{Access, bind};
use telemetry::shutdown;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::checkout::{QUERIES, QUERY_EVERY};
use crate::cli::Demo;
use crate::embedded::{self, Listeners};
use crate::serve::SERVICE;
use measure::{Figures, Outage};
use news::Newsroom;
use record::Records;
use screen::View;
use shoppers::Shop;
use summary::Summary;
use terminal::Display;

/// A checkout service has several connections; so has the shop.
const CONNECTIONS: usize = 4;

/// How long the shop waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The view is drawn this often.
const FRAME_EVERY: Duration = Duration::from_millis(200);

/// Errors only: the view has the screen, and what is degraded on purpose is no news.
const LOG: &str = "error";

/// What runs, and what is seen of it.
struct Stage {
    world: Arc<World>,
    providers: LiveProviders,
    records: Arc<Records>,
    newsroom: Arc<Newsroom>,
}

/// Runs the demo and says on `out` how it went.
///
/// # Errors
/// When Payroute cannot be started, ends by itself or cannot be stopped in time, or `out` cannot be written.
pub(crate) async fn run(demo: Demo, out: &mut impl Write) -> anyhow::Result<()> {
    let telemetry = telemetry::init(
        SERVICE,
        &telemetry::Settings {
            log_filter: LOG.to_owned(),
            ..telemetry::Settings::default()
        },
    )?;
    let stop = shutdown::on_signal()?;
    let folder = tempfile::tempdir().context("no folder for the ledger")?;
    let world = Arc::new(shop::world(demo.seconds, demo.seed)?);
    let setup = shop::setup(&world, folder.path())?;
    let listeners = listeners().await?;
    let payroute = listeners.grpc.local_addr()?;
    let running = embedded::start(setup, listeners, &telemetry).await?;
    let connections = Connections::to(payroute).await?;

    let stage = Stage {
        providers: LiveProviders::new(Arc::clone(&world), Pace::starting_now(Positive::ONE)),
        world,
        records: Arc::new(Records::default()),
        newsroom: Arc::new(Newsroom::default()),
    };
    let played = tokio::select! {
        played = stage.play(&demo, connections, stop.clone(), out) => played,
        () = running.failed() => Err(anyhow::anyhow!("a service ended by itself")),
    };
    let stopped = running.stop().await;
    played?;
    stopped?;
    let summary = stage.summary(&demo, stop.is_cancelled());
    if demo.json {
        summary.json(out)?;
    } else {
        summary.words(out)?;
    }
    Ok(())
}

impl Stage {
    /// Lets the shoppers come, and shows it until the last one is done.
    async fn play(
        &self,
        demo: &Demo,
        connections: Connections,
        stop: CancellationToken,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let watching = connections.watching;
        let newsroom = Arc::clone(&self.newsroom);
        let pace = self.providers.pace();
        let listening = tokio::spawn(async move { newsroom.listen(watching, pace).await });
        let checkouts = Shop {
            payroute: connections.paying,
            providers: self.providers.clone(),
            records: Arc::clone(&self.records),
        };
        let mut shopping = tokio::spawn(checkouts.serve(stop));
        let mut display = self.display(demo, out)?;
        let mut frames = tokio::time::interval(FRAME_EVERY);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let shopped = loop {
            tokio::select! {
                shopped = &mut shopping => break shopped,
                _ = frames.tick() => self.show(&mut display, out)?,
            }
        };
        shopped.context("the shop broke down")?;
        self.show(&mut display, out)?;
        // The stream of health would hold the server's end up.
        listening.abort();
        Ok(())
    }

    /// Says what is to be seen, and finds where to show it.
    fn display(&self, demo: &Demo, out: &mut impl Write) -> std::io::Result<Display> {
        if !demo.json {
            let every = QUERY_EVERY.as_millis();
            writeln!(
                out,
                "Payroute runs here with its ledger, and the example shop calls it over gRPC."
            )?;
            writeln!(
                out,
                "Channels and shoppers are simulated. Time-outs are 1.5 s in the demo, and open"
            )?;
            writeln!(
                out,
                "outcomes are queried every {every} ms. Ctrl-C ends it early."
            )?;
            for line in news::script(self.world.scenario()) {
                writeln!(out, "To come: {line}.")?;
            }
            writeln!(out)?;
        }
        let (book, board) = (self.records.open(), self.newsroom.board());
        let lines = self.view(&book, &board).frame().len();
        Ok(Display::fitting(demo.json, demo.plain, lines))
    }

    fn show(&self, display: &mut Display, out: &mut impl Write) -> std::io::Result<()> {
        let bytes = {
            let (book, mut board) = (self.records.open(), self.newsroom.board());
            board.follow(self.providers.pace().now(), self.world.scenario());
            display.render(&self.view(&book, &board))?
        };
        // Nobody has to wait for a terminal that is slow.
        out.write_all(&bytes)?;
        out.flush()
    }

    fn view<'a>(&'a self, book: &'a record::Book, board: &'a news::Board) -> View<'a> {
        View {
            now: self.providers.pace().now(),
            world: &self.world,
            book,
            board,
        }
    }

    fn summary(&self, demo: &Demo, interrupted: bool) -> Summary {
        let book = self.records.open();
        let paid = book.payments.iter().filter(|payment| payment.paid());
        let paid: HashSet<_> = paid.map(|payment| &payment.id).collect();
        let audit = self.providers.audit(|_, payment| paid.contains(payment));
        let until = self.providers.pace().now();
        let outage = Outage::of(&self.world).filter(|outage| outage.start < until);
        let channel = outage
            .as_ref()
            .and_then(|outage| self.world.channel(outage.channel));
        Summary {
            seconds: demo.seconds,
            seed: demo.seed,
            interrupted,
            outage: channel.map(|channel| channel.id.to_string()),
            figures: Figures::of(&book, audit, outage.as_ref()),
        }
    }
}

/// Free ports on loopback.
async fn listeners() -> anyhow::Result<Listeners> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Listeners {
        grpc: bind("demo gRPC", free, Access::Local).await?,
        admin: bind("demo probes", free, Access::Local).await?,
        console: None,
    })
}

/// How the demo reaches the Payroute that it shows.
struct Connections {
    /// For the shop.
    paying: Client,
    /// For the view.
    watching: Channel,
}

impl Connections {
    async fn to(address: SocketAddr) -> anyhow::Result<Self> {
        let several = std::iter::repeat_n(address.to_string(), CONNECTIONS);
        let paying = Client::builder()
            .routers(several)
            .query_every(QUERY_EVERY, QUERIES);
        // A machine that builds something beside the demo is slow, and nobody is lost for it.
        let paying = paying.answer_within(PATIENCE).route_within(PATIENCE);
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        Ok(Self {
            paying: paying.build()?,
            watching: endpoint.connect().await?,
        })
    }
}
