//! The rules that hold where nobody wrote any.

/// The rules that are part of the program, in YAML: overall success below 95 % pages.
pub const BUILT_IN: &str = include_str!("../../data/alerts.yaml");

#[cfg(test)]
mod tests {
    use super::super::{Metric, Rules, Severity};
    use super::*;

    #[test]
    fn overall_success_below_95_percent_pages_out_of_the_box() {
        let rules = Rules::load(BUILT_IN, "alerts.yaml", None).unwrap();
        let rule = rules.rule("SuccessRateLow").unwrap();
        assert_eq!(rule.metric, Metric::BusinessSuccess);
        assert_eq!((rule.by.len(), rule.severity), (0, Severity::Critical));
        assert_eq!(rule.bound, Some(super::super::Bound::Below(9_500)));
    }
}
