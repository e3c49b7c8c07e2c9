//! `payroute demo` from the outside: the real command, for its shortest time.

mod support;

use serde_json::Value;
use support::payroute;

#[test]
fn the_demo_ends_with_one_object_and_nobody_charged_twice() {
    let output = payroute()
        .args(["demo", "--seconds", "10", "--seed", "1", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| said[key].as_f64().unwrap_or_else(|| panic!("{key} in {said}"));

    assert!(number("payments") > 300.0, "{said}");
    assert!(number("failover_ms_p50") > 0.0 && number("failover_ms_p99") >= number("failover_ms_p50"));
    assert!(
        number("success_rate_with") > number("success_rate_without"),
        "{said}"
    );
    assert!(number("payments_saved") > 0.0, "{said}");
    assert!(number("leave_seconds") < 3.0, "{said}");
    // Ten seconds may be too short for a return.
    assert!(said.get("return_seconds").is_some(), "{said}");
    assert!(
        number("unknown_outcomes") > 0.0,
        "nothing was put to the test: {said}"
    );
    for none in [
        "double_charges",
        "charged_without_order",
        "unfinished",
        "unrouted",
    ] {
        assert_eq!(said[none], 0, "{none} in {said}");
    }
}
