//! `payroute explain`: what a failure code means and what the router does with it, and the reference page of all.

mod explanation;
mod markdown;
mod next_steps;
mod plain;
mod search;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use domain::network_retry;
use serde::Serialize;

use crate::catalogue_files;
use crate::shop_files::InvalidShop;
use explanation::{CodeExplanation, ProviderExplanation, ReasonExplanation};
use search::Found;

/// What `explain` takes.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A code, a provider and its code, or a canonical reason
    #[arg(num_args = 1..=2, required_unless_present = "markdown", value_name = "PROVIDER|CODE|REASON")]
    words: Vec<String>,
    /// A catalogue document of your own, laid over the built-in catalogue; may be given several times
    #[arg(long, value_name = "FILE")]
    catalogue: Vec<PathBuf>,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the reference page of the whole catalogue
    #[arg(long, conflicts_with = "words")]
    markdown: bool,
}

/// Runs `explain`.
///
/// # Errors
/// When a catalogue document is not good, or nothing has the given name. What comes near is then in `out`.
pub(crate) fn run(arguments: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let catalogue = catalogue_files::load(&arguments.catalogue)?;
    if arguments.markdown {
        return Ok(markdown::write_page(out, &catalogue)?);
    }
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    match search::find(&catalogue, &words) {
        Found::Codes(codes) => {
            let rules = network_retry::Rules::built_in().map_err(InvalidShop::Wrong)?;
            let codes = codes.into_iter();
            let explanations: Vec<_> = codes
                .map(|code| CodeExplanation::of(&catalogue, &rules, code))
                .collect();
            print(arguments.json, out, &explanations, |out, codes| {
                plain::write_codes(out, codes)
            })
        }
        Found::Provider(provider) => {
            let explanation = ProviderExplanation::of(&catalogue, provider);
            print(arguments.json, out, &explanation, plain::write_provider)
        }
        Found::Reason(reason) => {
            let explanation = ReasonExplanation::of(&catalogue, reason);
            print(arguments.json, out, &explanation, plain::write_reason)
        }
        Found::Nothing(near) => {
            print(arguments.json, out, &near, plain::write_near)?;
            bail!("{} is not in the catalogue", words.join(" "))
        }
    }
}

/// Prints `value` as JSON, or as `write` does.
fn print<W: Write, T: Serialize>(
    json: bool,
    out: &mut W,
    value: &T,
    write: impl FnOnce(&mut W, &T) -> io::Result<()>,
) -> anyhow::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, value)?;
        writeln!(out)?;
    } else {
        write(out, value)?;
    }
    Ok(())
}
