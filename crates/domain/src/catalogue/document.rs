//! The shape of a catalogue document, and the errors that loading one can give.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::code::Code;
use super::judgement::HealthSignal;
use super::reason::Reason;

/// The parts of a document that the catalogue keeps. Every part may be missing; a later document overrides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    pub(super) schema_version: u32,
    pub(super) reasons: Vec<ReasonRow>,
    pub(super) codes: Vec<Code>,
    pub(super) provider_hotlines: BTreeMap<Box<str>, Box<str>>,
    pub(super) provider_fallbacks: Vec<FallbackRow>,
    pub(super) health_signals: Vec<SignalRow>,
}

/// The texts of one reason.
#[derive(Debug, Deserialize)]
pub(super) struct ReasonRow {
    pub(super) id: Reason,
    pub(super) message: BTreeMap<Box<str>, MessageRow>,
    pub(super) show_contact: bool,
    pub(super) offer_retry_same_instrument: bool,
    pub(super) notify_customer_afterwards: bool,
}

/// A text in one language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRow {
    pub(super) what: Box<str>,
    #[serde(rename = "do")]
    pub(super) todo: Box<str>,
}

/// Where else a provider's codes are looked up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FallbackRow {
    pub(super) provider: Box<str>,
    pub(super) then: Vec<Box<str>>,
}

/// Codes of one provider that say something about the channel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalRow {
    pub(super) provider: Box<str>,
    pub(super) signal: HealthSignal,
    pub(super) codes: Vec<Box<str>>,
}

/// Why the documents do not make a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCatalogue {
    /// A document is not JSON of the expected shape.
    #[error("document `{document}` cannot be read")]
    Unreadable {
        /// Name of the document.
        document: Box<str>,
        /// Line, column and what was expected.
        #[source]
        source: serde_json::Error,
    },
    /// Two entries of one document claim the same code.
    #[error("document `{document}` lists code `{code}` of provider `{provider}` twice")]
    Duplicate {
        /// Name of the document.
        document: Box<str>,
        /// Provider of the code.
        provider: Box<str>,
        /// The code or the alias.
        code: Box<str>,
    },
    /// A reason has no text at all, or none in the language that every look-up falls back to.
    #[error("reason `{reason}` has no text in `{locale}`")]
    NoText {
        /// The reason.
        reason: Reason,
        /// The language.
        locale: &'static str,
    },
    /// A health signal names a code that is not listed.
    #[error("health signal for code `{code}` of provider `{provider}`, which is not listed")]
    SignalWithoutCode {
        /// The provider that was named.
        provider: Box<str>,
        /// The code that was named.
        code: Box<str>,
    },
}
