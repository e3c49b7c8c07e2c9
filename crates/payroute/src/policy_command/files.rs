//! Where the commands of `policy` find a policy and its channels.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Files, InvalidSettings, Settings};

/// A policy and its channels.
#[derive(Debug, Args)]
pub(crate) struct PolicyFiles {
    /// The policy; not given: that of the configuration folder
    file: Option<PathBuf>,
    /// The channels it is about; not given: those of the configuration folder
    #[arg(long, value_name = "FILE")]
    channels: Option<PathBuf>,
    /// The configuration folder
    #[arg(long, value_name = "FOLDER", default_value = "config")]
    config: PathBuf,
}

impl PolicyFiles {
    /// The two files, by their paths from here.
    ///
    /// # Errors
    /// When the folder is needed to know them, and its settings are not good.
    pub(super) fn resolve(&self) -> Result<Files, InvalidSettings> {
        if let (Some(policy), Some(channels)) = (&self.file, &self.channels) {
            return Ok(Files {
                channels: channels.clone(),
                policy: policy.clone(),
                ..Files::default()
            });
        }
        let files = Settings::load(&self.config, std::env::vars(), &[])?.files;
        let [channels, policy] = [files.channels, files.policy].map(|file| self.config.join(file));
        Ok(Files {
            channels: self.channels.clone().unwrap_or(channels),
            policy: self.file.clone().unwrap_or(policy),
            ..Files::default()
        })
    }
}
