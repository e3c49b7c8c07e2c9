//! Tests of rules that are themselves tested.

use super::super::Trials;
use super::*;

fn run(tests: &str) -> Vec<super::super::Trial> {
    let trials = Trials::load(&format!("{ONE}{tests}"), "a.yaml").unwrap_or_else(|found| {
        panic!(
            "{}",
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    });
    trials.run(trials.own_rules().unwrap())
}

const ILL: &str = "
tests:
  - name: t
    outcomes:
      - {to: 1m, per_minute: {success: 60}}
      - {from: 1m, to: 2m, per_minute: {technical_failure: 60}}
";

#[test]
fn what_comes_out_as_expected_passes_and_the_rest_says_what_was_found() {
    let results = run(&format!(
        "{ILL}    expect:
      - {{at: 1m10s, rule: Low, state: pending}}
      - {{at: 1m20s, rule: Low, state: pending}}
      - {{at: 1m25s, rule: Low, state: firing}}
      - {{at: 1m10s, rule: Lo, state: firing}}
    notifications: [{{at: 1m20s, kind: trigger, rule: Low, receivers: [oncall]}}]
"
    ));
    let failures: Vec<String> = results[0].failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        failures,
        [
            "a.yaml:20:9: tests[0].expect[1]: the test fails: found `firing` at 1m20s, expected `pending`",
            "a.yaml:21:9: tests[0].expect[2]: rules are evaluated every 10s: not at 1m25s",
            "a.yaml:22:9: tests[0].expect[3]: there is no rule `Lo`, did you mean `Low`?",
            "a.yaml:23:20: tests[0].notifications: the test fails: found 1m20s trigger Low to everybody, expected 1m20s trigger Low to oncall",
        ]
    );
    assert_eq!(
        results[0].timeline,
        [
            "   1m10s  Low (overall): pending; 83.33% of 60 in 1m",
            "   1m20s  Low (overall): fires; 66.66% of 60 in 1m",
            "   1m20s  trigger to everybody: Low (critical), 1 alert",
        ]
    );
}

#[test]
fn silences_gaps_and_acknowledgements_can_be_played() {
    let results = run("
tests:
  - name: t
    outcomes: [{to: 2h, per_minute: {technical_failure: 60}}]
    silences: [{from: 0s, to: 10m, match: {severity: critical}}]
    missing: [{from: 20m, to: 21m, error: away}]
    acknowledge: [{at: 50m, rule: Low}]
    expect:
      - {at: 20m30s, rule: Low, state: firing}
    notifications:
      - {at: 10m, kind: trigger, rule: Low}
      - {at: 40m, kind: repeat, rule: Low}
");
    assert!(results[0].has_passed(), "{:?}", results[0]);
}

#[test]
fn a_test_that_cannot_be_read_is_refused_with_its_line() {
    let found = Trials::load(
        &format!("{ONE}tests:\n  - {{name: t, outcomes: [{{to: 1m, per_minute: {{succes: 1}}}}]}}\n"),
        "a.yaml",
    );
    let found: Vec<String> = found.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["a.yaml:13:48: tests[0].outcomes[0].per_minute: unknown key: `succes`, did you mean `success`?"]
    );
}

#[test]
fn a_document_of_tests_alone_names_its_rules() {
    let trials = Trials::load("rules_file: alerts.yaml\ntests: []\n", "t.yaml").unwrap();
    assert_eq!(
        (trials.rules_file(), trials.is_empty()),
        (Some("alerts.yaml"), true)
    );
    assert!(Trials::load("rulesfile: alerts.yaml\n", "t.yaml").is_err());
}
