//! What there is to say of a code, of a provider or of a reason.

use std::sync::Arc;

use domain::catalogue::{Catalogue, Certainty, Code, Contact, HealthScope, Reason, Side};
use domain::network_retry::Rules;
use serde::Serialize;

use super::next_steps::{Step, report, steps};

/// What there is to say of a code.
#[derive(Serialize)]
pub(super) struct CodeExplanation<'c> {
    pub(super) provider: &'c str,
    pub(super) code: &'c str,
    pub(super) aliases: Vec<&'c str>,
    pub(super) meaning: &'c str,
    pub(super) reason: &'static str,
    pub(super) certainty: &'static str,
    pub(super) side: &'static str,
    pub(super) health_scope: &'static str,
    pub(super) counts_as: &'static str,
    pub(super) customer_can_fix: bool,
    pub(super) next: Vec<Step>,
    pub(super) network: Vec<String>,
    pub(super) messages: Vec<Message>,
    pub(super) contact: String,
    pub(super) operator_note: String,
    pub(super) note: Option<&'c str>,
    pub(super) confidence: &'static str,
    pub(super) source: &'c str,
}

/// What the customer reads in one language.
#[derive(Serialize)]
pub(super) struct Message {
    pub(super) locale: String,
    pub(super) what: String,
    pub(super) todo: String,
}

impl Message {
    /// Both sentences. Chinese ones stand together without a space.
    pub(super) fn whole(&self) -> String {
        let space = if self.what.ends_with('。') { "" } else { " " };
        format!("{}{space}{}", self.what, self.todo)
    }
}

impl<'c> CodeExplanation<'c> {
    pub(super) fn of(catalogue: &'c Catalogue, rules: &Rules, code: &'c Code) -> Self {
        let report = report(code);
        let failure = catalogue.classify(&report);
        let contact = match catalogue.message(&failure, &code.provider, "en").contact {
            Contact::Nobody => "nobody: a call would not help".to_owned(),
            Contact::Merchant => "the merchant's own service".to_owned(),
            Contact::Hotline(number) => number.to_owned(),
        };
        Self {
            provider: &code.provider,
            code: &code.code,
            aliases: code.aliases.iter().map(|alias| &**alias).collect(),
            meaning: &code.meaning,
            reason: failure.reason.as_str(),
            certainty: failure.certainty.as_str(),
            side: failure.side.as_str(),
            health_scope: failure.health_scope.as_str(),
            counts_as: failure.class.as_str(),
            customer_can_fix: code.customer_can_fix,
            next: steps(catalogue, code),
            network: network(code, rules),
            messages: messages(catalogue, failure.reason, failure.certainty),
            contact,
            operator_note: catalogue.operator_note(&report, &failure),
            note: code.note.as_deref(),
            confidence: code.confidence.as_str(),
            source: &code.source,
        }
    }
}

/// What the card networks say of another try.
fn network(code: &Code, rules: &Rules) -> Vec<String> {
    let mut advice = Vec::new();
    match code.visa_category {
        Some(1) => advice.push("Visa category 1: the card must never be tried again".to_owned()),
        Some(category) => advice.extend(rules.caps("visa").iter().map(|cap| {
            let (attempts, span) = (cap.attempts, span(cap.window_secs));
            format!("Visa category {category}: at most {attempts} declined tries with the card in {span}")
        })),
        None => {}
    }
    if code.never_same_credential && code.visa_category != Some(1) {
        advice.push("the card or token must never be tried again, on any channel".to_owned());
    }
    if let Some(secs) = code.min_retry_delay_secs {
        advice.push(format!("the card may be tried again after {}", span(secs)));
    }
    advice
}

/// `3 days` rather than 259200 seconds.
fn span(secs: u32) -> String {
    match secs {
        3_600 => "1 hour".to_owned(),
        86_400 => "24 hours".to_owned(),
        secs if secs % 86_400 == 0 => format!("{} days", secs / 86_400),
        secs if secs % 3_600 == 0 => format!("{} hours", secs / 3_600),
        secs => format!("{secs} s"),
    }
}

/// What the customer reads, in every language there is.
pub(super) fn messages(catalogue: &Catalogue, reason: Reason, certainty: Certainty) -> Vec<Message> {
    let message = |locale: &str| {
        let (what, todo) = catalogue.text(reason, certainty, locale);
        Message {
            locale: locale.to_owned(),
            what: what.to_owned(),
            todo: todo.to_owned(),
        }
    };
    catalogue.locales().into_iter().map(message).collect()
}

/// The codes of a provider, in short.
#[derive(Serialize)]
pub(super) struct ProviderExplanation<'c> {
    pub(super) provider: &'c str,
    pub(super) codes: Vec<ShortCode<'c>>,
}

/// A code in short.
#[derive(Serialize)]
pub(super) struct ShortCode<'c> {
    pub(super) code: &'c str,
    pub(super) reason: &'static str,
    pub(super) certainty: &'static str,
    pub(super) meaning: &'c str,
}

impl<'c> ProviderExplanation<'c> {
    pub(super) fn of(catalogue: &'c Catalogue, provider: &'c str) -> Self {
        let own = catalogue
            .codes()
            .iter()
            .filter(|code| &*code.provider == provider);
        let short = |code: &'c Arc<Code>| ShortCode {
            code: &code.code,
            reason: code.reason.as_str(),
            certainty: code.certainty.as_str(),
            meaning: &code.meaning,
        };
        Self {
            provider,
            codes: own.map(short).collect(),
        }
    }
}

/// What there is to say of a reason.
#[derive(Serialize)]
pub(super) struct ReasonExplanation<'c> {
    pub(super) reason: &'static str,
    pub(super) meaning: &'c str,
    /// Once the outcome is settled; while it is open for those reasons that are only used then.
    pub(super) messages: Vec<Message>,
    pub(super) show_contact: bool,
    pub(super) offer_retry_same_instrument: bool,
    pub(super) notify_customer_afterwards: bool,
    pub(super) codes: Vec<ReasonCodes<'c>>,
}

/// The codes of one provider that come down to a reason.
#[derive(Serialize)]
pub(super) struct ReasonCodes<'c> {
    pub(super) provider: &'c str,
    pub(super) codes: Vec<&'c str>,
}

impl<'c> ReasonExplanation<'c> {
    pub(super) fn of(catalogue: &'c Catalogue, reason: Reason) -> Self {
        let mut codes: Vec<ReasonCodes<'c>> = Vec::new();
        for code in catalogue.codes().iter().filter(|code| code.reason == reason) {
            match codes.iter_mut().find(|known| known.provider == &*code.provider) {
                Some(known) => known.codes.push(&code.code),
                None => codes.push(ReasonCodes {
                    provider: &code.provider,
                    codes: vec![&code.code],
                }),
            }
        }
        let texts = catalogue.reason(reason);
        Self {
            reason: reason.as_str(),
            meaning: meaning(catalogue, reason),
            messages: messages(catalogue, reason, usual_certainty(reason)),
            show_contact: texts.show_contact,
            offer_retry_same_instrument: texts.offer_retry_same_instrument,
            notify_customer_afterwards: texts.notify_customer_afterwards,
            codes,
        }
    }
}

/// The certainty at which the reason's own text is shown.
pub(super) const fn usual_certainty(reason: Reason) -> Certainty {
    if reason.speaks_of_an_open_result() {
        Certainty::Unknown
    } else {
        Certainty::Declined
    }
}

/// What the canonical code of `reason` means: the one with its name, or the first.
pub(super) fn meaning(catalogue: &Catalogue, reason: Reason) -> &str {
    let canonical = || {
        let codes = catalogue.codes().iter();
        codes.filter(|code| &*code.provider == "payroute" && code.reason == reason)
    };
    canonical()
        .find(|code| code.code.eq_ignore_ascii_case(reason.as_str()))
        .or_else(|| canonical().next())
        .map_or("", |code| &code.meaning)
}

/// Whether money can have moved, in words.
pub(super) fn money(certainty: &str) -> &'static str {
    match Certainty::from_name(certainty) {
        Some(Certainty::Declined) => "refused, not charged",
        Some(Certainty::NotProcessed) => "never acted on, not charged",
        Some(Certainty::Unknown) | None => "may have been charged",
    }
}

/// Whose doing it was, in words.
pub(super) fn whose(side: &str) -> &'static str {
    match Side::from_name(side) {
        Some(Side::Technical) | None => "the provider, its network, or the way to it",
        Some(Side::Issuer) => "the customer's bank",
        Some(Side::Risk) => "a risk or compliance check",
        Some(Side::Customer) => "the customer",
        Some(Side::MerchantConfig) => "the merchant's own set-up or request",
    }
}

/// Whose health it speaks about, in words.
pub(super) fn health(scope: &str) -> &'static str {
    match HealthScope::from_name(scope) {
        Some(HealthScope::Channel) => "the channel's",
        Some(HealthScope::Issuer) => "the bank's, on whatever channel",
        Some(HealthScope::Merchant) => "the merchant account's",
        Some(HealthScope::None) | None => "nobody's",
    }
}
