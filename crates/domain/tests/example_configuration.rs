//! The example configuration that the project ships must load, with its tests.

#![cfg(test)]

use payroute_domain::channels::{self, Configuration};
use payroute_domain::diagnostic::Diagnostic;
use payroute_domain::policy::Policy;

const CHANNELS: &str = include_str!("../../../config/channels.yaml");
const POLICY: &str = include_str!("../../../config/policy.yaml");

/// The providers of the failure catalogue that the example names.
const PROVIDERS: [&str; 7] = [
    "adyen",
    "alipay",
    "iso8583",
    "stripe",
    "unionpay",
    "wechatpay_v2",
    "wechatpay_v3",
];

fn lines(diagnostics: &[Diagnostic]) -> String {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn example() -> Result<Configuration, String> {
    channels::load(CHANNELS, "config/channels.yaml", &PROVIDERS).map_err(|found| lines(&found))
}

#[test]
fn the_example_loads_and_passes_its_own_tests() -> Result<(), String> {
    let channels = example()?.channels;
    assert_eq!(channels.len(), 10);
    let policy = Policy::load(POLICY, "config/policy.yaml", &channels).map_err(|found| lines(&found))?;
    let breaker = policy.breaker_rules();
    assert!(breaker.timeouts.is_some() && breaker.error_rate.is_some());
    assert!(breaker.codes.busy && breaker.codes.maintenance);
    Ok(())
}

#[test]
fn every_method_of_the_example_has_a_second_channel() -> Result<(), String> {
    let channels = example()?.channels;
    for method in channels.methods() {
        let takes = channels
            .iter()
            .filter(|(_, channel)| channel.methods.iter().any(|m| m == method));
        assert!(takes.count() >= 2, "{method}");
    }
    Ok(())
}
