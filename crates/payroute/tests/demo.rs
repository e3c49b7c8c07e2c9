//! `payroute demo` from the outside: the real command, for its shortest time.

#![cfg(test)]

use std::process::Command;

use serde_json::Value;

#[test]
fn the_demo_ends_with_one_object_and_nobody_charged_twice() {
    let output = Command::new(env!("CARGO_BIN_EXE_payroute"))
        .args(["demo", "--seconds", "10", "--seed", "1", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| said[key].as_f64().unwrap_or_else(|| panic!("{key} in {said}"));

    assert!(number("payments") > 300.0, "{said}");
    assert!(
        number("success_rate_with") > number("success_rate_without"),
        "{said}"
    );
    assert!(number("payments_saved") > 0.0, "{said}");
    assert!(
        number("unknown_outcomes") > 0.0,
        "nothing was put to the test: {said}"
    );
    assert!(number("failover_ms_p99") >= number("failover_ms_p50"), "{said}");
    assert_eq!(
        (&said["double_charges"], &said["unrouted"]),
        (&0.into(), &0.into()),
        "{said}"
    );
    // A busy machine may see neither within ten seconds; the keys are there all the same.
    for key in ["leave_seconds", "return_seconds"] {
        assert!(
            said.get(key).is_some_and(|time| time.is_null() || time.is_f64()),
            "{key} in {said}"
        );
    }
}
