//! Documents that are refused, and what is said of them.

use super::*;

fn refused(text: &str) -> Vec<String> {
    let found = Rules::load(text, "a.yaml", Some(&["oncall"])).expect_err("it is wrong");
    found.iter().map(ToString::to_string).collect()
}

fn of_rule(lines: &str) -> Vec<String> {
    refused(&format!(
        "version: 1\nrules:\n  - {{name: R, severity: error, {lines}}}\n"
    ))
}

#[test]
fn everything_wrong_is_reported_at_once_with_its_line() {
    let found = refused(
        "version: 1
rules:
  - name: Bad Name
    metric: business_succes
    severity: critcal
  - name: Ok
    metric: volume
    below: 5%
    severity: info
routes:
  - {receivers: [oncal]}
",
    );
    assert_eq!(
        found,
        [
            "a.yaml:3:11: rules[0].name: `Bad Name`: expected letters, digits and `_` only",
            "a.yaml:4:13: rules[0].metric: `business_succes`, did you mean `business_success`?",
            "a.yaml:5:15: rules[0].severity: `critcal`, did you mean `critical`?",
            "a.yaml:6:5: rules[1]: `checks` is missing",
            "a.yaml:8:12: rules[1].below: found the text \"5%\", expected a whole number from 0",
            "a.yaml:11:18: routes[0].receivers[0]: `oncal`, did you mean `oncall`?",
        ]
    );
}

#[test]
fn a_burn_that_can_never_fire_is_refused() {
    let burn = |times: &str| {
        format!(
            "metric: technical_success, below: 95%, checks: [{{burn: {{times: {times}, long: 1h, short: 5m}}, min_volume: 100}}]"
        )
    };
    let found = of_rule(&burn("20"));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("never fires: the budget can burn at most 20.00 times too fast"),
        "{found:?}"
    );
    assert!(
        rules(&format!(
            "version: 1\nrules:\n  - {{name: R, severity: error, {}}}\n",
            burn("14.4")
        ))
        .list
        .len()
            == 1
    );
}

#[test]
fn what_a_metric_does_not_have_is_refused() {
    for (lines, expected) in [
        (
            "metric: failure_streak, by: channel, at_least: 5, checks: []",
            "it has no checks",
        ),
        (
            "metric: technical_success, above: 5%, checks: [{window: 1m, min_volume: 5}]",
            "has no `above`, expected `below`",
        ),
        (
            "metric: latency_p95_ms, above: 3s, checks: [{window: 1m, min_volume: 5, mode: wilson}]",
            "it has no mode",
        ),
        (
            "metric: volume, below: 5, checks: [{latest: 50, within: 1h, when_fewer_than: 5, in: 5m}]",
            "cannot be looked at so",
        ),
        (
            "metric: silent_channel, below: 5, checks: [{window: 5m, min_volume: 10}]",
            "has no line",
        ),
        (
            "metric: technical_success, below: 95%, checks: [{window: 1m}]",
            "`min_volume` is missing",
        ),
        (
            "metric: technical_success, below: 95%, checks: [{window: 15s, min_volume: 5}]",
            "expected a multiple of that",
        ),
        (
            "metric: technical_success, below: 95, checks: [{window: 1m, min_volume: 5}]",
            "(put it in quotes)",
        ),
        (
            "metric: volume, below: 1, checks: [{window: 1m}], group: {by: provider}",
            "does not tell apart each `provider`",
        ),
        (
            "metric: spool, above: 5%, by: channel",
            "`spool` is known by `overall` only",
        ),
        (
            "metric: dead_letters, above: 0, keep_firing_for: 5s",
            "expected from 30s to 1h",
        ),
        (
            "metric: dead_letters, above: 0, labels: {channel: a}",
            "`channel` is set by Payroute",
        ),
    ] {
        let found = of_rule(lines);
        assert!(
            found.iter().any(|line| line.ends_with(expected)),
            "{lines}: {found:?}"
        );
    }
}

#[test]
fn rules_that_keep_each_other_quiet_are_refused() {
    let found = refused(
        "version: 1
rules:
  - {name: A, metric: dead_letters, above: 0, severity: error}
  - {name: B, metric: dead_letters, above: 1, severity: error}
  - {name: C, metric: dead_letters, above: 2, severity: error}
inhibit:
  - {while: A, mute: B, same: []}
  - {while: B, mute: C, same: []}
  - {while: C, mute: A, same: []}
",
    );
    assert_eq!(found, ["a.yaml:9:5: inhibit[2]: `A` keeps `C` quiet already"]);
}

#[test]
fn a_silence_says_what_and_until_when_and_who_and_why() {
    let found = refused(
        "version: 1
rules: []
silences:
  - {name: s, match: {}, from: 2026-03-02T10:00:00Z, to: 2026-03-02T09:00:00Z, author: ann}
",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|line| line.contains("`reason` is missing")));
    assert!(
        found
            .iter()
            .any(|line| line.contains("expected one label at least"))
    );
}
