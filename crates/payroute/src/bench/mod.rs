//! `payroute bench`: what `Route` and `ReportOutcome` cost beside a bare echo of the same messages, on this machine.
//!
//! Everything runs in this process: an echo server, an embedded Payroute of the example shop with a ledger in a
//! temporary folder, and the callers, each with a connection of its own over loopback. So callers and servers share
//! the cores, and only the comparison of the rows means something, not a row by itself. Then the same for what follows a
//! failure, with the SDK in between, and for what follows an outage: the page.

mod alerts;
mod echo;
mod failover;
mod load;
mod slow;

use access::Guard;
use alerter::receivers::Receivers;
use router::guarded::ByDefault;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::catalogue::{Catalogue, Shared as SharedCatalogue};
use domain::clock::SystemClock;
use jiff::SignedDuration;
use ledger::SqliteSettings;
use proto::v1;
use tokio::net::TcpListener;

use crate::cli::BenchArgs;
use crate::embedded::{self, Listeners, Setup, Source};
use crate::evaluating::Books;
use crate::running::Running;
use crate::serve::SERVICE;
use crate::shop_files::ShopFiles;
use crate::token_keys;
use echo::Echo;
use failover::Routers;
use load::{Call, Figures, Load};

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Subject {
    /// A server that answers every Route with the same answer: what gRPC itself costs.
    Echo,
    /// Payroute's `Route`.
    Route,
    /// Payroute's `Route` with `guard`, answered when the attempt is registered on disk.
    Guarded,
    /// Payroute's `ReportOutcome`, answered when the outcome is durable.
    Report,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Echo => "bare echo",
            Self::Route => "Route",
            Self::Guarded => "Route, guarded",
            Self::Report => "ReportOutcome",
        })
    }
}

/// Measures and prints a table to `out`.
///
/// # Errors
/// When something cannot be started, or a call is refused.
pub(crate) async fn run(args: BenchArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let settings = telemetry::Settings {
        log_filter: "warn".to_owned(),
        ..telemetry::Settings::default()
    };
    let telemetry = telemetry::init(SERVICE, &settings)?;
    let data = tempfile::tempdir()?;
    let (payroute, running) = start(data.path(), Shop::example()?, &telemetry).await?;
    let answer = load::decide(payroute, "canned").await?;
    let echo = Echo::start(answer).await?;

    let cores = std::thread::available_parallelism()?;
    let seconds = args.seconds;
    writeln!(
        out,
        "{seconds} s each, {cores} cores for servers and callers together"
    )?;
    writeln!(
        out,
        "{:>11}  {:<14}  {:>9}  {:>9}  {:>9}",
        "connections", "call", "calls/s", "p50 us", "p99 us"
    )?;
    for connections in args.connections {
        for subject in [Subject::Echo, Subject::Route, Subject::Guarded, Subject::Report] {
            let (address, call) = aim(subject, &echo, payroute);
            let load = Load {
                address,
                call,
                connections,
                time: Duration::from_secs(u64::from(seconds)),
            };
            show(out, connections, subject, &load.run().await?)?;
        }
    }
    running.stop().await?;
    // Another one, for what was routed before has filled its limits.
    let data = tempfile::tempdir()?;
    let (payroute, running) = start(data.path(), Shop::example()?, &telemetry).await?;
    failovers(&echo, payroute, Duration::from_secs(u64::from(seconds)), out).await?;
    echo.stop().await?;
    running.stop().await?;
    if args.pages > 0 {
        alerts::measure(args.pages, &telemetry, out).await?;
    }
    Ok(())
}

/// What a Payroute that is measured works with.
struct Shop {
    source: Source,
    receivers: Arc<Receivers>,
    books: Books,
}

impl Shop {
    /// The example shop, which tells nobody.
    fn example() -> anyhow::Result<Self> {
        Ok(Self {
            source: Source::Fixed(ShopFiles::example(&Catalogue::built_in()?)?),
            receivers: Arc::default(),
            books: Books::default(),
        })
    }
}

/// What a customer waits for after a failure, beside the two calls that it needs at a bare echo.
async fn failovers(
    echo: &Echo,
    payroute: SocketAddr,
    time: Duration,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(out, "\nfrom a failed answer to the start of the next submit")?;
    writeln!(
        out,
        "{:<42}  {:>9}  {:>9}  {:>9}",
        "", "per s", "p50 us", "p99 us"
    )?;
    let bare = Load {
        address: echo.address,
        call: Call::ReportAndRoute,
        connections: 1,
        time,
    };
    show_failover(out, "bare echo, the two calls", bare.run().await?)?;
    for routers in Routers::ALL {
        let figures = failover::measure(payroute, routers, time).await?;
        show_failover(out, &routers.to_string(), figures)?;
    }
    Ok(())
}

fn show_failover(out: &mut impl Write, what: &str, figures: Figures) -> std::io::Result<()> {
    let Figures {
        calls_per_sec,
        p50_us,
        p99_us,
    } = figures;
    writeln!(out, "{what:<42}  {calls_per_sec:>9}  {p50_us:>9}  {p99_us:>9}")?;
    out.flush()
}

fn aim(subject: Subject, echo: &Echo, payroute: SocketAddr) -> (SocketAddr, Call) {
    match subject {
        Subject::Echo => (echo.address, Call::Route),
        Subject::Route => (payroute, Call::Route),
        Subject::Guarded => (payroute, Call::Guarded),
        Subject::Report => (payroute, Call::Report),
    }
}

fn show(out: &mut impl Write, connections: u16, subject: Subject, figures: &Figures) -> std::io::Result<()> {
    writeln!(
        out,
        "{connections:>11}  {subject:<14}  {:>9}  {:>9}  {:>9}",
        figures.calls_per_sec, figures.p50_us, figures.p99_us
    )?;
    out.flush()
}

/// An embedded Payroute of `shop`, and where it answers gRPC.
async fn start(
    data: &Path,
    shop: Shop,
    telemetry: &telemetry::Guard,
) -> anyhow::Result<(SocketAddr, Running)> {
    let setup = Setup {
        shop: shop.source,
        catalogue: SharedCatalogue::new(Catalogue::built_in()?),
        catalogue_files: None,
        ledger: SqliteSettings {
            path: data.join("payroute.db"),
            max_bytes: None,
        },
        keyring: token_keys::load_or_make(&data.join("token-keys"))?,
        guard: Guard::default(),
        receivers: shop.receivers,
        notices: None,
        books: shop.books,
        console_url: None,
        guarded: ByDefault::Nobody,
        token_ttl: SignedDuration::from_hours(1),
        snapshot_every: Duration::from_millis(250),
        rebuild: SignedDuration::from_hours(1),
        compensation_receiver: None,
        clock: Arc::new(SystemClock),
    };
    let listeners = Listeners {
        grpc: TcpListener::bind("127.0.0.1:0").await?,
        admin: TcpListener::bind("127.0.0.1:0").await?,
        console: None,
    };
    let address = listeners.grpc.local_addr()?;
    Ok((address, embedded::start(setup, listeners, telemetry).await?))
}

/// What a caller asks Route.
fn route_request(payment: String) -> v1::RouteRequest {
    v1::RouteRequest {
        merchant_id: "shop".to_owned(),
        payment_id: payment,
        amount_minor: 19_900,
        currency: "CNY".to_owned(),
        method: "wechat_pay".to_owned(),
        presentment: "h5".to_owned(),
        issuer: "icbc".to_owned(),
        country: "CN".to_owned(),
        region: "guangdong".to_owned(),
        locale: "zh-CN".to_owned(),
        ..v1::RouteRequest::default()
    }
}
