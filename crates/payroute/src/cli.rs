//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::alerts_command::AlertsCommand;
use crate::ctl::plane::PlaneCommand;
use crate::explain_command::ExplainArgs;
use crate::policy_command::PolicyCommand;
use crate::probe_command::Probe;
use crate::settings::flags::Flags;
use crate::shoppers_command::Shoppers;
use crate::simulate::Simulate;

/// Payroute routes every payment to the channel that is likeliest to succeed now.
#[derive(Debug, Parser)]
#[command(name = "payroute", version, about, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a minute of a shop with an outage in it: real Payroute, simulated channels and shoppers
    Demo(Demo),
    /// Run all services in one process: on SQLite alone, or on Postgres and Redis when both are set
    Serve(Flags),
    /// Run the routing service of a deployment of several processes
    Router(Flags),
    /// Run the monitor of a deployment of several processes: exact statistics, and the fleet's brain
    Monitor(Flags),
    /// Run the console of a deployment of several processes: the control plane
    Console(Flags),
    /// Run the alerter of a deployment of several processes: it sends alerts, events and customer notices
    Alerter(Flags),
    /// Run the compensator of a deployment of several processes: settles what is unknown
    Compensator(Flags),
    /// Bring the Postgres database to the present schema
    Migrate(Flags),
    /// Count all statistics in Redis anew, from the ledger
    RebuildStats(Flags),
    /// Ask the service on this machine whether it is ready: exit code 0 if it is
    Probe(Probe),
    /// Look at configuration
    Config {
        /// What about it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make a payment by hand, look at what is in force, change it
    Ctl(Ctl),
    /// Check a routing policy, run its tests, ask what it does with a payment
    Policy {
        /// What about it.
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Check alert rules, run their tests
    Alerts {
        /// What about them.
        #[command(subcommand)]
        command: AlertsCommand,
    },
    /// Say what a failure code means, and what the router does with it
    Explain(ExplainArgs),
    /// Let simulated shoppers pay through running routers, on simulated channels
    Shoppers(Shoppers),
    /// Play simulated outages against a routing policy, beside other ways to route
    Simulate(Simulate),
    /// Let a simulator ask the brain where simulated payments go; loopback only, keeps nothing
    Referee {
        /// Where to listen; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:7435")]
        addr: SocketAddr,
        /// How many replicas the calls are spread over, with the delays of production between them
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        replicas: u16,
    },
    /// Measure routing and reporting beside a bare gRPC echo, on this machine
    Bench(BenchArgs),
    /// Make a bearer token
    Token {
        /// What about it.
        #[command(subcommand)]
        command: TokenCommand,
    },
}

/// What `demo` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Demo {
    /// How long to run, in seconds of wall time, 10 to 600
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(10..=600))]
    pub(crate) seconds: u32,
    /// Seed of the simulated world; the same seed meets the same shoppers and the same faults
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object at the end and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Print plain lines even on a terminal
    #[arg(long, conflicts_with = "json")]
    pub(crate) plain: bool,
}

/// What there is to do with configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a configuration folder is good
    Check(Flags),
    /// Put the channels and the policy of a configuration folder into the Postgres ledger, if they have changed
    Import(Flags),
    /// List every setting with its variable, its flag and its default
    Keys,
}

/// What there is to do with bearer tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a new token, and the line to put into the tokens file
    New {
        /// Who will use it, for logs and the audit.
        name: String,
        /// What it is good for, separated by commas: `call` (a checkout service), `read` (health, metrics,
        /// configuration) and `operate` (change configuration)
        #[arg(long, default_value = "call,read")]
        scopes: String,
    },
}

/// What `ctl` takes.
#[derive(Debug, Args)]
pub(crate) struct Ctl {
    /// Address of the gRPC service
    #[arg(long, default_value = "127.0.0.1:7433", global = true)]
    pub(crate) addr: SocketAddr,
    /// File that holds the bearer token, where the service asks for one
    #[arg(long, global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Address of the control plane
    #[arg(long, default_value = "http://127.0.0.1:7436", global = true)]
    pub(crate) console: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

/// What there is to do by hand.
#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Ask which channel to use
    Route(RouteArgs),
    /// Report what became of the attempt
    Report(ReportArgs),
    /// Say what a query or a notice has told of an attempt that was open
    Resolve(ResolveArgs),
    /// Show a payment whole
    Payment {
        /// The payment.
        payment: String,
        /// Whose payment it is
        #[arg(long, default_value = "shop")]
        merchant: String,
    },
    /// Show the health of every channel
    Health,
    /// What the control plane does.
    #[command(flatten)]
    Plane(PlaneCommand),
}

/// What `ctl route` takes.
#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// The payment; the same payment always falls in the same bucket of a split
    pub(crate) payment: String,
    /// Whose payment it is
    #[arg(long, default_value = "shop")]
    pub(crate) merchant: String,
    /// Amount in minor units: 1999 CNY is 19.99 yuan
    #[arg(long, default_value_t = 1_999)]
    pub(crate) amount: i64,
    /// Currency, ISO 4217
    #[arg(long, default_value = "CNY")]
    pub(crate) currency: String,
    /// Payment method
    #[arg(long, default_value = "wechat_pay")]
    pub(crate) method: String,
    /// The customer's bank
    #[arg(long, default_value = "")]
    pub(crate) issuer: String,
    /// Which attempt at the payment
    #[arg(long, default_value_t = 1)]
    pub(crate) attempt: u32,
    /// Channels that may not be chosen
    #[arg(long)]
    pub(crate) exclude: Vec<String>,
    /// Whether it is the customer's first order
    #[arg(long)]
    pub(crate) new_customer: bool,
    /// The device's operating system
    #[arg(long, default_value = "")]
    pub(crate) os: String,
}

/// What `ctl report` takes.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The token that `ctl route` printed
    pub(crate) token: String,
    /// The channel the attempt was submitted to
    pub(crate) channel: String,
    /// What the answer was
    #[arg(value_enum)]
    pub(crate) result: ReportedResult,
    /// The caller's name for the attempt; not given: made from the token
    #[arg(long)]
    pub(crate) attempt_id: Option<String>,
    /// Whose code it is; not given: the channel's own provider
    #[arg(long, default_value = "")]
    pub(crate) provider: String,
    /// The provider's code
    #[arg(long, default_value = "")]
    pub(crate) code: String,
    /// How long the answer took, in milliseconds
    #[arg(long, default_value_t = 300)]
    pub(crate) latency_ms: u32,
    /// Language of the customer message
    #[arg(long, default_value = "en")]
    pub(crate) locale: String,
}

/// What an answer can have been.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ReportedResult {
    /// Paid, or authorised.
    Succeeded,
    /// A definite no.
    Declined,
    /// An error.
    Failed,
    /// No answer in time.
    TimedOut,
    /// Waits for the customer.
    AwaitingCustomer,
}

/// What `bench` takes.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// How long each row of the table is measured, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,
    /// How many callers at once, each with a connection of its own
    #[arg(long, value_delimiter = ',', default_value = "1,16,64", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) connections: Vec<u16>,
    /// How many pages of each kind of alert rule are waited for; 0 leaves them out
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(0..=120))]
    pub(crate) pages: u16,
}

/// What `ctl resolve` takes.
#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// The receipt that `ctl report` printed
    pub(crate) receipt: String,
    /// What is known now
    #[arg(value_enum)]
    pub(crate) resolution: KnownNow,
    /// Language of the customer message
    #[arg(long, default_value = "en")]
    pub(crate) locale: String,
}

/// What can be known of an attempt that was open.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum KnownNow {
    /// The provider says paid.
    Succeeded,
    /// The provider says refused.
    Declined,
    /// The provider never acted on it.
    NotProcessed,
    /// Taken back.
    Reversed,
    /// Expired and closed at the provider.
    Closed,
    /// Still not known.
    StillUnknown,
}
