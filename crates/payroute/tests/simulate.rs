//! `payroute simulate`, as a user runs it.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
    command.env_clear().current_dir(root());
    command.arg("simulate").args(arguments);
    command.output().expect("payroute runs")
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What a refused call complains of.
fn complained(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn a_table_has_a_row_for_everybody_and_the_plot_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("shares.svg");
    let output = simulate(&[
        "--scenario",
        "demo",
        "--seeds",
        "2",
        "--svg",
        svg.to_str().unwrap(),
    ]);
    let text = printed(&output);
    let rows: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split(" |").next())
        .map(str::trim)
        .skip(2)
        .collect();
    let everybody = [
        "shop's policy",
        "adaptive",
        "split 70/20/10",
        "static priority",
        "oracle",
    ];
    assert_eq!(rows, everybody);
    let drawn = std::fs::read_to_string(svg).unwrap();
    assert!(
        drawn.starts_with("<svg") && drawn.contains("wechat_direct"),
        "{drawn}"
    );
}

#[test]
fn the_same_seeds_give_the_same_numbers() {
    let run = || printed(&simulate(&["--scenario", "demo", "--seeds", "2", "--json"]));
    let first = run();
    assert_eq!(first, run());
    let report: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(report["scenarios"][0]["lines"][0]["router"], "shop's policy");
    assert!(report["scenarios"][0]["lines"][0]["regret_per_10k"]["half_width"].is_f64());
}

#[test]
fn an_unknown_scenario_is_answered_with_those_that_are_there() {
    assert_eq!(
        complained(&simulate(&["--scenario", "outrage"])),
        "payroute: scenario `outrage` is not there: expected a YAML file or one of \
         demo, quiet, outage, brown_out, issuer_outage, slow\n"
    );
}

#[test]
fn a_scenario_of_another_shop_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.yaml");
    let demo = std::fs::read_to_string(root().join("crates/simulator/scenarios/demo.yaml")).unwrap();
    std::fs::write(&path, demo.replace("adyen_cards", "some_cards")).unwrap();
    assert_eq!(
        complained(&simulate(&["--scenario", path.to_str().unwrap()])),
        "payroute: scenario demo has channels that the shop does not have: some_cards\n"
    );
}

#[test]
fn in_an_outage_what_is_learnt_beats_a_fixed_order() {
    // A quarter of the shoppers: what is learnt then is learnt from less, and the test is done four times as fast.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outage.yaml");
    let outage = std::fs::read_to_string(root().join("crates/simulator/scenarios/outage.yaml")).unwrap();
    assert!(outage.contains("payments_per_s: 40"));
    std::fs::write(&path, outage.replace("payments_per_s: 40", "payments_per_s: 10")).unwrap();
    let path = path.to_str().unwrap();
    let text = printed(&simulate(&["--scenario", path, "--seeds", "1", "--json"]));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lines = report["scenarios"][0]["lines"].as_array().unwrap();
    let regret = |router: &str| {
        let line = lines.iter().find(|line| line["router"] == router).unwrap();
        line["regret_per_10k"]["mean"].as_f64().unwrap()
    };
    let (adaptive, fixed) = (regret("adaptive"), regret("static priority"));
    assert!(adaptive < fixed / 3.0, "{adaptive} against {fixed}");
    assert!(regret("oracle").abs() < 1e-9);
}
