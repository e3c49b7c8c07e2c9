//! Catalogue documents of an operator: codes, texts, marks and providers' profiles that are laid over the built-in ones.
//!
//! A document says only what it changes. Whatever it leaves of a code, a text or a mark stays as it was, so a new
//! release of the built-in catalogue reaches the deployment as well.

mod code;
mod profile;
mod text;

use std::collections::HashSet;

use super::{Catalogue, TRANSPORT, http_statuses};
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings, Table};
use crate::document::parse;

/// Most codes of one document: far more than any provider lists.
const MAX_CODES: usize = 20_000;

/// Longest text of a document, in bytes: a customer reads one or two sentences.
const MAX_TEXT: usize = 1_000;

/// Longest version, in bytes.
const MAX_VERSION: usize = 64;

const KEYS: [&str; 7] = [
    "version",
    "default_locale",
    "codes",
    "providers",
    "profiles",
    "messages",
    "reasons",
];

impl Catalogue {
    /// The built-in catalogue with the YAML `documents` laid over it, each under the name that diagnostics give it.
    /// What is in a later one goes before what is in an earlier one.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, document by document. None is used then.
    pub fn load(documents: &[(&str, &str)]) -> Result<Self, Vec<Diagnostic>> {
        let built_in = Self::built_in().map_err(|error| {
            vec![Diagnostic {
                file: "the built-in catalogue".into(),
                line: 0,
                column: 0,
                field: String::new(),
                message: error.to_string(),
            }]
        })?;
        built_in.extended(documents)
    }

    /// This catalogue with the YAML `documents` laid over it, as [`Self::load`] does.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, document by document.
    pub fn extended(mut self, documents: &[(&str, &str)]) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        for (file, text) in documents {
            if let Err(found) = self.lay_over(file, text) {
                diagnostics.extend(found);
            }
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        self.http = self
            .providers
            .get(TRANSPORT)
            .map(http_statuses)
            .unwrap_or_default();
        Ok(self)
    }

    fn lay_over(&mut self, file: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        let Some(table) = Field::root(&node).table(&KEYS, &mut found) else {
            return found.finish(());
        };
        if let Some(version) = read_version(&table, &mut found) {
            self.version = format!("{}, {file} {version}", self.version).into();
        }
        if let Some(codes) = table.get("codes") {
            self.lay_codes(&codes, file, &mut found);
        }
        if let Some(providers) = table.get("providers") {
            self.lay_providers(&providers, &mut found);
        }
        if let Some(profiles) = table.get("profiles") {
            self.lay_profiles(&profiles, &mut found);
        }
        if let Some(messages) = table.get("messages") {
            self.lay_messages(&messages, &mut found);
        }
        if let Some(reasons) = table.get("reasons") {
            self.lay_marks(&reasons, &mut found);
        }
        if let Some(locale) = table.get("default_locale") {
            self.set_default_locale(&locale, &mut found);
        }
        found.finish(())
    }

    fn lay_codes(&mut self, field: &Field<'_>, file: &str, found: &mut Findings) {
        let items = field.items(found);
        if items.len() > MAX_CODES {
            let message = format!("holds {} codes, at most {MAX_CODES} are allowed", items.len());
            field.refuse(found, message);
        }
        let mut spellings = HashSet::new();
        for item in items.into_iter().take(MAX_CODES) {
            let Some(code) = code::read(&item, self, file, found) else {
                continue;
            };
            let mut is_first = true;
            for spelling in std::iter::once(&code.code).chain(&code.aliases) {
                is_first &= spellings.insert((code.provider.clone(), spelling.clone()));
            }
            if is_first {
                self.list(code);
            } else {
                let message = format!("code `{}` of `{}` stands here twice", code.code, code.provider);
                item.refuse(found, message);
            }
        }
    }

    fn lay_providers(&mut self, field: &Field<'_>, found: &mut Findings) {
        let Some(table) = field.open_table(found) else {
            return;
        };
        for (name, provider) in table.fields() {
            let Some(marks) = provider.table(&["then", "hotline"], found) else {
                continue;
            };
            if let Some(then) = marks.get("then") {
                let shared = then.texts_that(
                    |shared| {
                        (!self.knows_provider(shared)).then(|| format!("provider `{shared}` has no codes"))
                    },
                    found,
                );
                let entry = self.providers.entry(name.into()).or_default();
                entry.then = shared.into_iter().map(Into::into).collect();
            }
            if let Some(number) = marks.get("hotline").and_then(|hotline| bounded(&hotline, found)) {
                self.hotlines.retain(|(family, _)| &**family != name);
                self.hotlines.push((name.into(), number.into()));
            }
        }
    }
}

/// A number, or a text such as `2026-03-01.2`.
fn read_version(table: &Table<'_>, found: &mut Findings) -> Option<String> {
    let field = table.required("version", found)?;
    if let crate::document::Value::Integer(number @ 0..) = field.value() {
        return Some(number.to_string());
    }
    let version = field.text(found)?;
    if version.len() > MAX_VERSION {
        let message = format!(
            "is {} bytes long, at most {MAX_VERSION} are allowed",
            version.len()
        );
        field.refuse(found, message);
    }
    Some(version.to_owned())
}

/// A text that is not too long to be shown.
fn bounded<'n>(field: &Field<'n>, found: &mut Findings) -> Option<&'n str> {
    let text = field.text(found)?;
    if text.len() > MAX_TEXT {
        let message = format!("is {} bytes long, at most {MAX_TEXT} are allowed", text.len());
        field.refuse(found, message);
    }
    Some(text)
}

#[cfg(test)]
mod tests;
