//! The operator's own catalogue documents, which lie in a folder beside the channels.

use std::io;
use std::path::{Path, PathBuf};

use domain::catalogue::Catalogue;

use crate::shop_files::{InvalidShop, read};

/// The folder of the documents, inside the configuration folder.
const FOLDER: &str = "catalogue";

/// The built-in catalogue with every `*.yaml` of `catalogue/` in the configuration folder laid over it, in the order
/// of their names. Without that folder it is the built-in one.
pub(crate) fn of_folder(configuration: &Path) -> Result<Catalogue, InvalidShop> {
    let folder = configuration.join(FOLDER);
    let mut files = documents(&folder).map_err(|source| InvalidShop::Unreadable { path: folder, source })?;
    files.sort_unstable();
    load(&files)
}

/// The catalogue for the channels in `file`: that of its folder.
pub(crate) fn beside(file: &Path) -> Result<Catalogue, InvalidShop> {
    of_folder(file.parent().unwrap_or_else(|| Path::new("")))
}

/// The built-in catalogue with `files` laid over it, in their order.
pub(crate) fn load(files: &[PathBuf]) -> Result<Catalogue, InvalidShop> {
    let read = |file: &PathBuf| Ok((file.display().to_string(), read(file)?));
    let documents: Vec<(String, String)> = files.iter().map(read).collect::<Result<_, InvalidShop>>()?;
    let documents: Vec<(&str, &str)> = documents
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
