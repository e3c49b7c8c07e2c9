//! What is wrong in a configuration document, and where: the only error that an operator's file can cause.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// One thing that is wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The document's name, as it was given to the loader.
    pub file: Arc<str>,
    /// Line, from 1; 0 when the place is not known.
    pub line: u32,
    /// Column, from 1; 0 when the place is not known.
    pub column: u32,
    /// The path of the field, such as `rules[2].then.split`; empty for the document as a whole.
    pub field: String,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// The name among `known` that `given` was probably meant to be; `None` when nothing is close.
#[must_use]
pub fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Two slips, or one in a very short name: further away the guess would be wrong more often than right.
    let reach = if given.chars().count() <= 3 { 1 } else { 2 };
    known
        .into_iter()
        .map(|name| {
            (
                if is_swap(given, name) {
                    1
                } else {
                    slips(given, name)
                },
                name,
            )
        })
        .filter(|(slips, _)| *slips <= reach)
        .min()
        .map(|(_, name)| name)
}

/// Whether two neighbouring characters of `a` are swapped in `b`, the slip of fast fingers.
fn is_swap(a: &str, b: &str) -> bool {
    let pairs: Vec<(char, char)> = a.chars().zip(b.chars()).filter(|(from, to)| from != to).collect();
    a.len() == b.len() && matches!(*pairs, [(a, b), (c, d)] if a == d && b == c)
}

/// How many characters have to be added, dropped or replaced to turn `a` into `b`.
fn slips(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row
            .iter_mut()
            .zip(std::iter::once(None).chain(b.chars().map(Some)))
        {
            let Some(to) = to else {
                *cell = left;
                continue;
            };
            let best = (diagonal + usize::from(from != to)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_reads_like_a_compiler_error() {
        let diagnostic = Diagnostic {
            file: "config/policy.yaml".into(),
            line: 12,
            column: 9,
            field: "rules[2].then.split".into(),
            message: "totals 95, expected 100".into(),
        };
        assert_eq!(
            diagnostic.to_string(),
            "config/policy.yaml:12:9: rules[2].then.split: totals 95, expected 100"
        );
    }

    #[test]
    fn slips_count_single_characters() {
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("kitten", "sitting"), 3);
        assert_eq!(slips("split", "split"), 0);
        assert_eq!(slips("prioritty", "priority"), 1);
    }

    #[test]
    fn only_a_close_name_is_suggested() {
        let known = ["priority", "split", "adaptive"];
        assert_eq!(nearest("splitt", known), Some("split"));
        assert_eq!(nearest("pya", ["pay"]), Some("pay"));
        assert_eq!(nearest("weights", known), None);
    }
}
