//! `payroute policy`, as an operator runs it.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `payroute policy` where the repository is, so that the example configuration has its usual name.
fn policy(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
    command
        .env_clear()
        .current_dir(root())
        .arg("policy")
        .args(arguments);
    command.output().expect("payroute runs")
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn complained(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The example policy with `from` replaced by `to`, as a file.
fn changed(folder: &Path, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(root().join("config/policy.yaml")).expect("it is there");
    assert!(text.contains(from), "the example has no `{from}`");
    let path = folder.join("policy.yaml");
    std::fs::write(&path, text.replacen(from, to, 1)).expect("it is written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn the_example_is_good() {
    let output = policy(&["check", "--config", "config"]);
    assert!(output.status.success());
    assert_eq!(
        printed(&output),
        "config/policy.yaml: good; policy example shop 1 with 12 rules\n"
    );
}

#[test]
fn each_problem_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = changed(
        folder.path(),
        "deny: [icbc_direct]",
        "deny: [icbc_dirct]\n      chance: 1",
    );
    let output = policy(&["check", &file, "--channels", "config/channels.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = [
        "policy.yaml:56:14: rules[5].then.deny[0]: `icbc_dirct`, did you mean `icbc_direct`?",
        "policy.yaml:57:7: rules[5].then: unknown key",
    ];
    let lines: Vec<String> = printed(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{line}");
    }
    assert_eq!(complained(&output), "payroute: found 2 problems\n");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = policy(&["check", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        complained(&output).starts_with("payroute: nowhere.yaml: "),
        "{output:?}"
    );
}

#[test]
fn every_test_of_the_example_is_reported() {
    let output = policy(&["test"]);
    assert!(output.status.success());
    insta::assert_snapshot!(printed(&output));
}

#[test]
fn a_test_that_fails_says_why_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = changed(
        folder.path(),
        "expect: {offers: [huabei]}",
        "expect: {offers: [alipay]}",
    );
    let output = policy(&["test", &file]);
    assert_eq!(output.status.code(), Some(1));
    let lines = printed(&output);
    let mut failed = lines
        .lines()
        .skip_while(|line| *line != "FAIL  the young are offered instalments from 300 yuan");
    let why = failed.nth(1).expect("a line below it");
    assert!(
        why.ends_with("found [huabei], expected [alipay] (rule `default`)"),
        "{why}"
    );
    assert!(lines.ends_with("11 passed, 1 failed\n"), "{lines}");
    assert!(complained(&output).ends_with("1 test failed\n"), "{output:?}");
}

#[test]
fn a_payment_is_explained_rule_by_rule() {
    let output = policy(&[
        "explain",
        "--payment",
        "payment=order-7",
        "method=wechat_pay",
        "presentment=h5",
        "amount_minor=9900",
        "currency=CNY",
        "new_customer=true",
        "segments=member",
        "risk_score=900",
        "at=2026-01-05T12:00:00+08:00",
    ]);
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!(printed(&output));
}

#[test]
fn a_payment_may_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payment.yaml");
    let payment =
        "{method: unionpay, amount_minor: 800000, currency: CNY, issuer: bocom, at: 2026-01-05T04:00:00Z}";
    std::fs::write(&path, payment).unwrap();
    let output = policy(&["explain", "--payment", path.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!(printed(&output));
}

#[test]
fn a_payment_that_is_not_one_is_refused() {
    let output = policy(&[
        "explain",
        "--payment",
        "methd=card",
        "amount_minor=1",
        "currency=CNY",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let complained = complained(&output);
    assert!(
        complained.contains("`methd`, did you mean `method`?"),
        "{complained}"
    );

    let output = policy(&["explain", "--payment", "method=card", "method=alipay"]);
    assert_eq!(self::complained(&output), "payroute: `method` is given twice\n");
}
