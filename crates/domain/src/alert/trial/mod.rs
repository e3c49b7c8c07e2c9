//! Tests of rules: outcomes as they could be, in simulated time, and what is to become of them.

mod expect;
mod play;
mod read;

use serde::Serialize;

use super::Rules;
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings};
use crate::document::parse;

/// A test that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The test's name.
    pub name: Box<str>,
    /// The line it begins in, from 1.
    pub line: u32,
    /// What came out otherwise than expected; nothing when the test has passed.
    pub failures: Vec<Diagnostic>,
    /// Everything that happened, one line each, in its order.
    pub timeline: Vec<String>,
}

impl Trial {
    /// Whether everything came out as expected.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A document of tests that was read.
#[derive(Clone, Debug)]
pub struct Trials {
    file: Box<str>,
    rules_file: Option<Box<str>>,
    own_rules: Option<Rules>,
    samples: Vec<read::Sample>,
}

impl Trials {
    /// Reads the tests in `text`, called `file` in diagnostics: a document of rules with `tests` in it, or one of tests
    /// alone.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document.
    pub fn load(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        let root = Field::root(&node);
        let table = root.open_table(&mut found);
        let own_rules = match &table {
            Some(table) if table.get("rules").is_some() => Rules::read(&node, None, &mut found),
            Some(_) => {
                let _ = root.table(&["rules_file", "tests"], &mut found);
                None
            }
            None => None,
        };
        let rules_file = table.as_ref().and_then(|table| table.get("rules_file"));
        let rules_file = rules_file.and_then(|field| field.text(&mut found).map(Box::from));
        let tests = table.as_ref().and_then(|table| table.get("tests"));
        let samples = tests.map_or_else(Vec::new, |field| read::read(&field, &mut found));
        found.finish(Self {
            file: file.into(),
            rules_file,
            own_rules,
            samples,
        })
    }

    /// The file of rules that the tests are about, as the document names it; `None` when it holds them itself, or
    /// means those that are part of the program.
    #[must_use]
    pub fn rules_file(&self) -> Option<&str> {
        self.rules_file.as_deref()
    }

    /// The rules in the document itself.
    #[must_use]
    pub const fn own_rules(&self) -> Option<&Rules> {
        self.own_rules.as_ref()
    }

    /// Whether there is no test.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Runs all tests on `rules`: each with its own result, in the order of the document.
    #[must_use]
    pub fn run(&self, rules: &Rules) -> Vec<Trial> {
        self.samples
            .iter()
            .map(|sample| {
                let played = play::play(rules, sample);
                let failures = expect::failures(rules, sample, &played, &self.file);
                Trial {
                    name: sample.name.clone(),
                    line: sample.line,
                    failures,
                    timeline: played.timeline,
                }
            })
            .collect()
    }
}
