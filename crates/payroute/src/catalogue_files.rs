//! The operator's own catalogue documents, which lie in a folder beside the channels.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::catalogue::{Catalogue, Shared};
use metrics::counter;
use telemetry::metric;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::shop_files::{InvalidShop, read};

/// The folder of the documents, inside the configuration folder.
const FOLDER: &str = "catalogue";

/// How often the folder is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Keeps a process's catalogue as its files are.
#[derive(Debug)]
pub(crate) struct CatalogueFiles {
    configuration: PathBuf,
    catalogue: Shared,
    /// The names and texts that were read last, good or not; `None` before the first look.
    last: Option<Texts>,
}

/// The documents of a folder, in their order, each with its name.
type Texts = Vec<(String, String)>;

impl CatalogueFiles {
    /// Will keep `catalogue` by the documents in the folder `configuration`, which it was read from.
    pub(crate) fn new(configuration: &Path, catalogue: Shared) -> Self {
        Self {
            configuration: configuration.to_owned(),
            catalogue,
            last: None,
        }
    }

    /// Looks for changes until `stop` is cancelled.
    pub(crate) async fn follow(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let looked = spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(files) => self = files,
                // The process is ending.
                Err(_) => return,
            }
        }
    }

    /// Takes the documents when they are others than at the last look. Documents that are wrong are told of once, and
    /// the catalogue stays as it is: a failure must mean something while somebody mends a file.
    fn look(&mut self) {
        let texts = match texts(&self.configuration) {
            Ok(texts) => texts,
            // A file that is being replaced; what stays wrong is told of at the next start.
            Err(error) => return tracing::debug!(%error, "the catalogue cannot be read: {error}"),
        };
        if self.last.as_ref() == Some(&texts) {
            return;
        }
        match parse(&texts) {
            Ok(catalogue) => {
                let version = catalogue.version().to_owned();
                self.catalogue.replace(catalogue);
                tracing::info!(version, "failures are judged by catalogue {version}");
            }
            Err(error) => {
                counter!(metric::CATALOGUE_REFUSED).increment(1);
                tracing::error!(%error, "the catalogue cannot be used, the last one stays: {error}");
            }
        }
        self.last = Some(texts);
    }
}

/// The built-in catalogue with every `*.yaml` of `catalogue/` in the configuration folder laid over it, in the order
/// of their names. Without that folder it is the built-in one.
pub(crate) fn of_folder(configuration: &Path) -> Result<Catalogue, InvalidShop> {
    parse(&texts(configuration)?)
}

/// The documents of the configuration folder, in the order of their names.
fn texts(configuration: &Path) -> Result<Texts, InvalidShop> {
    let folder = configuration.join(FOLDER);
    let mut files = documents(&folder).map_err(|source| InvalidShop::Unreadable { path: folder, source })?;
    files.sort_unstable();
    read_all(&files)
}

/// The catalogue for the channels in `file`: that of its folder.
pub(crate) fn beside(file: &Path) -> Result<Catalogue, InvalidShop> {
    of_folder(file.parent().unwrap_or_else(|| Path::new("")))
}

/// The built-in catalogue with `files` laid over it, in their order.
pub(crate) fn load(files: &[PathBuf]) -> Result<Catalogue, InvalidShop> {
    parse(&read_all(files)?)
}

fn read_all(files: &[PathBuf]) -> Result<Texts, InvalidShop> {
    let read = |file: &PathBuf| Ok((file.display().to_string(), read(file)?));
    files.iter().map(read).collect()
}

fn parse(texts: &Texts) -> Result<Catalogue, InvalidShop> {
    let documents: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    Catalogue::load(&documents).map_err(InvalidShop::Wrong)
}

fn documents(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_document = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths
        .filter(|path| path.as_ref().map_or(true, is_document))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_laid_over_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_folder(folder.path()).unwrap().version(), "built-in 1");
        let documents = folder.path().join(FOLDER);
        std::fs::create_dir(&documents).unwrap();
        for (name, note) in [
            ("20-b.yaml", "b"),
            ("10-a.yaml", "a"),
            ("notes.txt", "not YAML: ["),
        ] {
            let text = format!("version: 1\ncodes: [{{provider: unionpay, code: '03', note: {note}}}]\n");
            std::fs::write(documents.join(name), text).unwrap();
        }
        let catalogue = beside(&folder.path().join("channels.yaml")).unwrap();
        assert_eq!(
            catalogue.find("unionpay", "03").unwrap().note.as_deref(),
            Some("b")
        );
        assert_eq!(catalogue.version().matches(".yaml").count(), 2);
    }

    #[test]
    fn a_changed_document_is_taken_and_a_wrong_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let documents = folder.path().join(FOLDER);
        std::fs::create_dir(&documents).unwrap();
        let write = |text: &str| std::fs::write(documents.join("own.yaml"), text).unwrap();
        let document = |version: u32, note: &str| {
            format!("version: {version}\ncodes: [{{provider: unionpay, code: '03', note: {note}}}]\n")
        };
        write(&document(1, "first"));
        let catalogue = Shared::new(of_folder(folder.path()).unwrap());
        let mut files = CatalogueFiles::new(folder.path(), catalogue.clone());
        let note = || {
            let present = catalogue.load();
            present.find("unionpay", "03").unwrap().note.clone().unwrap()
        };
        let steps = [
            (document(1, "first"), "first"),
            (document(2, "second"), "second"),
            // Somebody forgot to count the version up.
            (document(2, "third"), "third"),
            ("version: 3\ncode: []\n".to_owned(), "third"),
            (document(3, "fourth"), "fourth"),
        ];
        for (text, expected) in steps {
            write(&text);
            files.look();
            files.look();
            assert_eq!(&*note(), expected);
        }
    }

    #[test]
    fn a_bad_document_is_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let documents = folder.path().join(FOLDER);
        std::fs::create_dir(&documents).unwrap();
        std::fs::write(documents.join("own.yaml"), "version: 1\ncode: []\n").unwrap();
        let refused = of_folder(folder.path()).unwrap_err().to_string();
        assert!(
            refused.ends_with("own.yaml:2:1: unknown key: `code`, did you mean `codes`?"),
            "{refused}"
        );
    }
}
