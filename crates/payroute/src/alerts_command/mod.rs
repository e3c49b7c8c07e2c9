//! `payroute alerts`: are alert rules good, and do they do what they are meant to?

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use domain::alert::{BUILT_IN, Rules, Trial, Trials};
use domain::diagnostic::Diagnostic;
use domain::runbook::Runbooks;

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
        /// Runbooks, to be checked too, and with the rules that they are for
        #[arg(long, value_name = "FILE")]
        runbooks: Option<PathBuf>,
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
        AlertsCommand::Check { file, runbooks } => check(file, runbooks.as_deref(), out),
        AlertsCommand::Test { file, timeline } => test(file, *timeline, out),
        AlertsCommand::BuiltIn => Ok(out.write_all(BUILT_IN.as_bytes())?),
    }
}

fn check(file: &Path, runbooks: Option<&Path>, out: &mut impl Write) -> anyhow::Result<()> {
    let rules = load(file, out)?;
    writeln!(
        out,
        "{}: good; version {} with {}, {}, {}",
        file.display(),
        rules.version,
        count(rules.list.len(), "rule"),
        count(rules.routes.len(), "route"),
        count(rules.inhibitions.len(), "inhibition"),
    )?;
    let Some(file) = runbooks else { return Ok(()) };
    let name = file.display().to_string();
    let runbooks = refused(Runbooks::load(&read(file)?, &name, None), out)?;
    let strangers = strangers(&rules, &runbooks);
    for stranger in &strangers {
        writeln!(out, "{name}: {stranger}")?;
    }
    anyhow::ensure!(
        strangers.is_empty(),
        "found {}",
        count(strangers.len(), "problem")
    );
    let number = count(runbooks.list.len(), "runbook");
    writeln!(out, "{name}: good; version {} with {number}", runbooks.version)?;
    Ok(())
}

/// What rules and runbooks say of each other that is not there.
pub(crate) fn strangers(rules: &Rules, runbooks: &Runbooks) -> Vec<String> {
    let mut found = Vec::new();
    for rule in &rules.list {
        if let Some(named) = &rule.runbook
            && runbooks.runbook(named).is_none()
        {
            found.push(format!(
                "rule `{}` wants runbook `{named}`, which is not here",
                rule.name
            ));
        }
    }
    for runbook in &runbooks.list {
        for on in runbook.on.iter().filter(|on| rules.rule(on).is_none()) {
            found.push(format!(
                "runbook `{}` is for rule `{on}`, which there is not",
                runbook.name
            ));
        }
    }
    found
}

/// `1 rule`, `2 rules`.
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
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
    anyhow::ensure!(failed == 0, "{} failed", count(failed, "test"));
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
            anyhow::bail!("found {}", count(diagnostics.len(), "problem"))
        }
    }
}
