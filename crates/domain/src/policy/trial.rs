//! What came of one test of a policy document.

use serde::Serialize;

use super::sample::Sample;
use crate::diagnostic::Diagnostic;
use crate::document::field::Findings;

/// A test that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The test's name.
    pub name: Box<str>,
    /// The line it begins in, from 1.
    pub line: u32,
    /// What came out otherwise than expected; nothing when the test has passed.
    pub failures: Vec<Diagnostic>,
}

impl Trial {
    /// The trial of `test` that `found` this.
    pub(super) fn of(test: &Sample<'_>, found: Findings) -> Self {
        Self {
            name: test.name.into(),
            line: test.line,
            failures: found.finish(()).err().unwrap_or_default(),
        }
    }

    /// Whether everything came out as expected.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.failures.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crate::channels::tests::channels;
    use crate::policy::Policy;

    const DOCUMENT: &str = "version: 1
name: n
timezone: UTC
default: {priority: [a, b]}
tests:
  - name: right
    payment: {method: pay, amount_minor: 1, currency: CNY}
    expect: {first: a}
  - name: wrong
    payment: {method: pay, amount_minor: 1, currency: CNY}
    expect: {first: b}
";

    #[test]
    fn each_test_has_its_own_result() {
        let trials = Policy::trials(DOCUMENT, "p.yaml", &channels(&["a", "b"])).unwrap();
        let told: Vec<_> = trials
            .iter()
            .map(|trial| (&*trial.name, trial.line, trial.has_passed()))
            .collect();
        assert_eq!(told, [("right", 6, true), ("wrong", 9, false)]);
        assert_eq!(
            trials[1].failures[0].to_string(),
            "p.yaml:11:21: tests[1].expect.first: the test fails: found `a`, expected `b` (rule `default`)"
        );
    }

    #[test]
    fn a_document_that_is_wrong_otherwise_has_no_results() {
        let found = Policy::trials(
            &DOCUMENT.replace("[a, b]", "[a, c]"),
            "p.yaml",
            &channels(&["a", "b"]),
        );
        assert_eq!(found.unwrap_err().len(), 1);
    }
}
