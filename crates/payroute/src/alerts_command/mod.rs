//! `payroute alerts`: are alert rules good, and do they do what they are meant to?

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use domain::alert::{BUILT_IN, Rules, Trial, Trials};
use domain::diagnostic::Diagnostic;

use crate::shop_files::read;

/// What the rules that are part of the program are called.
const BUILT_IN_NAME: &str = "built-in rules";

/// What there is to do with alert rules.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Say whether alert rules are good, and if not, each thing that is wrong, with its place
    Check {
        /// The rules, such as config/alerts.yaml
        file: PathBuf,
    },
    /// Run tests of alert rules: outcomes as they could be, in simulated time
    Test {
        /// The tests: in a file of rules, or one of their own that names it by `rules_file`
        file: PathBuf,
        /// Say everything that happened in the tests that pass, too
        #[arg(long)]
        timeline: bool,
    },
    /// Print the rules that hold where there are no others
    BuiltIn,
}

/// Runs a command of `alerts`.
///
/// # Errors
/// When the rules are not good or a test fails. What exactly is wrong is then in `out`.
pub(crate) fn run(command: &AlertsCommand, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        AlertsCommand::Check { file } => check(file, out),
        AlertsCommand::Test { file, timeline } => test(file, *timeline, out),
        AlertsCommand::BuiltIn => Ok(out.write_all(BUILT_IN.as_bytes())?),
    }
}

fn check(file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let rules = load(file, out)?;
    let count = |number: usize, what: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {what}{plural}")
    };
    writeln!(
        out,
        "{}: good; version {} with {}, {}, {}",
        file.display(),
        rules.version,
        count(rules.list.len(), "rule"),
        count(rules.routes.len(), "route"),
        count(rules.inhibitions.len(), "inhibition"),
    )?;
    Ok(())
}

fn load(file: &Path, out: &mut impl Write) -> anyhow::Result<Rules> {
    let name = file.display().to_string();
    refused(Rules::load(&read(file)?, &name, None), out)
}

fn test(file: &Path, timeline: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let trials = refused(Trials::load(&read(file)?, &file.display().to_string()), out)?;
    let rules = match (trials.rules_file(), trials.own_rules()) {
        (Some(named), _) => {
            let folder = file.parent().unwrap_or_else(|| Path::new(""));
            load(&folder.join(named), out)?
        }
        (None, Some(own)) => own.clone(),
        (None, None) => refused(Rules::load(BUILT_IN, BUILT_IN_NAME, None), out)?,
    };
    anyhow::ensure!(!trials.is_empty(), "{} holds no tests", file.display());
    let results = trials.run(&rules);
    for trial in &results {
        show(trial, timeline, out)?;
    }
    let failed = results.iter().filter(|trial| !trial.has_passed()).count();
    writeln!(out, "{} passed, {failed} failed", results.len() - failed)?;
    let plural = if failed == 1 { "" } else { "s" };
    anyhow::ensure!(failed == 0, "{failed} test{plural} failed");
    Ok(())
}

fn show(trial: &Trial, timeline: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let result = if trial.has_passed() { "pass" } else { "FAIL" };
    writeln!(out, "{result}  {}", trial.name)?;
    for failure in &trial.failures {
        writeln!(out, "      {failure}")?;
    }
    if timeline || !trial.has_passed() {
        writeln!(out, "      what happened:")?;
        for line in &trial.timeline {
            writeln!(out, "      {line}")?;
        }
    }
    Ok(())
}

/// Writes what is wrong to `out`, one thing a line; the error only counts it.
fn refused<T>(result: Result<T, Vec<Diagnostic>>, out: &mut impl Write) -> anyhow::Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(diagnostics) => {
            for diagnostic in &diagnostics {
                writeln!(out, "{diagnostic}")?;
            }
            let plural = if diagnostics.len() == 1 { "" } else { "s" };
            anyhow::bail!("found {} problem{plural}", diagnostics.len())
        }
    }
}
