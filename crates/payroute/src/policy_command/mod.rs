//! `payroute policy`: is a policy good, do its tests pass, and what does it do with a payment.

mod explain;
mod files;
mod show;

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};
use domain::policy::Policy;

use crate::catalogue_files;
use crate::settings::Files;
use crate::shop_files::{InvalidShop, ShopFiles, parse_channels, read};
use files::PolicyFiles;

/// What there is to do with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether a policy is good, and if not, each thing that is wrong, with its place
    Check(PolicyFiles),
    /// Run the tests inside a policy
    Test(PolicyFiles),
    /// Say what a policy does with a payment, and why
    Explain(ExplainArgs),
}

/// What `policy explain` takes.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Where the policy is.
    #[command(flatten)]
    files: PolicyFiles,
    /// The payment: a YAML file, or pairs such as `method=card amount_minor=9900 currency=CNY`
    ///
    /// The names are those of a policy's conditions and tests. Tags are separated by commas; attributes of your own
    /// are called `metadata.NAME`; `at` is the time, now by default.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE|KEY=VALUE")]
    payment: Vec<String>,
}

/// Runs a command of `policy`.
///
/// # Errors
/// When the policy is not good or a test fails. What exactly is wrong is then in `out`.
pub(crate) fn run(command: &PolicyCommand, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Check(files) => check(&files.resolve()?, out),
        PolicyCommand::Test(files) => test(&files.resolve()?, out),
        PolicyCommand::Explain(args) => {
            let payment = explain::payment(&args.payment)?;
            let shop = load(&args.files.resolve()?, out)?;
            explain::explain(&shop, &payment, out)
        }
    }
}

fn check(files: &Files, out: &mut impl Write) -> anyhow::Result<()> {
    let policy = load(files, out)?.policy;
    let (file, rules) = (files.policy.display(), policy.rules().count());
    let (name, version) = (policy.name(), policy.version());
    writeln!(out, "{file}: good; policy {name} {version} with {rules} rules")?;
    Ok(())
}

/// Everything, found good. The paths in `files` are from here.
fn load(files: &Files, out: &mut impl Write) -> anyhow::Result<ShopFiles> {
    let catalogue = refused(catalogue_files::beside(&files.channels), out)?;
    refused(ShopFiles::load(Path::new(""), files, &catalogue), out)
}

fn test(files: &Files, out: &mut impl Write) -> anyhow::Result<()> {
    let catalogue = refused(catalogue_files::beside(&files.channels), out)?;
    let channels = (files.channels.display().to_string(), read(&files.channels)?);
    let configuration = refused(parse_channels((&channels.0, &channels.1), &catalogue), out)?;
    let (file, text) = (files.policy.display().to_string(), read(&files.policy)?);
    let trials = Policy::trials(&text, &file, &configuration.channels);
    let trials = refused(trials.map_err(InvalidShop::Wrong), out)?;
    for trial in &trials {
        let result = if trial.has_passed() { "pass" } else { "FAIL" };
        writeln!(out, "{result}  {}", trial.name)?;
        for failure in &trial.failures {
            writeln!(out, "      {failure}")?;
        }
    }
    let failed = trials.iter().filter(|trial| !trial.has_passed()).count();
    let passed = trials.len() - failed;
    writeln!(out, "{passed} passed, {failed} failed")?;
    anyhow::ensure!(failed == 0, "{} failed", show::count(failed, "test"));
    Ok(())
}

/// Writes what is wrong to `out`, one thing a line, so that it can be read by an editor; the error only counts it.
fn refused<T>(result: Result<T, InvalidShop>, out: &mut impl Write) -> anyhow::Result<T> {
    match result {
        Err(InvalidShop::Wrong(diagnostics)) => {
            for diagnostic in &diagnostics {
                writeln!(out, "{diagnostic}")?;
            }
            anyhow::bail!("found {}", show::count(diagnostics.len(), "problem"))
        }
        result => Ok(result?),
    }
}
