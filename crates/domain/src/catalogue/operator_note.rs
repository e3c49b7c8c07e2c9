//! A failure in plain words, for operators and customer service.

use super::Catalogue;
use super::classify::{Failure, FailureReport};
use super::judgement::{Advice, Certainty, HealthScope};

impl Catalogue {
    /// One or two sentences: who said what, whether money can have moved, and what to do about it.
    ///
    /// Never holds the provider's own text: that may hold anything.
    #[must_use]
    pub fn operator_note(&self, report: &FailureReport<'_>, failure: &Failure) -> String {
        let said = match failure.code.as_deref() {
            Some(code) => format!("{} {}: {}", code.provider, code.code, code.meaning),
            None => format!("{} gave no code that is listed", report.provider),
        };
        let mut note = format!(
            "{said}. {} {}",
            money(failure.certainty),
            what_next(failure.advice)
        );
        for remark in [
            failure
                .never_same_credential
                .then_some("The same card or token must not be tried again."),
            failure
                .new_order_no
                .then_some("Another try needs a new order number."),
            (failure.health_scope == HealthScope::Merchant)
                .then_some("Check the merchant account's set-up there."),
            (!failure.known).then_some("The reported code is not in the catalogue: add it."),
        ]
        .into_iter()
        .flatten()
        {
            note.push(' ');
            note.push_str(remark);
        }
        note
    }
}

const fn money(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Declined => "Refused, not charged.",
        Certainty::NotProcessed => "Never acted on, not charged.",
        Certainty::Unknown => "It may have been charged.",
    }
}

const fn what_next(advice: Advice) -> &'static str {
    match advice {
        Advice::RetrySame => "One more try on the same channel may work.",
        Advice::SwitchChannel => "Another channel may work.",
        Advice::AskCustomer => "Only the customer can change something.",
        Advice::Stop => "Another try would not help.",
        Advice::QueryFirst => "Ask the provider for the result before anything else.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::FailureKind;

    fn note(provider: &str, code: &str) -> String {
        let catalogue = Catalogue::built_in().unwrap();
        let report = FailureReport {
            code: Some(code),
            ..FailureReport::new(provider, FailureKind::Failed)
        };
        let failure = catalogue.classify(&report);
        catalogue.operator_note(&report, &failure)
    }

    #[test]
    fn a_note_says_what_happened_and_what_to_do() {
        assert_eq!(
            note("unionpay", "03"),
            "unionpay 03: communication timeout, send a query. It may have been charged. \
             Ask the provider for the result before anything else."
        );
    }

    #[test]
    fn a_note_does_not_repeat_a_code_that_is_not_listed() {
        let note = note("unionpay", "<4111111111111111>");
        assert!(!note.contains("4111"), "{note}");
        assert!(note.ends_with("The reported code is not in the catalogue: add it."));
    }
}
