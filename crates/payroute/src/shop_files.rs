//! The shop's own files: channels and policy, read together because a policy is about channels.

use std::path::{Path, PathBuf};

use domain::catalogue::Catalogue;
use domain::channels::{self, Configuration};
use domain::diagnostic::Diagnostic;
use domain::policy::Policy;

use crate::settings::Files;

/// The example shop, which is part of the program: what `demo` routes by.
const EXAMPLE: [(&str, &str); 2] = [
    ("channels.yaml", include_str!("../../../config/channels.yaml")),
    ("policy.yaml", include_str!("../../../config/policy.yaml")),
];

/// A shop's files, read and found good.
#[derive(Debug)]
pub(crate) struct ShopFiles {
    /// The channels, suspensions and limits.
    pub(crate) configuration: Configuration,
    /// The policy for these channels.
    pub(crate) policy: Policy,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidShop {
    /// A file cannot be read.
    #[error("{}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something in a file is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Diagnostic>),
}

impl ShopFiles {
    /// The files that `files` names in `folder`.
    pub(crate) fn load(folder: &Path, files: &Files, catalogue: &Catalogue) -> Result<Self, InvalidShop> {
        let [channels, policy] = [&files.channels, &files.policy].map(|file| folder.join(file));
        let texts = [read(&channels)?, read(&policy)?];
        let names = [channels.display().to_string(), policy.display().to_string()];
        Self::parse([(&names[0], &texts[0]), (&names[1], &texts[1])], catalogue)
    }

    /// The example shop.
    pub(crate) fn example(catalogue: &Catalogue) -> Result<Self, InvalidShop> {
        Self::parse(EXAMPLE, catalogue)
    }

    fn parse([channels, policy]: [(&str, &str); 2], catalogue: &Catalogue) -> Result<Self, InvalidShop> {
        let configuration = parse_channels(channels, catalogue)?;
        let policy = Policy::load(policy.1, policy.0, &configuration.channels).map_err(InvalidShop::Wrong)?;
        Ok(Self {
            configuration,
            policy,
        })
    }
}

/// The text of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<String, InvalidShop> {
    std::fs::read_to_string(path).map_err(|source| InvalidShop::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// The channels of a document, given with its name.
pub(crate) fn parse_channels(
    (name, text): (&str, &str),
    catalogue: &Catalogue,
) -> Result<Configuration, InvalidShop> {
    channels::load(text, name, &catalogue.providers()).map_err(InvalidShop::Wrong)
}
