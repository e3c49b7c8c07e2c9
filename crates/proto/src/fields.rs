//! Reading the fields of a request: each reader takes a value, notes what is wrong, and goes on.
//!
//! A value that is refused is replaced by one that is valid but never used: the request fails as a whole when
//! anything was noted. Descriptions name the limit; they repeat a value only where it cannot be a card number.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use domain::card_number;
use domain::id::InvalidId;
use domain::network_retry::Fingerprint;
use jiff::Timestamp;

use crate::time;
use crate::violation::{Violation, Violations};

/// Longest text in bytes, where a field states nothing else (section 7 of the design's input limits).
pub const MAX_TEXT: usize = 256;
/// Longest message from a provider, in bytes.
pub const MAX_MESSAGE: usize = 1_024;
/// Most items of a list of channels.
pub const MAX_LIST: usize = 200;
/// Most tags, wallets, earlier attempts and metadata pairs.
pub const MAX_TAGS: usize = 20;
/// Longest metadata key, in bytes.
pub const MAX_KEY: usize = 64;
/// Longest token or receipt, in bytes: room for the longest names and texts of a payment and the channels of a decision.
pub const MAX_TOKEN: usize = 4_096;

/// Collects the violations of one request.
#[derive(Debug, Default)]
pub struct Reader {
    found: Vec<Violation>,
}

impl Reader {
    /// `value` when nothing was noted.
    ///
    /// # Errors
    /// All that was noted.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Violations> {
        match value {
            Some(value) => Violations::check(self.found, value),
            None if self.found.is_empty() => Err(Violations::one("request", "could not be read")),
            None => Err(Violations::check(self.found, ())
                .err()
                .unwrap_or_else(|| Violations::one("request", "invalid"))),
        }
    }

    /// Notes that `field` is wrong.
    pub fn refuse(&mut self, field: &str, description: impl Into<String>) {
        self.found.push(Violation {
            field: field.to_owned(),
            description: description.into(),
        });
    }

    /// A name: required, checked by its type.
    pub fn name<T: FromStr<Err = InvalidId>>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.is_empty() {
            self.refuse(field, "is required");
            return None;
        }
        if !self.no_card_number(field, text) {
            return None;
        }
        text.parse()
            .map_err(|error: InvalidId| self.refuse(field, error.to_string()))
            .ok()
    }

    /// A name that may be missing.
    pub fn optional_name<T: FromStr<Err = InvalidId>>(&mut self, field: &str, text: &str) -> Option<T> {
        (!text.is_empty()).then(|| self.name(field, text)).flatten()
    }

    /// What a credential is known by; may be missing.
    pub fn fingerprint(&mut self, field: &str, text: &str) -> Option<Fingerprint> {
        if text.is_empty() || !self.no_card_number(field, text) {
            return None;
        }
        Fingerprint::new(text)
            .map_err(|error| self.refuse(field, error.to_string()))
            .ok()
    }

    /// A list of names.
    pub fn names<T: FromStr<Err = InvalidId>>(&mut self, field: &str, texts: &[String]) -> Vec<T> {
        if !self.at_most(field, texts.len(), MAX_LIST) {
            return Vec::new();
        }
        let read = |(at, text): (usize, &String)| self.name(&format!("{field}[{at}]"), text);
        texts.iter().enumerate().filter_map(read).collect()
    }

    /// A text that may be missing.
    pub fn text(&mut self, field: &str, text: String) -> Option<String> {
        self.bounded_text(field, text, MAX_TEXT)
    }

    /// A text that may be missing and may be up to `max` bytes long.
    pub fn bounded_text(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        if text.is_empty() || !self.fits(field, &text, max) {
            return None;
        }
        Some(text)
    }

    /// A word in lower case (`card`, `icbc`) that may be missing: what policies compare must have one spelling.
    pub fn word(&mut self, field: &str, text: String) -> Option<String> {
        let text = self.text(field, text)?;
        let spelled = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        if text.bytes().all(spelled) {
            return Some(text);
        }
        self.refuse(field, "must be lower-case letters, digits, `_`, `-` or `.`");
        None
    }

    /// A word that must be there.
    pub fn required_word(&mut self, field: &str, text: String) -> Option<String> {
        if text.is_empty() {
            self.refuse(field, "is required");
            return None;
        }
        self.word(field, text)
    }

    /// An ISO 3166-1 alpha-2 country code that may be missing.
    pub fn country(&mut self, field: &str, text: String) -> Option<String> {
        let text = self.text(field, text)?;
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(text);
        }
        self.refuse(
            field,
            "must be an ISO 3166-1 alpha-2 code in capitals, such as CN",
        );
        None
    }

    /// Tags: a short list of texts.
    pub fn tags(&mut self, field: &str, texts: Vec<String>) -> Vec<String> {
        if !self.at_most(field, texts.len(), MAX_TAGS) {
            return Vec::new();
        }
        let read = |(at, text)| self.text(&format!("{field}[{at}]"), text);
        texts.into_iter().enumerate().filter_map(read).collect()
    }

    /// The caller's own attributes.
    pub fn metadata(&mut self, field: &str, pairs: HashMap<String, String>) -> BTreeMap<String, String> {
        if !self.at_most(field, pairs.len(), MAX_TAGS) {
            return BTreeMap::new();
        }
        let mut kept = BTreeMap::new();
        for (key, value) in pairs {
            // A key is only named once it is known to hold no card number.
            if key.is_empty() || !self.fits(&format!("{field} key"), &key, MAX_KEY) {
                if key.is_empty() {
                    self.refuse(field, "has an empty key");
                }
                continue;
            }
            if self.fits(&format!("{field}[\"{key}\"]"), &value, MAX_TEXT) {
                kept.insert(key, value);
            }
        }
        kept
    }

    /// A token or receipt.
    pub fn token(&mut self, field: &str, token: Vec<u8>) -> Vec<u8> {
        if token.is_empty() {
            self.refuse(field, "is required");
        } else if token.len() > MAX_TOKEN {
            self.refuse(
                field,
                format!("is {} bytes long, at most {MAX_TOKEN} are allowed", token.len()),
            );
        }
        token
    }

    /// A token or receipt that may be missing.
    pub fn optional_token(&mut self, field: &str, token: Vec<u8>) -> Vec<u8> {
        if token.is_empty() {
            token
        } else {
            self.token(field, token)
        }
    }

    /// A number within bounds, both inclusive.
    pub fn within(&mut self, field: &str, value: u32, bounds: std::ops::RangeInclusive<u32>) -> u32 {
        if !bounds.contains(&value) {
            self.refuse(
                field,
                format!("is {value}, must be {} to {}", bounds.start(), bounds.end()),
            );
        }
        value
    }

    /// A time that may be missing.
    pub fn time(&mut self, field: &str, at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
        let read = time::from_wire(at?);
        if read.is_none() {
            self.refuse(field, "is not a valid time");
        }
        read
    }

    fn fits(&mut self, field: &str, text: &str, max: usize) -> bool {
        if text.len() > max {
            self.refuse(
                field,
                format!("is {} bytes long, at most {max} are allowed", text.len()),
            );
            return false;
        }
        self.no_card_number(field, text)
    }

    fn no_card_number(&mut self, field: &str, text: &str) -> bool {
        let clean = card_number::find(text).is_none();
        if !clean {
            self.refuse(field, card_number::REFUSED);
        }
        clean
    }

    fn at_most(&mut self, field: &str, len: usize, max: usize) -> bool {
        if len > max {
            self.refuse(field, format!("has {len} items, at most {max} are allowed"));
        }
        len <= max
    }
}
