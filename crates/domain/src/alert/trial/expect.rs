//! What came out otherwise than expected.

use super::super::Rules;
use super::super::instance::Instance;
use super::play::{Played, shown};
use super::read::{Expected, Message, Sample};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::Position;

/// What came out otherwise than `sample` of `file` expects.
pub(super) fn failures(rules: &Rules, sample: &Sample, played: &Played, file: &str) -> Vec<Diagnostic> {
    let mut failures = Vec::new();
    let mut fail = |at: Position, path: &str, message: String| {
        failures.push(Diagnostic {
            file: file.into(),
            line: at.line,
            column: at.column,
            field: path.to_owned(),
            message,
        });
    };
    for expected in &sample.expected {
        if let Some(message) = wrong(rules, sample, expected, played) {
            fail(expected.at, &expected.path, message);
        }
    }
    if let Some(told) = &sample.told {
        let expected: Vec<String> = told.list.iter().map(in_words).collect();
        let sent: Vec<String> = played
            .sent
            .iter()
            .enumerate()
            .map(|(place, (second, sent))| {
                let names_receivers = told.list.get(place).is_some_and(|one| one.receivers.is_some());
                in_words(&Message {
                    second: *second,
                    kind: sent.kind,
                    rule: sent.rule.clone(),
                    receivers: names_receivers.then(|| sent.receivers.clone()),
                })
            })
            .collect();
        if expected != sent {
            let message = format!(
                "the test fails: found {}, expected {}",
                list(&sent),
                list(&expected)
            );
            fail(told.at, &told.path, message);
        }
    }
    failures
}

/// What is wrong with one expectation; `None` when nothing is.
fn wrong(rules: &Rules, sample: &Sample, expected: &Expected, played: &Played) -> Option<String> {
    if rules.rule(&expected.rule).is_none() {
        let names = rules.list.iter().map(|rule| &*rule.name);
        return Some(match nearest(&expected.rule, names) {
            Some(near) => format!("there is no rule `{}`, did you mean `{near}`?", expected.rule),
            None => format!("there is no rule `{}`", expected.rule),
        });
    }
    let at = shown(expected.second);
    let Some(seen) = played.seen.get(&expected.second) else {
        let every = shown(sample.every_secs);
        return Some(format!("rules are evaluated every {every}: not at {at}"));
    };
    let is_meant = |instance: &&Instance| {
        let mut about = expected.about.iter();
        instance.rule == expected.rule
            && about.all(|(dimension, value)| instance.scope.get(dimension) == Some(value))
    };
    let meant: Vec<&Instance> = seen.iter().filter(is_meant).collect();
    let found = match meant.as_slice() {
        [] => "inactive",
        [one] => one.state.as_str(),
        // Of several the worst counts: say `about` to mean one.
        several => several
            .iter()
            .map(|one| one.state.as_str())
            .max_by_key(|state| rank(state))
            .unwrap_or("inactive"),
    };
    if found != &*expected.state {
        return Some(format!(
            "the test fails: found `{found}` at {at}, expected `{}`",
            expected.state
        ));
    }
    let has_no_data = meant.iter().any(|one| one.no_data_since.is_some());
    match expected.no_data {
        Some(wanted) if wanted != has_no_data => Some(format!(
            "the test fails: found no_data {has_no_data} at {at}, expected {wanted}"
        )),
        _ => None,
    }
}

fn rank(state: &str) -> u8 {
    match state {
        "firing" => 4,
        "recovering" => 3,
        "pending" => 2,
        "resolved" => 1,
        _ => 0,
    }
}

fn in_words(message: &Message) -> String {
    let (at, kind, rule) = (shown(message.second), message.kind, &message.rule);
    match &message.receivers {
        Some(receivers) => format!("{at} {kind} {rule} to {}", receivers.join(", ")),
        None => format!("{at} {kind} {rule}"),
    }
}

fn list(messages: &[String]) -> String {
    if messages.is_empty() {
        return "none".to_owned();
    }
    messages.join("; ")
}
