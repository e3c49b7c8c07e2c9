//! The `payroute` command.

mod alerts_command;
mod bearer;
mod bench;
mod catalogue_files;
mod checkout;
mod clerk;
mod cli;
mod config_command;
mod ctl;
mod demo;
mod distributed;
mod embedded;
mod evaluating;
mod explain_command;
mod listening;
mod notice_files;
mod policy_command;
mod probe_command;
mod receiver_files;
mod referee;
mod running;
mod scenarios;
mod serve;
mod serving;
mod settings;
mod shop_files;
mod shoppers_command;
mod simulate;
mod store_commands;
mod token_command;
mod token_keys;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use distributed::Services;
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "payroute: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    // The referee answers one caller, call by call: on several threads it would mostly be waking them.
    let mut runtime = match command {
        Command::Referee { .. } => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(carry_out(command))
}

async fn carry_out(command: Command) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match command {
        Command::Demo(demo) => demo::run(demo, &mut out).await,
        Command::Serve(flags) => serve::run(flags, &mut out).await,
        Command::Router(flags) => serve::run_services(Services::ROUTER, flags, &mut out).await,
        Command::Monitor(flags) => serve::run_services(Services::MONITOR, flags, &mut out).await,
        Command::Console(flags) => serve::run_services(Services::CONSOLE, flags, &mut out).await,
        Command::Alerter(flags) => serve::run_services(Services::ALERTER, flags, &mut out).await,
        Command::Compensator(flags) => serve::run_services(Services::COMPENSATOR, flags, &mut out).await,
        Command::Migrate(flags) => store_commands::migrate(&flags, &mut out).await,
        Command::RebuildStats(flags) => store_commands::rebuild_stats(&flags, &mut out).await,
        Command::Bench(args) => bench::run(args, &mut out).await,
        Command::Config { command } => config_command::run(command, &mut out).await,
        Command::Ctl(ctl) => ctl::run(ctl, &mut out).await,
        Command::Alerts { command } => alerts_command::run(&command, &mut out),
        Command::Policy { command } => policy_command::run(&command, &mut out),
        Command::Explain(arguments) => explain_command::run(&arguments, &mut out),
        Command::Probe(probe) => probe_command::run(probe, &mut out).await,
        Command::Shoppers(shoppers) => shoppers_command::run(shoppers, &mut out).await,
        Command::Simulate(arguments) => simulate::run(&arguments, &mut out),
        Command::Token { command } => token_command::run(command, &mut out),
        Command::Referee { addr, replicas } => referee::serve(addr, usize::from(replicas), &mut out).await,
    }
}
