//! `payroute config`: is a folder good, and what can be set.

use std::io::Write;

use anyhow::Context as _;

use crate::catalogue_files;
use crate::cli::ConfigCommand;
use crate::evaluating::Books;
use crate::notice_files;
use crate::receiver_files;
use crate::settings::Settings;
use crate::settings::keys::KEYS;
use crate::shop_files::ShopFiles;
use crate::store_commands;

/// Runs a command of `config`.
///
/// # Errors
/// When the configuration is not good; the message has every problem, with its place.
pub(crate) async fn run(command: ConfigCommand, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check(flags) => {
            let settings = flags.load()?;
            let catalogue = catalogue_files::of_folder(&flags.folder)?;
            let shop = ShopFiles::load(&flags.folder, &settings.files, &catalogue)?;
            let receivers = receiver_files::load(&flags.folder, &settings.files)?;
            notice_files::load(&flags.folder, Some(&receivers))?;
            Books::of_folder(&flags.folder, &receivers)?;
            let receivers = receivers.names().count();
            let (channels, policy) = (shop.configuration.channels.len(), &shop.policy);
            let rules = policy.rules().count();
            let (name, version) = (policy.name(), policy.version());
            let folder = flags.folder.display();
            writeln!(
                out,
                "{folder}: good; {channels} channels, policy {name} {version} with {rules} rules, {receivers} receivers"
            )?;
        }
        ConfigCommand::Import(flags) => store_commands::import(&flags, out).await?,
        ConfigCommand::Keys => {
            let defaults = serde_json::to_value(Settings::default()).context("the defaults are data")?;
            for key in KEYS {
                let pointer = format!("/{}", key.path.replace('.', "/"));
                let default = defaults
                    .pointer(&pointer)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                writeln!(out, "{} (default {default})", key.path)?;
                writeln!(out, "    {}", key.about)?;
                writeln!(out, "    {}, --{} {}", key.variable(), key.flag(), key.value)?;
            }
        }
    }
    Ok(())
}
