//! The failure catalogue: what a provider's code means, whose doing it was, and what to tell the customer.
//!
//! It is data. Two JSON documents are part of the program; an operator's YAML documents are laid over them
//! ([`Catalogue::load`]) and change or add codes, texts and languages.

mod classify;
mod code;
mod document;
mod extend;
#[cfg(test)]
mod invariants;
mod judgement;
mod locale;
mod message;
mod operator_note;
mod outcome_class;
mod reason;
mod shared;
mod unmapped;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use classify::{Failure, FailureKind, FailureReport};
pub use code::{Code, Lifted};
pub use document::InvalidCatalogue;
pub(crate) use locale::{closeness, is_tag};

pub use judgement::{Advice, Certainty, Confidence, HealthScope, HealthSignal, Side};
pub use message::{Contact, CustomerMessage, ReasonText, Text};
pub use reason::Reason;
pub use shared::Shared;
pub use unmapped::UnmappedCode;

use crate::attempt::ProviderProfile;
use document::{Document, SignalRow};
use reason::PerReason;

/// The documents that are part of the program: the providers' codes, then our own.
const BUILT_IN: [(&str, &str); 2] = [
    (
        "failure-codes.json",
        include_str!("../../data/failure-codes.json"),
    ),
    (
        "payroute-codes.json",
        include_str!("../../data/payroute-codes.json"),
    ),
];

/// The provider under which failures of the transport are listed.
const TRANSPORT: &str = "transport";
/// The provider of the codes that need no mapping.
const PAYROUTE: &str = "payroute";
/// The provider under which Mastercard's merchant advice codes are listed.
const MASTERCARD_ADVICE: &str = "mastercard_mac";

/// What is known of failure codes. Look-ups do not allocate.
#[derive(Clone, Debug)]
pub struct Catalogue {
    codes: Vec<Arc<Code>>,
    providers: HashMap<Box<str>, Provider>,
    http: HashMap<u16, usize>,
    hotlines: Vec<(Box<str>, Box<str>)>,
    /// What an operator says of providers and their families, by name.
    profiles: Vec<(Box<str>, ProviderProfile)>,
    reasons: PerReason<ReasonText>,
    default_locale: Box<str>,
    version: Box<str>,
}

/// The codes of one provider, as positions in the list of all codes.
#[derive(Clone, Debug, Default)]
struct Provider {
    codes: HashMap<Box<str>, usize>,
    then: Vec<Box<str>>,
}

impl Catalogue {
    /// The catalogue that is part of the program.
    ///
    /// # Errors
    /// None in a tested build: the documents are checked by the tests of this module.
    pub fn built_in() -> Result<Self, InvalidCatalogue> {
        Self::from_documents(&BUILT_IN)
    }

    /// A catalogue from named JSON documents, in order: what is in a later one replaces what is in an earlier one.
    ///
    /// # Errors
    /// When a document cannot be read, lists a code twice, marks a code that is not listed, or when a reason is
    /// left without texts.
    pub fn from_documents(documents: &[(&str, &str)]) -> Result<Self, InvalidCatalogue> {
        let mut draft = Draft::default();
        for (name, text) in documents {
            let document = serde_json::from_str(text).map_err(|source| InvalidCatalogue::Unreadable {
                document: (*name).into(),
                source,
            })?;
            draft.add(name, document)?;
        }
        draft.finish()
    }

    /// The entry for `code` of `provider`, under any of its spellings; `None` when it is not listed.
    ///
    /// A provider may share the codes of another one, as the card schemes share those of ISO 8583.
    #[must_use]
    pub fn find(&self, provider: &str, code: &str) -> Option<&Arc<Code>> {
        let listed = self.providers.get(provider)?;
        let own = |provider: &Provider| provider.codes.get(code).copied();
        let at = own(listed).or_else(|| {
            listed
                .then
                .iter()
                .find_map(|shared| self.providers.get(shared).and_then(own))
        })?;
        self.codes.get(at)
    }

    /// Every entry, in the order of the documents.
    #[must_use]
    pub fn codes(&self) -> &[Arc<Code>] {
        &self.codes
    }

    /// Whether any code of `provider` is listed. A channel of another provider has only unlisted codes.
    #[must_use]
    pub fn knows_provider(&self, provider: &str) -> bool {
        self.providers.contains_key(provider)
    }

    /// Every provider with codes of its own or of another one, in the order of the alphabet: what a channel may name.
    #[must_use]
    pub fn providers(&self) -> Vec<&str> {
        let mut providers: Vec<&str> = self.providers.keys().map(|name| &**name).collect();
        providers.sort_unstable();
        providers
    }

    /// Every language in which any reason has a text, BCP 47, in the order of the alphabet.
    #[must_use]
    pub fn locales(&self) -> Vec<&str> {
        let locales = Reason::ALL
            .into_iter()
            .flat_map(|reason| self.reason(reason).locales());
        let mut locales: Vec<&str> = locales.collect();
        locales.sort_unstable();
        locales.dedup();
        locales
    }

    /// Which documents it was made of, and their versions: `built-in 1, codes.yaml 3`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The language that is shown where there is no text in the wanted one, BCP 47.
    #[must_use]
    pub fn default_locale(&self) -> &str {
        &self.default_locale
    }

    /// Lists `code` in the place of its provider's entry for it, or at the end.
    fn list(&mut self, code: Code) {
        let provider = self.providers.entry(code.provider.clone()).or_default();
        let at = provider
            .codes
            .get(&code.code)
            .copied()
            .unwrap_or(self.codes.len());
        for spelling in std::iter::once(&code.code).chain(&code.aliases) {
            provider.codes.insert(spelling.clone(), at);
        }
        match self.codes.get_mut(at) {
            Some(earlier) => *earlier = Arc::new(code),
            None => self.codes.push(Arc::new(code)),
        }
    }

    /// The texts of `reason`, and when to show them.
    #[must_use]
    pub fn reason(&self, reason: Reason) -> &ReasonText {
        self.reasons.get(reason)
    }

    /// The transport's entry for an answer with HTTP `status` and no code of its own.
    ///
    /// A server error that is not listed counts as a plain 500: it may have happened before or after the charge.
    fn find_http(&self, status: u16) -> Option<&Arc<Code>> {
        let at = match self.http.get(&status) {
            Some(at) => Some(at),
            None if (500..=599).contains(&status) => self.http.get(&500),
            None => None,
        };
        at.and_then(|&at| self.codes.get(at))
    }
}

/// A catalogue while documents are added to it.
#[derive(Default)]
struct Draft {
    schema_version: u32,
    codes: Vec<Code>,
    providers: HashMap<Box<str>, Provider>,
    signals: Vec<SignalRow>,
    hotlines: Vec<(Box<str>, Box<str>)>,
    reasons: HashMap<Reason, ReasonText>,
}

impl Draft {
    fn add(&mut self, name: &str, document: Document) -> Result<(), InvalidCatalogue> {
        self.schema_version = self.schema_version.max(document.schema_version);
        let mut listed = HashSet::new();
        for code in document.codes {
            for spelling in std::iter::once(&code.code).chain(&code.aliases) {
                if !listed.insert((code.provider.clone(), spelling.clone())) {
                    return Err(InvalidCatalogue::Duplicate {
                        document: name.into(),
                        provider: code.provider,
                        code: spelling.clone(),
                    });
                }
            }
            self.add_code(code);
        }
        for row in document.provider_fallbacks {
            self.providers.entry(row.provider).or_default().then = row.then;
        }
        self.signals.extend(document.health_signals);
        for (family, number) in document.provider_hotlines {
            self.hotlines.retain(|(known, _)| *known != family);
            self.hotlines.push((family, number));
        }
        for row in document.reasons {
            self.reasons.insert(row.id, ReasonText::from(row));
        }
        Ok(())
    }

    /// Lists `code` in the place of an earlier document's entry for it, or at the end.
    fn add_code(&mut self, code: Code) {
        let provider = self.providers.entry(code.provider.clone()).or_default();
        let at = provider
            .codes
            .get(&code.code)
            .copied()
            .unwrap_or(self.codes.len());
        for spelling in std::iter::once(&code.code).chain(&code.aliases) {
            provider.codes.insert(spelling.clone(), at);
        }
        match self.codes.get_mut(at) {
            Some(earlier) => *earlier = code,
            None => self.codes.push(code),
        }
    }

    /// Puts the marks on the codes. Last, so that an overridden code keeps its mark.
    fn mark_signals(&mut self) -> Result<(), InvalidCatalogue> {
        for row in std::mem::take(&mut self.signals) {
            let provider = self.providers.get(&row.provider);
            for code in row.codes {
                let at = provider.and_then(|provider| provider.codes.get(&code).copied());
                let Some(listed) = at.and_then(|at| self.codes.get_mut(at)) else {
                    return Err(InvalidCatalogue::SignalWithoutCode {
                        provider: row.provider,
                        code,
                    });
                };
                listed.signal = Some(row.signal);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Catalogue, InvalidCatalogue> {
        self.mark_signals()?;
        let mut without_text = None;
        let reasons = PerReason::build(|reason| {
            let text = self.reasons.remove(&reason).unwrap_or_default();
            if !text.is_complete() {
                without_text.get_or_insert(reason);
            }
            text
        });
        if let Some(reason) = without_text {
            return Err(InvalidCatalogue::NoText {
                reason,
                locale: message::LAST_RESORT,
            });
        }
        let http = self
            .providers
            .get(TRANSPORT)
            .map(http_statuses)
            .unwrap_or_default();
        Ok(Catalogue {
            codes: self.codes.into_iter().map(Arc::new).collect(),
            providers: self.providers,
            http,
            hotlines: self.hotlines,
            profiles: Vec::new(),
            reasons,
            default_locale: message::LAST_RESORT.into(),
            version: format!("built-in {}", self.schema_version).into(),
        })
    }
}

/// The positions of the codes `http_429`, `http_500` and so on, by status.
fn http_statuses(transport: &Provider) -> HashMap<u16, usize> {
    let status = |code: &str| code.strip_prefix("http_")?.parse().ok();
    transport
        .codes
        .iter()
        .filter_map(|(code, &at)| Some((status(code)?, at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::built_in().unwrap()
    }

    #[test]
    fn a_code_is_found_under_any_spelling() {
        let catalogue = catalogue();
        let code = catalogue.find("wechatpay_v3", "NOT_ENOUGH").unwrap();
        assert_eq!(&*code.code, "NOTENOUGH");
        assert_eq!(code.reason, Reason::InsufficientFunds);
    }

    #[test]
    fn the_same_code_means_what_its_provider_means_by_it() {
        let catalogue = catalogue();
        let unionpay = catalogue.find("unionpay", "05").unwrap();
        let card = catalogue.find("iso8583", "05").unwrap();
        assert_eq!(unionpay.reason, Reason::PaymentInProgress);
        assert_eq!(card.reason, Reason::DeclinedGeneric);
    }

    #[test]
    fn a_card_scheme_shares_the_common_codes_but_its_own_come_first() {
        let catalogue = catalogue();
        assert_eq!(&*catalogue.find("visa", "51").unwrap().provider, "iso8583");
        assert_eq!(&*catalogue.find("visa", "82").unwrap().provider, "visa");
    }

    #[test]
    fn a_code_of_nobody_is_not_listed() {
        let catalogue = catalogue();
        assert!(catalogue.find("unionpay", "777").is_none());
        assert!(catalogue.find("nobody", "05").is_none());
    }

    #[test]
    fn a_later_document_overrides_an_earlier_one() {
        let own = r#"{"codes": [{"provider": "unionpay", "code": "02", "meaning": "ours", "confidence": "high",
            "canonical_reason": "provider_unavailable", "customer_can_fix": false, "side": "technical",
            "outcome_certainty": "not_processed", "advice": "switch_channel", "source": "own",
            "health_scope": "channel"}]}"#;
        let [codes, ours] = BUILT_IN;
        let catalogue = Catalogue::from_documents(&[codes, ours, ("own", own)]).unwrap();
        let overridden = catalogue.find("unionpay", "02").unwrap();
        assert_eq!(&*overridden.meaning, "ours");
        assert_eq!(
            overridden.signal,
            Some(HealthSignal::Maintenance),
            "a mark outlives the override"
        );
        assert_eq!(
            catalogue.codes().len(),
            super::Catalogue::built_in().unwrap().codes().len()
        );
    }

    #[test]
    fn a_code_listed_twice_in_one_document_is_refused() {
        let row = r#"{"provider": "p", "code": "1", "meaning": "m", "canonical_reason": "unclassified",
            "customer_can_fix": false, "side": "technical", "outcome_certainty": "unknown", "advice": "query_first",
            "confidence": "low", "source": "s", "health_scope": "none"}"#;
        let twice = format!(r#"{{"codes": [{row}, {row}]}}"#);
        let refused = Catalogue::from_documents(&[("own", &twice)]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "document `own` lists code `1` of provider `p` twice"
        );
    }

    #[test]
    fn a_signal_for_a_code_that_is_not_listed_is_refused() {
        let document = r#"{"health_signals": [{"provider": "p", "signal": "busy", "codes": ["x"]}]}"#;
        let refused = Catalogue::from_documents(&[("own", document)]).unwrap_err();
        assert!(matches!(refused, InvalidCatalogue::SignalWithoutCode { .. }));
    }

    #[test]
    fn a_catalogue_without_texts_is_refused() {
        let refused = Catalogue::from_documents(&[]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "reason `provider_unavailable` has no text in `en`"
        );
    }

    #[test]
    fn an_unreadable_document_is_named() {
        let refused = Catalogue::from_documents(&[("own.json", "{")]).unwrap_err();
        assert_eq!(refused.to_string(), "document `own.json` cannot be read");
    }
}
