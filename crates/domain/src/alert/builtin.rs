//! The rules that hold where nobody wrote any.

/// The rules that are part of the program, in YAML: overall success below 95 % pages.
pub const BUILT_IN: &str = include_str!("../../data/alerts.yaml");

#[cfg(test)]
mod tests {
    use super::super::{Metric, Rules, Severity, Trials};
    use super::*;

    #[test]
    fn overall_success_below_95_percent_pages_out_of_the_box() {
        let rules = Rules::load(BUILT_IN, "alerts.yaml", None).unwrap();
        let rule = rules.rule("SuccessRateLow").unwrap();
        assert_eq!(rule.metric, Metric::BusinessSuccess);
        assert_eq!((rule.by.len(), rule.severity), (0, Severity::Critical));
        assert_eq!(rule.bound, Some(super::super::Bound::Below(9_500)));
    }

    #[test]
    fn the_tests_of_the_built_in_rules_pass() {
        let trials = Trials::load(BUILT_IN, "alerts.yaml").unwrap();
        let results = trials.run(trials.own_rules().unwrap());
        assert!(results.len() >= 5);
        for trial in results {
            let failures: Vec<String> = trial.failures.iter().map(ToString::to_string).collect();
            assert!(
                trial.has_passed(),
                "{}\n{}\n{}",
                trial.name,
                failures.join("\n"),
                trial.timeline.join("\n")
            );
        }
    }

    #[test]
    fn the_example_is_what_holds_without_it() {
        assert_eq!(include_str!("../../../../config/alerts.yaml"), BUILT_IN);
    }
}
