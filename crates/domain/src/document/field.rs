//! Reading a document field by field, collecting everything that is wrong on the way.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Entry, Node, Position, Value};
use crate::diagnostic::{Diagnostic, nearest};

/// Most diagnostics that are kept of one document: more would not be read.
const MAX_FINDINGS: usize = 100;

/// What is wrong in a document, collected while it is read.
#[derive(Debug)]
pub struct Findings {
    file: Arc<str>,
    diagnostics: Vec<Diagnostic>,
}

impl Findings {
    /// Nothing found yet in the document called `file`.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            diagnostics: Vec::new(),
        }
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// `value` when nothing was found, and all that was found otherwise, in the order of the document.
    ///
    /// # Errors
    /// When anything was found.
    pub fn finish<T>(mut self, value: T) -> Result<T, Vec<Diagnostic>> {
        if self.diagnostics.is_empty() {
            return Ok(value);
        }
        self.diagnostics.sort_by_key(|found| (found.line, found.column));
        Err(self.diagnostics)
    }

    fn add(&mut self, at: Position, field: &str, message: String) {
        if self.diagnostics.len() < MAX_FINDINGS {
            self.diagnostics.push(Diagnostic {
                file: Arc::clone(&self.file),
                line: at.line,
                column: at.column,
                field: field.to_owned(),
                message,
            });
        }
    }
}

/// A value with the path that leads to it.
#[derive(Clone, Debug)]
pub struct Field<'n> {
    node: &'n Node,
    path: String,
}

impl<'n> Field<'n> {
    /// The document itself.
    #[must_use]
    pub fn root(node: &'n Node) -> Self {
        Self {
            node,
            path: String::new(),
        }
    }

    /// The path, such as `rules[2].then`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the field holds.
    #[must_use]
    pub fn value(&self) -> &'n Value {
        &self.node.value
    }

    /// Where the field stands.
    #[must_use]
    pub fn at(&self) -> Position {
        self.node.at
    }

    /// Reports `message` about this field.
    pub fn refuse(&self, found: &mut Findings, message: impl Into<String>) {
        found.add(self.node.at, &self.path, message.into());
    }

    /// Reports that the field is not what was `expected`.
    pub fn mismatch(&self, found: &mut Findings, expected: &str) {
        let mut message = format!("found {}, expected {expected}", self.node.value);
        if matches!(self.node.value, Value::Integer(_)) && expected.starts_with("a text") {
            message.push_str(" (put it in quotes)");
        }
        self.refuse(found, message);
    }

    /// The text; `None`, and reported, when it is none or empty.
    pub fn text(&self, found: &mut Findings) -> Option<&'n str> {
        match &self.node.value {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => {
                self.mismatch(found, "a text");
                None
            }
        }
    }

    /// The whole number; `None`, and reported, when it is none or outside `range`.
    pub fn integer(&self, range: RangeInclusive<i64>, found: &mut Findings) -> Option<i64> {
        match self.node.value {
            Value::Integer(number) if range.contains(&number) => Some(number),
            _ => {
                let expected = match (*range.start(), *range.end()) {
                    (start, i64::MAX) => format!("a whole number from {start}"),
                    (start, end) => format!("a whole number from {start} to {end}"),
                };
                self.mismatch(found, &expected);
                None
            }
        }
    }

    /// [`Self::integer`] in any of the smaller types; a `range` wider than `T` is the caller's mistake and
    /// reports what does not fit.
    pub fn number<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>, found: &mut Findings) -> Option<T> {
        let number = T::try_from(self.integer(range, found)?).ok();
        if number.is_none() {
            self.mismatch(found, "a smaller number");
        }
        number
    }

    /// `true` or `false`; `None`, and reported, when it is neither.
    pub fn flag(&self, found: &mut Findings) -> Option<bool> {
        if let Value::Flag(flag) = self.node.value {
            return Some(flag);
        }
        self.mismatch(found, "true or false");
        None
    }

    /// Whatever `parse` makes of the text; `None`, and reported with its error, when it makes nothing.
    pub fn parsed<T, E: std::fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
        found: &mut Findings,
    ) -> Option<T> {
        match parse(self.text(found)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(found, error.to_string());
                None
            }
        }
    }

    /// The one of `choices` that is named here; `None`, and reported, when it is none of them.
    pub fn choice<T: Copy>(&self, choices: &[(&'static str, T)], found: &mut Findings) -> Option<T> {
        let text = self.text(found)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.unknown_name(text, &names, found);
        None
    }

    /// Reports that `text` is not one of `known`, with the nearest of them.
    pub fn unknown_name(&self, text: &str, known: &[&str], found: &mut Findings) {
        self.refuse(found, unknown_name(text, known));
    }

    /// The items of a list; none, and reported, when it is no list.
    pub fn items(&self, found: &mut Findings) -> Vec<Self> {
        if let Value::List(nodes) = &self.node.value {
            let item = |(i, node)| Self {
                node,
                path: format!("{}[{i}]", self.path),
            };
            return nodes.iter().enumerate().map(item).collect();
        }
        self.mismatch(found, "a list");
        Vec::new()
    }

    /// The items of a list, or the value itself as a list of one.
    pub fn one_or_more(&self, found: &mut Findings) -> Vec<Self> {
        match self.node.value {
            Value::List(_) => self.items(found),
            _ => vec![self.clone()],
        }
    }

    /// The texts of a list that are no duplicates; each other item is reported.
    pub fn texts(&self, found: &mut Findings) -> Vec<String> {
        self.texts_that(|_| None, found)
    }

    /// The texts of a list that are no duplicates and about which there is no `complaint`; each other item is
    /// reported.
    pub fn texts_that(
        &self,
        complaint: impl Fn(&str) -> Option<String>,
        found: &mut Findings,
    ) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for item in self.items(found) {
            let Some(text) = item.text(found) else { continue };
            if let Some(message) = complaint(text) {
                item.refuse(found, message);
            } else if texts.iter().any(|earlier| earlier == text) {
                item.refuse(found, format!("`{text}` stands here twice"));
            } else {
                texts.push(text.to_owned());
            }
        }
        texts
    }

    /// A table whose keys are all of `known`; unknown and repeated keys are reported, and left out.
    /// `None`, and reported, when it is no table.
    pub fn table(&self, known: &[&str], found: &mut Findings) -> Option<Table<'n>> {
        let mut table = self.open_table(found)?;
        table.entries.retain(|entry| {
            let is_known = known.contains(&entry.key.as_str());
            if !is_known {
                found.add(
                    entry.at,
                    &self.path,
                    format!("unknown key: {}", unknown_name(&entry.key, known)),
                );
            }
            is_known
        });
        Some(table)
    }

    /// A table with keys of the operator's choice; repeated keys are reported, and left out.
    /// `None`, and reported, when it is no table.
    pub fn open_table(&self, found: &mut Findings) -> Option<Table<'n>> {
        let Value::Table(lines) = &self.node.value else {
            self.mismatch(found, "a table (key: value)");
            return None;
        };
        let mut entries: Vec<&Entry> = Vec::with_capacity(lines.len());
        for entry in lines {
            if let Some(first) = entries.iter().find(|earlier| earlier.key == entry.key) {
                let message = format!(
                    "key `{}` stands here twice, first in line {}",
                    entry.key, first.at.line
                );
                found.add(entry.at, &self.path, message);
            } else {
                entries.push(entry);
            }
        }
        Some(Table {
            at: self.node.at,
            path: self.path.clone(),
            entries,
        })
    }
}

/// The message for a name that is not one of `known`, with the nearest of them.
#[must_use]
pub fn unknown_name(text: &str, known: &[&str]) -> String {
    match nearest(text, known.iter().copied()) {
        Some(near) => format!("`{text}`, did you mean `{near}`?"),
        None if known.len() <= 40 => format!("`{text}`, expected one of: {}", known.join(", ")),
        None => format!("`{text}` is not known"),
    }
}

/// The lines of a table.
#[derive(Clone, Debug)]
pub struct Table<'n> {
    at: Position,
    path: String,
    entries: Vec<&'n Entry>,
}

impl<'n> Table<'n> {
    /// The field under `key`; `None` when it is not there, or empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Field<'n>> {
        self.entries
            .iter()
            .find(|entry| entry.key == key && entry.node.value != Value::Null)
            .map(|entry| self.field(entry))
    }

    /// The field under `key`; `None`, and reported, when it is not there.
    pub fn required(&self, key: &str, found: &mut Findings) -> Option<Field<'n>> {
        let field = self.get(key);
        if field.is_none() {
            found.add(self.at, &self.path, format!("`{key}` is missing"));
        }
        field
    }

    /// Every line, in the order of the document.
    pub fn fields(&self) -> impl Iterator<Item = (&'n str, Field<'n>)> {
        self.entries
            .iter()
            .map(|entry| (entry.key.as_str(), self.field(entry)))
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reports `message` about the line with `key`, at the key.
    pub fn refuse_key(&self, key: &str, found: &mut Findings, message: impl Into<String>) {
        let at = self
            .entries
            .iter()
            .find(|entry| entry.key == key)
            .map_or(self.at, |entry| entry.at);
        found.add(at, &self.path, message.into());
    }

    fn field(&self, entry: &'n Entry) -> Field<'n> {
        let path = match self.path.as_str() {
            "" => entry.key.clone(),
            path => format!("{path}.{}", entry.key),
        };
        Field {
            node: &entry.node,
            path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn messages(text: &str, read: impl FnOnce(&Field<'_>, &mut Findings)) -> Vec<String> {
        let node = parse(text, "f.yaml").unwrap();
        let mut found = Findings::new("f.yaml");
        read(&Field::root(&node), &mut found);
        let diagnostics = found.finish(()).err().unwrap_or_default();
        diagnostics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_wrong_is_reported_in_the_order_of_the_document() {
        let text = "timeout_ms: 5\nnmae: x\nname: y\nname: z\n";
        let found = messages(text, |root, found| {
            let table = root.table(&["name", "timeout_ms"], found).unwrap();
            table.required("colour", found);
            table.get("timeout_ms").unwrap().integer(100..=200, found);
        });
        assert_eq!(
            found,
            [
                "f.yaml:1:1: `colour` is missing",
                "f.yaml:1:13: timeout_ms: found the number 5, expected a whole number from 100 to 200",
                "f.yaml:2:1: unknown key: `nmae`, did you mean `name`?",
                "f.yaml:4:1: key `name` stands here twice, first in line 3",
            ]
        );
    }

    #[test]
    fn a_number_where_a_text_belongs_says_how_to_write_it() {
        let found = messages("bin: 62", |root, found| {
            root.table(&["bin"], found)
                .unwrap()
                .get("bin")
                .unwrap()
                .text(found);
        });
        assert_eq!(
            found,
            ["f.yaml:1:6: bin: found the number 62, expected a text (put it in quotes)"]
        );
    }

    #[test]
    fn a_path_leads_to_the_item() {
        let found = messages("rules:\n  - {name: [a, 7]}\n", |root, found| {
            let rules = root.open_table(found).unwrap().get("rules").unwrap();
            for rule in rules.items(found) {
                rule.open_table(found).unwrap().get("name").unwrap().texts(found);
            }
        });
        assert_eq!(
            found,
            ["f.yaml:2:16: rules[0].name[1]: found the number 7, expected a text (put it in quotes)"]
        );
    }
}
