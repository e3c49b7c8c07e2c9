//! Which alerts are meant, by their labels.

use serde::{Deserialize, Serialize};

use super::rule::Labels;

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// The label: a dimension, `alertname`, `severity`, or one of a rule's own.
    pub label: Box<str>,
    /// The value is one of these; and none of them when `negated`.
    pub patterns: Vec<Pattern>,
    /// Whether it wants what it does not name.
    #[serde(default)]
    pub negated: bool,
}

/// A value, or every value that begins like this: `wechat_*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// The pattern as somebody writes it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn fits(&self, value: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => value.starts_with(beginning),
            None => value == &*self.0,
        }
    }
}

impl Matcher {
    /// The label is exactly `value`.
    #[must_use]
    pub fn is(label: &str, value: &str) -> Self {
        Self {
            label: label.into(),
            patterns: vec![Pattern::new(value)],
            negated: false,
        }
    }

    /// Whether it fits a label of this value; a label that is not there is an empty one.
    #[must_use]
    pub fn fits(&self, value: Option<&str>) -> bool {
        let value = value.unwrap_or_default();
        self.patterns.iter().any(|pattern| pattern.fits(value)) != self.negated
    }
}

/// Whether all of `matchers` fit `labels`.
#[must_use]
pub fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.fits(labels.get(&matcher.label).map(|value| &**value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let own = |(name, value): &(&str, &str)| (Box::from(*name), Box::from(*value));
        pairs.iter().map(own).collect()
    }

    fn matcher(label: &str, patterns: &[&str], negated: bool) -> Matcher {
        Matcher {
            label: label.into(),
            patterns: patterns.iter().map(|text| Pattern::new(text)).collect(),
            negated,
        }
    }

    #[test]
    fn all_must_fit() {
        let labels = labels(&[("channel", "wechat_direct"), ("severity", "critical")]);
        let channel = matcher("channel", &["alipay", "wechat_*"], false);
        assert!(matches(std::slice::from_ref(&channel), &labels));
        assert!(!matches(&[channel, Matcher::is("severity", "info")], &labels));
        assert!(matches(&[], &labels));
    }

    #[test]
    fn what_is_not_named_is_wanted_when_negated() {
        let not = matcher("channel", &["wechat_*"], true);
        assert!(not.fits(Some("alipay")) && not.fits(None));
        assert!(!not.fits(Some("wechat_partner")));
    }

    #[test]
    fn a_label_that_is_not_there_is_no_value() {
        assert!(!Matcher::is("channel", "a").fits(None));
    }
}
