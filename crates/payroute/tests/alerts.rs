//! `payroute alerts`, as an operator runs it.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `payroute alerts` where the repository is, so that the example has its usual name.
fn alerts(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
    command
        .env_clear()
        .current_dir(root())
        .arg("alerts")
        .args(arguments);
    command.output().expect("payroute runs")
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn complained(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The example with `from` replaced by `to`, as a file.
fn changed(folder: &Path, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(root().join("config/alerts.yaml")).expect("it is there");
    assert!(text.contains(from), "the example has no `{from}`");
    let path = folder.join("alerts.yaml");
    std::fs::write(&path, text.replacen(from, to, 1)).expect("it is written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn the_example_is_good_and_is_what_is_built_in() {
    let output = alerts(&["check", "config/alerts.yaml"]);
    assert!(output.status.success());
    assert_eq!(
        printed(&output),
        "config/alerts.yaml: good; version 1 with 13 rules, 0 routes, 3 inhibitions\n"
    );
    let example = std::fs::read_to_string(root().join("config/alerts.yaml")).expect("it is there");
    assert_eq!(printed(&alerts(&["built-in"])), example);
}

#[test]
fn the_tests_of_the_example_pass_and_say_what_happened() {
    let output = alerts(&["test", "config/alerts.yaml", "--timeline"]);
    assert!(output.status.success(), "{}", complained(&output));
    insta::assert_snapshot!(printed(&output));
}

#[test]
fn a_test_that_fails_says_what_was_found_and_everything_that_happened() {
    let folder = tempfile::tempdir().unwrap();
    let file = changed(
        folder.path(),
        "rule: SuccessRateLow, state: pending",
        "rule: SuccessRateLow, state: resolved",
    );
    let output = alerts(&["test", &file]);
    assert_eq!(output.status.code(), Some(1));
    let told = printed(&output).replace(&file, "alerts.yaml");
    insta::assert_snapshot!(told);
    assert_eq!(complained(&output), "payroute: 1 test failed\n");
}

#[test]
fn each_problem_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = changed(folder.path(), "below: 95%", "belw: 95%");
    let output = alerts(&["check", &file]);
    assert_eq!(output.status.code(), Some(1));
    let lines = printed(&output);
    assert!(
        lines.contains("rules[0]: unknown key: `belw`, did you mean `below`?"),
        "{lines}"
    );
    assert!(complained(&output).starts_with("payroute: found "), "{output:?}");
}

#[test]
fn tests_of_their_own_name_their_rules() {
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), "version: 1", "version: 2");
    let file = folder.path().join("tests.yaml");
    let text = "rules_file: alerts.yaml\ntests:\n  - name: nothing\n    expect: [{at: 1m, rule: NoTraffic, state: inactive}]\n";
    std::fs::write(&file, text).expect("it is written");
    let output = alerts(&["test", file.to_str().expect("text")]);
    assert_eq!(printed(&output), "pass  nothing\n1 passed, 0 failed\n");
}

#[test]
fn runbooks_are_checked_with_the_rules_they_are_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runbooks.yaml");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("it is written");
        let file = file.to_str().expect("text");
        let output = alerts(&["check", "config/alerts.yaml", "--runbooks", file]);
        let told = printed(&output).replace(file, "runbooks.yaml");
        (
            output.status.success(),
            told.lines().nth(1).unwrap_or_default().to_owned(),
        )
    };
    let page = std::fs::read_to_string(root().join("docs/runbooks.md")).expect("it is there");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let example = example.expect("the page shows runbooks");
    let good = "runbooks.yaml: good; version 1 with 2 runbooks".to_owned();
    assert_eq!(check(example), (true, good));
    let stranger =
        "runbooks.yaml: runbook `leave_channel` is for rule `ChannelLost`, which there is not".to_owned();
    assert_eq!(
        check(&example.replace("ChannelDown", "ChannelLost")),
        (false, stranger)
    );
}
