//! The settings as flags: one per entry of the table, so that no key can be without one.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use super::keys::KEYS;
use super::{InvalidSettings, Settings};

/// Where the settings come from: `--config` and the flags.
#[derive(Clone, Debug)]
pub(crate) struct Flags {
    /// The configuration folder.
    pub(crate) folder: PathBuf,
    /// The keys given as flags, with their values.
    pub(crate) given: Vec<(String, String)>,
}

impl Flags {
    /// The settings of the folder, the environment and the flags together.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn load(&self) -> Result<Settings, InvalidSettings> {
        Settings::load(&self.folder, std::env::vars(), &self.given)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let folder = matches
            .get_one::<PathBuf>("config")
            .cloned()
            .unwrap_or_else(|| "config".into());
        let given = |path: &str| Some((path.to_owned(), matches.get_one::<String>(path)?.clone()));
        Ok(Self {
            folder,
            given: KEYS.iter().filter_map(|key| given(key.path)).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let folder = Arg::new("config")
            .long("config")
            .value_name("FOLDER")
            .value_parser(clap::value_parser!(PathBuf))
            .default_value("config")
            .help("configuration folder");
        let flag = |key: &super::keys::Key| {
            let help = format!("{} [env: {}]", key.about, key.variable());
            let arg = Arg::new(key.path)
                .long(key.flag())
                .value_name(key.value)
                .help(help)
                .help_heading("Settings");
            match key.path {
                // The one flag that people type, often without a value.
                "listen.insecure" => arg
                    .visible_alias("insecure")
                    .num_args(0..=1)
                    .default_missing_value("true"),
                _ => arg,
            }
        };
        command.arg(folder).args(KEYS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
